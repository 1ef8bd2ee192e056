"""Overlap of labels: what Dice and bias of known pairs are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from em2cryo_assets.learning.overlap import counted_pairs, overlap_table, pooled_overlap

CODES = {"a": 0, "b": 1, "c": 2}


@settings(max_examples=30, deadline=None)
@given(truth=hnp.arrays(np.uint8, (5, 7), elements=st.integers(0, 2)))
def test_equal_labels_overlap_wholly_without_bias(truth):
    counts = counted_pairs(truth, truth, 3)
    assert counts.sum() == truth.size
    for dice, bias in pooled_overlap(counts, CODES).values():
        assert dice == 1.0
        assert bias == 0.0


def test_dice_and_bias_are_those_of_the_definition():
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.uint8)
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1], np.uint8)
    found = pooled_overlap(counted_pairs(truth, labels, 3), CODES)
    assert found["a"] == (pytest.approx(2 * 2 / (4 + 2)), pytest.approx(-0.5))
    assert found["b"] == (pytest.approx(2 * 4 / (4 + 6)), pytest.approx(0.5))
    assert "c" not in found


def test_the_interval_of_images_that_differ_holds_the_pooled_value():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (20, 400)).astype(np.uint8)
    labels = np.where(rng.random(truth.shape) < rng.uniform(0.1, 0.9, (20, 1)), truth, 0).astype(np.uint8)
    table = overlap_table(np.stack([counted_pairs(t, g, 3) for t, g in zip(truth, labels, strict=True)]), CODES)
    assert (table["dice_low"] < table["dice"]).all()
    assert (table["dice"] < table["dice_high"]).all()
    assert (table["images"] == 20).all()
