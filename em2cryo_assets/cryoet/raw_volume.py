"""A three-dimensional raw file before anyone has interpreted it.

Belongs here: the lazily read array, its view as density, its limits, and the pass that finds NaN and blank volumes.
Does not belong here: any particular file format, or the meaning of the grey values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.errors import InputError

__all__ = [
    "MAX_BYTES_IN_MEMORY",
    "MAX_BYTES_ON_DISK",
    "MAX_SIDE",
    "FileArray",
    "RawArray",
    "RawVolume",
    "VolumeView",
    "check_declared_size",
    "check_values",
]

MAX_SIDE = 65_536
"""Longest side in voxels that a header may declare; the largest detectors have 16 k pixels."""
MAX_BYTES_ON_DISK = 256 * 2**30
"""Largest volume that is read lazily, from its own file or from a temporary one it was unpacked to."""
MAX_BYTES_IN_MEMORY = 4 * 2**30
"""Largest volume that must be unpacked into memory as a whole (compressed TIFF)."""


class RawArray(Protocol):
    """Grey values of which boxes can be read: a NumPy array, a :class:`FileArray`, an array of a Zarr group."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x) as they lie in the file."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type in the file, byte order included."""

    def __getitem__(self, index: Any) -> Any:
        """Read a box."""


@dataclass(frozen=True)
class FileArray:
    """Contiguous voxels in a file, opened only while a block is read.

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
    owner : object, optional
        Kept alive as long as this object, and not sent to other processes: a temporary file that is removed with it.
    """

    path: Path
    offset: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    owner: Any = field(default=None, compare=False, repr=False)

    @property
    def ndim(self) -> int:
        """Always three."""
        return 3

    def __reduce__(self) -> tuple[Any, ...]:
        return FileArray, (self.path, self.offset, self.shape, self.dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read one block, in the dtype of the file."""
        box = _whole_rows(index, self.shape)
        if box is None:
            mapped = np.memmap(self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape)
            return np.array(mapped[index])
        # Whole rows lie in long runs. Reading them costs 0.13 CPU s for 512 MiB where copying out of a map costs 0.26,
        # and the pages of a map count as memory of the process.
        sections, rows = box
        _, n_rows, n_columns = self.shape
        block = np.empty((len(sections), len(rows), n_columns), self.dtype)
        with self.path.open("rb", buffering=0) as stream:
            for section, into in zip(sections, block, strict=True):
                view = memoryview(into.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
                stream.seek(self.offset + (section * n_rows + rows.start) * n_columns * self.dtype.itemsize)
                while view:
                    got = stream.readinto(view)
                    if not got:
                        raise InputError(self.path, "it became shorter while it was read.", "Copy it again.")
                    view = view[got:]
        return block


def _whole_rows(index: Any, shape: tuple[int, int, int]) -> tuple[range, range] | None:
    """Sections and rows of an index that takes whole rows in steps of one; None for any other index."""
    if not isinstance(index, tuple) or len(index) != 3 or not all(isinstance(part, slice) for part in index):
        return None
    sections, rows, columns = (range(*part.indices(n)) for part, n in zip(index, shape, strict=True))
    if len(columns) != shape[2] or {sections.step, rows.step, columns.step} != {1} or not sections or not rows:
        return None
    return sections, rows


@dataclass(frozen=True)
class VolumeView:
    """A raw volume in the order (z, y, x): what of it is asked for is read, turned and converted then.

    Parameters
    ----------
    array : RawArray
        Grey values in the order of the file.
    axes : tuple of int
        Permutation that brings the axes of `array` into (z, y, x).
    sign : float or None
        1, or -1 where dark is dense, makes density of the grey values, float32; None leaves them as they are, in the
        byte order of this machine, float16 as float32.
    turned : bool
        Whether the volume is then turned by 90 degrees about x: (z, y) becomes (y, -z), which mirrors nothing.
    """

    array: RawArray
    axes: tuple[int, int, int]
    sign: float | None = None
    turned: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x) after turning."""
        z, y, x = (self.array.shape[axis] for axis in self.axes)
        return (y, z, x) if self.turned else (z, y, x)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of what is read."""
        if self.sign is not None or self.array.dtype.kind == "f":
            return np.dtype(np.float32)
        return self.array.dtype.newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Always three."""
        return 3

    def __getitem__(self, index: tuple[slice, slice, slice]) -> NDArray[Any]:
        """Read a box, given as three slices with steps of one."""
        starts, stops, _ = zip(*(part.indices(n) for part, n in zip(index, self.shape, strict=True)), strict=True)
        box = [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]
        if self.turned:
            length = self.shape[1]
            box = [slice(length - box[1].stop, length - box[1].start), box[0], box[2]]
        stored = [slice(0)] * 3
        for part, axis in zip(box, self.axes, strict=True):
            stored[axis] = part
        piece = np.asarray(self.array[tuple(stored)]).transpose(self.axes)
        if self.turned:
            piece = piece.transpose(1, 0, 2)[:, ::-1]
        if self.sign is None:
            return piece.astype(self.dtype, copy=False)
        return np.multiply(piece, np.float32(self.sign), dtype=np.float32, casting="unsafe")


@dataclass(frozen=True)
class RawVolume:
    """What a reader found in a file.

    Parameters
    ----------
    array : RawArray
        Grey values in the order of the file.
    axes : tuple of int
        Permutation that brings the axes of `array` into (z, y, x).
    voxel_nm : tuple of float or None
        Voxel sides along z, y, x in nm; None where the file gives none.
    source : str
        Where `voxel_nm` came from, as shown to people.
    warnings : list of str
        Oddities that did not prevent reading.
    labels : tuple of str
        Lines that programs left in the header.
    """

    array: RawArray
    axes: tuple[int, int, int]
    voxel_nm: tuple[float, float, float] | None
    source: str
    warnings: list[str] = field(default_factory=list)
    labels: tuple[str, ...] = ()


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


def check_values(path: Path, array: RawArray) -> None:
    """Read a volume in blocks of about 32 MiB, and refuse NaN, infinite or constant values.

    Integers are finite, so there reading ends at the second value that occurs.

    Parameters
    ----------
    path : pathlib.Path
        The file, for the message.
    array : RawArray, shape (z, y, x)
        Grey values.

    Raises
    ------
    InputError
        If any voxel is NaN or infinite, or all voxels are equal.
    """
    low, high = np.inf, -np.inf
    for box in _blocks(array):
        block = np.asarray(array[box])
        block_low, block_high = float(block.min()), float(block.max())
        # min and max propagate NaN, so one comparison finds NaN and infinity both.
        if not (np.isfinite(block_low) and np.isfinite(block_high)):
            raise InputError(
                path,
                f"voxels in sections {box[0].start} to {box[0].stop - 1} are NaN or infinite.",
                "Reconstruct the volume again, or replace these voxels by the mean.",
            )
        low, high = min(low, block_low), max(high, block_high)
        if array.dtype.kind in "iu" and low < high:
            return
    if low == high:
        raise InputError(path, f"every voxel has the value {low:g}.", "Export the volume again: it is blank.")


def _blocks(array: RawArray) -> Iterator[tuple[slice, slice, slice]]:
    """Boxes of whole rows in the order of the file; of whole chunks where there are any, so that each is read once."""
    least = getattr(array, "chunks", (1, 1, 1))
    depth, height, width = array.shape
    room = max(1, 2**25 // (width * array.dtype.itemsize * least[0] * least[1]))
    rows = min(room * least[1], height)
    sections = least[0] * max(1, room * least[1] // height)
    for z in range(0, depth, sections):
        for y in range(0, height, rows):
            yield slice(z, min(z + sections, depth)), slice(y, min(y + rows, height)), slice(0, width)
