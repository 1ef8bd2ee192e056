"""Label what lies inside the plasma membrane of one section profile.

Belongs here: vacuole, lipid droplet, mitochondrion and nucleus of one profile, by level and form.
Does not belong here: finding cells and walls (`tem.labels`), measuring (`tem.atlas`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.tem.levels import Levels, disk, fill_small_holes, smooth
from em2cryo_assets.vocabulary import LABELS

__all__ = ["label_interior"]

_NM2_PER_UM2 = 1.0e6
_DROPLET_UM2 = 0.30
"""No pale body larger than this is a droplet: radius 0.3 µm, above what wild-type yeast carries."""
_NUCLEUS_UM2 = 0.12
_PALE_SHARE = 0.4
_DARK_SHARE = 0.45
"""With more of a profile than this "dark", the cytoplasm level came from the blurred rim of a grazing cut."""


def label_interior(
    labels: NDArray[np.uint8],
    image: NDArray[np.float32],
    inner: NDArray[np.bool_],
    depth_nm: NDArray[np.floating],
    levels: Levels,
    pixel_size_nm: float,
    number: int,
) -> list[str]:
    """Write the organelles of one profile into ``labels``.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (y, x)
        Changed in place, inside ``inner`` only.
    image : numpy.ndarray, float32, shape (y, x)
        Density.
    inner : numpy.ndarray of bool, shape (y, x)
        Inside of the plasma membrane of this profile.
    depth_nm : numpy.ndarray, shape (y, x)
        Distance below the body's outline, nm.
    levels : Levels
        Levels of resin and wall in this section.
    pixel_size_nm : float
        Pixel side.
    number : int
        Profile number, for the sentences.

    Returns
    -------
    list of str
        Warnings.
    """
    if inner.sum() * pixel_size_nm**2 < _NUCLEUS_UM2 * _NM2_PER_UM2:
        return [f"Profile {number} is too small to look for organelles."]
    sm = smooth(image, 18.0, pixel_size_nm)
    # The ring below the membrane is mostly cytoplasm whatever fills the middle.
    ring = inner & (depth_nm > 50.0) & (depth_nm < 260.0)
    middle = sm[ring & (sm > levels.wall)]
    if middle.size < 50:
        return [f"Profile {number}: no cytoplasm level found; its inside is labelled cytoplasm."]
    cytoplasm, spread = _mode(middle)
    pale = _pale(sm, inner, levels, cytoplasm, spread, pixel_size_nm)
    dark = _dark(sm, inner & ~pale & (depth_nm > 45.0), cytoplasm, spread, pixel_size_nm)
    if dark.sum() > _DARK_SHARE * inner.sum():
        dark[:] = False
    nucleus = _nucleus(image, inner, pale, dark, cytoplasm, pixel_size_nm)
    labels[nucleus & inner] = LABELS["nucleus"]
    labels[dark & ~nucleus] = LABELS["mitochondrion"]
    _write_pale(labels, sm, pale & ~nucleus, levels, pixel_size_nm)
    return []


def _mode(values: NDArray[np.floating]) -> tuple[float, float]:
    """Centre and SD of the main population, clipped repeatedly at 2.5 SD (bias < 3 % on a Gaussian)."""
    centre = float(np.median(values))
    spread = float(1.4826 * np.median(np.abs(values - centre)))
    for _ in range(4):
        kept = values[np.abs(values - centre) <= 2.5 * max(spread, 1e-9)]
        centre, spread = float(np.mean(kept)), float(np.std(kept)) * 1.06
    return centre, spread


def _components(mask: NDArray[np.bool_], smallest_um2: float, pixel_size_nm: float) -> NDArray[np.int32]:
    """Numbered components above an area."""
    numbers, _ = ndimage.label(mask)
    large = np.bincount(numbers.ravel()) * pixel_size_nm**2 >= smallest_um2 * _NM2_PER_UM2
    large[0] = False
    numbers[~large[numbers]] = 0
    return numbers


def _pale(
    sm: NDArray[np.float32],
    inner: NDArray[np.bool_],
    levels: Levels,
    cytoplasm: float,
    spread: float,
    pixel_size_nm: float,
) -> NDArray[np.bool_]:
    """Vacuoles and droplets: each pale body cut at the midpoint between its own core and the cytoplasm."""
    # A nucleus is paler than cytoplasm too; what is clearly on the wall's side of the scale is not one.
    limit = levels.wall + _PALE_SHARE * (cytoplasm - levels.wall)
    seeds = ndimage.binary_opening(inner & (sm < limit), disk(28.0, pixel_size_nm))
    numbers = _components(seeds, 0.006, pixel_size_nm)
    pale = np.zeros_like(inner)
    for index, window in enumerate(ndimage.find_objects(numbers), start=1):
        if window is None:
            continue
        reach = int(np.ceil(80.0 / pixel_size_nm))
        wide = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in window)
        seed = numbers[wide] == index
        core_depth = ndimage.distance_transform_edt(seed)
        core = float(np.median(sm[wide][core_depth >= 0.5 * core_depth.max()]))
        if cytoplasm - core < 4.0 * spread:
            continue
        body = (sm[wide] < (core + cytoplasm) / 2) & inner[wide]
        grown, _ = ndimage.label(body & ndimage.binary_dilation(seed, disk(80.0, pixel_size_nm)))
        keep = np.unique(grown[seed])
        pale[wide] |= np.isin(grown, keep[keep > 0])
    pale = ndimage.binary_opening(pale, disk(22.0, pixel_size_nm))
    return fill_small_holes(pale, 0.1, pixel_size_nm) & inner


def _dark(
    sm: NDArray[np.float32], region: NDArray[np.bool_], cytoplasm: float, spread: float, pixel_size_nm: float
) -> NDArray[np.bool_]:
    """Mitochondria: dense bodies thicker than any membrane seen edge-on."""
    seeds = ndimage.binary_opening(region & (sm > cytoplasm + 3.0 * spread), disk(45.0, pixel_size_nm))
    if not seeds.any():
        return seeds
    level = float(np.median(sm[seeds]))
    grown = (
        region & (sm > (cytoplasm + level) / 2) & ndimage.binary_dilation(seeds, disk(40.0, pixel_size_nm))
    )
    grown = ndimage.binary_opening(fill_small_holes(grown, 0.02, pixel_size_nm), disk(35.0, pixel_size_nm))
    return _components(grown, 0.012, pixel_size_nm) > 0


def _nucleus(
    image: NDArray[np.float32],
    inner: NDArray[np.bool_],
    pale: NDArray[np.bool_],
    dark: NDArray[np.bool_],
    cytoplasm: float,
    pixel_size_nm: float,
) -> NDArray[np.bool_]:
    """One large compact region slightly paler than cytoplasm, out to its envelope; empty where none shows."""
    from skimage.filters import threshold_otsu
    from skimage.measure import regionprops

    nothing = np.zeros_like(inner)
    # Rims of pale bodies are half pale: left in, they would be a second "nucleus" around every vacuole.
    usable = inner & ~ndimage.binary_dilation(pale, disk(40.0, pixel_size_nm))
    usable &= ~ndimage.binary_dilation(dark, disk(25.0, pixel_size_nm))
    weight = smooth(usable.astype(np.float32), 40.0, pixel_size_nm)
    level = smooth(np.where(usable, image, 0.0), 40.0, pixel_size_nm) / np.maximum(weight, 1e-3)
    usable &= weight > 0.3
    values = level[usable]
    if values.size < 400:
        return nothing
    threshold = threshold_otsu(values)
    low, high = values[values <= threshold], values[values > threshold]
    spread = np.sqrt((low.var() * low.size + high.var() * high.size) / values.size)
    if high.mean() - low.mean() < 3.0 * spread:
        return nothing
    threshold = (low.mean() + max(float(high.mean()), cytoplasm)) / 2
    region = ndimage.binary_opening(usable & (level < threshold), disk(120.0, pixel_size_nm))
    numbers = _components(region, _NUCLEUS_UM2, pixel_size_nm)
    shapes = [r for r in regionprops(numbers) if r.solidity > 0.8]
    if not shapes:
        return nothing
    best = numbers == max(shapes, key=lambda r: r.area).label
    best = fill_small_holes(best, 0.3, pixel_size_nm)
    return ndimage.binary_dilation(best, disk(12.0, pixel_size_nm)) & inner & ~pale


def _write_pale(
    labels: NDArray[np.uint8],
    sm: NDArray[np.float32],
    pale: NDArray[np.bool_],
    levels: Levels,
    pixel_size_nm: float,
) -> None:
    """Tell droplets from vacuoles: droplets are small and as pale as resin (extracted or unstained lipid)."""
    numbers, count = ndimage.label(pale)
    for index in range(1, count + 1):
        body = numbers == index
        depth = ndimage.distance_transform_edt(body)
        core = float(np.median(sm[depth >= 0.5 * depth.max()]))
        small = body.sum() * pixel_size_nm**2 <= _DROPLET_UM2 * _NM2_PER_UM2
        droplet = small and core < (levels.resin + levels.wall) / 2
        labels[body] = LABELS["lipid_droplet" if droplet else "vacuole"]
