import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from em2cryo_assets.formats.calibrate import burnt_in, find_data_bar, find_scale_bar, length_nm
from em2cryo_assets_tests.formats.drawn import blobs, with_data_bar, with_plain_bar

_REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")
needs_reference = pytest.mark.skipif(not _REFERENCE, reason="EM2CRYO_REFERENCE_DATA is not set")


@settings(deadline=None, max_examples=25)
@given(length=st.integers(50, 250), seed=st.integers(0, 5))
def test_a_plain_bar_is_measured_to_the_pixel(length: int, seed: int) -> None:
    bar = find_scale_bar(with_plain_bar(blobs(seed=seed), length))
    assert bar is not None
    assert not bar.bright
    assert bar.length_px == pytest.approx(length, abs=0.5)


@settings(deadline=None, max_examples=25)
@given(length=st.integers(130, 280), rows=st.integers(24, 50), seed=st.integers(0, 5))
def test_a_bar_interrupted_by_its_caption_is_measured_whole(length: int, rows: int, seed: int) -> None:
    image = with_data_bar(blobs(seed=seed, shape=(240, 480)), rows, length)
    bar = find_scale_bar(image)
    assert bar is not None
    assert bar.length_px == pytest.approx(length, abs=1)
    assert find_data_bar(image) == rows


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), ground=st.sampled_from([0.0, 2.0, 8.0, 60.0]))
def test_an_image_without_marks_has_none(seed: int, ground: float) -> None:
    image = blobs(seed=seed, ground=ground)  # a ground near 0 is clipped: many pixels share one grey
    assert find_data_bar(image) == 0
    assert find_scale_bar(image) is None


def test_a_blurred_bar_is_measured_to_a_fraction_of_a_pixel() -> None:
    image = with_plain_bar(blobs((480, 640)), 200).astype(np.float64)
    bar = find_scale_bar(ndimage.gaussian_filter(image, 0.7))
    assert bar is not None
    assert bar.length_px == pytest.approx(200, abs=1)


def test_a_flat_band_at_the_bottom_is_excluded_but_a_flat_image_is_not() -> None:
    image = blobs()
    padded = np.vstack([image, np.zeros((30, image.shape[1]), np.uint8)])
    assert find_data_bar(padded) == 30
    assert find_data_bar(np.zeros((200, 200))) == 0


def test_burnt_in_covers_box_and_letters_and_little_else() -> None:
    plain = blobs()
    marked = with_plain_bar(plain, 100)
    bar = find_scale_bar(marked)
    assert bar is not None
    covered = burnt_in(marked, bar)
    assert covered[plain != marked].all()
    assert covered.sum() < 2 * (plain != marked).sum()


def test_where_not_to_look_is_respected() -> None:
    image = with_data_bar(blobs(shape=(240, 480)), 40, 200)
    excluded = np.zeros(image.shape, bool)
    excluded[-40:] = True
    assert find_scale_bar(image, excluded) is None


def test_lengths_need_a_unit() -> None:
    assert length_nm("5 um") == length_nm("5µm") == length_nm("5 μm") == 5000
    assert length_nm("0,5 um") == length_nm("500 nm") == length_nm("5000 Å") == 500
    for text in ("5", "um", "-5 um", "0 nm", "5 pixels", "5 um 3", ""):
        with pytest.raises(ValueError, match="not a length"):
            length_nm(text)


@needs_reference
def test_the_bar_of_a_real_field_is_found() -> None:
    from PIL import Image

    grey = np.asarray(Image.open(Path(_REFERENCE or "", "sem/saccharomyces_field.jpg")).convert("L"))
    bar = find_scale_bar(grey)
    assert bar is not None
    assert bar.length_px == pytest.approx(234, rel=0.01)  # measured by hand
    assert find_data_bar(grey) == 0


@needs_reference
@pytest.mark.parametrize("detector", "ABC")
def test_data_bar_and_scale_of_a_real_microscope_are_found_without_its_tags(detector: str) -> None:
    import tifffile

    pixels = tifffile.imread(Path(_REFERENCE or "", f"sem/vickers_bse/detector_{detector}.tif"))
    assert find_data_bar(pixels) == 79
    bar = find_scale_bar(pixels)
    assert bar is not None
    # 40 um at the 65.1042 nm of the tags; the ticks at both ends are 3 px wide.
    assert bar.length_px == pytest.approx(40e3 / 65.1042, abs=3)
