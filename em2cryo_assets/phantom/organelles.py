"""What lies inside a simulated cell: bodies that never overlap.

Belongs here: shapes of nucleus, vacuole and lipid droplets, placement of them and of mitochondria.
Does not belong here: the outer surface (`body`), how mitochondria grow (`mitochondria`), density (`contrast`).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import Body, columns, ellipsoid_of_columns, random_rotation, turned
from em2cryo_assets.phantom.membranes import Pores, draw_pores
from em2cryo_assets.phantom.mitochondria import FAR_NM, Tube, branched, grow_tube
from em2cryo_assets.phantom.priors import PRIORS, draw

__all__ = ["Nucleus", "Organelles", "Tube", "Vacuole", "draw_organelles"]

FloatArray = NDArray[np.float64]
_LOBE_EDGE_NM = 60.0


@dataclass(frozen=True)
class Nucleus:
    """An ellipsoid with a nucleolus on one side.

    Parameters
    ----------
    centre_nm : numpy.ndarray, shape (3,)
        In the frame of the cell, (z, y, x).
    rotation : numpy.ndarray, shape (3, 3)
        Frame of the cell to axes of the ellipsoid; its last row points to the nucleolus.
    semi_axes_nm : numpy.ndarray, shape (3,)
        Half lengths.
    pores : Pores
        Openings of the envelope.
    """

    centre_nm: FloatArray
    rotation: FloatArray
    semi_axes_nm: FloatArray
    pores: Pores

    def distance(self, zyx_nm: FloatArray) -> FloatArray:
        """Signed distance in nm at columns (3, N), negative inside."""
        return ellipsoid_of_columns(turned(zyx_nm, self.rotation, self.centre_nm), self.semi_axes_nm)

    def nucleolus_distance(self, zyx_nm: FloatArray, nucleus_nm: FloatArray) -> FloatArray:
        """Signed distance to the crescent that is the nucleolus, given that to the nucleus; negative inside."""
        z, y, x = turned(zyx_nm, self.rotation, self.centre_nm)
        radius = float(self.semi_axes_nm.min())
        cap = np.sqrt(z * z + y * y + np.square(x - 0.95 * radius)) - 0.72 * radius
        return np.maximum(cap, nucleus_nm + 45.0)


@dataclass(frozen=True)
class Vacuole:
    """A sphere, dented where nucleus and cortex are, whole or divided into lobes that press against each other.

    Parameters
    ----------
    centre_nm : numpy.ndarray, shape (3,)
        In the frame of the cell.
    radius_nm : float
        Before denting.
    lobes_nm : numpy.ndarray, shape (L, 3)
        Seeds of two or three lobes: each has what lies closest to its seed. Empty for a whole vacuole.
    """

    centre_nm: FloatArray
    radius_nm: float
    lobes_nm: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))

    def divided(self, zyx_nm: FloatArray, whole_nm: FloatArray) -> FloatArray:
        """Distance to the nearest lobe at points (3, N), given that to the whole vacuole (N,); negative inside."""
        near = np.flatnonzero(whole_nm < 2.0 * _LOBE_EDGE_NM) if len(self.lobes_nm) else np.zeros(0, dtype=int)
        if not near.size:
            return whole_nm
        p, half = zyx_nm[:, near], 0.5 * PRIORS["lobe_gap"].mean
        lobes = []
        for i, seed in enumerate(self.lobes_nm):
            lobe = whole_nm[near]
            for other in np.delete(self.lobes_nm, i, axis=0):
                way = (other - seed) / np.linalg.norm(other - seed)
                middle = float(0.5 * (other + seed) @ way)
                across = float(way[0]) * p[0] + float(way[1]) * p[1] + float(way[2]) * p[2] - middle
                lobe = _smooth_max(lobe, across + half, _LOBE_EDGE_NM)
            lobes.append(lobe)
        out = whole_nm.copy()
        out[near] = np.minimum.reduce(lobes)
        return out


@dataclass(frozen=True)
class Organelles:
    """All bodies of one cell.

    Parameters
    ----------
    nucleus : Nucleus
        One a cell.
    vacuole : Vacuole
        One a cell; its dents depend on the other two parts of `vacuole_distance`.
    tubes : tuple of Tube
        Mitochondria.
    droplet_centres_nm : numpy.ndarray, shape (D, 3)
        Lipid droplets.
    droplet_radii_nm : numpy.ndarray, shape (D,)
        Their radii.
    """

    nucleus: Nucleus
    vacuole: Vacuole
    tubes: tuple[Tube, ...]
    droplet_centres_nm: FloatArray
    droplet_radii_nm: FloatArray

    def vacuole_distance(self, zyx_nm: FloatArray, nucleus_nm: FloatArray, cortex_nm: FloatArray) -> FloatArray:
        """Distance to the vacuole, which gives way to nucleus and cortex.

        Parameters
        ----------
        zyx_nm : numpy.ndarray, shape (3, N)
            Positions.
        nucleus_nm : numpy.ndarray, shape (N,)
            Distance to the nucleus.
        cortex_nm : numpy.ndarray, shape (N,)
            Distance to the inner face of the plasma membrane, negative inside.

        Returns
        -------
        numpy.ndarray, shape (N,)
            Negative inside, nm.
        """
        gap = PRIORS["gap"].mean
        ball = _to_centre(zyx_nm, self.vacuole.centre_nm) - self.vacuole.radius_nm
        whole = _smooth_max(_smooth_max(ball, gap - nucleus_nm, 160.0), cortex_nm + gap, 160.0)
        return self.vacuole.divided(zyx_nm, whole)

    def droplet_distance(self, zyx_nm: FloatArray) -> FloatArray:
        """Distance to the nearest lipid droplet, (3, N) to (N,), nm, negative inside."""
        distance = np.full_like(zyx_nm[0], FAR_NM)
        for centre, radius in zip(self.droplet_centres_nm, self.droplet_radii_nm, strict=True):
            np.minimum(distance, _to_centre(zyx_nm, centre) - float(radius), out=distance)
        return distance


def _to_centre(zyx_nm: FloatArray, centre: FloatArray) -> FloatArray:
    z, y, x = (zyx_nm[axis] - float(centre[axis]) for axis in range(3))
    return np.sqrt(z * z + y * y + x * x)


def _smooth_max(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    blend = np.maximum(width - np.abs(a - b), 0.0) * (1.0 / width)
    return np.maximum(a, b) + 0.25 * width * blend * blend


def draw_organelles(body: Body, cortex_depth_nm: float, rng: np.random.Generator) -> Organelles:
    """Place organelles of the population's sizes into a body.

    Parameters
    ----------
    body : Body
        Outer surface.
    cortex_depth_nm : float
        Depth of the inner face of the plasma membrane below the outer surface.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Organelles
        At least the prior's gap apart from one another and from the membrane.
    """
    gap = PRIORS["gap"].mean
    axes = body.mother.semi_axes_nm
    equivalent = float(np.prod(axes)) ** (1.0 / 3.0)
    nucleus = _place_nucleus(body, equivalent, cortex_depth_nm + gap, rng)
    # The vacuole lies opposite; what the dents cut off is made up for by a slightly larger sphere.
    radius = 1.03 * equivalent * draw("vacuole_fraction", rng) ** (1.0 / 3.0)
    away = -nucleus.centre_nm / np.linalg.norm(nucleus.centre_nm) + 0.35 * rng.normal(size=3)
    away /= np.linalg.norm(away)
    room = 1.0 / float(np.linalg.norm(away / axes)) - cortex_depth_nm - gap - radius
    # Streams of their own: what is drawn after them stays what it was without lobes and branches.
    lobes, branching = rng.spawn(2)
    vacuole = _lobed(Vacuole(away * max(room, 0.0) * rng.uniform(0.8, 1.0), radius), lobes)
    bodies = Organelles(nucleus, vacuole, (), np.zeros((0, 3)), np.zeros(0))
    tubes: list[Tube] = []
    for _ in range(round(draw("mitochondria", rng))):
        tube = grow_tube(
            body, lambda points, reach: _room(points, body, bodies, tubes, cortex_depth_nm, reach), cortex_depth_nm, rng
        )
        if tube is not None:
            tubes.append(tube)
    wanted = sorted((draw("droplet_radius", rng) for _ in range(round(draw("droplets", rng)))), reverse=True)
    # Random sequential adsorption, largest first: all places are judged at once, then taken in turn.
    places = rng.uniform(-1, 1, (4000, 3)) * body.half_extent_nm()
    room = _room(places, body, bodies, tubes, cortex_depth_nm, PRIORS["droplet_radius"].high + gap)
    centres: list[FloatArray] = []
    radii: list[float] = []
    for size in wanted:
        fitting = np.flatnonzero(room > size + gap)
        if fitting.size:
            centre = places[fitting[0]]
            centres.append(centre)
            radii.append(size)
            np.minimum(room, np.linalg.norm(places - centre, axis=1) - size, out=room)
    bodies = Organelles(nucleus, vacuole, (), np.array(centres).reshape(-1, 3), np.array(radii))
    for i, tube in enumerate(tubes):
        if branching.random() < PRIORS["branched_fraction"].mean:
            others = tubes[:i] + tubes[i + 1 :]

            def clear(points: FloatArray, reach: float, others: list[Tube] = others) -> FloatArray:
                room = _room(points, body, bodies, others, cortex_depth_nm, reach)
                return np.minimum(room, bodies.droplet_distance(columns(points)))

            tubes[i] = branched(tube, body, clear, cortex_depth_nm, branching)
    return Organelles(nucleus, vacuole, tuple(tubes), bodies.droplet_centres_nm, bodies.droplet_radii_nm)


def _lobed(vacuole: Vacuole, rng: np.random.Generator) -> Vacuole:
    """Divide a vacuole into lobes of its population's number; mostly it stays whole."""
    count = round(draw("vacuole_lobes", rng))
    if count == 1:
        return vacuole
    # Seeds stand about the centre at equal angles, each moved a little: lobes differ in size.
    turn = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn), np.zeros(count)], axis=1) @ random_rotation(rng)
    seeds = vacuole.centre_nm + vacuole.radius_nm * (0.5 * circle + rng.uniform(-0.15, 0.15, (count, 3)))
    return Vacuole(vacuole.centre_nm, vacuole.radius_nm, seeds)


