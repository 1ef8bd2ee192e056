"""Arranging simulated cells in the field of an SEM.

Belongs here: choosing where cells fall so that a field holds clear and occluded ones.
Does not belong here: how they rest and how they look (`pile`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.pile import Relief, drop_cells

__all__ = ["arrange"]

_COARSE = 8
_CLEAR = 0.985


def _coarse(relief: Relief) -> Relief:
    start = (relief.top_nm.shape[0] // 2) % _COARSE
    cut = slice(start, None, _COARSE)
    return Relief(relief.top_nm[cut, cut], relief.bottom_nm[cut, cut], relief.normals[:, cut, cut])


def arrange(
    reliefs: Sequence[Relief], shape: tuple[int, int], reserved: tuple[int, int], *, clear: int, seed: int
) -> list[tuple[int, int]]:
    """Centres at which dropped cells make a field worth a picture.

    A microscopist looks for a place; so does this, by trying positions at an eighth of the resolution.

    Parameters
    ----------
    reliefs : sequence of Relief
        The cells, in order of falling.
    shape : tuple of int
        (y, x) pixels of the picture.
    reserved : tuple of int
        (y, x) size of the lower right corner that a scale bar will cover.
    clear : int
        Cells that must be wholly visible; all cells must be visible by a third.
    seed : int
        Of the positions tried.

    Returns
    -------
    list of tuple of int
        (y, x) pixel of each cell's centre; the best found where nothing fulfils all wishes.
    """
    rng = np.random.default_rng(seed)
    small = [_coarse(relief) for relief in reliefs]
    coarse_shape = (shape[0] // _COARSE, shape[1] // _COARSE)
    best: tuple[float, NDArray[np.int_]] | None = None
    for _ in range(600):
        share = rng.uniform(0.10, 0.90, size=(len(small), 2))
        centres = np.round(share * np.array(coarse_shape)).astype(int)
        pile = drop_cells(small, [(int(y), int(x)) for y, x in centres], coarse_shape)
        corner = pile.owner[-(reserved[0] // _COARSE) :, -(reserved[1] // _COARSE) :]
        covered = set(np.unique(corner).tolist())
        whole = sum(v >= _CLEAR and i not in covered for i, v in enumerate(pile.visible, start=1))
        hidden = sum(max(0.0, 0.35 - v) for v in pile.visible)
        occluded = sum(v < 0.9 for v in pile.visible)
        score = min(whole, clear) + 0.5 * min(occluded, len(small) - clear) - 10.0 * hidden
        if best is None or score > best[0]:
            best = (score, centres)
        if whole >= clear and hidden == 0.0 and occluded >= min(3, len(small) - clear):
            break
    assert best is not None
    return [(int(y) * _COARSE, int(x) * _COARSE) for y, x in best[1]]
