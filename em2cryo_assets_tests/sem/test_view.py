"""Crops of single cells."""

import numpy as np
import pytest

from em2cryo_assets.sem.view import crop_cell


def _field() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((40, 50), np.int32)
    labels[2:12, 30:48] = 7
    labels[20:30, 5:15] = 2
    return np.arange(2000, dtype=np.float32).reshape(40, 50), labels


def test_a_crop_holds_the_cell_and_knows_where_it_was() -> None:
    image, labels = _field()
    view = crop_cell(image, labels, 2, margin_px=3)
    assert view.offset_yx == (17, 2)
    assert view.image.shape == view.mask.shape == (16, 16)
    assert view.mask.sum() == 100
    assert view.image[0, 0] == image[17, 2]


def test_a_margin_ends_at_the_border() -> None:
    image, labels = _field()
    view = crop_cell(image, labels, 7, margin_px=5)
    assert view.offset_yx == (0, 25)
    assert view.mask.shape == (17, 25)


def test_the_crop_is_a_copy() -> None:
    image, labels = _field()
    crop_cell(image, labels, 2).image[:] = -1
    assert image.min() == 0


def test_a_label_that_is_not_there_is_refused() -> None:
    image, labels = _field()
    with pytest.raises(ValueError, match="label 3"):
        crop_cell(image, labels, 3)
    with pytest.raises(ValueError, match="label 0"):
        crop_cell(image, labels, 0)
    with pytest.raises(ValueError, match="agree"):
        crop_cell(image[:-1], labels, 2)
