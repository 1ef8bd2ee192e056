"""Spherical harmonics of a cell's radius, and the two asymmetries read from them.

Belongs here: the radial expansion of a closed mesh and numbers computed from its coefficients.
Does not belong here: deciding whether an estimator imposed a symmetry (`compare`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from em2cryo_assets.geometry.distance import ray_scene, tensor
from em2cryo_assets.geometry.mesh import Mesh, centroid_nm, principal_frame

__all__ = [
    "RadialHarmonics",
    "axial_asymmetry",
    "harmonic_coefficients",
    "mirror_asymmetry",
    "power_spectrum",
]


@dataclass(frozen=True)
class RadialHarmonics:
    """Real, orthonormal spherical-harmonic coefficients of the radius in the principal frame.

    Parameters
    ----------
    values_nm : numpy.ndarray, float64, shape (3, (l_max + 1)²)
        Row i: the expansion with its pole on principal axis i (0 the longest). Within a row the
        coefficient of degree l and order m stands at index l² + l + m; m < 0 are the sine terms.
    l_max : int
        Largest degree.
    star_shaped : bool
        Whether every ray from the centroid leaves the body once. Where it does not (a bud behind its
        neck), the radius is the farthest crossing.
    """

    values_nm: NDArray[np.float64]
    l_max: int
    star_shaped: bool


def harmonic_coefficients(mesh: Mesh, l_max: int = 8) -> RadialHarmonics:
    """Expand r(θ, φ) = Σ c_lm Y_lm about the centroid of the solid, in its principal frame.

    Rays are cast at the nodes of a Gauss-Legendre (cos θ) times uniform (φ) grid of twice the degree that
    the expansion needs, so that products of degree l_max integrate exactly and facets average out.

    Parameters
    ----------
    mesh : Mesh
        Closed mesh, nm.
    l_max : int
        Largest degree, at least 2.

    Returns
    -------
    RadialHarmonics

    Raises
    ------
    ValueError
        If ``l_max`` is below 2, or the mesh encloses no volume or not its own centroid.
    """
    if l_max < 2:
        raise ValueError(f"Asymmetries begin at degree 2; l_max is {l_max}.")
    n_theta, n_phi = 4 * (l_max + 1), 8 * (l_max + 1)
    cos_theta, weights = np.polynomial.legendre.leggauss(n_theta)
    phi = 2 * np.pi * (np.arange(n_phi) + 0.5) / n_phi
    sin_theta = np.sqrt(1 - cos_theta**2)
    local = np.stack(
        [
            np.repeat(cos_theta[:, None], n_phi, axis=1),
            sin_theta[:, None] * np.cos(phi),
            sin_theta[:, None] * np.sin(phi),
        ],
        axis=-1,
    ).reshape(-1, 3)
    basis = _real_harmonics(l_max, np.repeat(np.arccos(cos_theta), n_phi), np.tile(phi, n_theta))
    quadrature = np.repeat(weights, n_phi) * 2 * np.pi / n_phi
    centre, frame = centroid_nm(mesh), principal_frame(mesh)
    values, star_shaped = [], True
    for pole in range(3):
        directions = local @ np.roll(frame, -pole, axis=0)
        radius, single = _radii_nm(mesh, centre, directions)
        values.append(basis @ (quadrature * radius))
        star_shaped &= single
    return RadialHarmonics(np.array(values), l_max, star_shaped)


def axial_asymmetry(coefficients: RadialHarmonics) -> float:
    """η = √(Σ_{l≥2, m≠0} c_lm²) / |c₀₀|: departure from rotational symmetry, dimensionless, ≥ 0.

    The smallest value over the three principal axes as pole: it is zero for a prolate and for an oblate
    spheroid alike, and does not jump where two axes are equal and their order is arbitrary.
    """
    degree, order = _degrees_and_orders(coefficients.l_max)
    which = (degree >= 2) & (order != 0)
    c = coefficients.values_nm
    return float((np.sqrt((c[:, which] ** 2).sum(axis=1)) / np.abs(c[:, 0])).min())


def mirror_asymmetry(coefficients: RadialHarmonics) -> float:
    """M = ‖r − σr‖² / 4‖r‖², σ the mirror across the plane normal to the long axis; 0 … 1.

    It says how much one end of a cell differs from the other. A reflection turns Y_lm into (−1)^{l+m} Y_lm,
    so M is the share of the power with l + m odd. The two mirrors that contain the long axis are left out:
    one silhouette cannot show them, and the rotational sweep imposes both.
    """
    degree, order = _degrees_and_orders(coefficients.l_max)
    c = coefficients.values_nm[0]
    return float((c[(degree + order) % 2 == 1] ** 2).sum() / (c**2).sum())


def power_spectrum(coefficients: RadialHarmonics) -> NDArray[np.float64]:
    """P_l = Σ_m c_lm², nm², shape (l_max + 1,); the same in every frame about the same centre."""
    degree, _ = _degrees_and_orders(coefficients.l_max)
    return np.bincount(degree, weights=coefficients.values_nm[0] ** 2).astype(np.float64)


def _degrees_and_orders(l_max: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    degree = np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)
    return degree, np.arange((l_max + 1) ** 2) - degree**2 - degree


def _real_harmonics(l_max: int, theta: NDArray[np.float64], phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real orthonormal Y_lm, shape ((l_max + 1)², N); signs (Condon-Shortley) do not matter for any power."""
    rows = []
    for degree, order in zip(*_degrees_and_orders(l_max), strict=True):
        m = abs(int(order))
        norm = np.sqrt((2 * degree + 1) / (4 * np.pi) * special.gamma(degree - m + 1) / special.gamma(degree + m + 1))
        part = norm * special.lpmv(m, degree, np.cos(theta))
        if m:
            part = part * np.sqrt(2) * (np.cos(m * phi) if order > 0 else np.sin(m * phi))
        rows.append(part)
    return np.array(rows)


def _radii_nm(
    mesh: Mesh, centre: NDArray[np.float64], directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """Farthest crossing along each ray from the centre, nm, and whether all rays cross once."""
    scene = ray_scene(mesh, centre)
    # Rays come from outside toward the centre: the first hit is the farthest crossing of the outward ray.
    reach = 1.5 * float(np.linalg.norm(mesh.vertices_nm - centre, axis=1).max())
    rays = np.concatenate([directions[:, ::-1] * reach, -directions[:, ::-1]], axis=1).astype(np.float32)
    radius = reach - scene.cast_rays(tensor(rays))["t_hit"].numpy().astype(np.float64)
    outward = np.concatenate([np.zeros_like(directions), directions[:, ::-1]], axis=1).astype(np.float32)
    crossings = scene.count_intersections(tensor(outward)).numpy()
    if not np.isfinite(radius).all() or (radius <= 0).any():
        raise ValueError("The mesh does not surround its centroid; it has no radial expansion.")
    # A ray through an edge can be counted twice: up to one in a hundred is taken for that.
    return radius, bool((crossings != 1).mean() < 0.01)
