"""A regular voxel grid in nanometres.

Belongs here: the relation between voxel indices and nanometre positions.
Does not belong here: anything sampled on the grid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """Axis-aligned voxel grid; all triples are (z, y, x).

    Parameters
    ----------
    shape : tuple of int
        Number of voxels along z, y, x.
    voxel_nm : tuple of float
        Voxel side along z, y, x, in nm.
    origin_nm : tuple of float
        Position of the *centre* of voxel (0, 0, 0), in nm.
    """

    shape: tuple[int, int, int]
    voxel_nm: tuple[float, float, float]
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def axis_nm(self, axis: int, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Centres of voxels ``start:stop`` along one axis, in nm, shape (stop - start,)."""
        stop = self.shape[axis] if stop is None else stop
        return self.origin_nm[axis] + self.voxel_nm[axis] * np.arange(start, stop, dtype=np.float64)
