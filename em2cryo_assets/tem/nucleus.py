"""Find the nucleus in one section profile.

Belongs here: one round region slightly paler than cytoplasm, completed to the ellipse its outline follows.
Does not belong here: the other organelles (`tem.interior`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.tem.levels import components, disk, fill_small_holes, smooth

__all__ = ["completed_nucleus", "find_nucleus"]

_SMALLEST_UM2 = 0.12
_SIGMA_NM = 40.0
_CONTRAST = 3.0
_ENVELOPE_SEARCH_NM = 130.0
_ROUND = 0.06
"""Median distance of the outline from its ellipse, relative to its size, above which it is none."""


def find_nucleus(
    image: NDArray[np.float32],
    inner: NDArray[np.bool_],
    pale: NDArray[np.bool_],
    dark: NDArray[np.bool_],
    cytoplasm: float,
    pixel_size_nm: float,
) -> NDArray[np.bool_]:
    """Find the largest round region paler than cytoplasm.

    Parameters
    ----------
    image : numpy.ndarray, float32, shape (y, x)
        Density.
    inner : numpy.ndarray of bool, shape (y, x)
        Inside of the plasma membrane of one profile.
    pale, dark : numpy.ndarray of bool, shape (y, x)
        Vacuoles and droplets; mitochondria.
    cytoplasm : float
        Level of cytoplasm.
    pixel_size_nm : float
        Pixel side.

    Returns
    -------
    numpy.ndarray of bool, shape (y, x)
        Envelope included; empty where none shows.
    """
    # Rims of pale bodies are half pale: left in, they would be a second "nucleus" around every vacuole. The
    # same holds just below the membrane, whose blurred edge meets the wall.
    usable = ndimage.binary_erosion(inner, disk(45.0, pixel_size_nm), border_value=1)
    usable &= ~ndimage.binary_dilation(pale, disk(40.0, pixel_size_nm))
    usable &= ~ndimage.binary_dilation(dark, disk(25.0, pixel_size_nm))
    weight = smooth(usable.astype(np.float32), _SIGMA_NM, pixel_size_nm)
    level = smooth(np.where(usable, image, 0.0), _SIGMA_NM, pixel_size_nm) / np.maximum(weight, 1e-3)
    usable &= weight > 0.3
    if np.count_nonzero(usable) < 400:
        return np.zeros_like(inner)
    # The denser half of the deviations is cytoplasm whether or not a nucleus makes up the paler one.
    above = level[usable & (level > cytoplasm)]
    noise = float(np.sqrt(np.mean((above - cytoplasm) ** 2))) if above.size > 50 else 0.0
    core = _round_piece(usable & (level < cytoplasm - _CONTRAST * noise), pixel_size_nm)
    if not core.any():
        return core
    middle = (float(np.median(level[core])) + cytoplasm) / 2
    region = _round_piece(usable & (level < middle), pixel_size_nm)
    if not (region & core).any():
        region = core
    region = fill_small_holes(region, 0.3, pixel_size_nm)
    region |= completed_nucleus(region)
    region = _to_envelope(region, image, inner & ~pale & ~dark, cytoplasm, pixel_size_nm)
    return region & inner & ~_outside_bodies(pale, region)


def _to_envelope(
    region: NDArray[np.bool_],
    image: NDArray[np.float32],
    usable: NDArray[np.bool_],
    cytoplasm: float,
    pixel_size_nm: float,
) -> NDArray[np.bool_]:
    """Grow to the outer edge of the envelope.

    It lies where the mean over the outline falls halfway back to cytoplasm. The midpoint level of a
    smoothed image lies inside of it: the dense envelope pulls that level's line inward.
    """
    outside = ndimage.distance_transform_edt(~region) * pixel_size_nm
    near = usable & (outside < _ENVELOPE_SEARCH_NM + 80.0) & ~region
    step = max(pixel_size_nm, 10.0)
    bins = (outside[near] / step).astype(int)
    counts = np.bincount(bins)
    profile = np.bincount(bins, weights=image[near]) / np.maximum(counts, 1)
    searched = profile[: max(1, int(_ENVELOPE_SEARCH_NM / step))]
    peak = int(np.argmax(np.where(counts[: len(searched)] > 0, searched, -np.inf)))
    halfway = (searched[peak] + cytoplasm) / 2
    if searched[peak] <= cytoplasm:
        return region
    edge = peak
    while edge + 1 < len(profile) and profile[edge + 1] > halfway:
        edge += 1
    return region | (outside < (edge + 1) * step)


def _outside_bodies(pale: NDArray[np.bool_], nucleus: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pale bodies without the small ones that lie within the nucleus: those are chromatin."""
    numbers, count = ndimage.label(pale)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)
    within = np.bincount(numbers[nucleus], minlength=count + 1) / np.maximum(sizes, 1)
    keep = (within < 0.6) | (sizes > 0.15 * np.count_nonzero(nucleus))
    keep[0] = False
    return keep[numbers]


