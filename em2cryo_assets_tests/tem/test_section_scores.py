"""Overlap and bias of labels, on cases that can be counted by hand."""

import numpy as np
import pytest

from em2cryo_assets.tem.section_scores import confusion, judged_pictures, pooled
from em2cryo_assets.vocabulary import LABELS


def _halves() -> np.ndarray:
    truth = np.zeros((4, 10), np.uint8)
    truth[:, 5:] = LABELS["wall"]
    return truth


def test_the_truth_is_perfect_and_what_it_lacks_is_left_out() -> None:
    truth = _halves()
    assert pooled(confusion(truth, truth, np.ones(truth.shape, bool))) == {"outside": (1.0, 0.0), "wall": (1.0, 0.0)}


def test_dice_and_bias_of_a_label_that_is_one_column_too_wide() -> None:
    truth, labels = _halves(), _halves()
    labels[:, 4] = LABELS["wall"]
    dice, bias = pooled(confusion(truth, labels, np.ones(truth.shape, bool)))["wall"]
    assert dice == pytest.approx(2 * 20 / (20 + 24))
    assert bias == pytest.approx(0.2)


def test_what_is_not_known_counts_for_nothing() -> None:
    truth, labels, known = _halves(), _halves(), np.ones((4, 10), bool)
    labels[:, 4] = LABELS["wall"]
    known[:, 4] = False
    assert pooled(confusion(truth, labels, known))["wall"] == (1.0, 0.0)


def test_held_out_sections_are_the_same_each_time_and_of_three_kinds() -> None:
    first, again = list(judged_pictures(1, seed=7)), list(judged_pictures(1, seed=7))
    assert [one.kind for one in first] == ["trained stains", "held-out stains", "another renderer"]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.picture.image, other.picture.image)
        assert one.picture.image.shape == one.picture.labels.shape == one.picture.known.shape
        assert one.picture.labels.any()