def _place_nucleus(body: Body, equivalent: float, margin: float, rng: np.random.Generator) -> Nucleus:
    radius = equivalent * draw("nucleus_fraction", rng) ** (1.0 / 3.0)
    stretch = 1.0 + 0.08 * np.clip(rng.normal(size=3), -2, 2)
    stretch /= np.prod(stretch) ** (1.0 / 3.0)
    semi_axes = radius * stretch
    while True:
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        centre = direction * rng.uniform(0.35, 0.62) * equivalent
        if float(body.mother.distance(centre[:, None], True)[0]) < -(margin + float(semi_axes.max())):
            rotation = random_rotation(rng)
            # A stream of its own: what is drawn after the nucleus stays what it was without pores.
            return Nucleus(centre, rotation, semi_axes, draw_pores(centre, rotation, semi_axes, rng.spawn(1)[0]))


def _room(
    points: FloatArray,
    body: Body,
    bodies: Organelles,
    tubes: list[Tube],
    cortex_depth_nm: float,
    reach_nm: float,
) -> FloatArray:
    """Distance from each point to the nearest thing in the way, (N,), nm; tubes count up to `reach_nm`."""
    zyx = columns(points)
    outer = body.distance_of_columns(zyx)
    nucleus = bodies.nucleus.distance(zyx)
    vacuole = bodies.vacuole_distance(zyx, nucleus, outer + cortex_depth_nm)
    room = np.minimum(np.minimum(-(outer + cortex_depth_nm), nucleus), vacuole)
    for tube in tubes:
        np.minimum(room, tube.distance(zyx, reach_nm)[0], out=room)
    return room