def _round_piece(mask: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    """Largest compact piece of a mask."""
    from skimage.measure import regionprops

    numbers = components(ndimage.binary_opening(mask, disk(110.0, pixel_size_nm)), _SMALLEST_UM2, pixel_size_nm)
    shapes = [r for r in regionprops(numbers) if r.solidity > 0.75]
    if not shapes:
        return np.zeros_like(mask)
    return numbers == max(shapes, key=lambda r: r.area).label


def completed_nucleus(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Ellipse through the convex part of a nucleus' outline, empty where that part is no ellipse.

    A nucleolus is as dense as cytoplasm and takes a bite out of the nucleus; where the outline touches its
    own convex hull it is the envelope.

    Parameters
    ----------
    region : numpy.ndarray of bool, shape (y, x)
        What was found of one nucleus; pixels of any size.

    Returns
    -------
    numpy.ndarray of bool, shape (y, x)
        The ellipse, clipped by the array.
    """
    from skimage.morphology import convex_hull_image

    nothing = np.zeros_like(region)
    hull = convex_hull_image(region)
    edge = region & ~ndimage.binary_erosion(region)
    convex = edge & (ndimage.distance_transform_edt(hull) <= 2.5)
    points = np.argwhere(convex).astype(np.float64)
    if len(points) < 20:
        return nothing
    centre, scale = points.mean(axis=0), float(points.std())
    conic = _fitted_ellipse((points - centre) / scale)
    if conic is None:
        return nothing
    y, x = (np.indices(region.shape) - centre[:, None, None]) / scale
    value = _conic(conic, y, x)
    filled = value > 0
    # First-order distance of the fitted points from the ellipse, relative to its size.
    steep = np.hypot(*np.gradient(value))[convex]
    residual = np.abs(value[convex]) / np.maximum(steep, 1e-12)
    size = np.sqrt(np.count_nonzero(filled) / np.pi)
    share = np.count_nonzero(filled) / np.count_nonzero(region)
    if np.median(residual) > _ROUND * size or not 0.8 < share < 2.0:
        return nothing
    return np.asarray(filled)


def _conic(c: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quadratic form, positive inside its ellipse."""
    value = c[0] * y * y + c[1] * y * x + c[2] * x * x + c[3] * y + c[4] * x + c[5]
    return np.asarray(-value if c[0] > 0 else value)


def _fitted_ellipse(points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Fit an ellipse by direct least squares (Halir and Flusser 1998)."""
    y, x = points.T
    square = np.stack([y * y, y * x, x * x], axis=1)
    linear = np.stack([y, x, np.ones_like(x)], axis=1)
    tie = -np.linalg.pinv(linear.T @ linear) @ (linear.T @ square)
    reduced = square.T @ square + square.T @ linear @ tie
    constraint = np.array([[0, 0, 0.5], [0, -1, 0], [0.5, 0, 0]])
    _, vectors = np.linalg.eig(constraint @ reduced)
    vectors = np.real(vectors)
    good = np.flatnonzero(4 * vectors[0] * vectors[2] - vectors[1] ** 2 > 0)
    if not len(good):
        return None
    head = vectors[:, good[0]]
    a, b, c = head
    spread = np.hypot(a - c, b)
    # Axis ratio² of a conic from its eigenvalues: beyond 2 : 1 it is a fit to an arc, not a nucleus.
    if abs(a + c) + spread > 4.0 * (abs(a + c) - spread):
        return None
    return np.concatenate([head, tie @ head])
