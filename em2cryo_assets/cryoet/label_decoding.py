"""From the network's maps of a slab to labels.

Belongs here: bringing maps to the slab's own voxels, bodies that are large enough, the decision that there
is no cell. Does not belong here: running the network (`cryoet.label_network`), labels without one (`cryoet.labels`).
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.label_network import CLASSES, WORKING_NM, slab_maps
from em2cryo_assets.cryoet.labels import NO_CELL, draw_membrane
from em2cryo_assets.cryoet.noise import spatial_snr
from em2cryo_assets.vocabulary import LABELS

if TYPE_CHECKING:
    from torch import nn

__all__ = ["network_slab", "region_codes"]

Float32Array = NDArray[np.float32]

_SMALLEST_NM: Final = 120.0
"""Bodies smaller than a cube of this side are left to what surrounds them: noise makes such specks."""

_LEAST_SNR: Final = 0.05
"""Signal-to-noise ratio below which a field without a wall is no cell: white noise gives .00 to .03, the noisiest of 18
simulated fields inside a cell .16. Ice with a texture or dirt has more, and is for the network to tell."""

_ENOUGH: Final = 3000

_LEAST_CELL: Final = 0.02
"""Share of a volume that has to be cell: dirt on ice makes less."""


def network_slab(
    volume: NDArray[np.float32], voxel_nm: tuple[float, float, float], modality: str, net: "nn.Module | None" = None
) -> tuple[NDArray[np.uint8], list[str]]:
    """Label a slab by the network.

    Parameters
    ----------
    volume : numpy.ndarray, float32, shape (z, y, x)
        Density, high where matter is dense.
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    modality : str
        As in the sidecar; the network has seen lamellae and cryo-sections and is not told which.
    net : torch.nn.Module, optional
        Another network of the same maps; the one that comes with the package where missing.

    Returns
    -------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS`.
    warnings : list of str
        Starts with "no cell found" where everything is outside.
    """
    if not np.ptp(volume):
        return np.zeros(volume.shape, np.uint8), [f"{NO_CELL}: the volume is the same everywhere."]
    codes = cleaned(region_codes(volume, voxel_nm, net), voxel_nm)
    cell = codes != LABELS["outside"]
    if float(cell.mean()) < _LEAST_CELL:
        return np.zeros(volume.shape, np.uint8), [f"{NO_CELL}: the network sees ice or empty space throughout."]
    warnings = []
    if not (codes == LABELS["wall"]).any():
        if noise_only(volume):
            return np.zeros(volume.shape, np.uint8), [f"{NO_CELL}: nothing but noise is in it."]
        warnings.append("no wall in view: the whole field was taken as the inside of a cell.")
    return draw_membrane(codes, voxel_nm), warnings


def noise_only(volume: NDArray[np.float32]) -> bool:
    """Whether neighbouring voxels have nothing in common, as in empty ice; never where there are too few to tell."""
    return volume.size >= _ENOUGH and spatial_snr(volume) < _LEAST_SNR


def region_codes(
    volume: NDArray[np.float32], voxel_nm: tuple[float, float, float], net: "nn.Module | None" = None
) -> NDArray[np.uint8]:
    """The most probable label of every voxel, without membranes.

    Maps are made at `WORKING_NM` and interpolated, so that edges lie between its voxels.

    Parameters
    ----------
    volume : numpy.ndarray, float32, shape (z, y, x)
        Density, high where matter is dense.
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    net : torch.nn.Module, optional
        Another network of the same maps.

    Returns
    -------
    numpy.ndarray, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS`.
    """
    maps = slab_maps(at_working_size(volume, voxel_nm), net)
    best = np.full(volume.shape, -1.0, np.float32)
    codes = np.zeros(volume.shape, np.uint8)
    for name, small in zip(CLASSES, maps, strict=True):
        share = resampled(small, volume.shape)
        codes[share > best] = LABELS[name]
        np.maximum(best, share, out=best)
    return codes


def at_working_size(volume: NDArray[np.float32], voxel_nm: tuple[float, float, float]) -> Float32Array:
    """A slab with voxels of about `WORKING_NM`, blurred beforehand where it is finer, so that nothing aliases."""
    shape = tuple(max(1, round(n * side / WORKING_NM)) for n, side in zip(volume.shape, voxel_nm, strict=True))
    # As `skimage.transform.resize` blurs.
    sigma = [max(0.0, 0.5 * (n / m - 1.0)) for n, m in zip(volume.shape, shape, strict=True)]
    return resampled(ndimage.gaussian_filter(volume, sigma, mode="nearest"), shape)


def resampled(volume: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """Interpolate linearly onto a grid that covers the same box with other voxels."""
    ratio = np.array(volume.shape) / np.array(shape)
    return np.asarray(
        ndimage.affine_transform(volume, ratio, 0.5 * ratio - 0.5, shape, order=1, mode="nearest"), np.float32
    )


def cleaned(codes: NDArray[np.uint8], voxel_nm: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Give bodies that are too small to their surroundings.

    Parameters
    ----------
    codes : numpy.ndarray, uint8, shape (z, y, x)
        Of `vocabulary.LABELS`.
    voxel_nm : tuple of float
        Voxel sides, nm.

    Returns
    -------
    numpy.ndarray, uint8, shape (z, y, x)
        A copy; a speck takes the label of the nearest voxel that is none.
    """
    least = _SMALLEST_NM**2 * min(_SMALLEST_NM, codes.shape[0] * voxel_nm[0]) / float(np.prod(voxel_nm))
    speck = np.zeros(codes.shape, bool)
    for name in CLASSES:
        components, count = ndimage.label(codes == LABELS[name])
        if count:
            small = np.bincount(components.ravel(), minlength=count + 1) < least
            small[0] = False
            speck |= small[components]
    if not speck.any() or speck.all():
        return codes.copy()
    nearest = ndimage.distance_transform_edt(speck, sampling=voxel_nm, return_distances=False, return_indices=True)
    return np.asarray(codes[tuple(nearest)])
