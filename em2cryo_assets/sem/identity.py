"""Which cell is which, when the masks of a field are made anew.

Belongs here: matching new labels to the numbers cells already have.
Does not belong here: keys, partitions or anything stored under a number.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["carry_numbers"]

_SAME_CELL_IOU = 0.5
"""At 0.5 and above two new cells cannot both match one old cell better than each other by chance:
disjoint masks have at most one partner above one half."""


def carry_numbers(
    old_labels: NDArray[np.int32] | None,
    old_numbers: Mapping[int, int],
    new_labels: NDArray[np.int32],
    next_number: int,
) -> tuple[dict[int, int], int, set[int]]:
    """Give new labels the numbers of the old cells they continue.

    Parameters
    ----------
    old_labels : numpy.ndarray, int, shape (y, x), or None
        Labels the numbers were given for; None for a field seen for the first time.
    old_numbers : mapping of int to int
        Number of each old label.
    new_labels : numpy.ndarray, int, shape (y, x)
        Labels to be numbered.
    next_number : int
        The first number never used in this field.

    Returns
    -------
    numbers : dict of int to int
        Number of each new label: that of the old label it overlaps with an intersection over union of at
        least one half (best pairs first, one to one), else an unused one in order of the labels.
    next_number : int
        The first number still unused. Numbers are never given twice.
    retired : set of int
        Numbers of old cells that no new label continues.

    Raises
    ------
    ValueError
        If the shapes differ, an old label has no number, or ``next_number`` was already given.
    """
    if old_numbers and next_number <= max(old_numbers.values()):
        raise ValueError(f"The next number is {next_number}, but {max(old_numbers.values())} was already given.")
    kept: dict[int, int] = {}
    if old_labels is not None:
        if old_labels.shape != new_labels.shape:
            raise ValueError(f"Old labels are {old_labels.shape}, new labels {new_labels.shape}.")
        missing = set(np.unique(old_labels).tolist()) - {0} - set(old_numbers)
        if missing:
            raise ValueError(f"Old labels without a number: {sorted(missing)}.")
        taken: set[int] = set()
        for _, old, new in _overlaps(old_labels, new_labels):
            if old not in taken and new not in kept:
                taken.add(old)
                kept[new] = old_numbers[old]
    numbers: dict[int, int] = {}
    for label in np.unique(new_labels).tolist():
        if label == 0:
            continue
        if label in kept:
            numbers[label] = kept[label]
        else:
            numbers[label] = next_number
            next_number += 1
    return numbers, next_number, set(old_numbers.values()) - set(kept.values())


def _overlaps(old: NDArray[np.int32], new: NDArray[np.int32]) -> list[tuple[float, int, int]]:
    """(IoU, old label, new label) of pairs that may be the same cell, best first, ties by label."""
    pairs, shared = np.unique(
        np.stack([old.ravel(), new.ravel()], axis=1)[(old.ravel() > 0) & (new.ravel() > 0)],
        axis=0,
        return_counts=True,
    )
    old_area = dict(zip(*(a.tolist() for a in np.unique(old, return_counts=True)), strict=True))
    new_area = dict(zip(*(a.tolist() for a in np.unique(new, return_counts=True)), strict=True))
    found = []
    for (o, n), common in zip(pairs.tolist(), shared.tolist(), strict=True):
        iou = common / (old_area[o] + new_area[n] - common)
        if iou >= _SAME_CELL_IOU:
            found.append((iou, o, n))
    return sorted(found, key=lambda item: (-item[0], item[1], item[2]))
