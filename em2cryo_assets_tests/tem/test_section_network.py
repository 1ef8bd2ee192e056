"""The released network: what it sees, and that it labels sections it was not made from."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from em2cryo_assets.tem.section_decoding import network_section
from em2cryo_assets.tem.section_network import (
    CLASSES,
    MAPS,
    WEIGHTS,
    WORKING_NM,
    at_working_size,
    normalised,
    section_maps,
)
from em2cryo_assets.vocabulary import LABELS

PIXEL_NM = 12.0
Section = tuple[NDArray[np.float32], NDArray[np.uint8]]


def _dice(found: NDArray[np.uint8], truth: NDArray[np.uint8], label: str) -> float:
    a, b = found == LABELS[label], truth == LABELS[label]
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.01, 5000), offset=st.floats(-1e3, 1e3))
def test_units_of_density_do_not_matter(gain: float, offset: float) -> None:
    image = np.random.default_rng(0).normal(0.4, 0.2, (60, 70))
    np.testing.assert_allclose(normalised(gain * image + offset), normalised(image), atol=0.02)


@pytest.mark.parametrize("pixel_nm", [2.0, 7.3, 20.0, 31.0])
def test_a_section_keeps_its_extent_and_mean_at_the_working_size(pixel_nm: float) -> None:
    image = np.random.default_rng(0).normal(5.0, 1.0, (240, 300))
    small = at_working_size(image, pixel_nm)
    for wide, narrow in zip(image.shape, small.shape, strict=True):
        assert narrow * WORKING_NM == pytest.approx(wide * pixel_nm, abs=WORKING_NM / 2)
    assert small.mean() == pytest.approx(5.0, abs=0.05)


def test_the_weights_are_small_enough_to_ship() -> None:
    assert WEIGHTS.stat().st_size < 2.5e6
    assert {f.suffix for f in WEIGHTS.parent.glob("section_labels*")} >= {".safetensors", ".md", ".csv"}


def test_maps_are_probabilities_and_a_mirrored_section_gives_mirrored_maps(typical: Section) -> None:
    image = at_working_size(typical[0], PIXEL_NM)[:208, :208]
    maps = section_maps(image)
    assert maps.shape == (len(MAPS), *image.shape)
    np.testing.assert_allclose(maps[: len(CLASSES)].sum(axis=0), 1.0, atol=1e-4)
    np.testing.assert_allclose(section_maps(image[:, ::-1])[:, :, ::-1], maps, atol=0.02)


@pytest.mark.parametrize(
    ("label", "least"),
    [("wall", 0.9), ("cytoplasm", 0.93), ("nucleus", 0.75), ("vacuole", 0.9), ("mitochondrion", 0.8)],
)
def test_discs_that_no_simulation_drew_are_labelled(typical: Section, label: str, least: float) -> None:
    density, truth = typical
    assert _dice(network_section(density, PIXEL_NM).labels, truth, label) > least


def test_touching_cells_are_two(draw, round_cell) -> None:
    density, _ = draw((240, 420), round_cell(120, 115, 90, 13) + round_cell(120, 296, 90, 13))
    areas = np.bincount(network_section(density, PIXEL_NM).profiles.ravel())[1:]
    assert len(areas) == 2
    assert areas[0] == pytest.approx(areas[1], rel=0.1)


def test_noise_alone_and_a_picture_of_a_few_pixels_are_no_cell() -> None:
    noise = np.random.default_rng(0).normal(size=(200, 200))
    for image in (noise, noise[:3, :2], noise[:1, :1]):
        result = network_section(image, PIXEL_NM)
        assert not result.labels.any()
        assert result.labels.shape == image.shape
        assert result.warnings[0].startswith("No cell found")


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_pixel_size_ten_times_off_gives_no_cell(typical: Section, factor: float) -> None:
    result = network_section(typical[0], PIXEL_NM * factor)
    assert not result.labels.any()
    assert result.warnings


def test_real_fly_tissue_is_not_taken_for_yeast() -> None:
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder or not Path(folder, "tem").is_dir():
        pytest.skip("EM2CRYO_REFERENCE_DATA is not set: no real section to look at")
    from skimage.io import imread

    for name in ("isbi2012_0.png", "isbi2012_12.png"):
        image = imread(Path(folder, "tem", name)).astype(float)
        result = network_section(image.max() - image, 4.0)
        assert result.labels.shape == image.shape
        assert result.warnings
