"""From a mask to a surface: half-thickness and normals of one cell seen from above.

Belongs here: estimators that give a height to every pixel of a mask, each naming the symmetries it
imposes. Does not belong here: finding the mask (`sem.masks`), making a closed mesh (`sem.solid`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["CellSurface", "ellipsoid_inflation", "rotational_sweep"]

_SMOOTHING_PX = 1.5
"""Blur of the mask before its rim is located between pixels. A rim of radius R moves inward by
σ²/2R: 0.01 px for a cell 200 px across."""

_MIN_PIXELS = 64


@dataclass(frozen=True)
class CellSurface:
    """Upper surface of a cell, symmetric about the image plane.

    Parameters
    ----------
    half_thickness_nm : numpy.ndarray, float32, shape (y, x)
        Height of the upper surface above the mid-plane, nm; zero outside the mask.
    normals : numpy.ndarray, float32, shape (3, y, x)
        Outward unit normals of the upper surface, (z, y, x) components; zero outside the mask.
    method : str
        Name of the estimator.
    imposed : tuple of str
        Symmetries that the estimator imposes, and that nothing downstream may claim to have measured.
    """

    half_thickness_nm: NDArray[np.float32]
    normals: NDArray[np.float32]
    method: str
    imposed: tuple[str, ...]


def rotational_sweep(mask: NDArray[np.bool_], pixel_size_nm: float) -> CellSurface:
    """Sweep each chord across the mask's long axis into a circle.

    At the position t along the long axis the mask spans lo(t) … hi(t) across it; the cross-section is
    taken as the circle on that chord, so h²(t, u) = (u − lo)(hi − u). An ellipse gives a prolate spheroid,
    a circle a sphere, and a bud in line with the axis keeps its neck. Where the mask has several chords at
    one t, each becomes its own circle.

    Parameters
    ----------
    mask : numpy.ndarray, bool, shape (y, x)
        One cell. Holes are filled, and only the largest connected part is used.
    pixel_size_nm : float
        Side of a pixel, nm.

    Returns
    -------
    CellSurface

    Raises
    ------
    ValueError
        If the mask has fewer than 64 pixels, or the pixel size is not positive.
    """
    body = _one_body(mask, pixel_size_nm)
    centre, axis = _long_axis(body)
    across = np.array([-axis[1], axis[0]])
    # Grid in (t, u), one pixel apart, wide enough for any rotation of the mask.
    yy, xx = np.nonzero(body)
    offsets = np.stack([yy, xx], axis=1) - centre
    reach_t, reach_u = (int(np.ceil(np.abs(offsets @ v).max())) + 4 for v in (axis, across))
    t, u = np.mgrid[-reach_t : reach_t + 1, -reach_u : reach_u + 1].astype(np.float64)
    padding = int(4 * _SMOOTHING_PX)
    soft = ndimage.gaussian_filter(np.pad(body.astype(np.float64), padding), _SMOOTHING_PX)
    where = [centre[i] + padding + t * axis[i] + u * across[i] for i in range(2)]
    squared = _chord_products(ndimage.map_coordinates(soft, where, order=1), u[0])
    # Neighbouring chords are measured one by one: a light blur along t removes their pixel noise. It takes
    # nothing away on average where h² is linear, as it is at the ends of an ellipsoid.
    squared = ndimage.gaussian_filter1d(squared, _SMOOTHING_PX, axis=0)
    image_yx = np.moveaxis(np.indices(body.shape, dtype=np.float64), 0, -1) - centre
    at = [image_yx @ axis + reach_t, image_yx @ across + reach_u]
    squared_px = ndimage.map_coordinates(squared, at, order=1, mode="nearest")
    imposed = ("axial symmetry", "mirror in the image plane")
    return _surface(squared_px, body, pixel_size_nm, "rotational sweep", imposed)


def ellipsoid_inflation(mask: NDArray[np.bool_], pixel_size_nm: float) -> CellSurface:
    """Half-thickness of the ellipsoid whose outline has the mask's second moments, with c = b.

    A solid ellipse has variances a²/4 and b²/4 along its axes. The depth c cannot be seen and is set to
    the short semi-axis b. The baseline that any other estimator has to beat.

    Parameters and exceptions as in `rotational_sweep`.
    """
    body = _one_body(mask, pixel_size_nm)
    centre, covariance = _moments(body)
    offsets = np.moveaxis(np.indices(body.shape, dtype=np.float64), 0, -1) - centre
    q = np.einsum("yxi,ij,yxj->yx", offsets, np.linalg.inv(4 * covariance), offsets)
    short_squared = 4 * np.linalg.eigvalsh(covariance)[0]
    imposed = ("ellipsoid", "axial symmetry", "mirror in the image plane")
    return _surface(short_squared * (1 - q), body, pixel_size_nm, "ellipsoid inflation", imposed)


def _one_body(mask: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    if not pixel_size_nm > 0:
        raise ValueError(f"The pixel size must be positive, not {pixel_size_nm} nm.")
    if mask.ndim != 2:
        raise ValueError(f"A mask is a (y, x) image; this array has shape {mask.shape}.")
    parts, n = ndimage.label(ndimage.binary_fill_holes(mask))
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    if n == 0 or sizes.max() < _MIN_PIXELS:
        raise ValueError(f"A mask of {int(sizes.max())} connected pixels is too small for a shape.")
    return parts == int(sizes.argmax()) + 1


def _moments(body: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centroid (2,) and covariance (2, 2) of the pixels of a mask, (y, x), px and px²."""
    points = np.stack(np.nonzero(body), axis=1).astype(np.float64)
    centre = points.mean(axis=0)
    # A pixel is a square, not a point: 1/12 px² along each axis.
    return centre, np.cov((points - centre).T, bias=True) + np.eye(2) / 12


