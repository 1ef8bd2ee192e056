"""Label one stained section: wall, membrane, cytoplasm and organelles of every cell profile.

Belongs here: classical labelling of a single calibrated section whose density is high where matter is dense.
Does not belong here: measuring labels or adding sections up (`tem.atlas`), labelling by a network
(`tem.section_decoding`), reading files.

Every threshold is the midpoint of two levels found in the section itself, because a midpoint on a linear
projection leaves an edge where half of the section's thickness is crossed: no net over-projection for bodies
thicker than the section, and no absolute intensity that another stain or another microscope would break.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.tem.interior import label_interior
from em2cryo_assets.tem.levels import Levels, disk, fill_small_holes, smooth
from em2cryo_assets.tem.profiles import (
    NO_CELL,
    SMALLEST_PROFILE_UM2,
    SectionLabels,
    checked_section,
    draw_membrane,
    nearest_seed,
    touching_border,
)
from em2cryo_assets.vocabulary import LABELS

__all__ = ["SectionLabels", "label_section"]

_WALL_SEARCH_NM = 600.0
# Below this the pale band is as likely a trend of the resin as a wall (band means have SDs far under one).
_WALL_CONTRAST = 0.06


def label_section(
    density: NDArray[np.floating], pixel_size_nm: float, excluded: NDArray[np.bool_] | None = None
) -> SectionLabels:
    """Label every cell profile of a section.

    The dense body is found against the resin (Otsu 1979), the wall as the band around it denser than resin,
    the plasma membrane as the body's outermost 10 nm (at least one pixel: thinner than a pixel it cannot be
    measured here, so its width is imposed), the interior by `tem.interior`.

    Parameters
    ----------
    density : numpy.ndarray, shape (y, x)
        High where matter is dense (invert a micrograph first); any linear scale.
    pixel_size_nm : float
        Pixel side.
    excluded : numpy.ndarray of bool, shape (y, x), optional
        Data bar, burnt-in text: never labelled.

    Returns
    -------
    SectionLabels
        All outside, with a warning, where nothing denser than resin is found.

    Raises
    ------
    ValueError
        Not a 2-D finite image, a pixel size that is not positive, or masks of another shape.
    """
    given, barred = checked_section(density, pixel_size_nm, excluded)
    warnings: list[str] = []
    image = _standardised(given, barred)
    fine = smooth(image, 12.0, pixel_size_nm)
    bodies = _without_wall(fine, _bodies(fine, barred, pixel_size_nm), barred, pixel_size_nm)
    if not bodies.any():
        warnings.append(NO_CELL)
        empty = np.zeros(image.shape, np.uint8)
        return SectionLabels(empty, empty.astype(np.int32), (), warnings)

    labels = np.zeros(image.shape, np.uint8)
    resin, wall_level, body, cell = _wall(fine, bodies, barred, pixel_size_nm)
    seeds, count = ndimage.label(body)
    if wall_level is None:
        seeds, count = ndimage.label(cell)
    profiles = nearest_seed(seeds, cell)
    for number in range(1, count + 1):
        profile = profiles == number
        dense = profile & body
        if wall_level is None:
            dense = _grazed_core(fine, profile, pixel_size_nm)
            warnings.append(
                f"Profile {number} has one level only: taken as a grazing section of a wall, "
                "its densest part as cytoplasm."
            )
        labels[profile] = LABELS["wall"]
        depth = draw_membrane(labels, dense, pixel_size_nm)
        inner = dense & (labels == LABELS["cytoplasm"])
        if wall_level is not None:
            levels = Levels(resin=resin, wall=wall_level)
            warnings += label_interior(labels, image, inner, depth, levels, pixel_size_nm, number)
    touching = touching_border(profiles, barred)
    warnings += [f"Profile {n} is cut by the border: its outline is incomplete." for n in touching]
    return SectionLabels(labels, profiles, touching, warnings)


def _standardised(image: NDArray[np.float64], barred: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Bring an image to unit range; hot and dead pixels would otherwise use up the histogram's bins."""
    low, high = np.percentile(image[~barred], [0.05, 99.95]) if not barred.all() else (0.0, 0.0)
    scale = high - low if high > low else 1.0
    return ((np.clip(image, low, high) - low) / scale).astype(np.float32)


