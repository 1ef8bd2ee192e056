"""How well given labels cover the true ones, pooled over many images or volumes.

Belongs here: counting, Dice, bias of the amount, intervals. Does not belong here: what is judged.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["counted_pairs", "overlap_table", "pooled_overlap"]

_DRAWS: Final = 1000


def counted_pairs(truth: NDArray[np.uint8], labels: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """Elements by true (rows) and given code (columns), int64, shape (size, size)."""
    pairs = truth.astype(np.int64) * size + labels
    return np.bincount(pairs.ravel(), minlength=size * size).reshape(size, size)


def pooled_overlap(amounts: NDArray[np.floating], codes: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Dice and relative bias of the amount of each label.

    Parameters
    ----------
    amounts : numpy.ndarray, shape (n, n)
        True (rows) and given (columns) areas or volumes, summed over all images.
    codes : mapping of str to int
        Row of each label.

    Returns
    -------
    dict
        By label; those that the truth does not hold are left out.
    """
    true, given = amounts.sum(axis=1), amounts.sum(axis=0)
    return {
        name: (float(2.0 * amounts[k, k] / (true[k] + given[k])), float(given[k] / true[k] - 1.0))
        for name, k in codes.items()
        if true[k] > 0
    }


def overlap_table(amounts: NDArray[np.floating], codes: Mapping[str, int]) -> pd.DataFrame:
    """One row a label, with an interval.

    Parameters
    ----------
    amounts : numpy.ndarray, shape (images, n, n)
        One matrix as for `pooled_overlap` an independent image.
    codes : mapping of str to int
        Row of each label.

    Returns
    -------
    pandas.DataFrame
        label, dice, dice_low, dice_high (95 %, bootstrap over images), bias (relative), images (that hold the label).
    """
    rng = np.random.default_rng(0)
    count = len(amounts)
    drawn = [pooled_overlap(amounts[rng.integers(count, size=count)].sum(axis=0), codes) for _ in range(_DRAWS)]
    rows = []
    for name, (dice, bias) in pooled_overlap(amounts.sum(axis=0), codes).items():
        low, high = np.percentile([d[name][0] for d in drawn if name in d], (2.5, 97.5))
        images = int((amounts[:, codes[name]].sum(axis=1) > 0).sum())
        rows.append((name, dice, float(low), float(high), bias, images))
    return pd.DataFrame(rows, columns=["label", "dice", "dice_low", "dice_high", "bias", "images"])
