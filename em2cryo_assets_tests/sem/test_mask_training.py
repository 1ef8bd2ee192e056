"""Simulated fields, what is asked of the network about them, and what is done to them."""

from dataclasses import replace

import numpy as np
import pytest

from em2cryo_assets.sem.mask_augmentation import augmented, with_bar
from em2cryo_assets.sem.mask_network import MAPS, OFFSET_NM, WORKING_NM
from em2cryo_assets.sem.mask_targets import targets
from em2cryo_assets.sem.mask_training import (
    BUD_AREA_UM2,
    Field,
    empty_field,
    load_field,
    save_field,
    simulated_field,
)

_UM2 = (WORKING_NM / 1000.0) ** 2


@pytest.fixture(scope="module")
def field() -> Field:
    return simulated_field(1, 192, held_out=True)


def _discs() -> Field:
    """A mother of 15 px with a bud of 8 px in front, and a cell alone."""
    y, x = np.indices((96, 96))
    labels = np.zeros((96, 96), np.int32)
    labels[np.hypot(y - 40, x - 35) < 15] = 1
    labels[np.hypot(y - 40, x - 52) < 8] = 2
    labels[np.hypot(y - 75, x - 75) < 12] = 3
    image = np.where(labels > 0, 150, 30).astype(np.uint8)
    centres = np.array([[0, 0], [40, 35], [40, 52], [75, 75]], np.float32)
    counts, full = np.array([False, True, True, True]), np.ones(4, np.float32)
    return Field(image, labels, np.array([0, 0, 1, 0], np.int32), centres, full, 0 * full, counts)


def test_a_field_holds_many_instances_of_the_size_of_cells_and_comes_back(field: Field, tmp_path) -> None:
    areas = np.bincount(field.labels.ravel())[1:] * _UM2
    assert field.counts.sum() > 5
    assert 2.0 < np.percentile(areas[field.counts[1:]], 90) < 25.0
    assert field.image[field.labels > 0].std() > 10
    save_field(field, tmp_path / "one.npz")
    again, drawn = load_field(tmp_path / "one.npz"), simulated_field(1, 192, held_out=True)
    for name in ("image", "labels", "mother_of", "centres", "visible", "depth_nm", "counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(field, name))
        np.testing.assert_array_equal(getattr(drawn, name), getattr(field, name))


def test_a_bud_that_shows_enough_is_an_instance_with_a_mother(field: Field) -> None:
    fields = [field, simulated_field(2, 192, held_out=True)]
    buds = [(f, k) for f in fields for k in np.flatnonzero(f.mother_of)]
    assert buds
    for f, bud in buds:
        mother = f.mother_of[bud]
        assert (f.labels == bud).sum() * _UM2 >= 0.9 * BUD_AREA_UM2
        assert (f.labels == mother).any()
        apart = np.hypot(*(f.centres[bud] - f.centres[mother])) * WORKING_NM
        assert apart < 4000  # within a cell and its bud
        inside = np.argwhere(f.labels == bud).mean(axis=0)
        if f.visible[bud] > 0.9:  # wholly seen: the centre that is voted for is where the bud is
            assert np.hypot(*(inside - f.centres[bud])) * WORKING_NM < 600


def test_a_cell_of_which_no_outline_shows_is_no_target(field: Field) -> None:
    hidden = replace(field, counts=np.zeros_like(field.counts))
    target = targets(hidden)
    assert not target.maps[:4].any()
    dark = np.bincount(field.labels.ravel(), field.image.ravel()) / np.maximum(np.bincount(field.labels.ravel()), 1)
    assert target.weight[field.labels == 0].min() == 1
    if (field.labels == int(dark[1:].argmax()) + 1).any():
        assert target.weight[field.labels == int(dark[1:].argmax()) + 1].max() == 0


def test_targets_of_discs_are_what_geometry_says() -> None:
    field = _discs()
    maps = dict(zip(MAPS, targets(field).maps, strict=True))
    np.testing.assert_array_equal(maps["foreground"], field.labels > 0)
    y, x = np.indices(field.labels.shape)
    for number in (1, 2, 3):
        inside = field.labels == number
        at = np.stack([y, x]) + np.stack([maps["offset_y"], maps["offset_x"]]) * (OFFSET_NM / WORKING_NM)
        np.testing.assert_allclose(at[:, inside], np.repeat(field.centres[number][:, None], inside.sum(), 1), atol=1e-3)
    lone = field.labels == 3
    away = 12 - np.hypot(y - 75, x - 75)
    np.testing.assert_allclose(maps["distance"][lone], np.clip(away[lone] * WORKING_NM / 800, 0, 1), atol=0.1)
    # The outline is a ring two pixels wide, and only that between mother and bud is a neck.
    assert maps["boundary"][lone].sum() == pytest.approx(2 * np.pi * 11.5, rel=0.3)
    assert not maps["boundary"][np.hypot(y - 75, x - 75) < 9].any()
    necks = np.argwhere(maps["neck"] > 0)
    assert len(necks) > 8
    assert set(np.unique(field.labels[maps["neck"] > 0])) == {1, 2}


def test_pictures_without_cells_have_contrast_and_no_target() -> None:
    rng = np.random.default_rng(0)
    images = [empty_field((64, 80), rng) for _ in range(12)]
    assert all(image.shape == (64, 80) and image.std() > 1 for image in images)
    none = simulated_field(29, 64)  # one of the twelfth of training fields that hold no cell
    assert none.labels.max() == 0
    assert not targets(none).maps.any()
    assert targets(none).weight.min() == 1


def test_offsets_turn_with_the_picture() -> None:
    field = _discs()
    target = targets(field)
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(12):
        _, maps, _ = augmented(field.image, target, 96, rng)
        if not maps.any():
            continue
        # Whichever way it was laid down, the pixels of the lone cell still point to its middle.
        from scipy import ndimage

        parts, n = ndimage.label(maps[0] > 0)
        for part in range(1, n + 1):
            where = np.argwhere(parts == part)
            if not 300 < len(where) < 480:
                continue
            votes = where + maps[4:, parts == part].T * (OFFSET_NM / WORKING_NM)
            assert np.abs(votes - where.mean(axis=0)).max() < 1.0
            seen += 1
    assert seen >= 5


def test_a_plate_with_a_bar_is_no_image_and_bare_text_is_not_judged() -> None:
    kinds = set()
    for seed in range(12):
        grey = np.full((96, 128), 100, np.float32)
        out, bar, text = with_bar(grey, np.random.default_rng(seed))
        changed = out != grey
        assert changed.any()
        assert (changed & ~bar & ~text).sum() == 0
        kinds.add(bool(bar.any()))
    assert kinds == {True, False}
