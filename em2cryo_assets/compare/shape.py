"""Shape and symmetry of closed meshes, as the comparison reads them.

Belongs here: which number describes a cell's shape, and the outlines that random cuts and silhouettes would show.
Does not belong here: measures of a mesh (`geometry.mesh`) and its harmonics (`geometry.harmonics`),
which are called, and the rows of a table (`descriptors`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.compare.outlines import LEAST_SOLIDITY, hull_of
from em2cryo_assets.geometry.mesh import Mesh, principal_axes_nm, sphericity, volume_um3

__all__ = ["equivalent_diameter_um", "outline_axis_ratios", "shape_values", "silhouette_axis_ratios"]

_HARMONIC_DEGREE: Final = 8
"""Degree at which surface detail of a 5 µm cell is about 1 µm: buds stay, roughness of a mesh goes."""

_N_CUTS: Final = 200

_N_SILHOUETTES: Final = 100

_N_COVER: Final = 20_000
_COVER_GRID: Final = 48
"""Points that cover a silhouette and pixels along it: eight and more fall into each pixel within."""

_SMALLEST_CUT: Final = 0.01
"""Smallest cut that counts, as a share of the bounding ball's section (0.2 µm² for a yeast cell, as in overviews):
where a plane shaves off a few facets, the outline is theirs and not the body's."""


def equivalent_diameter_um(volume_um3: float) -> float:
    """Diameter of the sphere of the same volume, µm.

    Raises
    ------
    ValueError
        If the volume is not positive.
    """
    if not volume_um3 > 0:
        raise ValueError(f"A body's volume must be positive, got {volume_um3} µm³.")
    return float((6 * volume_um3 / np.pi) ** (1 / 3))


def shape_values(mesh: Mesh, *, seed: int = 0) -> dict[str, float]:
    """Shape descriptors of one closed mesh.

    Parameters
    ----------
    mesh : Mesh
        Closed and outward.
    seed : int
        Of the random plane cuts.

    Returns
    -------
    dict of str to float
        log_volume (ln µm³); sphericity (Wadell 1935); axis_ratio (longest over shortest semi-axis of the
        ellipsoid of equal inertia); axial_asymmetry and mirror_asymmetry (from spherical harmonics of the
        radius, degree 8; dimensionless); log_wall_radius (ln nm of the radius of the sphere of equal
        volume, which the normal radius of a wall arc estimates without bias within 3 %);
        outline_axis_ratio (mean over isotropic uniform random plane cuts) and silhouette_axis_ratio (over isotropic
        random projections), NaN where none of these outlines is of one body.

    Raises
    ------
    ValueError
        If the mesh encloses no positive volume.
    """
    from em2cryo_assets.geometry.harmonics import axial_asymmetry, harmonic_coefficients, mirror_asymmetry

    volume = volume_um3(mesh)
    diameter_um = equivalent_diameter_um(volume)
    axes = principal_axes_nm(mesh)
    coefficients = harmonic_coefficients(mesh, _HARMONIC_DEGREE)
    return {
        "log_volume": float(np.log(volume)),
        "sphericity": sphericity(mesh),
        "axis_ratio": float(axes[0] / axes[-1]),
        "axial_asymmetry": float(axial_asymmetry(coefficients)),
        "mirror_asymmetry": float(mirror_asymmetry(coefficients)),
        "log_wall_radius": float(np.log(500 * diameter_um)),
        "outline_axis_ratio": _mean(outline_axis_ratios(mesh, _N_CUTS, seed=seed)),
        "silhouette_axis_ratio": _mean(silhouette_axis_ratios(mesh, _N_SILHOUETTES, seed=seed)),
    }


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def outline_axis_ratios(mesh: Mesh, n: int, *, seed: int) -> NDArray[np.float64]:
    """Axis ratios of the outlines that isotropic uniform random planes cut from a body.

    Directions are uniform on the sphere and planes uniform in position, so a direction counts by the
    body's width along it (Miles and Davy 1976, J. Microscopy 107:211). The axis ratio of an outline is
    that of its convex hull (`outlines.hull_of`). Its area is summed over oriented segments by Green's theorem, so
    that a plane through mother and bud is one outline; it is left out, as in overviews, if it fills less than
    `outlines.LEAST_SOLIDITY` of its hull. Caps below 1 % of the bounding ball's section are left out too.

    Parameters
    ----------
    mesh : Mesh
        Closed and outward, V vertices.
    n : int
        Number of outlines.
    seed : int
        Of the planes.

    Returns
    -------
    numpy.ndarray, float64, shape (≤ n,)
        Long over short axis, ≥ 1; fewer than n where less than one plane in four cuts a convex piece.

    Raises
    ------
    ValueError
        If n < 1 or planes hardly meet the mesh.
    """
    if n < 1:
        raise ValueError(f"At least one outline must be asked for, got {n}.")
    rng = np.random.default_rng(seed)
    centre = mesh.vertices_nm.mean(axis=0)
    points = mesh.vertices_nm - centre
    reach = float(np.linalg.norm(points, axis=1).max())
    if not reach > 0:
        raise ValueError("A mesh without extent has no outlines.")
    ratios: list[float] = []
    met = 0
    for _ in range(200 * n):
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        # Offsets over the whole bounding ball; planes that miss the body fall out, which is the weighting.
        heights = points @ normal - rng.uniform(-reach, reach)
        if heights.min() < 0 < heights.max():
            ratio = _cut_axis_ratio(points, mesh.faces, heights, normal)
            met += 1
            if np.isfinite(ratio):
                ratios.append(ratio)
        if len(ratios) == n or met == 4 * n:
            return np.asarray(ratios, dtype=np.float64)
    raise ValueError("Random planes hardly meet this mesh: it is flat or not closed.")


