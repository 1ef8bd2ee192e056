"""A simulated cell as volumes, computed chunk by chunk.

Belongs here: labels and noiseless density of a scene on a regular grid, of any size, lazily.
Does not belong here: the scene (`scene`, `label_scene`), what a microscope makes of it, or writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.contrast import nominal
from em2cryo_assets.phantom.protocol import Scene

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["Raster", "rasterize"]

_TILE = 8
"""Voxels along the side of the cubes that are kept or left out as a whole."""

_BLOCK = 32
"""Voxels along the side of what is sampled in one go: 32,768 points stay in a core's cache."""

_LOOSENESS = 1.4
"""The distance far from the surface is of first order and up to a quarter too large for the longest cells."""


@dataclass(frozen=True)
class Raster:
    """Volumes of a cell.

    Parameters
    ----------
    labels : dask.array.Array, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS`.
    density : dask.array.Array, float32, shape (z, y, x)
        High = dense, without texture or noise.
    """

    labels: da.Array
    density: da.Array


def rasterize(cell: Scene, grid: Grid, *, modality: str = "tem", chunk: int = 128) -> Raster:
    """Sample a cell at the centres of all voxels.

    Nothing is computed here; each chunk is a pure function of the cell and its place, so that any scheduler gives
    the same bytes and memory is bounded by the chunks at work (about 25 bytes a voxel of a chunk).

    Parameters
    ----------
    cell : Scene
        A drawn or labelled cell.
    grid : Grid
        Voxels in the frame of the cell, (z, y, x).
    modality : str
        Key of `contrast.CONTRASTS`, for the density.
    chunk : int
        Voxels along the side of a chunk.

    Returns
    -------
    Raster
        Both volumes, lazily; asked for together they are sampled once.

    Raises
    ------
    ValueError
        If the grid is empty or the chunk is not positive.
    """
    import dask.array as da

    if min(grid.shape) < 1 or chunk < 1:
        raise ValueError(f"A grid of {grid.shape} voxels in chunks of {chunk} holds nothing.")
    sides = [[min(chunk, n - start) for start in range(0, n, chunk)] for n in grid.shape]
    both = da.map_blocks(
        _sampled,
        cell=cell,
        grid=grid,
        chunk=chunk,
        chunks=(*map(tuple, sides), (2,)),
        dtype=np.uint8,
        meta=np.empty((0,) * 4, dtype=np.uint8),
    )
    table = nominal(modality)
    return Raster(both[..., 1], da.map_blocks(table.__getitem__, both[..., 0], dtype=np.float32))


def _sampled(cell: Scene, grid: Grid, chunk: int, block_id: tuple[int, ...]) -> NDArray[np.uint8]:
    """Material and label of one chunk, shape (z, y, x, 2)."""
    start = [i * chunk for i in block_id[:3]]
    axes = [
        grid.axis_nm(axis, low, min(low + chunk, grid.shape[axis])).astype(np.float32) for axis, low in enumerate(start)
    ]
    shape = tuple(map(len, axes))
    out = np.zeros((*shape, 2), dtype=np.uint8)
    for z in range(0, shape[0], _BLOCK):
        for y in range(0, shape[1], _BLOCK):
            for x in range(0, shape[2], _BLOCK):
                place = tuple(slice(low, low + _BLOCK) for low in (z, y, x))
                _sample_block(cell, [a[s] for a, s in zip(axes, place, strict=True)], grid.voxel_nm, out[place])
    return out


def _sample_block(
    cell: Scene, axes: list[NDArray[np.float32]], voxel_nm: tuple[float, float, float], out: NDArray[np.uint8]
) -> None:
    """Fill the voxels of a block that may lie in the cell; the others stay zero, which is outside."""
    # Middle of each tile; one at the border may be smaller, and its middle is then still within reach.
    middles = [a[::_TILE] + np.float32(0.5 * (_TILE - 1) * side) for a, side in zip(axes, voxel_nm, strict=True)]
    tiles = np.stack([m.ravel() for m in np.meshgrid(*middles, indexing="ij")])
    reach = 0.5 * _TILE * float(np.linalg.norm(voxel_nm))
    near = cell.body.distance(tiles.T, exact=False) < _LOOSENESS * (reach + cell.raised_nm)
    if not near.any():
        return
    kept = near.reshape([len(m) for m in middles])
    for axis in range(3):
        kept = np.repeat(kept, _TILE, axis=axis)
    z, y, x = np.nonzero(kept[: out.shape[0], : out.shape[1], : out.shape[2]])
    material, labels = cell.sharp(np.stack([axes[0][z], axes[1][y], axes[2][x]]))
    out[z, y, x, 0], out[z, y, x, 1] = material, labels
