"""Simulated sections: what was cut is what is labelled, whatever was done to the picture."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from em2cryo_assets.phantom.contrast import LABEL_OF_MATERIAL
from em2cryo_assets.tem.section_network import WORKING_NM
from em2cryo_assets.tem.section_pictures import Slice, load_slices, picture, save_slices, simulated_slices
from em2cryo_assets.vocabulary import LABELS

SIDE = 280


@pytest.fixture(scope="module")
def slices() -> list[Slice]:
    return simulated_slices(3, 3, WORKING_NM)


def test_slices_are_those_of_their_seed_and_come_back_from_file(slices: list[Slice], tmp_path: Path) -> None:
    save_slices(slices, tmp_path / "cell.npz")
    for again in (load_slices(tmp_path / "cell.npz"), simulated_slices(3, 3, WORKING_NM)):
        for one, other in zip(again, slices, strict=True):
            np.testing.assert_array_equal(one.coverage, other.coverage)
            np.testing.assert_array_equal(one.labels, other.labels)
            assert one.pixel_nm == other.pixel_nm


def test_the_middle_of_a_section_holds_what_its_thickness_holds(slices: list[Slice]) -> None:
    # Delesse: through the thickness as in its middle, up to what an oblique surface moves.
    of_wall = LABELS["wall"] == LABEL_OF_MATERIAL
    for one in slices:
        shares = one.coverage.sum(axis=(1, 2)) / 255.0
        assert shares[1:].sum() == pytest.approx(np.count_nonzero(one.labels), rel=0.05)
        assert shares[of_wall].sum() == pytest.approx(np.count_nonzero(one.labels == LABELS["wall"]), rel=0.1)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_cell_keeps_its_area_but_for_compression(slices: list[Slice], seed: int) -> None:
    shown = picture(slices[:1], SIDE, WORKING_NM, np.random.default_rng(seed), whole=True)
    there = np.count_nonzero(slices[0].labels)
    if shown.known.all():  # a fold hides some of it
        assert 0.64 * there < np.count_nonzero(shown.labels) < 1.01 * there
    np.testing.assert_array_equal(shown.labels > 0, shown.profiles > 0)
    assert np.isfinite(shown.image).all()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000))
def test_cells_touch_or_lie_close_and_none_lies_on_another(slices: list[Slice], seed: int) -> None:
    shown = picture(slices[:2], SIDE, WORKING_NM, np.random.default_rng(seed))
    if {1, 2} <= set(np.unique(shown.profiles)) and shown.known.all():
        apart = ndimage.distance_transform_edt(shown.profiles != 1)[shown.profiles == 2].min()
        assert apart < 40


def test_the_same_draw_gives_the_same_picture_and_nothing_gives_resin(slices: list[Slice]) -> None:
    one, other = (picture(slices, SIDE, WORKING_NM, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.image, other.image)
    assert not picture([], 96, WORKING_NM, np.random.default_rng(5)).labels.any()


def test_dense_is_high_unless_a_picture_is_inverted(slices: list[Slice]) -> None:
    # Over many draws, resin is paler than cells where the picture is not inverted: most are not.
    darker = []
    for seed in range(12):
        shown = picture(slices[:1], SIDE, WORKING_NM, np.random.default_rng(seed), whole=True)
        body = shown.labels == LABELS["cytoplasm"]
        darker.append(shown.image[body].mean() > shown.image[shown.labels == 0].mean())
    assert 6 < sum(darker) <= 12
