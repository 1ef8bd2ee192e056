"""How thick a slab is, and where its faces lie in a volume that was reconstructed deeper.

Belongs here: faces from labels. Does not belong here: damage below them (:mod:`em2cryo_assets.cryoet.labels`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.vocabulary import LABELS

__all__ = ["slab_planes"]

_HALF: Final = 0.5
_COLUMNS: Final = 0.9


def slab_planes(labels: NDArray[np.integer]) -> slice:
    """Planes that the slab fills.

    Columns along the beam that hold the most of the cell run through the slab from face to face; a face lies where half of
    these columns begin or end.

    Parameters
    ----------
    labels : numpy.ndarray, integer, shape (z, y, x)
        Codes of :data:`em2cryo_assets.vocabulary.LABELS`; empty space before and behind the slab is outside.

    Returns
    -------
    slice
        Along z; all planes where nothing is cell.
    """
    cell = np.asarray(labels) != LABELS["outside"]
    height = cell.sum(axis=0)
    if not height.any():
        return slice(0, len(cell))
    through = height >= np.quantile(height[height > 0], _COLUMNS)
    filled = np.flatnonzero(cell[:, through].mean(axis=1) > _HALF)
    return slice(int(filled[0]), int(filled[-1]) + 1)
