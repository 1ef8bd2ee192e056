"""A three-dimensional raw file before anyone has interpreted it.

Belongs here: the lazily read array, its limits, and the one pass that finds NaN and blank volumes.
Does not belong here: any particular file format, or the meaning of the grey values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.errors import InputError

__all__ = [
    "MAX_BYTES_IN_MEMORY",
    "MAX_BYTES_ON_DISK",
    "MAX_SIDE",
    "FileArray",
    "RawVolume",
    "check_declared_size",
    "check_values",
]

MAX_SIDE = 65_536
"""Longest side in voxels that a header may declare; the largest detectors have 16 k pixels."""
MAX_BYTES_ON_DISK = 256 * 2**30
"""Largest volume that is read lazily from an uncompressed file."""
MAX_BYTES_IN_MEMORY = 4 * 2**30
"""Largest volume that must be unpacked as a whole (gzip, compressed TIFF)."""


@dataclass(frozen=True)
class FileArray:
    """Contiguous voxels in a file, mapped only while a block is read.

    Unlike a ``numpy.memmap`` it travels between dask workers as a path, not as its data.

    Parameters
    ----------
    path : pathlib.Path
        The uncompressed file.
    offset : int
        Byte at which the voxels start.
    shape : tuple of int
        (z, y, x) as they lie in the file.
    dtype : numpy.dtype
        Including the byte order of the file.
    """

    path: Path
    offset: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Always three."""
        return 3

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read one block, in the dtype of the file."""
        mapped = np.memmap(self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape)
        return np.array(mapped[index])


@dataclass(frozen=True)
class RawVolume:
    """What a reader found in a file.

    Parameters
    ----------
    array : FileArray or numpy.ndarray
        Grey values in the order of the file.
    axes : tuple of int
        Permutation that brings the axes of `array` into (z, y, x).
    voxel_nm : tuple of float or None
        Voxel sides along z, y, x in nm; None where the file gives none.
    source : str
        Where `voxel_nm` came from, as shown to people.
    warnings : list of str
        Oddities that did not prevent reading.
    """

    array: FileArray | NDArray[Any]
    axes: tuple[int, int, int]
    voxel_nm: tuple[float, float, float] | None
    source: str
    warnings: list[str] = field(default_factory=list)


def check_declared_size(path: Path, shape: tuple[int, ...], itemsize: int, *, in_memory: bool) -> None:
    """Refuse impossible or too large volumes before a byte is allocated.

    Parameters
    ----------
    path : pathlib.Path
        The file, for the message.
    shape : tuple of int
        Declared (z, y, x).
    itemsize : int
        Bytes a voxel.
    in_memory : bool
        Whether the format forces the whole volume into memory.

    Raises
    ------
    InputError
        If a side is not positive or beyond :data:`MAX_SIDE`, or the whole is beyond the byte limit.
    """
    text = " x ".join(str(n) for n in shape)
    if len(shape) != 3 or min(shape) < 1 or max(shape) > MAX_SIDE:
        raise InputError(
            path,
            f"the header declares {text} voxels (z, y, x), which no volume has.",
            "Check that the file is a complete tomogram and export it again.",
        )
    limit = MAX_BYTES_IN_MEMORY if in_memory else MAX_BYTES_ON_DISK
    size = int(np.prod([int(n) for n in shape], dtype=object)) * itemsize
    if size > limit:
        raise InputError(
            path,
            f"the header declares {text} voxels, {size / 2**30:.1f} GiB; the limit is {limit / 2**30:.0f} GiB.",
            "Uncompress it, bin it or cut out the region of interest.",
        )


def check_values(path: Path, array: FileArray | NDArray[Any]) -> None:
    """Read a volume once, slab by slab, and refuse NaN, infinite or constant values.

    Parameters
    ----------
    path : pathlib.Path
        The file, for the message.
    array : FileArray or numpy.ndarray, shape (z, y, x)
        Grey values.

    Raises
    ------
    InputError
        If any voxel is NaN or infinite, or all voxels are equal.
    """
    step = max(1, 2**25 // max(1, int(np.prod(array.shape[1:])) * array.dtype.itemsize))
    low, high = np.inf, -np.inf
    for start in range(0, array.shape[0], step):
        block = array[start : start + step]
        block_low, block_high = float(block.min()), float(block.max())
        # min and max propagate NaN, so one comparison finds NaN and infinity both.
        if not (np.isfinite(block_low) and np.isfinite(block_high)):
            raise InputError(
                path,
                f"voxels in sections {start} to {start + len(block) - 1} are NaN or infinite.",
                "Reconstruct the volume again, or replace these voxels by the mean.",
            )
        low, high = min(low, block_low), max(high, block_high)
    if low == high:
        raise InputError(path, f"every voxel has the value {low:g}.", "Export the volume again: it is blank.")
