"""The outer surface of a simulated cell as a signed distance.

Belongs here: mother, bud and neck; distances in nm that are exact near the surface, so that a shell of
constant distance has constant thickness along the normal. Does not belong here: what lies inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.priors import draw

__all__ = [
    "Body",
    "Lobe",
    "columns",
    "draw_body",
    "ellipsoid_distance",
    "ellipsoid_of_columns",
    "random_rotation",
    "turned",
]

FloatArray = NDArray[np.float64]

# Shells are never thicker than this; farther in, the cheap distance does.
_EXACT_WITHIN_NM = 320.0
_DEGREES = (2, 3, 4)
_TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=np.float64)


def random_rotation(rng: np.random.Generator) -> FloatArray:
    """Uniformly random rotation matrix (3, 3) (QR of a Gaussian matrix; Stewart 1980)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def columns(points: FloatArray) -> FloatArray:
    """Points (N, 3) as contiguous z, y, x (3, N), on which arithmetic runs three times as fast."""
    return np.ascontiguousarray(points.T)


def turned(zyx: FloatArray, rotation: FloatArray, centre: FloatArray) -> list[FloatArray]:
    """Coordinates about a centre, turned by a rotation; (3, N) to three (N,) of the same precision."""
    # Python numbers keep single precision single; matrix products of three rows are slower than nine sums.
    z, y, x = (zyx[i] - float(centre[i]) for i in range(3))
    return [float(row[0]) * z + float(row[1]) * y + float(row[2]) * x for row in rotation]


def ellipsoid_distance(points: FloatArray, semi_axes: FloatArray, exact_within: float = 0.0) -> FloatArray:
    """Signed distance to an axis-aligned ellipsoid at the origin, negative inside.

    Parameters
    ----------
    points : numpy.ndarray, float64, shape (N, 3)
        Positions, in the unit of `semi_axes`.
    semi_axes : numpy.ndarray, float64, shape (3,)
        Half lengths along the three axes.
    exact_within : float
        Up to this distance from the surface the closest point is solved for (root of the secular
        equation of Eberly 2013, by Newton's method); elsewhere the first-order distance serves.

    Returns
    -------
    numpy.ndarray, float64, shape (N,)
        Distances; the zero level is exact everywhere.
    """
    return ellipsoid_of_columns(list(columns(points)), semi_axes, exact_within)


def ellipsoid_of_columns(zyx: list[FloatArray], semi_axes: FloatArray, exact_within: float = 0.0) -> FloatArray:
    """`ellipsoid_distance` for three arrays (N,), in their own precision."""
    a = [float(axis) for axis in semi_axes]
    shortest = min(a)
    scaled = [p * (1.0 / r) for p, r in zip(zyx, a, strict=True)]
    k0 = np.sqrt(_squares(scaled))
    k1 = np.sqrt(_squares([p * (1.0 / r) for p, r in zip(scaled, a, strict=True)]))
    distance = np.where(k0 > 1e-6, k0 * (k0 - 1.0) / np.maximum(k1, 1e-30), -shortest)
    near = np.flatnonzero(np.abs(distance) < min(exact_within, 0.6 * shortest))
    if near.size:
        squared, bound = [r * r for r in a], shortest * shortest
        p = [axis[near] for axis in zyx]
        weighted = [(r * axis) ** 2 for r, axis in zip(a, p, strict=True)]
        t = np.maximum(distance[near] * k0[near] / k1[near], -0.85 * bound)
        for _ in range(4):
            inverse = [1.0 / (t + s) for s in squared]
            shrunk = [w * i * i for w, i in zip(weighted, inverse, strict=True)]
            value = shrunk[0] + shrunk[1] + shrunk[2] - 1.0
            slope = -2.0 * (shrunk[0] * inverse[0] + shrunk[1] * inverse[1] + shrunk[2] * inverse[2])
            t = np.maximum(t - value / slope, -0.95 * bound)
        # From the closest point s p / (t + s) to p is t p / (t + s).
        way = [axis * t / (t + s) for axis, s in zip(p, squared, strict=True)]
        distance[near] = np.copysign(np.sqrt(_squares(way)), distance[near])
    return distance


def _squares(zyx: Sequence[FloatArray] | FloatArray) -> FloatArray:
    return zyx[0] * zyx[0] + zyx[1] * zyx[1] + zyx[2] * zyx[2]


