import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from em2cryo_assets.report import raster
from em2cryo_assets.vocabulary import LABELS, SOURCES


@given(
    arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 9), st.integers(1, 9)),
            st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4])),
        ),
    )
)
def test_png_keeps_every_pixel(pixels):
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(raster.png(pixels)))), pixels)


def test_dense_is_dark():
    shown = raster.grey(np.linspace(0, 1, 200, dtype=np.float32).reshape(10, 20))
    assert shown[0, 0] == 255
    assert shown[-1, -1] == 0
    assert (np.diff(shown.ravel().astype(int)) <= 0).all()


def test_grey_ignores_what_is_outside_the_mask_and_not_a_number():
    density = np.tile(np.linspace(0, 1, 20, dtype=np.float32), (20, 1))
    spoiled = density.copy()
    spoiled[0] = 1e6
    spoiled[1] = np.nan
    mask = np.ones_like(density, bool)
    mask[:2] = False
    assert np.array_equal(raster.grey(spoiled, mask)[2:], raster.grey(density[2:]))
    assert not raster.grey(spoiled, mask)[:2].any()
    assert not raster.grey(np.full((3, 3), np.nan, np.float32)).any()


def test_a_constant_picture_is_one_grey_not_a_division_by_zero():
    assert len(np.unique(raster.grey(np.full((4, 4), 0.3, np.float32)))) == 1


@pytest.mark.parametrize("sources", [False, True])
def test_codes_have_colours_that_differ(sources):
    codes = np.array([sorted((SOURCES if sources else LABELS).values())])
    colours = raster.colour_codes(codes, sources=sources)[0].astype(int)
    apart = np.abs(colours[:, None] - colours[None]).sum(-1)
    assert apart[~np.eye(len(colours), dtype=bool)].min() > 60
    assert (raster.colour_codes(np.array([[200]])) == 255).all()


def test_more_uncertain_is_brighter():
    levels = raster.colour_uncertainty(np.linspace(0, 2, 50)[None], 2.0)[0].astype(float)
    luminance = levels @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) >= -1.5).all()
    assert luminance[-1] - luminance[0] > 120


def test_overlay_leaves_cytoplasm_as_recorded():
    grey = np.full((1, 2), 99, np.uint8)
    shown = raster.overlay(grey, np.array([[LABELS["cytoplasm"], LABELS["nucleus"]]]))
    assert (shown[0, 0] == 99).all()
    assert not (shown[0, 1] == 99).all()
