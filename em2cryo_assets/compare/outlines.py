"""Outlines in the plane: which of them are of one body, and how long they are for their width.

Belongs here: what cuts and silhouettes of meshes and outlines seen in overviews are measured by, alike on both sides.
Does not belong here: cutting and projecting (`shape`), finding outlines (`cryoet.overview`), tables (`overviews`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_SOLIDITY", "SMALLEST_OUTLINE_UM2", "Hull", "hull_of", "seen_outlines"]

LEAST_SOLIDITY: Final = 0.95
"""Share of its convex hull that an outline must fill. Cells that touch and cells with a bud look alike in two
dimensions, so both are left out, of meshes as of overviews: two equal discs side by side fill .88 of their hull, with
what blur adds between them up to .92; a disc on a grid fills .95 of it 25 pixels across, .97 at 50."""

SMALLEST_OUTLINE_UM2: Final = 0.2
"""A smaller outline in an overview is debris or a cap."""


@dataclass(frozen=True)
class Hull:
    """The convex hull of an outline.

    Parameters
    ----------
    area : float
        In the square of the unit of the points.
    axis_ratio : float
        Long over short axis of the ellipse of equal second moments, ≥ 1.
    """

    area: float
    axis_ratio: float


def hull_of(points: NDArray[np.float64]) -> Hull | None:
    """Convex hull of points in the plane, with the second moments of its polygon (Green's theorem).

    Parameters
    ----------
    points : numpy.ndarray, float64, shape (n, 2)
        Any unit.

    Returns
    -------
    Hull or None
        None where the points lie in a line.
    """
    from scipy.spatial import ConvexHull, QhullError

    centred = points - points.mean(axis=0)
    try:
        corners = centred[ConvexHull(centred).vertices]
    except (QhullError, ValueError):
        return None
    after = np.roll(corners, -1, axis=0)
    cross = corners[:, 0] * after[:, 1] - corners[:, 1] * after[:, 0]
    area = cross.sum() / 2
    mean = (cross[:, None] * (corners + after)).sum(axis=0) / (6 * area)
    # ∫ r rᵀ over the triangle (0, a, b) is cross/24 · (aaᵀ + bbᵀ + (a+b)(a+b)ᵀ).
    moment = sum(np.einsum("i,ij,ik->jk", cross, v, v) for v in (corners, after, corners + after)) / (24 * area)
    small, large = np.linalg.eigvalsh(moment - np.outer(mean, mean))
    return Hull(float(area), float(np.sqrt(large / small))) if small > 1e-9 * large else None


def seen_outlines(labels: NDArray[np.integer], pixel_nm: tuple[float, float]) -> dict[int, tuple[float, str]]:
    """Axis ratio of each outline of an overview, or why it has none.

    Parameters
    ----------
    labels : numpy.ndarray, integer, shape (y, x)
        Number of the cell, 0 outside.
    pixel_nm : tuple of float
        (y, x), nm.

    Returns
    -------
    dict of int to (float, str)
        By number: the axis ratio and no words; or NaN and what is wrong, no full stop.
    """
    from scipy import ndimage

    found = {}
    height, width = labels.shape
    for number, window in enumerate(ndimage.find_objects(labels.astype(np.int64)), 1):
        if window is None:
            continue
        points = np.argwhere(labels[window] == number)
        area = len(points) * pixel_nm[0] * pixel_nm[1]
        (rows, columns) = window
        if rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width:
            found[number] = (float("nan"), "cut by the border of the overview")
        elif area < SMALLEST_OUTLINE_UM2 * 1e6:
            found[number] = (float("nan"), f"smaller than {SMALLEST_OUTLINE_UM2} µm²")
        else:
            corners = (points[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).reshape(-1, 2)
            hull = hull_of(corners * np.asarray(pixel_nm))
            if hull is None or area < LEAST_SOLIDITY * hull.area:
                found[number] = (float("nan"), "not convex: cells that touch, or a cell with a bud")
            else:
                found[number] = (hull.axis_ratio, "")
    return found