@dataclass(frozen=True)
class Lobe:
    """One ellipsoid with smooth bumps: the mother, or the bud.

    Parameters
    ----------
    centre_nm : numpy.ndarray, shape (3,)
        In the frame of the cell, (z, y, x).
    rotation : numpy.ndarray, shape (3, 3)
        Takes the frame of the cell to the axes of the ellipsoid.
    semi_axes_nm : numpy.ndarray, shape (3,)
        Half lengths; the last (x) is the longest.
    bump_directions : numpy.ndarray, shape (J, 3)
        Unit vectors about which the bumps are symmetric, in the axes of the ellipsoid.
    bump_degrees : tuple of int
        Degree of the Legendre polynomial of each bump.
    bump_heights_nm : numpy.ndarray, shape (J,)
        Displacement of the surface along its normal at the pole of each bump.
    """

    centre_nm: FloatArray
    rotation: FloatArray
    semi_axes_nm: FloatArray
    bump_directions: FloatArray
    bump_degrees: tuple[int, ...]
    bump_heights_nm: FloatArray

    def distance(self, zyx_nm: FloatArray, exact: bool) -> FloatArray:
        """Signed distance in nm at columns (3, N), negative inside."""
        local = turned(zyx_nm, self.rotation, self.centre_nm)
        distance = ellipsoid_of_columns(local, self.semi_axes_nm, _EXACT_WITHIN_NM if exact else 0.0)
        if not self.bump_degrees:
            return distance
        radius = np.sqrt(_squares(local))
        # Towards the centre the direction is undefined: let the bumps fade there.
        half = 0.5 * float(self.semi_axes_nm.min())
        fade = np.minimum(1.0, np.square(radius * (1.0 / half)))
        unit = 1.0 / np.maximum(radius, 1e-6)
        for axis, degree, height in zip(self.bump_directions, self.bump_degrees, self.bump_heights_nm, strict=True):
            u = (float(axis[0]) * local[0] + float(axis[1]) * local[1] + float(axis[2]) * local[2]) * unit
            distance -= float(height) * fade * _legendre(degree, u)
        return distance


def _legendre(degree: int, u: FloatArray) -> FloatArray:
    if degree == 2:
        return 1.5 * u * u - 0.5
    if degree == 3:
        return (2.5 * u * u - 1.5) * u
    square = u * u
    return (35.0 * square * square - 30.0 * square + 3.0) / 8.0


@dataclass(frozen=True)
class Body:
    """Mother and, where there is one, bud, joined by a smooth neck.

    Parameters
    ----------
    mother : Lobe
        Centred at the origin, long axis along x.
    bud : Lobe or None
        The daughter.
    neck_nm : float
        Width of the zone in which the two surfaces are blended (polynomial smooth minimum, Quilez 2013).
    """

    mother: Lobe
    bud: Lobe | None
    neck_nm: float

    def distance(self, points_nm: FloatArray, *, exact: bool = True) -> FloatArray:
        """Signed distance to the outer surface, negative inside.

        Parameters
        ----------
        points_nm : numpy.ndarray, float64, shape (N, 3)
            Positions in the frame of the cell, (z, y, x), nm.
        exact : bool
            False where only the zero level matters: faster, and the same zero level.

        Returns
        -------
        numpy.ndarray, float64, shape (N,)
            Distances in nm.
        """
        return self.distance_of_columns(columns(points_nm), exact=exact)

    def distance_of_columns(self, zyx_nm: FloatArray, *, exact: bool = True) -> FloatArray:
        """`distance` for columns (3, N), in their own precision."""
        distance, apart = self._blended(zyx_nm, exact)
        if exact and self.bud is not None:
            # Where two surfaces blend, the blend is no distance: walk to the surface and measure the way.
            # Points beside that zone may have their closest surface in it.
            near = np.abs(distance) < _EXACT_WITHIN_NM
            neck = np.flatnonzero(near & (apart < self.neck_nm + 1.5 * _EXACT_WITHIN_NM))
            if neck.size:
                # Slopes are differences over 2 nm: in double precision, whatever the points come in.
                start = zyx_nm[:, neck].astype(np.float64)
                foot = start.copy()
                for _ in range(4):
                    slope = self._slope(foot, 2.0)
                    steep = np.maximum(_squares(slope), 0.05)
                    foot -= (self._blended(foot, False)[0] / steep) * slope
                way = np.sqrt(_squares(start - foot))
                distance[neck] = np.copysign(np.maximum(way, np.abs(distance[neck])), distance[neck])
        return distance

    def _blended(self, zyx_nm: FloatArray, exact: bool) -> tuple[FloatArray, FloatArray]:
        """Smooth minimum of both lobes, and by how much their distances differ."""
        mother = self.mother.distance(zyx_nm, exact)
        if self.bud is None:
            return mother, np.full_like(mother, np.inf)
        bud = self.bud.distance(zyx_nm, exact)
        apart = np.abs(mother - bud)
        blend = np.maximum(self.neck_nm - apart, 0.0) * (1.0 / self.neck_nm)
        return np.minimum(mother, bud) - 0.25 * self.neck_nm * blend * blend, apart

    def _slope(self, zyx_nm: FloatArray, step_nm: float) -> FloatArray:
        """Gradient of the blended distance (3, N) from four values about each point."""
        values = [self._blended(zyx_nm + step_nm * corner[:, None], False)[0] for corner in _TETRAHEDRON]
        return np.tensordot(_TETRAHEDRON.T, np.stack(values), axes=1) / (4.0 * step_nm)

    def gradient(self, points_nm: FloatArray) -> FloatArray:
        """Direction of steepest ascent of the distance, unit vectors (N, 3)."""
        slope = self._slope(columns(points_nm), 2.0).T
        return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)

    def support_nm(self, direction: FloatArray) -> float:
        """How far the body reaches along a unit vector (3,): the support function of its ellipsoids, nm."""
        lobes = [self.mother] + ([self.bud] if self.bud is not None else [])
        return max(
            float(lobe.centre_nm @ direction + np.linalg.norm(lobe.semi_axes_nm * (lobe.rotation @ direction)))
            for lobe in lobes
        )

    def half_extent_nm(self) -> float:
        """Radius of a sphere about the origin that holds the whole body, nm."""
        reach = float(self.mother.semi_axes_nm.max()) * 1.06
        if self.bud is not None:
            reach = max(reach, float(np.linalg.norm(self.bud.centre_nm) + 1.06 * self.bud.semi_axes_nm.max()))
        return reach


