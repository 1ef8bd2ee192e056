"""Label what lies inside the plasma membrane of one section profile.

Belongs here: vacuole, lipid droplet, mitochondrion and nucleus of one profile, by level and form.
Does not belong here: finding cells and walls (`tem.labels`), measuring (`tem.atlas`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.tem.levels import Levels, components, disk, fill_small_holes, smooth
from em2cryo_assets.tem.nucleus import find_nucleus
from em2cryo_assets.vocabulary import LABELS

__all__ = ["label_interior"]

_NM2_PER_UM2 = 1.0e6
_DROPLET_UM2 = 0.30
"""No pale body larger than this is a droplet: radius 0.3 µm, above what wild-type yeast carries."""
_SMALLEST_PROFILE_UM2 = 0.12
_TINY_UM2 = 0.05
_PALE_SHARE = 0.4
_SURROUNDED = 0.65
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
    if inner.sum() * pixel_size_nm**2 < _SMALLEST_PROFILE_UM2 * _NM2_PER_UM2:
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
    nucleus = find_nucleus(image, inner, pale, dark, cytoplasm, pixel_size_nm)
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
    numbers = components(seeds, 0.006, pixel_size_nm)
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
        found = np.isin(grown, keep[keep > 0])
        around = ndimage.binary_dilation(found, disk(60.0, pixel_size_nm)) & inner[wide]
        around &= ~ndimage.binary_dilation(found, disk(25.0, pixel_size_nm))
        # Pale lumps of chromatin have nucleus around them, not cytoplasm.
        if around.any() and np.median(sm[wide][around]) < core + _SURROUNDED * (cytoplasm - core):
            continue
        pale[wide] |= found
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
    grown = region & (sm > (cytoplasm + level) / 2) & ndimage.binary_dilation(seeds, disk(40.0, pixel_size_nm))
    grown = ndimage.binary_opening(fill_small_holes(grown, 0.02, pixel_size_nm), disk(35.0, pixel_size_nm))
    return components(grown, 0.012, pixel_size_nm) > 0


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
        # Through a tiny droplet a section is mostly cytoplasm: its level says nothing, its size does.
        tiny = body.sum() * pixel_size_nm**2 <= _TINY_UM2 * _NM2_PER_UM2
        droplet = tiny or (small and core < (levels.resin + levels.wall) / 2)
        labels[body] = LABELS["lipid_droplet" if droplet else "vacuole"]
