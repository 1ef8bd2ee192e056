"""Labels of a tomogram: the checks and voxels that all ways of labelling share, and the way without a network.

Belongs here: the choice by modality, and the labelling of slabs by their layers. Does not belong here: whole cells
(:mod:`em2cryo_assets.cryoet.whole_cell`), the fit of layers (:mod:`em2cryo_assets.cryoet.layers`), the network
(:mod:`em2cryo_assets.cryoet.label_decoding`).

By layers, only the order of densities is used (outside and vacuole below wall below cytoplasm), never a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.layers import Layers, depth_map_nm, fit_layers, mean_profile
from em2cryo_assets.cryoet.whole_cell import label_whole_cell
from em2cryo_assets.vocabulary import LABELS

__all__ = ["NO_CELL", "SMOOTH_NM", "TomogramLabels", "damaged_planes", "draw_membrane", "label_slab", "label_tomogram"]

NO_CELL: Final = "no cell found"
"""First words of the warning where everything is outside."""

_DAMAGE_NM = 30.0
_SMALLEST_FIELD_NM = 400.0
_SMALLEST_BODY_NM = 120.0
SMOOTH_NM = 20.0
"""Gaussian sigma under which a slab's layers are told apart, nm."""
_COARSE_NM = 32.0
_MEMBRANE_VOXEL_NM = 12.0
_WORKING_NM = {"slab": 8.0, "whole": 80.0}
"""Finer volumes are binned towards this voxel first: labels here follow layers, not molecules."""


SlabLabeller = Callable[[NDArray[np.float32], tuple[float, float, float], str], tuple[NDArray[np.uint8], list[str]]]


@dataclass(frozen=True)
class TomogramLabels:
    """Labels and what to know about them.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of :data:`em2cryo_assets.vocabulary.LABELS`.
    warnings : list of str
        What was not found or is doubtful; starts with `NO_CELL` where everything is outside.
    """

    labels: NDArray[np.uint8]
    warnings: list[str] = field(default_factory=list)


def damaged_planes(depth: int, voxel_z_nm: float, modality: str) -> slice:
    """Planes of a volume that the milling beam left intact.

    The ion beam harms about 30 nm below each face of a lamella (Tuijtel et al. 2023); cryo-sections and whole
    cells have no such layer. Where trimming would leave less than a third, the volume is kept: it was trimmed before.

    Parameters
    ----------
    depth : int
        Number of planes.
    voxel_z_nm : float
        Voxel side along z, nm.
    modality : str
        As in the sidecar.

    Returns
    -------
    slice
        Along z, of the planes to keep.
    """
    lost = int(np.ceil(_DAMAGE_NM / voxel_z_nm)) if modality == "lamella" else 0
    return slice(lost, depth - lost) if depth - 2 * lost >= max(1, depth / 3) else slice(0, depth)