def _long_axis(body: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centre, covariance = _moments(body)
    axis = np.linalg.eigh(covariance)[1][:, 1]
    return centre, axis * (1.0 if axis[np.argmax(np.abs(axis))] > 0 else -1.0)


def _chord_products(soft: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """(u − lo)(hi − u) row by row, px²; rows without a chord hold a small negative number.

    Chord ends are where the blurred mask crosses one half, found by linear interpolation.
    """
    out = np.full(soft.shape, np.nan)
    inside = soft > 0.5
    for row in range(len(soft)):
        edges = np.flatnonzero(np.diff(inside[row].astype(np.int8)))
        crossings = u[edges] + (0.5 - soft[row, edges]) / (soft[row, edges + 1] - soft[row, edges])
        for lo, hi in zip(crossings[::2], crossings[1::2], strict=True):
            out[row] = np.fmax(out[row], (u - lo) * (hi - u))
    # Beyond the two ends h² goes on linearly, as it does on any smooth end cap, so that interpolation and
    # blur there do not pull the end inward.
    rows = np.flatnonzero(np.isfinite(out[:, 0]))
    first, last = int(rows[0]), int(rows[-1])
    for row in range(first - 1, -1, -1):
        out[row] = 2 * out[row + 1] - out[row + 2]
    for row in range(last + 1, len(out)):
        out[row] = 2 * out[row - 1] - out[row - 2]
    return out


def _surface(
    squared_px: NDArray[np.float64],
    body: NDArray[np.bool_],
    pixel_size_nm: float,
    method: str,
    imposed: tuple[str, ...],
) -> CellSurface:
    """Half-thickness and normals from h² in px².

    h² is smooth across the rim where h has an infinite slope: n ∝ (2h, −∂h²/∂y, −∂h²/∂x).
    """
    height = np.sqrt(squared_px.clip(0))
    gradient = np.gradient(squared_px)
    normals = np.stack([2 * height, -gradient[0], -gradient[1]])
    normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-12)
    return CellSurface(
        half_thickness_nm=np.where(body, height * pixel_size_nm, 0).astype(np.float32),
        normals=np.where(body, normals, 0).astype(np.float32),
        method=method,
        imposed=imposed,
    )