def _draw_lobe(
    radius_nm: float, centre: FloatArray, rotation: FloatArray, round_share: float, rng: np.random.Generator
) -> Lobe:
    """Draw a lobe of given equivalent radius; `round_share` 1 is a cell's elongation, 0 a sphere."""
    long_middle = 1.0 + round_share * (draw("axis_ratio", rng) - 1.0)
    short_middle = 1.0 + round_share * (draw("short_over_middle", rng) - 1.0)
    middle = radius_nm / (long_middle * short_middle) ** (1.0 / 3.0)
    directions = rng.normal(size=(4, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[0] = (0.0, 0.0, 1.0)
    degrees = (3, *(int(rng.choice(_DEGREES)) for _ in range(3)))
    heights = radius_nm * np.array([round_share * draw("egg", rng), *(draw("unevenness", rng) for _ in range(3))])
    axes = np.array([short_middle * middle, middle, long_middle * middle])
    return Lobe(centre, rotation, axes, directions, degrees, heights)


def draw_body(rng: np.random.Generator) -> Body:
    """Draw one body of the population.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Body
        Mother at the origin with its long axis along x; a bud with the prior's frequency.
    """
    radius = draw("equivalent_radius", rng)
    budded = rng.random() < draw("budded_fraction", rng)
    bud_ratio, angle, azimuth = draw("bud_radius", rng), draw("bud_angle", rng), rng.uniform(0, 2 * np.pi)
    pole = 1.0 if rng.random() < 0.6 else -1.0
    mother = _draw_lobe(radius, np.zeros(3), np.eye(3), 1.0, rng)
    if not budded:
        return Body(mother, None, 1.0)
    tilt = np.deg2rad(angle)
    outward = np.array([np.sin(tilt) * np.sin(azimuth), np.sin(tilt) * np.cos(azimuth), pole * np.cos(tilt)])
    bud_radius = bud_ratio * radius
    surface = outward / np.linalg.norm(outward / mother.semi_axes_nm)
    rotation = random_rotation(rng)
    # The long axis of the bud (last row) points away from the mother.
    rotation[2] = outward
    rotation[1] = np.cross(rotation[0], outward)
    rotation[1] /= np.linalg.norm(rotation[1])
    rotation[0] = np.cross(outward, rotation[1])
    centre = surface + outward * (0.86 * bud_radius)
    bud = _draw_lobe(bud_radius, centre, rotation, 0.5, rng)
    return Body(mother, bud, 0.35 * bud_radius + 150.0)