def silhouette_axis_ratios(mesh: Mesh, n: int, *, seed: int) -> NDArray[np.float64]:
    """Axis ratios of the silhouettes that a body shows along isotropic random directions.

    The axis ratio is that of the convex hull; silhouettes that fill less than `outlines.LEAST_SOLIDITY` of it are left
    out, as they are in overviews. Their area is that of a grid of 1/48 of their width into which points of the surface
    fall: the surface of a closed body covers its silhouette.

    Parameters
    ----------
    mesh : Mesh
        Closed and outward.
    n : int
        Number of directions.
    seed : int
        Of directions and points.

    Returns
    -------
    numpy.ndarray, float64, shape (≤ n,)
        Long over short axis, ≥ 1; empty for a body that is convex from nowhere.

    Raises
    ------
    ValueError
        If n < 1.
    """
    if n < 1:
        raise ValueError(f"At least one silhouette must be asked for, got {n}.")
    rng = np.random.default_rng(seed)
    points, cover = mesh.vertices_nm, _surface_points(mesh, rng)
    ratios = []
    for _ in range(n):
        frame = _frame(rng.normal(size=3))
        hull = hull_of(points @ frame)
        if hull is not None and _covered_area(cover @ frame) >= LEAST_SOLIDITY * hull.area:
            ratios.append(hull.axis_ratio)
    return np.asarray(ratios, dtype=np.float64)


def _surface_points(mesh: Mesh, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points evenly spread over the surface (Turk 1990), shape (`_N_COVER`, 3)."""
    corners = mesh.vertices_nm[mesh.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = corners[rng.choice(len(areas), _N_COVER, p=areas / areas.sum())]
    u, v = np.sqrt(rng.random((_N_COVER, 1))), rng.random((_N_COVER, 1))
    return np.asarray((1 - u) * chosen[:, 0] + u * (1 - v) * chosen[:, 1] + u * v * chosen[:, 2])


def _covered_area(points: NDArray[np.float64]) -> float:
    """Area that points in the plane cover; pixels at the rim count half."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max()) / _COVER_GRID
    index = ((points - low) / side).astype(np.intp) + 1
    mask = np.zeros((_COVER_GRID + 3, _COVER_GRID + 3), dtype=bool)
    mask[index[:, 0], index[:, 1]] = True
    mask = ndimage.binary_fill_holes(mask)
    inner = int(ndimage.binary_erosion(mask).sum())
    return side**2 * (inner + 0.5 * (int(mask.sum()) - inner))


def _frame(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two unit vectors (3, 2) across a direction."""
    normal = normal / np.linalg.norm(normal)
    e1 = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    e1 /= np.linalg.norm(e1)
    return np.stack([e1, np.cross(normal, e1)], axis=1)


def _cut_axis_ratio(
    points: NDArray[np.float64],
    faces: NDArray[np.int32],
    heights: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> float:
    """Axis ratio of one cut; NaN where the cut is too small to have one."""
    above = heights[faces] > 0
    crossed = faces[above.any(axis=1) & ~above.all(axis=1)]
    up = heights[crossed] > 0
    # Turn each triangle so that its lone vertex comes first; a cyclic turn keeps the orientation.
    lone = np.where(up.sum(axis=1) == 1, up.argmax(axis=1), (~up).argmax(axis=1))
    turned = np.take_along_axis(crossed, (lone[:, None] + np.arange(3)) % 3, axis=1)
    p, h = points[turned], heights[turned]
    first = p[:, 0] + (p[:, 1] - p[:, 0]) * (h[:, 0] / (h[:, 0] - h[:, 1]))[:, None]
    second = p[:, 0] + (p[:, 2] - p[:, 0]) * (h[:, 0] / (h[:, 0] - h[:, 2]))[:, None]
    flip = h[:, 0] < 0
    start, end = np.where(flip[:, None], second, first), np.where(flip[:, None], first, second)
    frame = _frame(normal)
    a, b = start @ frame, end @ frame
    shift = a.mean(axis=0)
    a, b = a - shift, b - shift
    area = abs((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / 2
    if area < _SMALLEST_CUT * np.square(points).sum(axis=1).max() * np.pi:
        return float("nan")
    hull = hull_of(a)
    return hull.axis_ratio if hull is not None and area >= LEAST_SOLIDITY * hull.area else float("nan")
