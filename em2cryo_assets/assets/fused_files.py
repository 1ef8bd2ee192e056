"""A fused volume as files: density with its labels and sources in one OME-Zarr, its uncertainty beside it.

Belongs here: writing the four layers, and counting labels without holding them. Does not belong here: computing
them (`fusion`).
"""

from pathlib import Path

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.fusion.volume import FusedVolume
from em2cryo_assets.store.images import read_labels, write_image
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS, SOURCE_NAMES

__all__ = ["counted_labels", "write_fused"]


def write_fused(folder: Path, volume: FusedVolume, name: str) -> NDArray[np.int64]:
    """Write all four layers, on one grid in nm, block by block; return how many voxels each label has.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``fused.ome.zarr`` (density; labels ``interior`` and ``source``) and ``uncertainty.ome.zarr``.
    volume : FusedVolume
        Lazy volumes.
    name : str
        Of the cell, shown by viewers.

    Returns
    -------
    numpy.ndarray, int64, shape (labels,)
        Voxels by label code.
    """
    voxel = volume.grid.voxel_nm
    write_image(
        folder / "fused.ome.zarr",
        volume.density,
        voxel_nm=voxel,
        name=f"{name} density",
        labels={"interior": volume.labels, "source": volume.source},
        label_names={"interior": LABEL_NAMES, "source": SOURCE_NAMES},
    )
    write_image(
        folder / "uncertainty.ome.zarr", volume.uncertainty, voxel_nm=voxel, name=f"{name} entropy of the label, bits"
    )
    return counted_labels(read_labels(folder / "fused.ome.zarr", "interior"))


def counted_labels(labels: da.Array) -> NDArray[np.int64]:
    """Voxels by label code, one chunk in memory at a time (NumPy counts in numbers of eight bytes)."""
    counts = np.zeros(len(LABELS), np.int64)
    for place in np.ndindex(labels.numblocks):
        counts += np.bincount(np.asarray(labels.blocks[place]).ravel(), minlength=len(LABELS))
    return counts