def _bodies(fine: NDArray[np.float32], barred: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    """Dense bodies inside walls, pale organelles filled; empty where the image has one population."""
    from skimage.filters import threshold_otsu

    valid = fine[~barred]
    threshold = threshold_otsu(valid)
    low, high = valid[valid <= threshold], valid[valid > threshold]
    if high.size == 0 or low.size == 0:
        return np.zeros(fine.shape, bool)
    # One Gaussian split at its mean gives a separation of 2.65 of these SDs: ask for clearly more.
    spread = np.sqrt((low.var() * low.size + high.var() * high.size) / valid.size)
    if np.mean(high) - np.mean(low) < 3.2 * spread:
        return np.zeros(fine.shape, bool)
    return _solid(fine > threshold, barred, pixel_size_nm)


def _without_wall(
    fine: NDArray[np.float32], bodies: NDArray[np.bool_], barred: NDArray[np.bool_], pixel_size_nm: float
) -> NDArray[np.bool_]:
    """Bodies whose whole rim is one paler ring shrunk to what the ring encloses.

    Near a pole the wall is so wide that the section's two main levels are resin and wall, not resin and
    cytoplasm.
    """
    from skimage.filters import threshold_otsu

    numbers, count = ndimage.label(bodies)
    result = bodies.copy()
    away = ndimage.distance_transform_edt(~bodies) * pixel_size_nm
    nearest = nearest_seed(numbers, np.ones_like(bodies))
    resin = _resin_level(fine, bodies, barred, pixel_size_nm)
    for index in range(1, count + 1):
        body = numbers == index
        depth = ndimage.distance_transform_edt(np.pad(body, 1, mode="edge"))[1:-1, 1:-1] * pixel_size_nm
        values = fine[body & (depth > 25.0)]
        if values.size < 50:
            continue
        threshold = threshold_otsu(values)
        dense = body & (fine > threshold)
        rim = body & (depth > 25.0) & (depth < 90.0)
        core = ndimage.binary_opening(dense & (depth > 60.0), disk(35.0, pixel_size_nm))
        low, high = values[values <= threshold], values[values > threshold]
        spread = np.sqrt((low.var() * low.size + high.var() * high.size) / values.size)
        # Around cytoplasm a wall follows, denser than resin; around a wall there is resin at once.
        near = (away < 110.0) & (away > 50.0) & (nearest == index)
        beyond = float(np.median(fine[near])) if near.any() else resin
        if (
            dense[rim].mean() < 0.1
            and core.any()
            and high.mean() - low.mean() > 3.0 * spread
            and beyond - resin < 0.3 * (low.mean() - resin)
        ):
            result[body] = fill_small_holes(core, np.inf, pixel_size_nm)[body]
    return result


def _solid(mask: NDArray[np.bool_], barred: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    """Close, fill and smooth a mask; keep components large enough to be a cell profile."""
    mask = ndimage.binary_opening(mask & ~barred, disk(35.0, pixel_size_nm))
    # Padding by the mirror keeps a profile cut by the border from being eroded or left unfilled there.
    reach = int(np.ceil(60.0 / pixel_size_nm)) + 1
    padded = ndimage.binary_closing(np.pad(mask, reach, mode="symmetric"), disk(60.0, pixel_size_nm))
    mask = padded[reach:-reach, reach:-reach]
    mask = fill_small_holes(mask, np.inf, pixel_size_nm)
    numbers, _ = ndimage.label(mask)
    large = np.bincount(numbers.ravel()) * (pixel_size_nm / 1000.0) ** 2 >= SMALLEST_PROFILE_UM2
    large[0] = False
    return large[numbers]


def _wall(
    fine: NDArray[np.float32], bodies: NDArray[np.bool_], barred: NDArray[np.bool_], pixel_size_nm: float
) -> tuple[float, float | None, NDArray[np.bool_], NDArray[np.bool_]]:
    """Resin level, wall level (None where no band differs from resin), refined bodies, bodies with walls."""
    body, wall_nm = bodies, 120.0
    resin = _resin_level(fine, bodies, barred, pixel_size_nm)
    cell, wall_level = bodies, resin
    for _ in range(3):
        inside = float(np.median(fine[body]))
        away = ndimage.distance_transform_edt(~body) * pixel_size_nm
        band = (away > 0.3 * wall_nm) & (away < 0.75 * wall_nm) & ~barred
        wall_level = float(np.median(fine[band])) if band.any() else resin
        if wall_level - resin < _WALL_CONTRAST * (inside - resin):
            return resin, None, bodies, bodies
        body = _solid((fine > (wall_level + inside) / 2) & (away < 60.0), barred, pixel_size_nm)
        if not body.any():
            return resin, None, bodies, bodies
        away = ndimage.distance_transform_edt(~body) * pixel_size_nm
        dense = (smooth(fine, 12.0, pixel_size_nm) > (resin + wall_level) / 2) & (away < _WALL_SEARCH_NM) & ~barred
        cell = _attached(dense | body, body, pixel_size_nm)
        rim = cell & ~body
        edge = body & ~ndimage.binary_erosion(body, border_value=1)
        wall_nm = float(np.clip(rim.sum() / max(edge.sum(), 1) * pixel_size_nm, 60.0, 400.0))
    return resin, wall_level, body, cell


def _resin_level(
    fine: NDArray[np.float32], bodies: NDArray[np.bool_], barred: NDArray[np.bool_], pixel_size_nm: float
) -> float:
    """Median far from every body; where the field is full, of the palest tenth of what lies between them."""
    away = ndimage.distance_transform_edt(~bodies) * pixel_size_nm
    far = (away > _WALL_SEARCH_NM) & ~barred
    if far.sum() > 400:
        return float(np.median(fine[far]))
    between = fine[~bodies & ~barred]
    return float(np.percentile(between, 10)) if between.size else float(fine.min())


def _attached(mask: NDArray[np.bool_], body: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    """Cells: what hangs together with a body, whiskers of noise removed, holes filled."""
    radius = disk(40.0, pixel_size_nm)
    reach = radius.shape[0]
    padded = np.pad(mask, reach, mode="symmetric")
    padded = ndimage.binary_opening(ndimage.binary_closing(padded, radius), radius)
    mask = padded[reach:-reach, reach:-reach] | body
    numbers, count = ndimage.label(mask)
    keep = np.zeros(count + 1, bool)
    keep[np.unique(numbers[body])] = True
    keep[0] = False
    return fill_small_holes(keep[numbers], 0.5, pixel_size_nm)


def _grazed_core(fine: NDArray[np.float32], profile: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    """Densest part of a cap through the wall: cytoplasm is reached only where a second level shows."""
    from skimage.filters import threshold_otsu

    values = fine[profile]
    core = profile & (fine > threshold_otsu(values))
    return ndimage.binary_opening(core, disk(50.0, pixel_size_nm))
