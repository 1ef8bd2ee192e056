"""What lies inside a simulated cell: bodies that never overlap.

Belongs here: shapes and placement of nucleus, vacuole, mitochondria and lipid droplets.
Does not belong here: the outer surface (`body`), how dense anything is (`contrast`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import Body, columns, ellipsoid_of_columns, random_rotation, turned
from em2cryo_assets.phantom.membranes import Pores, draw_pores
from em2cryo_assets.phantom.priors import PRIORS, draw

__all__ = ["Nucleus", "Organelles", "Tube", "Vacuole", "draw_organelles"]

FloatArray = NDArray[np.float64]
_FAR_NM = 1e6
_STEP_NM = 220.0


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
    """A sphere, dented where nucleus and cortex are.

    Parameters
    ----------
    centre_nm : numpy.ndarray, shape (3,)
        In the frame of the cell.
    radius_nm : float
        Before denting.
    """

    centre_nm: FloatArray
    radius_nm: float


@dataclass(frozen=True)
class Tube:
    """A mitochondrion: all points within a radius of a chain of segments.

    Parameters
    ----------
    nodes_nm : numpy.ndarray, shape (K, 3)
        Ends of the segments, K >= 2.
    radius_nm : float
        Half width.
    """

    nodes_nm: FloatArray
    radius_nm: float

    def distance(self, zyx_nm: FloatArray, margin_nm: float) -> tuple[FloatArray, FloatArray]:
        """Signed distance and position along the chain.

        Parameters
        ----------
        zyx_nm : numpy.ndarray, shape (3, N)
            Positions.
        margin_nm : float
            Points farther than this from the tube may be given a large distance instead of theirs.

        Returns
        -------
        distance : numpy.ndarray, shape (N,)
            Negative inside, nm.
        along : numpy.ndarray, shape (N,)
            Arc length from the first node to the closest point, nm.
        """
        distance = np.full_like(zyx_nm[0], _FAR_NM)
        along = np.zeros_like(distance)
        if not distance.size:
            return distance, along
        reach = self.radius_nm + margin_nm
        # Points come in blocks: segments that do not pass theirs are left out before any point is looked at.
        low, high = zyx_nm.min(axis=1) - reach, zyx_nm.max(axis=1) + reach
        start = 0.0
        for a, b in zip(self.nodes_nm[:-1], self.nodes_nm[1:], strict=True):
            length = float(np.linalg.norm(b - a))
            if (np.maximum(a, b) >= low).all() and (np.minimum(a, b) <= high).all():
                _closer(zyx_nm, a, b, start, length, reach, self.radius_nm, distance, along)
            start += length
        return distance, along


def _closer(
    zyx_nm: FloatArray,
    a: FloatArray,
    b: FloatArray,
    start: float,
    length: float,
    reach: float,
    radius: float,
    distance: FloatArray,
    along: FloatArray,
) -> None:
    """Update distance and position where this segment is the closest so far."""
    inside = np.ones(distance.shape, dtype=bool)
    for axis in range(3):
        inside &= zyx_nm[axis] > float(min(a[axis], b[axis])) - reach
        inside &= zyx_nm[axis] < float(max(a[axis], b[axis])) + reach
    near = np.flatnonzero(inside)
    if not near.size:
        return
    direction = [float(v) for v in (b - a)]
    p = [zyx_nm[axis][near] - float(a[axis]) for axis in range(3)]
    share = np.clip((p[0] * direction[0] + p[1] * direction[1] + p[2] * direction[2]) * (1.0 / length**2), 0.0, 1.0)
    way = [p[axis] - share * direction[axis] for axis in range(3)]
    gap = np.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]) - radius
    closer = gap < distance[near]
    chosen = near[closer]
    distance[chosen], along[chosen] = gap[closer], start + share[closer] * length


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
        return _smooth_max(_smooth_max(ball, gap - nucleus_nm, 160.0), cortex_nm + gap, 160.0)

    def droplet_distance(self, zyx_nm: FloatArray) -> FloatArray:
        """Distance to the nearest lipid droplet, (3, N) to (N,), nm, negative inside."""
        distance = np.full_like(zyx_nm[0], _FAR_NM)
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
    vacuole = Vacuole(away * max(room, 0.0) * rng.uniform(0.8, 1.0), radius)
    bodies = Organelles(nucleus, vacuole, (), np.zeros((0, 3)), np.zeros(0))
    tubes: list[Tube] = []
    for _ in range(round(draw("mitochondria", rng))):
        tube = _grow_tube(body, bodies, tubes, cortex_depth_nm, rng)
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
    return Organelles(nucleus, vacuole, tuple(tubes), np.array(centres).reshape(-1, 3), np.array(radii))


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


def _grow_tube(
    body: Body, bodies: Organelles, tubes: list[Tube], cortex_depth_nm: float, rng: np.random.Generator
) -> Tube | None:
    """Grow a chain below the cortex, as yeast mitochondria run; None where no room was found."""
    gap = PRIORS["gap"].mean
    radius, length = draw("mitochondrion_radius", rng), draw("mitochondrion_length", rng)
    reach = radius + gap

    def room(points: FloatArray) -> FloatArray:
        return _room(points, body, bodies, tubes, cortex_depth_nm, reach)

    starts = rng.normal(size=(32, 3))
    starts *= body.half_extent_nm() / np.linalg.norm(starts, axis=1, keepdims=True)
    starts = _sink(body, starts, -(cortex_depth_nm + reach + rng.uniform(10.0, 250.0, 32))).round(2)
    for start in starts[room(starts) > reach][:6]:
        nodes, heading = [start], rng.normal(size=3)
        while len(nodes) * _STEP_NM < length:
            normal = body.gradient(nodes[-1][None])[0]
            turns = heading + 0.45 * np.linalg.norm(heading) * rng.normal(size=(6, 3))
            turns -= (turns @ normal)[:, None] * normal
            turns *= _STEP_NM / np.maximum(np.linalg.norm(turns, axis=1, keepdims=True), 1e-9)
            steps = _sink(body, nodes[-1] + turns, -(cortex_depth_nm + reach + rng.uniform(10.0, 120.0, 6)))
            share = np.linspace(0.25, 1.0, 4)[None, :, None]
            between = nodes[-1] + share * (steps[:, None] - nodes[-1])
            # The chain must not come back to itself either.
            own = np.linalg.norm(steps[:, None] - np.array(nodes)[None], axis=2)[:, :-2]
            free = np.all(room(between.reshape(-1, 3)).reshape(6, 4) > reach, axis=1)
            free &= np.all(own > 2 * radius + gap, axis=1)
            if not free.any():
                break
            first = int(np.argmax(free))
            # Whole hundredths of a nm: else what two processors round differently would grow from step to step.
            heading = turns[first].round(2)
            nodes.append(steps[first].round(2))
        if len(nodes) >= 4:
            return Tube(np.array(nodes), radius)
    return None


def _sink(body: Body, points: FloatArray, level_nm: FloatArray) -> FloatArray:
    """Move points along the gradient of the distance to given levels, (N, 3) and (N,) to (N, 3)."""
    for _ in range(4):
        error = body.distance(points, exact=False) - level_nm
        points = points - error[:, None] * body.gradient(points)
    return points
