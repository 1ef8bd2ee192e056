"""Labels of one tomogram or whole-cell volume by grey value and shape.

Belongs here: outside, wall and cytoplasm of slabs, and also bright and dark bodies of whole cells; trimming of damage.
Does not belong here: reading files (`cryoet.mrc`), or what a wall's arc means (`cryoet.arcs`).

Classical and simple. A volume in which nothing looks like a cell is labelled outside throughout, with the reason.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.circle import fit_circle
from em2cryo_assets.vocabulary import LABELS

__all__ = ["TomogramLabels", "label_tomogram", "trim_damage"]

_WHOLE: Final = ("soft-x-ray", "fib-sem")
_SMOOTH_NM: Final = 30.0
_SEPARATION: Final = 2.0
"""Two grey levels closer than this many within-class SDs (after smoothing) are one: noise splits anywhere."""

_LARGEST_WALL_NM: Final = 320.0
_THINNEST_WALL_NM: Final = 60.0
_SMALLEST_CELL_UM: Final = 0.3
_DAMAGE_NM: Final = 30.0


@dataclass(frozen=True)
class TomogramLabels:
    """Labels of one volume.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS`.
    warnings : list of str
        What was not found, in sentences.
    """

    labels: NDArray[np.uint8]
    warnings: list[str] = field(default_factory=list)


def trim_damage(shape: tuple[int, int, int], voxel_nm: tuple[float, float, float], modality: str) -> slice:
    """Slices of a lamella without the 30 nm that the ion beam damages on each face (Tuijtel et al. 2023).

    Parameters
    ----------
    shape, voxel_nm : tuple
        (z, y, x), voxels and nm.
    modality : str
        Only a ``lamella`` is trimmed.
    """
    depth = round(_DAMAGE_NM / voxel_nm[0]) if modality == "lamella" else 0
    return slice(depth, shape[0] - depth) if shape[0] > 4 * depth else slice(0, shape[0])


def label_tomogram(
    density: NDArray[np.floating], voxel_nm: tuple[float, float, float], modality: str
) -> TomogramLabels:
    """Label a tomogram.

    Parameters
    ----------
    density : numpy.ndarray, shape (z, y, x)
        High where matter is dense.
    voxel_nm : tuple of float
        (z, y, x), nm.
    modality : str
        As in the sidecar; soft X-ray and FIB-SEM volumes hold whole cells.

    Raises
    ------
    ValueError
        If it is not a finite volume.
    """
    volume = np.asarray(density, dtype=np.float32)
    if volume.ndim != 3 or not np.isfinite(volume).all():
        raise ValueError(f"A finite (z, y, x) volume is needed; this one has shape {volume.shape}.")
    extent_um = max(n * side for n, side in zip(volume.shape, voxel_nm, strict=True)) / 1000
    empty = np.zeros(volume.shape, dtype=np.uint8)
    if extent_um < _SMALLEST_CELL_UM:
        return TomogramLabels(empty, [f"No cell found: the whole volume is {extent_um:.2g} µm across."])
    if modality in _WHOLE:
        return _whole_cell(volume, voxel_nm)
    return _slab(volume, voxel_nm)


def _slab(volume: NDArray[np.float32], voxel_nm: tuple[float, float, float]) -> TomogramLabels:
    """Outside, wall and cytoplasm by the mean over the thickness: the cell's wall is steep in a thin slab."""
    labels = np.zeros(volume.shape, dtype=np.uint8)
    plane = ndimage.gaussian_filter(volume.mean(axis=0), [_SMOOTH_NM / side for side in voxel_nm[1:]])
    levels = _levels(plane)
    if levels is None:
        if _looks_like_cytoplasm(volume, voxel_nm):
            labels[:] = LABELS["cytoplasm"]
            return TomogramLabels(labels, ["No outer surface in view: all of it is taken as the inside of a cell."])
        return TomogramLabels(labels, ["No cell found: the volume shows one grey level without cellular texture."])
    ice, wall_level, inside_level = levels
    side = float(np.mean(voxel_nm[1:]))
    side = float(np.mean(voxel_nm[1:]))
    flat = _codes(plane, ice, wall_level, inside_level, side)
    if not (flat == LABELS["cytoplasm"]).any():
        return TomogramLabels(labels, ["No cell found: nothing denser than its surroundings is large enough."])
    why = _not_the_outside(flat, side)
    if why:
        labels[:] = np.where(flat == LABELS["outside"], LABELS["vacuole"], LABELS["cytoplasm"])
        return TomogramLabels(labels, [f"No outer surface in view ({why}): the light part is taken as a vacuole."])
    # Slice by slice, or a wall that leans would be drawn upright; along the beam only what noise requires.
    smooth = ndimage.gaussian_filter(volume, [_SMOOTH_NM / side for side in voxel_nm])
    for z, each in enumerate(smooth):
        labels[z] = _codes(each, ice, wall_level, inside_level, side)
    return TomogramLabels(labels, [] if (labels == LABELS["wall"]).any() else ["No wall in view."])


def _codes(
    plane: NDArray[np.float32], ice: float, wall_level: float, inside_level: float, side_nm: float
) -> NDArray[np.uint8]:
    """Outside, wall, cytoplasm and vacuole of one plane, borders halfway between levels."""
    cell = _main_part(plane > (ice + wall_level) / 2, side_nm)
    body = _main_part(plane > (wall_level + inside_level) / 2, side_nm)
    deep = ndimage.distance_transform_edt(cell) * side_nm if not cell.all() else np.full(cell.shape, np.inf)
    # Beyond the thickest wall known, what is as light as a wall is an organelle.
    body = ndimage.binary_fill_holes(body | (cell & (deep > _LARGEST_WALL_NM)))
    codes = np.where(cell, LABELS["wall"], LABELS["outside"]).astype(np.uint8)
    codes[cell & body] = LABELS["cytoplasm"]
    inner = cell & body
    if inner.any() and not inner.all():
        depth = ndimage.distance_transform_edt(inner) * side_nm
        light = inner & (depth > 100) & (plane < (ice + inside_level) / 2)
        codes[ndimage.binary_opening(light, iterations=2)] = LABELS["vacuole"]
    return codes


def _not_the_outside(codes: NDArray[np.uint8], side_nm: float) -> str:
    """Why the light part of a plane is an organelle and not the medium; empty if it is the medium.

    A wall is at least 60 nm wide, and a cell bulges toward the medium, where a vacuole bulges into the cell.
    """
    outside, wall = codes == LABELS["outside"], codes == LABELS["wall"]
    if not outside.any():
        return "all of it is as dense as a cell"
    rim = ndimage.binary_dilation(wall) & (codes == LABELS["cytoplasm"])
    if not rim.any():
        return "no wall borders it"
    width = float(np.median(ndimage.distance_transform_edt(~outside)[rim])) * side_nm - side_nm
    if width < _THINNEST_WALL_NM:
        return f"its border is {width:.0f} nm thick, too thin for a wall"
    edge = np.argwhere(ndimage.binary_dilation(outside) & ~outside)
    points = np.column_stack([np.zeros(len(edge)), edge * side_nm])
    try:
        circle = fit_circle(points)
    except ValueError:
        return ""
    if circle.radius_se_nm > 0.2 * circle.radius_nm:
        return ""  # nearly straight: the side it bulges to cannot be told, and a wall of this width was seen
    reach = np.hypot(*(np.argwhere(codes >= 0) * side_nm - np.asarray(circle.centre_nm)).T).reshape(codes.shape)
    within = reach < circle.radius_nm
    return "its border bulges the wrong way" if within[outside].mean() > within[~outside].mean() else ""


def _levels(plane: NDArray[np.float32]) -> tuple[float, float, float] | None:
    """Grey of ice, wall and cytoplasm in a smoothed plane; None where it has one level only."""
    from skimage.filters import threshold_multiotsu, threshold_otsu

    cut = float(threshold_otsu(plane))
    low, high = plane[plane <= cut], plane[plane > cut]
    within = float(np.sqrt((low.var() * low.size + high.var() * high.size) / plane.size))
    if min(low.size, high.size) < 0.01 * plane.size or (high.mean() - low.mean()) < 2 * _SEPARATION * within:
        return None
    first, second = (float(v) for v in threshold_multiotsu(plane, classes=3))
    classes = [plane[plane <= first], plane[(plane > first) & (plane <= second)], plane[plane > second]]
    ice, wall, inside = (float(np.median(c)) for c in classes)
    return ice, wall, inside


def _looks_like_cytoplasm(volume: NDArray[np.float32], voxel_nm: tuple[float, float, float]) -> bool:
    """Whether structure of 15–60 nm (ribosomes, membranes) stands out of the noise everywhere in the plane.

    A volume of a micrometre without a surface is inside a cell if neighbouring slices agree on fine structure in
    every quarter; an isolated particle or a filament leaves most quarters empty.
    """
    if min(n * side for n, side in zip(volume.shape[1:], voxel_nm[1:], strict=True)) < 500 or volume.shape[0] < 4:
        return False
    fine = ndimage.gaussian_filter(volume, [0, *(8 / s for s in voxel_nm[1:])])
    fine -= ndimage.gaussian_filter(volume, [0, *(60 / s for s in voxel_nm[1:])])
    middle = fine.shape[0] // 2
    one, two = fine[middle], fine[middle + 1]
    halves_y, halves_x = np.array_split(np.arange(one.shape[0]), 2), np.array_split(np.arange(one.shape[1]), 2)
    agreement = [
        np.corrcoef(one[np.ix_(y, x)].ravel(), two[np.ix_(y, x)].ravel())[0, 1] for y in halves_y for x in halves_x
    ]
    return bool(min(agreement) > 0.1)


def _whole_cell(volume: NDArray[np.float32], voxel_nm: tuple[float, float, float]) -> TomogramLabels:
    from skimage.filters import threshold_otsu

    labels = np.zeros(volume.shape, dtype=np.uint8)
    smooth = ndimage.gaussian_filter(volume, [min(1.0, 60 / side) for side in voxel_nm])
    cut = float(threshold_otsu(smooth))
    low, high = smooth[smooth <= cut], smooth[smooth > cut]
    within = float(np.sqrt((low.var() * low.size + high.var() * high.size) / smooth.size))
    if high.mean() - low.mean() < _SEPARATION * within:
        return TomogramLabels(labels, ["No cell found: the volume shows one grey level."])
    # The outline lies halfway between the outside and the outer layer, not between outside and the densest part.
    outside, layer = float(np.median(low)), float(np.median(high))
    cell = ndimage.binary_fill_holes(_largest(smooth > (outside + layer) / 2))
    touching = any(bool(cell.take(index, axis=axis).any()) for axis in range(3) for index in (0, -1))
    labels[cell] = LABELS["cytoplasm"]
    side = float(np.mean(voxel_nm))
    deep = ndimage.distance_transform_edt(cell) * side > 350
    inner = smooth[deep]
    warnings = ["The cell touches the border of the volume: its volume and shape are not whole."] if touching else []
    if inner.size < 100:
        return TomogramLabels(labels, warnings)
    typical = float(np.median(inner))
    labels[ndimage.binary_opening(deep & (smooth > typical + 0.6 * (typical - outside)))] = LABELS["lipid_droplet"]
    vacuole = ndimage.binary_opening(deep & (smooth < (typical + outside) / 2 + 0.1 * (typical - outside)), iterations=1)
    labels[vacuole] = LABELS["vacuole"]
    warnings.append("Wall, nucleus and mitochondria are not told apart at this voxel.")
    return TomogramLabels(labels, warnings)


def _main_part(mask: NDArray[np.bool_], side_nm: float) -> NDArray[np.bool_]:
    """The largest part of a plane's mask, opened by 40 nm; empty if smaller than a tenth of a square micrometre."""
    radius = max(1, round(40 / side_nm))
    part = _largest(ndimage.binary_closing(ndimage.binary_opening(mask, iterations=radius), iterations=radius) | mask)
    return part if part.sum() * side_nm**2 > 1e5 else np.zeros_like(part)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    return mask if count == 0 else parts == np.bincount(parts.ravel())[1:].argmax() + 1
