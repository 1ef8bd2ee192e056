"""Planes through cells, as a microtome and an ion beam make them.

Belongs here: planes, and drawing them with the probabilities that stereology needs. Does not belong here: pictures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.protocol import Surface

__all__ = ["Plane", "centred", "deep_plane", "profile_extent_nm", "random_plane", "wall_plane"]

FloatArray = NDArray[np.float64]
_PROBE_NM = 60.0
_LEAST_PROFILE_NM2 = 3e6


@dataclass(frozen=True)
class Plane:
    """A plane through a cell, with directions in it.

    Parameters
    ----------
    centre_nm : numpy.ndarray, shape (3,)
        Point of the plane that becomes the middle of the picture, in the frame of the cell (z, y, x).
    axes : numpy.ndarray, shape (3, 3)
        Rows are unit vectors: normal, picture's y, picture's x.
    """

    centre_nm: FloatArray
    axes: FloatArray

    def points_nm(self, z_nm: FloatArray, y_nm: FloatArray, x_nm: FloatArray) -> FloatArray:
        """Positions in the cell's frame of a grid in the picture's frame, (Z, Y, X, 3), nm."""
        points = np.empty((len(z_nm), len(y_nm), len(x_nm), 3))
        points[:] = self.centre_nm
        points += z_nm[:, None, None, None] * self.axes[0]
        points += y_nm[:, None, None] * self.axes[1]
        points += x_nm[:, None] * self.axes[2]
        return points

    def lifted_nm(self, z_nm: float, yx_nm: FloatArray) -> FloatArray:
        """Positions in the cell's frame of points (..., 2) of the picture's frame at one height, (..., 3), nm."""
        return np.asarray(self.centre_nm + z_nm * self.axes[0] + yx_nm @ self.axes[1:])


def centred(count: int, step: float) -> FloatArray:
    """Positions of `count` samples about 0, `step` apart."""
    return (np.arange(count, dtype=np.float64) - 0.5 * (count - 1)) * step


def _probe(body: Surface, plane: Plane) -> tuple[NDArray[np.bool_], FloatArray]:
    """Coarse profile about the plane's centre: inside or not, and the axis of both directions, nm."""
    reach = 2.0 * body.half_extent_nm()
    axis = np.arange(-reach, reach + 1.0, _PROBE_NM)
    points = plane.points_nm(np.zeros(1), axis, axis)[0]
    return body.distance(points.reshape(-1, 3), exact=False).reshape(points.shape[:2]) < 0, axis


def _recentred(body: Surface, plane: Plane) -> tuple[Plane, float] | None:
    """Move the plane to the middle of its profile and measure the larger side; None where it misses."""
    inside, axis = _probe(body, plane)
    if not inside.any():
        return None
    y, x = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    middle = 0.5 * np.array([axis[y[0]] + axis[y[-1]], axis[x[0]] + axis[x[-1]]])
    side = _PROBE_NM + max(axis[y[-1]] - axis[y[0]], axis[x[-1]] - axis[x[0]])
    return Plane(plane.centre_nm + middle @ plane.axes[1:], plane.axes), float(side)


def random_plane(body: Surface, rng: np.random.Generator) -> Plane | None:
    """Draw an isotropic, uniformly placed plane, which meets a cell by chance.

    A random plane meets large cells more often: the cell is accepted with a probability proportional to
    its height along the normal, so that a caller who draws another cell after None samples as a section
    through a pellet does (Weibel 1979).

    Parameters
    ----------
    body : Surface
        Outer surface of the candidate.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Plane or None
        Centred on the profile; None where the plane misses this cell.
    """
    axes = random_rotation(rng)
    top, bottom = body.support_nm(axes[0]), -body.support_nm(-axes[0])
    # 11 µm is longer than any mother with her bud; a labelled cell that is higher still is met by every plane.
    if rng.random() > (top - bottom) / 11000.0:
        return None
    found = _recentred(body, Plane(axes[0] * rng.uniform(bottom, top), axes))
    return found[0] if found else None


def profile_extent_nm(body: Surface, plane: Plane) -> float:
    """Larger side of the bounding box of the cell's profile, nm; 0 where the plane misses."""
    found = _recentred(body, plane)
    return found[1] if found else 0.0


def wall_plane(body: Surface, rng: np.random.Generator, depth_nm: float) -> Plane:
    """Place a lamella through the cell with a piece of wall in view.

    Parameters
    ----------
    body : Surface
        Outer surface of the cell.
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    depth_nm : float
        The middle of the picture lies between the outline and about this depth.

    Returns
    -------
    Plane
        Centred near the outline of a random profile; the inclination of the wall against the lamella is
        whatever it happens to be.

    Raises
    ------
    ValueError
        If the cell shows no profile of some 0.02 µm².
    """
    for attempt in range(160):
        axes = random_rotation(rng)
        top, bottom = body.support_nm(axes[0]), -body.support_nm(-axes[0])
        inside, axis = _probe(body, plane := Plane(axes[0] * rng.uniform(bottom, top), axes))
        rim = np.argwhere(inside & ~_eroded(inside))
        # Profiles of small caps are not chosen for a lamella; a cell that has no larger ones (a labelled one may be
        # small or thin; drawn ones show them in four tries of five) is taken as it is after some tries.
        if inside.sum() * _PROBE_NM**2 < _LEAST_PROFILE_NM2 * 0.5 ** (attempt // 20):
            continue
        point = rim[rng.integers(len(rim))]
        inward = np.argwhere(inside).mean(axis=0) - point
        inward /= np.linalg.norm(inward)
        # The cell is what is looked at: the middle of the picture lies on the inner side of the outline.
        shift = axis[point] + inward * rng.uniform(0.0, depth_nm) + rng.uniform(-100.0, 100.0, 2)
        return Plane(plane.centre_nm + shift @ axes[1:], axes)
    raise ValueError(f"No plane met a cell that reaches {body.half_extent_nm():.0f} nm.")


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    out = mask.copy()
    for axis in (0, 1):
        out &= np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    return out


def deep_plane(body: Surface, rng: np.random.Generator, clearance_nm: float) -> Plane:
    """Place a lamella so deep in the cell that no wall is in view.

    Parameters
    ----------
    body : Surface
        Outer surface of the cell.
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    clearance_nm : float
        Least distance of the centre from the outer surface.

    Returns
    -------
    Plane
        With a random direction.

    Raises
    ------
    ValueError
        If no point of 200,000 lies that deep.
    """
    reach = body.half_extent_nm()
    for _ in range(200_000):
        point = rng.uniform(-reach, reach, 3)
        if float(body.distance(point[None])[0]) < -clearance_nm:
            return Plane(point, random_rotation(rng))
    raise ValueError(f"No point of the cell lies {clearance_nm:g} nm deep.")