def label_tomogram(
    density: ArrayLike, voxel_nm: tuple[float, float, float], modality: str, *, slab: SlabLabeller | None = None
) -> TomogramLabels:
    """Label every voxel of a tomogram.

    Parameters
    ----------
    density : array_like, shape (z, y, x)
        High where matter is dense.
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    modality : str
        As in the sidecar; "soft-x-ray" and "fib-sem" are treated as whole cells, all else as slabs.
    slab : callable, optional
        Labels a slab; gets and returns what `label_slab` does, which is taken where it is absent.

    Returns
    -------
    TomogramLabels
        All outside, with the reason, where no cell can be recognised.

    Raises
    ------
    ValueError
        If the density is not three-dimensional or not finite.
    """
    volume = np.asarray(density, dtype=np.float32)
    if volume.ndim != 3 or not np.isfinite(volume).all():
        raise ValueError(f"A tomogram is three-dimensional and finite; got shape {volume.shape}.")
    field_nm = [n * side for n, side in zip(volume.shape, voxel_nm, strict=True)]
    if min(field_nm[1:]) < _SMALLEST_FIELD_NM:
        seen = f"{field_nm[1]:.0f} x {field_nm[2]:.0f} nm"
        return _nothing(
            volume, f"the field is {seen}, and below {_SMALLEST_FIELD_NM:.0f} nm no wall or cytoplasm can be told."
        )
    whole = modality in ("soft-x-ray", "fib-sem")
    if not whole and max(voxel_nm) > 2 * SMOOTH_NM:
        return _nothing(volume, f"voxels of {max(voxel_nm):.0f} nm are too coarse for the layers of a slab.")
    factors = [max(1, int(_WORKING_NM["whole" if whole else "slab"] / side)) for side in voxel_nm]
    # A thin axis is not binned away.
    factors = [min(factor, max(1, n // 8)) for factor, n in zip(factors, volume.shape, strict=True)]
    coarse = _block_means(volume, factors)
    side = (voxel_nm[0] * factors[0], voxel_nm[1] * factors[1], voxel_nm[2] * factors[2])
    if whole:
        labels, warnings = label_whole_cell(coarse, side, organelles=modality == "soft-x-ray")
    else:
        labels, warnings = (slab or label_slab)(coarse, side, modality)
    return TomogramLabels(_repeated(labels, factors, volume.shape), warnings)


def _nothing(volume: NDArray[np.float32], reason: str) -> TomogramLabels:
    return TomogramLabels(np.zeros(volume.shape, dtype=np.uint8), [f"{NO_CELL}: {reason}"])


def label_slab(
    volume: NDArray[np.float32], voxel_nm: tuple[float, float, float], modality: str
) -> tuple[NDArray[np.uint8], list[str]]:
    """Label a slab by its layers, without a network.

    Parameters
    ----------
    volume : numpy.ndarray, float32, shape (z, y, x)
        Density, high where matter is dense.
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    modality : str
        As in the sidecar.

    Returns
    -------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of :data:`em2cryo_assets.vocabulary.LABELS`; no nuclei.
    warnings : list of str
        What was not found or is doubtful.
    """
    planes = damaged_planes(volume.shape[0], voxel_nm[0], modality)
    intact = volume[planes]
    smooth = _smoothed(intact, voxel_nm, SMOOTH_NM)
    warnings: list[str] = []
    outside = np.zeros(intact.shape, dtype=bool)
    vacuole = np.zeros(intact.shape, dtype=bool)
    layers: Layers | None = None
    for body in _dark_bodies(intact, voxel_nm):
        found, refined = _edge(body, smooth, intact, voxel_nm)
        touches = body[:, 0].any() or body[:, -1].any() or body[:, :, 0].any() or body[:, :, -1].any()
        if found is not None and found.is_wall and touches:
            outside |= refined
            layers = found if layers is None or body.sum() > outside.sum() / 2 else layers
        else:
            vacuole |= refined
    vacuole &= ~outside
    labels = np.full(intact.shape, LABELS["cytoplasm"], dtype=np.uint8)
    labels[vacuole] = LABELS["vacuole"]
    if layers is None:
        warnings.append("no wall in view: the whole field was taken as the inside of a cell.")
    else:
        labels = _with_wall(labels, outside, smooth, layers, voxel_nm)
    lost = (planes.start or 0, volume.shape[0] - (planes.stop or volume.shape[0]))
    if any(lost):
        warnings.append(f"{_DAMAGE_NM:.0f} nm at each face (beam damage) carry the labels of the nearest intact plane.")
    return np.pad(labels, (lost, (0, 0), (0, 0)), mode="edge"), warnings


def _block_means(volume: NDArray[np.float32], factors: list[int]) -> NDArray[np.float32]:
    """Mean over blocks, axis by axis; what does not fill a block at the far end is dropped."""
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        count = volume.shape[axis] // factor
        kept = volume[tuple(slice(0, count * factor) if a == axis else slice(None) for a in range(3))]
        shape = [*kept.shape[:axis], count, factor, *kept.shape[axis + 1 :]]
        volume = kept.reshape(shape).mean(axis=axis + 1)
    return volume


def _repeated(labels: NDArray[np.uint8], factors: list[int], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Undo :func:`_block_means` for labels; the dropped rest continues the last block."""
    for axis, (factor, n) in enumerate(zip(factors, shape, strict=True)):
        index = np.minimum(np.arange(n) // factor, labels.shape[axis] - 1)
        labels = labels.take(index, axis=axis)
    return labels


def _smoothed(
    volume: NDArray[np.float32], voxel_nm: tuple[float, float, float], sigma_nm: float
) -> NDArray[np.float32]:
    return np.asarray(
        ndimage.gaussian_filter(volume, [sigma_nm / side for side in voxel_nm], mode="nearest"), dtype=np.float32
    )


def _dark_bodies(volume: NDArray[np.float32], voxel_nm: tuple[float, float, float]) -> list[NDArray[np.bool_]]:
    """Large connected regions of clearly low density: the surroundings of the cell, or vacuoles.

    The lowest of three classes (multi-level Otsu), if it stands apart from the middle one by more than the scatter
    of the smoothed density; in a field of nothing but cytoplasm the classes are slices of one peak, and do not.
    """
    from skimage.filters import threshold_multiotsu

    coarse = _smoothed(volume, voxel_nm, _COARSE_NM)
    low, high = (float(t) for t in threshold_multiotsu(coarse, classes=3, nbins=128))
    values = np.sort(coarse[:: max(1, coarse.shape[0] // 8)].ravel())
    dark, middle, bright = values[values < low], values[(values >= low) & (values < high)], values[values >= high]
    if min(len(dark), len(middle), len(bright)) < 10:
        return []
    # Robust scatter of the two extreme classes. Slices of the one peak of a field of cytoplasm gave 3.4 to 4.3,
    # simulated lamellae with an outside or a vacuole 9 to 29.
    spread = 0.7413 * max(float(np.subtract(*np.percentile(part, [75, 25]))) for part in (dark, bright))
    if float(np.median(bright) - np.median(dark)) < 6.0 * spread:
        return []
    components, count = ndimage.label(coarse < low)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    smallest = _SMALLEST_BODY_NM**2 * min(_SMALLEST_BODY_NM, volume.shape[0] * voxel_nm[0]) / float(np.prod(voxel_nm))
    large = [i for i in range(1, count + 1) if sizes[i] >= smallest]
    return [components == i for i in sorted(large, key=lambda i: -sizes[i])]


def _edge(
    body: NDArray[np.bool_],
    smooth: NDArray[np.float32],
    volume: NDArray[np.float32],
    voxel_nm: tuple[float, float, float],
) -> tuple[Layers | None, NDArray[np.bool_]]:
    """Fit the layers around a dark body and move its edge to the middle of the first step; twice, since depth changes."""
    near = _dilated(body, 80.0, voxel_nm)
    refined = body
    layers: Layers | None = None
    for _ in range(2):
        layers = fit_layers(*mean_profile(volume, depth_map_nm(~refined, voxel_nm)))
        if layers is None:
            break
        level = layers.wall if layers.is_wall else layers.inside
        moved = (smooth < 0.5 * (layers.outside + level)) & near
        components, count = ndimage.label(moved)
        if count == 0:
            break
        kept = np.bincount(components[body & moved], minlength=count + 1)
        kept[0] = 0
        refined = ndimage.binary_fill_holes(components == int(np.argmax(kept)))
    return layers, refined


def _with_wall(
    labels: NDArray[np.uint8],
    outside: NDArray[np.bool_],
    smooth: NDArray[np.float32],
    layers: Layers,
    voxel_nm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """Draw outside, wall and membrane: by depth, and within 40 nm of the mean inner edge by the density itself."""
    depth = depth_map_nm(~outside, voxel_nm) - np.float32(layers.outer_nm)
    thickness = layers.inner_nm - layers.outer_nm
    # Ribosomes make the inner edge look ragged at the scale of the first smoothing; the wall is not.
    light = _smoothed(smooth, voxel_nm, _COARSE_NM) < 0.5 * (layers.wall + layers.inside)
    wall = (depth >= 0) & ((depth < thickness - 40) | ((depth < thickness + 40) & light))
    # What the threshold cuts off or leaves inside the wall is noise, not anatomy.
    opened = _dilated(~_dilated(~wall, 24.0, voxel_nm), 24.0, voxel_nm)
    wall = (wall & opened) | (wall & (depth < thickness - 40))
    drawn = labels.copy()
    drawn[wall] = LABELS["wall"]
    drawn[depth < 0] = LABELS["outside"]
    return draw_membrane(drawn, voxel_nm)


def draw_membrane(labels: NDArray[np.uint8], voxel_nm: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Label what borders the wall on its inner side as plasma membrane, one voxel thick in the plane.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of :data:`em2cryo_assets.vocabulary.LABELS`.
    voxel_nm : tuple of float
        Voxel sides, nm.

    Returns
    -------
    numpy.ndarray, uint8, shape (z, y, x)
        A copy; without membranes where voxels are more than 12 nm, half as much again as a bilayer with its shoulder.
    """
    drawn = labels.copy()
    if max(voxel_nm) <= _MEMBRANE_VOXEL_NM:
        cross = np.zeros((3, 3, 3), dtype=bool)
        cross[1, 1, :] = cross[1, :, 1] = True
        wall = labels == LABELS["wall"]
        inner = ndimage.binary_dilation(wall, cross) & ~wall & (labels != LABELS["outside"])
        drawn[inner] = LABELS["membrane"]
    return drawn


def _dilated(mask: NDArray[np.bool_], radius_nm: float, voxel_nm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Dilate by a ball; by distance, since a structuring element of 10 voxels costs ten times as much."""
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=voxel_nm) <= radius_nm)
