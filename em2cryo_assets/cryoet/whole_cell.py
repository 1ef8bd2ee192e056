"""Labels of a volume that holds a whole cell, as soft X-ray tomography or FIB-SEM give it.

Belongs here: the body of the cell and organelles told apart by their absorption. Does not belong here: slabs
(:mod:`em2cryo_assets.cryoet.labels`) or shape measures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.vocabulary import LABELS

__all__ = ["label_whole_cell"]

_SMALLEST_CELL_UM3 = 2.0
_NUCLEUS_UM3 = 0.3
_VACUOLE_UM3 = 0.02


def label_whole_cell(
    volume: NDArray[np.float32], voxel_nm: tuple[float, float, float], *, organelles: bool = True
) -> tuple[NDArray[np.uint8], list[str]]:
    """Label the largest cell of a volume and its organelles by absorption.

    Order used: droplets above cytoplasm above nucleus above vacuole above outside (Larabell and Le Gros 2004, soft
    X-ray absorption of yeast). The wall absorbs like cytoplasm at this resolution and is not told from it, nor are
    mitochondria, whose contrast is below the noise.

    Parameters
    ----------
    volume : numpy.ndarray, float32, shape (z, y, x)
        Density, high where matter is dense.
    voxel_nm : tuple of float
        Voxel sides, nm.
    organelles : bool
        Whether to tell organelles apart; the order above holds for absorption of X-rays, not for stains.

    Returns
    -------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Vocabulary codes.
    warnings : list of str
        First "no cell found: ..." where there is none.
    """
    from skimage.filters import threshold_otsu

    labels = np.zeros(volume.shape, dtype=np.uint8)
    smooth = ndimage.gaussian_filter(volume, 1.0, mode="nearest")
    threshold = float(threshold_otsu(smooth))
    dense, thin = smooth[smooth >= threshold], smooth[smooth < threshold]
    if min(dense.size, thin.size) < 100 or float(np.median(dense) - np.median(thin)) < 3 * _scatter(thin):
        return labels, ["no cell found: nothing stands out of the surroundings."]
    # Otsu's level moves with the share of cytoplasm; half-way between the two medians is the edge of a blurred body.
    edge = 0.5 * float(np.median(dense) + np.median(thin))
    components, count = ndimage.label(smooth > edge)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    cell = ndimage.binary_fill_holes(components == int(np.argmax(sizes)))
    size_um3 = float(cell.sum()) * float(np.prod(voxel_nm)) * 1e-9
    if size_um3 < _SMALLEST_CELL_UM3:
        return labels, [f"no cell found: the largest body has {size_um3:.2f} um3, a yeast cell at least 2."]
    warnings = ["the wall is not told from the cytoplasm at this resolution."]
    faces = [face for axis in range(3) for face in (cell.take(0, axis), cell.take(-1, axis))]
    if any(face.any() for face in faces):
        warnings.append("the cell is cut by the border of the volume; its shape is incomplete.")
    labels[cell] = LABELS["cytoplasm"]
    if not organelles:
        warnings.append("organelles are not told apart: in stained volumes their order of density is another.")
        return labels, warnings
    _add_organelles(labels, cell, volume, smooth, voxel_nm)
    return labels, warnings


def _scatter(values: NDArray[np.float32]) -> float:
    return 0.7413 * float(np.subtract(*np.percentile(values, [75, 25])))


def _mode(values: NDArray[np.float32]) -> float:
    """Half-sample mode: the densest half, of the densest half, and so on (Bickel and Fruehwirth 2006)."""
    ordered = np.sort(values)
    while len(ordered) > 3:
        half = (len(ordered) + 1) // 2
        widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
        start = int(np.argmin(widths))
        ordered = ordered[start : start + half]
    return float(ordered.mean())


def _add_organelles(
    labels: NDArray[np.uint8],
    cell: NDArray[np.bool_],
    volume: NDArray[np.float32],
    smooth: NDArray[np.float32],
    voxel_nm: tuple[float, float, float],
) -> None:
    """Write vacuole, nucleus and droplets into `labels`, by their distance from the cytoplasm's own level."""
    voxel_um3 = float(np.prod(voxel_nm)) * 1e-9
    # The blurred rim of the cell has every level between outside and cytoplasm: keep out of it.
    core = ndimage.binary_erosion(cell, iterations=3)
    if int(core.sum()) < 500:
        return
    outside = float(np.median(smooth[~cell]))
    quiet = ndimage.gaussian_filter(volume, 1.5, mode="nearest")
    cytoplasm = _mode(quiet[core])
    height = cytoplasm - outside
    droplet = (smooth > cytoplasm + 0.45 * height) & core
    dark = (quiet < cytoplasm - 0.12 * height) & core
    vacuole = dark & (quiet < cytoplasm - 0.45 * height)
    # Grow the vacuole over its own blurred edge, else the edge would read as nucleus.
    vacuole = ndimage.binary_dilation(_large(vacuole, _VACUOLE_UM3 / voxel_um3), iterations=1) & dark
    nucleus = ndimage.binary_opening(dark & ~ndimage.binary_dilation(vacuole, iterations=1), iterations=2)
    nucleus = _largest(_large(nucleus, _NUCLEUS_UM3 / voxel_um3))
    nucleus = ndimage.binary_fill_holes(ndimage.binary_dilation(nucleus, iterations=1) & dark & ~vacuole)
    labels[nucleus] = LABELS["nucleus"]
    labels[vacuole] = LABELS["vacuole"]
    labels[droplet & ~vacuole] = LABELS["lipid_droplet"]


def _large(mask: NDArray[np.bool_], voxels: float) -> NDArray[np.bool_]:
    """Drop components smaller than a number of voxels."""
    components, count = ndimage.label(mask)
    keep = np.bincount(components.ravel(), minlength=count + 1) >= voxels
    keep[0] = False
    return np.asarray(keep[components])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep one component: a cell has one nucleus, and stray dim patches near the rim are none."""
    components, count = ndimage.label(mask)
    if count == 0:
        return mask
    return np.asarray(components == 1 + int(np.argmax(np.bincount(components.ravel())[1:])))
