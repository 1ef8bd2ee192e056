"""Shape and symmetry of closed meshes, as the comparison reads them.

Belongs here: which number describes a cell's shape, and the outlines that random plane cuts would show.
Does not belong here: measures of a mesh (`geometry.mesh`) and its harmonics (`geometry.harmonics`),
which are called, and the rows of a table (`descriptors`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.geometry.mesh import Mesh, principal_axes_nm, sphericity, volume_um3

__all__ = ["equivalent_diameter_um", "outline_axis_ratios", "seen_outline_axis_ratios", "shape_values"]

_HARMONIC_DEGREE: Final = 8
"""Degree at which surface detail of a 5 µm cell is about 1 µm: buds stay, roughness of a mesh goes."""

_N_CUTS: Final = 200

_SMALLEST_OUTLINE_UM2: Final = 0.2
"""A smaller outline in an overview is debris or a cap."""

_SMALLEST_CUT: Final = 0.01
"""The same for cuts of a mesh, as a share of its bounding ball's section: where a plane shaves off a few
facets, the outline is theirs and not the body's."""


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
        outline_axis_ratio (mean over isotropic uniform random plane cuts).

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
        "outline_axis_ratio": float(outline_axis_ratios(mesh, _N_CUTS, seed=seed).mean()),
    }


def outline_axis_ratios(mesh: Mesh, n: int, *, seed: int) -> NDArray[np.float64]:
    """Axis ratios of the outlines that isotropic uniform random planes cut from a body.

    Directions are uniform on the sphere and planes uniform in position, so a direction counts by the
    body's width along it (Miles and Davy 1976, J. Microscopy 107:211). The axis ratio of an outline is
    that of the ellipse of equal second moments, summed over oriented segments by Green's theorem: no
    ordering of the segments is needed, and a plane through mother and bud is one outline. Caps below 1 % of
    the bounding ball's section are left out.

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
    numpy.ndarray, float64, shape (n,)
        Long over short axis, ≥ 1.

    Raises
    ------
    ValueError
        If n < 1 or the mesh is flat.
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
    for _ in range(200 * n):
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        # Offsets over the whole bounding ball; planes that miss the body fall out, which is the weighting.
        heights = points @ normal - rng.uniform(-reach, reach)
        if heights.min() < 0 < heights.max():
            ratio = _cut_axis_ratio(points, mesh.faces, heights, normal)
            if np.isfinite(ratio):
                ratios.append(ratio)
        if len(ratios) == n:
            return np.asarray(ratios)
    raise ValueError("Random planes hardly meet this mesh: it is flat or not closed.")


def seen_outline_axis_ratios(cell: NDArray[np.bool_], pixel_nm: tuple[float, float]) -> NDArray[np.float64]:
    """Axis ratios of the whole outlines in a two-dimensional overview.

    Parameters
    ----------
    cell : numpy.ndarray, bool, shape (y, x)
        Cells; each connected body is one outline.
    pixel_nm : tuple of float
        (y, x), nm.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        Long over short axis of the ellipse of equal second moments, of bodies of at least 0.2 µm² (less is
        debris or a cap) that the border does not cut.
    """
    bodies, n = ndimage.label(cell)
    cut = np.unique(np.concatenate([bodies[0], bodies[-1], bodies[:, 0], bodies[:, -1]]))
    ratios = []
    for i in sorted(set(range(1, n + 1)) - set(cut.tolist())):
        points = np.argwhere(bodies == i) * np.asarray(pixel_nm)
        if len(points) * pixel_nm[0] * pixel_nm[1] >= _SMALLEST_OUTLINE_UM2 * 1e6:
            small, large = np.linalg.eigvalsh(np.cov(points.T))
            ratios.append(float(np.sqrt(large / small)))
    return np.asarray(ratios, dtype=np.float64)


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
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    e1 = np.cross(normal, helper)
    e1 /= np.linalg.norm(e1)
    frame = np.stack([e1, np.cross(normal, e1)], axis=1)
    a, b = start @ frame, end @ frame
    shift = a.mean(axis=0)
    a, b = a - shift, b - shift
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    area = cross.sum() / 2
    if abs(area) < _SMALLEST_CUT * np.square(points).sum(axis=1).max() * np.pi:
        return float("nan")
    mean = (cross[:, None] * (a + b)).sum(axis=0) / (6 * area)
    # ∫ r rᵀ over the triangle (0, a, b) is cross/24 · (aaᵀ + bbᵀ + (a+b)(a+b)ᵀ).
    second_moment = sum(np.einsum("i,ij,ik->jk", cross, v, v) for v in (a, b, a + b)) / (24 * area)
    small, large = np.linalg.eigvalsh(second_moment - np.outer(mean, mean))
    return float(np.sqrt(large / small)) if small > 1e-9 * large else float("nan")
