"""Regular grids about a mesh, and interpolation between them.

Belongs here: boxes of voxels and linear resampling of one grid on a block of another.
Does not belong here: what the samples mean (`fusion.volume`).
"""

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.geometry.grid import Grid

__all__ = ["box_grid", "interpolated"]


def box_grid(low: NDArray[np.float64], high: NDArray[np.float64], voxel_nm: float, margin_nm: float) -> Grid:
    """Cubic voxels centred on a box, with a margin.

    Parameters
    ----------
    low, high : numpy.ndarray, float64, shape (3,)
        Corners of the box, (z, y, x), nm.
    voxel_nm, margin_nm : float
        Voxel side, and what is added on every side of the box.

    Returns
    -------
    Grid
    """
    shape = np.ceil((high - low + 2 * margin_nm) / voxel_nm).astype(int) + 1
    origin = (low + high) / 2 - (shape - 1) / 2 * voxel_nm
    return Grid(
        (int(shape[0]), int(shape[1]), int(shape[2])),
        (voxel_nm, voxel_nm, voxel_nm),
        (float(origin[0]), float(origin[1]), float(origin[2])),
    )


def interpolated(
    values: NDArray[np.float32], source: Grid, target: Grid, start: tuple[int, ...], stop: tuple[int, ...]
) -> NDArray[np.float32]:
    """Interpolate linearly from one regular grid to a block of another, one axis at a time.

    Parameters
    ----------
    values : numpy.ndarray, float32, shape of ``source``
        Samples.
    source, target : Grid
        Where they are, and where they are wanted.
    start, stop : tuple of int
        Block of the target, half open; points outside the source take its border value.

    Returns
    -------
    numpy.ndarray, float32, shape ``stop - start``
    """
    places = []
    for axis in range(3):
        position = (target.axis_nm(axis, start[axis], stop[axis]) - source.origin_nm[axis]) / source.voxel_nm[axis]
        below = np.clip(np.floor(position).astype(int), 0, source.shape[axis] - 2)
        places.append((below, np.clip(position - below, 0.0, 1.0).astype(np.float32)))
    used = tuple(slice(int(below[0]), int(below[-1]) + 2) for below, _ in places)
    result = values[used]
    # The slow axis last and plane by plane, which stays in the cache: 8 instead of 26 ms for 128³ voxels.
    for axis in (2, 1):
        below, weight = places[axis][0] - used[axis].start, places[axis][1]
        weight = weight.reshape([-1 if i == axis else 1 for i in range(3)])
        result = result.take(below, axis=axis) * (1 - weight) + result.take(below + 1, axis=axis) * weight
    below, weight = places[0][0] - used[0].start, places[0][1]
    out = np.empty((len(below), *result.shape[1:]), np.float32)
    for plane, low, share in zip(out, below, weight, strict=True):
        np.multiply(result[low], 1 - share, out=plane)
        plane += result[low + 1] * share
    return out
