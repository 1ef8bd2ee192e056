"""The layers of a cell's edge, read from the mean density as a function of depth.

Belongs here: depth below an outer boundary, the mean profile over it, and the fit of its steps. Does not belong here:
finding the boundary (:mod:`em2cryo_assets.cryoet.labels`) or the outline (:mod:`em2cryo_assets.cryoet.arcs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

__all__ = ["WIDEST_NM", "Layers", "depth_map_nm", "fit_layers", "mean_profile", "tilt_of_boundary"]

_BIN_NM = 8.0
_FROM_NM, _TO_NM = -160.0, 440.0
_BLURS_NM = (8.0, 14.0, 22.0, 34.0)
_THINNEST_NM = 48.0
_MEMBRANE_NM = 8.0

WIDEST_NM = 340.0
"""Largest distance of the two steps that is fitted: what is cut more obliquely is not found."""


@dataclass(frozen=True)
class Layers:
    """Positions and levels of a profile that rises in one or two steps.

    Parameters
    ----------
    outer_nm, inner_nm : float
        Depths of the first and the second step, nm.
    outside, wall, inside : float
        Levels before, between and behind the steps, in the unit of the density.
    gain : float
        Weighted squared error of the best single step (with a membrane) over that of these two steps; well above 1
        only where there really is a plateau between two steps.
    """

    outer_nm: float
    inner_nm: float
    outside: float
    wall: float
    inside: float
    gain: float

    @property
    def is_wall(self) -> bool:
        """Whether the plateau is credible as a cell wall rather than a blurred edge.

        A vacuole or a hole rises in one step; two steps then gain little, or put the plateau at an end level.
        """
        height = (self.wall - self.outside) / (self.inside - self.outside)
        return self.gain > 2.0 and 0.2 < height < 0.95


def tilt_of_boundary(mask: NDArray[np.bool_], voxel_nm: tuple[float, float, float]) -> float:
    """Median slope d(height of the boundary's shift)/dz of a mask: tan of the inclination of its outward normal.

    Parameters
    ----------
    mask : numpy.ndarray, bool, shape (z, y, x)
        The body.
    voxel_nm : tuple of float
        Voxel sides, nm.

    Returns
    -------
    float
        Positive where the outward normal points to larger z; 0 for a single plane or no boundary.
    """
    if mask.shape[0] < 3 or mask.all() or not mask.any():
        return 0.0
    sigma = [2.0 * min(voxel_nm) / side for side in voxel_nm]
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest")
    gradient = np.gradient(smooth, *voxel_nm)
    flat = np.hypot(gradient[1], gradient[2])
    edge = flat > 0.5 * float(flat.max())
    # The first and last planes see a copy of themselves beyond the face, which flattens their slope.
    if mask.shape[0] > 8:
        edge[:2] = edge[-2:] = False
    return float(np.median(-gradient[0][edge] / flat[edge])) if edge.any() else 0.0


def depth_map_nm(body: NDArray[np.bool_], voxel_nm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Depth below the outer boundary, nm, positive inside and negative outside.

    In-plane distance times the cosine of the boundary's inclination: a distance in space would be wrong near the faces
    of a slab, where the nearest point of the boundary lies beyond the volume.

    Parameters
    ----------
    body : numpy.ndarray, bool, shape (z, y, x)
        True where it is not outside.
    voxel_nm : tuple of float
        Voxel sides, nm.

    Returns
    -------
    numpy.ndarray, float32, shape (z, y, x)
        Infinite where a plane has no boundary.
    """
    cosine = 1.0 / np.hypot(1.0, tilt_of_boundary(body, voxel_nm))
    depth = np.empty(body.shape, dtype=np.float32)
    half = 0.5 * float(np.mean(voxel_nm[1:]))
    for plane, out in zip(body, depth, strict=True):
        if plane.all() or not plane.any():
            out[:] = np.inf if plane.all() else -np.inf
            continue
        inwards = ndimage.distance_transform_edt(plane, sampling=voxel_nm[1:])
        outwards = ndimage.distance_transform_edt(~plane, sampling=voxel_nm[1:])
        out[:] = np.where(plane, inwards - half, half - outwards) * cosine
    return depth


def mean_profile(
    density: NDArray[np.floating], depth_nm: NDArray[np.float32], where: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean density in 8 nm bins of depth.

    Parameters
    ----------
    density, depth_nm : numpy.ndarray, shape (z, y, x)
        Density and depth below the boundary, nm.
    where : numpy.ndarray, bool, optional
        Voxels to use.

    Returns
    -------
    depth_nm, mean, weight : numpy.ndarray, float64, shape (bins,)
        Bin centres that hold voxels, their means, and the square root of their counts.
    """
    use = (depth_nm >= _FROM_NM) & (depth_nm < _TO_NM)
    if where is not None:
        use &= where
    index = ((depth_nm[use] - _FROM_NM) / _BIN_NM).astype(int)
    bins = int((_TO_NM - _FROM_NM) / _BIN_NM)
    counts = np.bincount(index, minlength=bins).astype(float)
    sums = np.bincount(index, density[use].astype(np.float64), bins)
    kept = counts >= 20
    centres = _FROM_NM + _BIN_NM * (np.arange(bins) + 0.5)
    return centres[kept], sums[kept] / counts[kept], np.sqrt(counts[kept])  # type: ignore[return-value]


def fit_layers(depth_nm: NDArray[np.float64], mean: NDArray[np.float64], weight: NDArray[np.float64]) -> Layers | None:
    """Fit two blurred steps with a dense membrane at the second one.

    Positions and blur are searched on a grid, levels follow by linear least squares; then the positions are refined
    on a finer grid about the best.

    Parameters
    ----------
    depth_nm, mean, weight : numpy.ndarray, shape (bins,)
        As :func:`mean_profile` gives them.

    Returns
    -------
    Layers or None
        None where the profile is too short on either side, or does not rise inwards.
    """
    if len(depth_nm) < 25 or depth_nm[0] > -30 or depth_nm[-1] < 180:
        return None
    # Far inside lie organelles of other cells' making; the near edge is what is being fitted.
    weight = np.sqrt(np.minimum(weight / weight.max(), 1.0)) * np.where(depth_nm > 280, 0.3, 1.0)
    outer = np.arange(-64.0, 65.0, 8.0)
    width = np.arange(_THINNEST_NM, min(WIDEST_NM, depth_nm[-1] - 60) + 1, 8.0)
    best = _search(depth_nm, mean, weight, outer, width, _BLURS_NM)
    if best is None:
        return None
    fine = np.arange(-6.0, 6.1, 1.5)
    refined = _search(depth_nm, mean, weight, best[0] + fine, best[1] + fine, (best[2] * 0.8, best[2], best[2] * 1.2))
    first, second, _, error, levels = refined or best
    single = _single_step_error(depth_nm, mean, weight)
    outside, wall, inside = levels[0], levels[0] + levels[1], levels[0] + levels[1] + levels[2]
    return Layers(first, first + second, outside, wall, inside, single / max(error, 1e-30))


def _search(
    depth: NDArray[np.float64],
    mean: NDArray[np.float64],
    weight: NDArray[np.float64],
    outer: NDArray[np.float64],
    width: NDArray[np.float64],
    blurs: tuple[float, ...],
) -> tuple[float, float, float, float, NDArray[np.float64]] | None:
    """Best (outer, width, blur, error, levels) over a grid, among fits that rise twice."""
    a, w, s = (g.ravel() for g in np.meshgrid(outer, width, np.asarray(blurs), indexing="ij"))
    a, w = a[w > 0], w[w > 0]
    s = s[: len(a)] if len(s) != len(a) else s
    x = depth[None, :]
    basis = np.stack(
        [
            np.ones((len(a), len(depth))),
            special.ndtr((x - a[:, None]) / s[:, None]),
            special.ndtr((x - (a + w)[:, None]) / s[:, None]),
            _membrane(x, (a + w)[:, None], s[:, None]),
        ],
        axis=-1,
    )
    levels, error = _linear(basis, mean, weight)
    rising = (levels[:, 1] > 0) & (levels[:, 2] > 0) & (levels[:, 3] >= 0)
    if not rising.any():
        return None
    i = int(np.argmin(np.where(rising, error, np.inf)))
    return float(a[i]), float(w[i]), float(s[i]), float(error[i]), levels[i]


def _single_step_error(depth: NDArray[np.float64], mean: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    a, s = (g.ravel()[:, None] for g in np.meshgrid(np.arange(-64.0, 161.0, 4.0), _BLURS_NM, indexing="ij"))
    x = depth[None, :]
    basis = np.stack([np.ones((len(a), len(depth))), special.ndtr((x - a) / s), _membrane(x, a, s)], axis=-1)
    return float(_linear(basis, mean, weight)[1].min())


def _membrane(x: NDArray[np.float64], place: NDArray[np.float64], blur: NDArray[np.float64]) -> NDArray[np.float64]:
    """A thin dense sheet just behind a step, blurred like it."""
    return np.exp(-0.5 * ((x - place - 0.5 * _MEMBRANE_NM) / np.hypot(blur, 0.3 * _MEMBRANE_NM)) ** 2)


def _linear(
    basis: NDArray[np.float64], mean: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted least squares of many bases (n, bins, p) at once: coefficients (n, p) and errors (n,)."""
    weighted = basis * weight[None, :, None]
    target = mean * weight
    normal = np.einsum("nbp,nbq->npq", weighted, weighted)
    normal += 1e-9 * np.eye(basis.shape[-1]) * weight.sum()
    levels = np.linalg.solve(normal, np.einsum("nbp,b->np", weighted, target)[..., None])[..., 0]
    residual = np.einsum("nbp,np->nb", weighted, levels) - target
    return levels, (residual**2).sum(axis=1)
