"""Numbers that cells keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from em2cryo_assets.sem.identity import carry_numbers


def _boxes(*boxes: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros((10, 60), np.int32)
    for label, start, stop in boxes:
        labels[:, start:stop] = label
    return labels


def test_a_first_field_is_numbered_in_order() -> None:
    assert carry_numbers(None, {}, _boxes((4, 0, 10), (2, 20, 30)), 1) == ({2: 1, 4: 2}, 3, set())


def test_relabelled_cells_keep_their_numbers() -> None:
    old = _boxes((1, 0, 10), (2, 20, 30))
    new = _boxes((2, 0, 10), (1, 20, 30))
    assert carry_numbers(old, {1: 5, 2: 9}, new, 10) == ({2: 5, 1: 9}, 10, set())


def test_a_vanished_number_is_retired_and_never_given_again() -> None:
    old = _boxes((1, 0, 10), (2, 20, 30))
    numbers, following, retired = carry_numbers(old, {1: 1, 2: 2}, _boxes((1, 0, 10), (2, 40, 50)), 3)
    assert (numbers, following, retired) == ({1: 1, 2: 3}, 4, {2})


def test_of_two_halves_the_larger_keeps_the_number() -> None:
    numbers, _, retired = carry_numbers(_boxes((1, 0, 20)), {1: 1}, _boxes((1, 0, 7), (2, 7, 20)), 2)
    assert numbers == {1: 2, 2: 1}
    assert not retired


def test_less_than_half_an_overlap_is_another_cell() -> None:
    numbers, _, retired = carry_numbers(_boxes((1, 0, 20)), {1: 1}, _boxes((1, 11, 31)), 2)
    assert numbers == {1: 2}
    assert retired == {1}


_labels = arrays(np.int32, (6, 6), elements=st.integers(0, 5))


@given(old=_labels, new=_labels)
def test_numbers_are_unique_and_nothing_is_lost(old: np.ndarray, new: np.ndarray) -> None:
    first, following, _ = carry_numbers(None, {}, old, 1)
    numbers, last, retired = carry_numbers(old, first, new, following)
    assert set(numbers) == set(np.unique(new).tolist()) - {0}
    assert len(set(numbers.values())) == len(numbers)
    kept = set(numbers.values()) & set(first.values())
    assert kept | retired == set(first.values())
    assert not kept & retired
    assert set(numbers.values()) - kept == set(range(following, last))
    assert carry_numbers(old, first, old, following) == (first, following, set())


def test_a_used_next_number_is_refused() -> None:
    with pytest.raises(ValueError, match="already given"):
        carry_numbers(_boxes((1, 0, 9)), {1: 4}, _boxes((1, 0, 9)), 4)
    with pytest.raises(ValueError, match="without a number"):
        carry_numbers(_boxes((1, 0, 9)), {}, _boxes((1, 0, 9)), 4)
