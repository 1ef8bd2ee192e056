"""From the section network's maps to labels.

Belongs here: whole profiles, touching ones told apart, organelles cleaned, the membrane drawn.
Does not belong here: running the network (`tem.section_network`), labels without one (`tem.labels`).
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.tem.levels import components, fill_small_holes
from em2cryo_assets.tem.nucleus import completed_nucleus
from em2cryo_assets.tem.profiles import (
    NO_CELL,
    SMALLEST_PROFILE_UM2,
    SectionLabels,
    checked_section,
    draw_membrane,
    nearest_seed,
    touching_border,
)
from em2cryo_assets.tem.section_network import CLASSES, at_working_size, section_maps
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NO_YEAST", "decoded", "network_section"]

Float32Array = NDArray[np.float32]

NO_YEAST: Final = "No cell found that could be a yeast."

_SEAM: Final = 0.5
_SMALLEST_BODY_UM2: Final = 0.006
"""Organelles smaller than this, 90 nm across, are left to what surrounds them: noise makes such specks."""

_SMALLEST_COMPLETED_UM2: Final = 0.12
"""Through less of a nucleus no ellipse is fitted."""

_WALLED: Final = 0.5
"""Least share of a profile's outline, borders left out, that has to be wall: yeast is walled all round."""

_YEAST_UM: Final = (0.3, 12.0)
"""Widths of a profile that a section of a yeast can show: a cap, and mother and bud in one."""

_COARSEST_NM: Final = 100.0
"""Larger pixels hold a whole wall (100 to 200 nm), and enlarged to the network's 20 nm they take minutes."""


def network_section(
    density: NDArray[np.floating],
    pixel_size_nm: float,
    excluded: NDArray[np.bool_] | None = None,
    net: "nn.Module | None" = None,
) -> SectionLabels:
    """Label every cell profile of a section by the network.

    Parameters
    ----------
    density : numpy.ndarray, shape (y, x)
        High where matter is dense; any scale.
    pixel_size_nm : float
        Pixel side.
    excluded : numpy.ndarray of bool, shape (y, x), optional
        Data bar, burnt-in text: never labelled.
    net : torch.nn.Module, optional
        Another network of the same maps; the one that comes with the package where missing.

    Returns
    -------
    SectionLabels
        All outside, with a warning that says why, where no yeast profile is found.

    Raises
    ------
    ValueError
        Not a 2-D finite image, a pixel size that is not positive, or masks of another shape.
    """
    image, barred = checked_section(density, pixel_size_nm, excluded)
    if barred.all() or np.ptp(image[~barred]) == 0:
        return _nothing(image.shape, NO_CELL)
    if pixel_size_nm > _COARSEST_NM:
        return _nothing(image.shape, f"No cell found: at {pixel_size_nm:.0f} nm a pixel no wall can be told.")
    # Replaced by the median, what is excluded does not bleed into the pixels beside it.
    filled = np.where(barred, np.median(image[~barred]), image)
    return decoded(section_maps(at_working_size(filled, pixel_size_nm), net), pixel_size_nm, barred)


def decoded(maps: Float32Array, pixel_size_nm: float, barred: NDArray[np.bool_]) -> SectionLabels:
    """Make labels of maps.

    Parameters
    ----------
    maps : numpy.ndarray, float32, shape (8, y, x)
        As `section_maps` gives them.
    pixel_size_nm : float
        Pixel of the section.
    barred : numpy.ndarray, bool, shape (y, x)
        Pixels of the section that are no image.

    Returns
    -------
    SectionLabels
        Of the shape of `barred`. Outlines lie where the more probable class changes, between the network's pixels
        where the section is finer.
    """
    shape = (barred.shape[0], barred.shape[1])
    code, second = _most_probable(maps, shape)
    cell = _profiles_mask(code, barred, pixel_size_nm)
    # What a profile encloses is not resin: an extracted droplet looks like it.
    code = np.where(cell & (code == CLASSES.index("outside")), second, code)
    if not cell.any():
        return _nothing(shape, NO_YEAST)
    open_to = cell & (_at_section(maps[-1], shape) < _SEAM)
    profiles = _renumbered(nearest_seed(_seeds(open_to, code, pixel_size_nm), cell))
    labels = np.zeros(shape, np.uint8)
    warnings: list[str] = []
    left_out = 0
    for number, window in enumerate(ndimage.find_objects(profiles), start=1):
        assert window is not None
        # A margin, so that distances at the window's edge see what lies beyond.
        wide = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in window)
        mine = profiles[wide] == number
        said = _not_yeast(mine, code[wide], wide, barred, pixel_size_nm)
        if said:
            warnings.append(said)
            left_out += int(np.count_nonzero(mine))
            profiles[wide][mine] = 0
        else:
            labels[wide][mine] = _one(mine, code[wide], pixel_size_nm)[mine]
    warnings = list(dict.fromkeys(warnings))
    kept = np.count_nonzero(profiles)
    if left_out > kept:
        doubt = "What is left is not trusted: is the pixel size right?" if kept else ""
        return _nothing(shape, " ".join([NO_YEAST, *warnings, doubt]).strip())
    profiles = _renumbered(profiles)
    touching = touching_border(profiles, barred)
    warnings += [f"Profile {n} is cut by the border: its outline is incomplete." for n in touching]
    return SectionLabels(labels, profiles, touching, warnings)


def _nothing(shape: tuple[int, ...], why: str) -> SectionLabels:
    return SectionLabels(np.zeros(shape, np.uint8), np.zeros(shape, np.int32), (), [why])


def _at_section(one: Float32Array, shape: tuple[int, int]) -> Float32Array:
    """A map at the section's own pixels."""
    from skimage.transform import resize

    return np.asarray(resize(one, shape, order=1, mode="edge", anti_aliasing=False), np.float32)


