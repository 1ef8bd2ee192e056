"""Halving images and labels.

Belongs here: how one level of a pyramid follows from the finer one.
Does not belong here: chunks, files and metadata (`store.images`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["halve_image", "halve_labels", "level_shapes"]


def level_shapes(shape: tuple[int, ...], chunk: int) -> list[tuple[int, ...]]:
    """Shapes of all levels, finest first: sides halved, rounded up, until the longest fits into one chunk."""
    shapes = [shape]
    while max(shapes[-1]) > chunk:
        shapes.append(tuple(_half(side) for side in shapes[-1]))
    return shapes


def halve_image(block: NDArray[Any]) -> NDArray[Any]:
    """Mean over blocks of two voxels along each axis.

    Axis after axis in pairs, because that costs a quarter of ``reshape(...).mean(...)``; and a volume two planes at
    a time, because the sums of two planes stay in the processor's cache: 0.15 instead of 0.28 CPU s for 512 MiB of
    16-bit voxels. The last voxel of an odd side is averaged with itself. Integers are rounded half up once, at the
    end.

    Parameters
    ----------
    block : numpy.ndarray, shape (y, x) or (z, y, x)
        Values; float32 or an integer type of at most 32 bits.

    Returns
    -------
    numpy.ndarray
        Same dtype, sides halved (rounded up).
    """
    if block.ndim == 3 and len(block) > 2:
        halved = np.empty([_half(side) for side in block.shape], block.dtype)
        for number in range(len(halved)):
            halved[number] = halve_image(block[2 * number : 2 * number + 2])[0]
        return halved
    if block.dtype.kind == "f":
        total = _sums(block, block.dtype)
        total *= 0.5**block.ndim
        return total
    # Eight 8-bit values fit into 16 bits, eight 16-bit values into 32, so the sums never overflow.
    total = _sums(block, np.dtype({1: np.int16, 2: np.int32, 4: np.int64}[block.itemsize]))
    total += 1 << (block.ndim - 1)
    total >>= block.ndim
    return total.astype(block.dtype)


def halve_labels(block: NDArray[Any]) -> NDArray[Any]:
    """Every second voxel along each axis.

    Not the most frequent value: a majority erases a one-voxel membrane and a thin wall from the first level,
    whereas sampling keeps every label's share of the volume on average and never mixes two codes.
    """
    return np.ascontiguousarray(block[(slice(None, None, 2),) * block.ndim])


def _half(side: int) -> int:
    return -(-side // 2)


def _sums(block: NDArray[Any], dtype: np.dtype) -> NDArray[Any]:
    for axis in range(block.ndim):
        view = np.moveaxis(block, axis, 0)
        pairs = len(view) // 2
        shape = list(block.shape)
        shape[axis] = _half(shape[axis])
        # The result keeps the memory order of the block, so that the next axis is read along its lines.
        sums = np.moveaxis(np.empty(shape, dtype), axis, 0)
        np.add(view[0 : 2 * pairs : 2], view[1 : 2 * pairs : 2], out=sums[:pairs], dtype=dtype)
        if len(view) % 2:
            np.add(view[-1:], view[-1:], out=sums[pairs:], dtype=dtype)
        block = np.moveaxis(sums, 0, axis)
    return block
