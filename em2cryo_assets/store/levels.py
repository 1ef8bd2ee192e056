"""Writing the levels of a pyramid in one pass and bounded memory.

Belongs here: cutting an array into boxes, halving them while they are in memory, and encoding their chunks.
Does not belong here: metadata of images (`store.images`) and how a level follows from the finer one (`store.pyramid`).
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, Final, Protocol

import dask.array as da
import google_crc32c  # what zarr takes for its own checksums
import numpy as np
import zarr
from numcodecs import Blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from em2cryo_assets.store.pyramid import level_shapes

__all__ = ["Voxels", "write_levels"]

_BOX_BYTES: Final = 32 << 20
"""Largest box of one level in memory if whole rows of chunks are smaller; larger ones gain nothing in speed."""
_ROW_BYTES: Final = 128 << 20
"""Largest box of whole rows of chunks: rows of 2048 float32. Boxes of shorter pieces are read in short runs."""
_THREADS: Final = 4
"""Encoders at work at once, each with a chunk of its own; reading and halving wait for them."""

Box = tuple[slice, ...]


class Voxels(Protocol):
    """Anything of which boxes can be read as arrays, such as a NumPy array or a file that is read lazily."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides, voxels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""

    def __getitem__(self, index: Any) -> Any:
        """Read a box, given as a tuple of slices."""


def write_levels(
    group: zarr.Group, data: Voxels, side: int, axes: list[str], halve: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    """Write all levels of an array below a group, each from the boxes of the finer one while these are in memory.

    A box of a level is made of its eight finer boxes (four or two where an axis is not split), which are written and
    halved into it and then dropped. So every voxel is read and decoded once, and no more than one box of each
    level is in memory: 0.2 to 0.5 GB whatever the size of the volume.

    The chunks are encoded here and not by zarr, whose array writer took 3.0 CPU s beside the 1.2 of reading, encoding
    and writing for 512 MiB of int16. The bytes are the same, which a test asserts.

    Parameters
    ----------
    group : zarr.Group
        Local group; arrays ``0``, ``1``, … are made in it.
    data : array, shape (y, x) or (z, y, x)
        Finest level. Boxes of it are read once each, depth first.
    side : int
        Side of a chunk, voxels.
    axes : list of str
        Names of the axes.
    halve : callable
        Makes the box of a coarser level of an array.
    """
    shapes = level_shapes(tuple(data.shape), side)
    levels = [_Level(group, str(number), shape, data.dtype, side, axes) for number, shape in enumerate(shapes)]
    steps = _box_sides(shapes[0], side, data.dtype.itemsize)

    def made(number: int, corner: tuple[int, ...]) -> NDArray[Any]:
        """Write the box at a corner, and all below it; return it."""
        level = levels[number]
        box = tuple(
            slice(start, min(start + step, length))
            for start, step, length in zip(corner, steps, level.shape, strict=True)
        )
        if number == 0:
            piece = data[box]
            block = np.asarray(piece.compute() if isinstance(piece, da.Array) else piece, dtype=level.dtype)
        else:
            block = np.empty([part.stop - part.start for part in box], level.dtype)
            finer = levels[number - 1].shape
            corners = (
                range(2 * part.start, min(2 * part.stop, length), step)
                for part, step, length in zip(box, steps, finer, strict=True)
            )
            for origin in product(*corners):
                halved = halve(made(number - 1, origin))
                start = tuple(at // 2 - part.start for at, part in zip(origin, box, strict=True))
                block[tuple(slice(a, a + n) for a, n in zip(start, halved.shape, strict=True))] = halved
        list(pool.map(lambda chunk: level.write(chunk, block, corner), level.chunks_of(box)))
        return block

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        made(len(levels) - 1, (0,) * len(steps))


class _Level:
    """One array of the pyramid: its metadata by zarr, its chunks by hand."""

    def __init__(
        self, group: zarr.Group, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], side: int, axes: list[str]
    ) -> None:
        self.shape = shape
        self.dtype = dtype.newbyteorder("=")
        self._chunk = tuple(min(side, length) for length in shape)
        array = group.create_array(
            name,
            shape=shape,
            chunks=self._chunk,
            dtype=self.dtype,
            # zstd-1 with bit shuffle: about 440 MB/s a core, where zstd-3 gives 75 MB/s for the same ratio.
            # Blosc has no checksum: of 400 flipped bits of an image it noticed none. This one takes .7 ms beside 6.7
            # for a chunk of 128³ 16-bit voxels, and all are noticed when they are read.
            compressors=[BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"), Crc32cCodec()],
            dimension_names=axes,
            fill_value=0,
        )
        assert isinstance(array.store, zarr.storage.LocalStore)
        self._folder = Path(array.store.root) / array.path / "c"
        # zarr switches numcodecs' own threads off; with them, the order of the blocks in a chunk would vary.
        self._codec = Blosc(cname="zstd", clevel=1, shuffle=Blosc.BITSHUFFLE)

    def chunks_of(self, box: Box) -> Iterator[tuple[int, ...]]:
        """Numbers of the chunks that a box covers."""
        return product(*(range(part.start // n, -(-part.stop // n)) for part, n in zip(box, self._chunk, strict=True)))

    def write(self, chunk: tuple[int, ...], block: NDArray[Any], corner: tuple[int, ...]) -> None:
        """Encode one chunk of a box and write it, unless all its bytes are zero: it then reads as the fill value."""
        start = [number * n - at for number, n, at in zip(chunk, self._chunk, corner, strict=True)]
        part = block[tuple(slice(a, a + n) for a, n in zip(start, self._chunk, strict=True))]
        if part.shape != self._chunk:
            padded = np.zeros(self._chunk, self.dtype)
            padded[tuple(slice(n) for n in part.shape)] = part
            part = padded
        part = np.ascontiguousarray(part)
        bits = part.reshape(-1).view(f"u{part.itemsize}")  # not the values, of which -0.0 equals 0
        if not bits[0] and not bits.any():
            return
        path = self._folder.joinpath(*map(str, chunk))
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = self._codec.encode(part)
        with path.open("wb") as handle:
            handle.write(encoded)
            handle.write(google_crc32c.value(encoded).to_bytes(4, "little"))


def _box_sides(shape: tuple[int, ...], side: int, itemsize: int) -> list[int]:
    """Sides of a box: a chunk each at least, and as long as memory allows along x, then y, then z.

    Long along x and y because raw volumes lie on disk section by section: a box is then read in long runs. Even
    where an axis is split, so that two voxels that are averaged never lie in two boxes.
    """
    least = side + side % 2 * side
    piece = itemsize * least ** len(shape)
    sides: list[int] = []
    for length in reversed(shape):
        room = (_BOX_BYTES if sides else _ROW_BYTES) // piece
        count = max(1, min(room, -(-length // least)))
        piece *= count
        sides.append(count * least)
    return sides[::-1]