def _most_probable(maps: Float32Array, shape: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Most probable class of each pixel, and the most probable but resin; one map at a time to spare memory."""
    outside = _at_section(maps[0], shape)
    best, second = np.full(shape, -1.0, np.float32), np.zeros(shape, np.uint8)
    for index in range(1, len(CLASSES)):
        share = _at_section(maps[index], shape)
        higher = share > best
        best[higher], second[higher] = share[higher], index
    return np.where(outside >= best, np.uint8(0), second), second


def _profiles_mask(code: NDArray[np.uint8], barred: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.bool_]:
    """Everything that is cell, enclosed resin included."""
    cell = (code != CLASSES.index("outside")) & ~barred
    cell = _without_specks(ndimage.label(cell)[0], pixel_size_nm, SMALLEST_PROFILE_UM2) > 0
    return fill_small_holes(cell, 0.5, pixel_size_nm) & ~barred


def _without_specks(numbers: NDArray[np.int32], pixel_size_nm: float, smallest_um2: float) -> NDArray[np.int32]:
    """Numbered pieces, those below an area set to 0."""
    large = np.bincount(numbers.ravel()) * (pixel_size_nm / 1000.0) ** 2 >= smallest_um2
    large[0] = False
    return np.where(large[numbers], numbers, 0).astype(np.int32)


def _seeds(open_to: NDArray[np.bool_], code: NDArray[np.uint8], pixel_size_nm: float) -> NDArray[np.int32]:
    """One number for each profile: its body within the wall, or all of it where a section grazes the wall alone.

    Walls part touching cells whose seam was not seen; the seam parts those whose walls were not.
    """
    bodies = ndimage.label(open_to & (code != CLASSES.index("wall")))[0]
    seeds = _without_specks(bodies, pixel_size_nm, SMALLEST_PROFILE_UM2)
    pieces, count = ndimage.label(open_to)
    seeded = np.zeros(count + 1, bool)
    seeded[np.unique(pieces[seeds > 0])] = True
    alone = _without_specks(np.where(seeded[pieces], 0, pieces), pixel_size_nm, SMALLEST_PROFILE_UM2)
    seeds = np.where(alone > 0, alone + seeds.max(), seeds)
    return seeds if seeds.any() else pieces


def _renumbered(profiles: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers from 1 without gaps, in reading order."""
    present, first = np.unique(profiles, return_index=True)
    order = [int(n) for _, n in sorted(zip(first, present, strict=True)) if n]
    lookup = np.zeros(int(profiles.max(initial=0)) + 1, np.int32)
    lookup[order] = np.arange(1, len(order) + 1)
    return lookup[profiles]


def _not_yeast(
    mine: NDArray[np.bool_],
    code: NDArray[np.uint8],
    window: tuple[slice, ...],
    barred: NDArray[np.bool_],
    pixel_size_nm: float,
) -> str:
    """Why a profile can be none of a yeast, or nothing."""
    width_um = 2.0 * np.sqrt(np.count_nonzero(mine) / np.pi) * pixel_size_nm / 1000.0
    if not _YEAST_UM[0] <= width_um <= _YEAST_UM[1]:
        return f"A profile {width_um:.2g} µm across was left out: no section of a yeast is that wide or narrow."
    # The image border and excluded pixels cut outlines where no wall can be asked for.
    open_to = np.pad(mine, 1, mode="edge")
    rim = mine & ~ndimage.binary_erosion(open_to, border_value=1)[1:-1, 1:-1]
    rim &= ~ndimage.binary_dilation(barred[window], iterations=2)
    walled = (code == CLASSES.index("wall"))[rim]
    if not walled.size:
        return "What fills the picture was left out: without an outline in view nothing says that it is a yeast."
    if walled.mean() < _WALLED:
        return "A profile without a wall was left out: yeast is walled all round."
    return ""


def _one(mine: NDArray[np.bool_], code: NDArray[np.uint8], pixel_size_nm: float) -> NDArray[np.uint8]:
    """Labels of one profile, in its window."""
    labels = np.zeros(mine.shape, np.uint8)
    body = fill_small_holes(mine & (code != CLASSES.index("wall")), 0.05, pixel_size_nm) & mine
    labels[mine] = LABELS["wall"]
    draw_membrane(labels, body, pixel_size_nm)
    for name in ORGANELLES:
        found = _without_specks(
            ndimage.label(body & (code == CLASSES.index(name)))[0], pixel_size_nm, _SMALLEST_BODY_UM2
        )
        inside = labels == LABELS["cytoplasm"]
        labels[(found > 0) & inside] = LABELS[name]
    for name in ("nucleus", "vacuole"):
        # Nucleoli and granules look like other organelles, but lie within.
        filled = fill_small_holes(labels == LABELS[name], 0.15, pixel_size_nm)
        labels[filled & (labels != LABELS["membrane"]) & body] = LABELS[name]
    _complete_nuclei(labels, pixel_size_nm)
    return labels


def _complete_nuclei(labels: NDArray[np.uint8], pixel_size_nm: float) -> None:
    """Give nucleoli at the rim back to their nuclei; Dice of nuclei on 24 tuning cells .455 to .493, .775 to .816."""
    numbers = components(labels == LABELS["nucleus"], _SMALLEST_COMPLETED_UM2, pixel_size_nm)
    reach = int(np.ceil(400.0 / pixel_size_nm))
    for number, window in enumerate(ndimage.find_objects(numbers), start=1):
        if window is None:
            continue
        wide = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in window)
        found, free = completed_nucleus(numbers[wide] == number), labels[wide]
        free[found & np.isin(free, (LABELS["cytoplasm"], LABELS["mitochondrion"]))] = LABELS["nucleus"]
