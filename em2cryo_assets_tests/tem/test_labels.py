import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.tem.labels import label_section
from em2cryo_assets.vocabulary import LABELS

PIXEL_NM = 12.0


def _dice(found, truth, label):
    a, b = found == LABELS[label], truth == LABELS[label]
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(
    ("label", "least"),
    [
        ("wall", 0.93),
        ("cytoplasm", 0.96),
        ("nucleus", 0.92),
        ("vacuole", 0.95),
        ("mitochondrion", 0.9),
        ("lipid_droplet", 0.9),
    ],
)
def test_every_label_of_a_clear_profile_is_found(typical, label, least):
    density, truth = typical
    assert _dice(label_section(density, PIXEL_NM).labels, truth, label) > least


def test_nothing_is_invented_in_a_profile_of_plain_cytoplasm(draw, round_cell):
    density, _ = draw((300, 300), round_cell(150, 150, 110, 13))
    codes = np.unique(label_section(density, PIXEL_NM).labels)
    assert set(codes) == {LABELS[n] for n in ("outside", "wall", "membrane", "cytoplasm")}


@settings(max_examples=6, deadline=None)
@given(gain=st.floats(0.01, 5000), offset=st.floats(-1e3, 1e3))
def test_units_of_density_do_not_matter(gain, offset):
    y, x = np.indices((240, 240)) - 120.0
    radius = np.hypot(y, x)
    density = np.where(radius < 75, 0.55, np.where(radius < 88, 0.25, 0.1))
    density = density + np.random.default_rng(0).normal(0, 0.04, density.shape)
    same = label_section(density, PIXEL_NM).labels == label_section(gain * density + offset, PIXEL_NM).labels
    assert same.mean() > 0.999


def test_touching_cells_share_the_wall_between_them(draw, round_cell):
    density, _ = draw((240, 420), round_cell(120, 115, 90, 13) + round_cell(120, 296, 90, 13))
    result = label_section(density, PIXEL_NM)
    areas = np.bincount(result.profiles.ravel())[1:]
    assert len(areas) == 2
    assert areas[0] == pytest.approx(areas[1], rel=0.02)
    assert ((result.profiles > 0) == (result.labels > 0)).all()


def test_profile_cut_by_the_border_is_flagged_and_not_eroded_there(draw, round_cell):
    density, truth = draw((240, 200), round_cell(120, 40, 90, 13))
    result = label_section(density, PIXEL_NM)
    assert result.touching_border == (1,)
    assert any("cut by the border" in w for w in result.warnings)
    edge = truth[:, 0] >= LABELS["cytoplasm"]
    assert (result.labels[:, 0][edge] >= LABELS["membrane"]).mean() > 0.95


def test_a_grazing_cut_is_mostly_wall(draw):
    density, _ = draw((240, 240), [("wall", 120, 120, 60), ("cytoplasm", 120, 120, 20)])
    labels = label_section(density, PIXEL_NM).labels
    assert (labels == LABELS["wall"]).sum() == pytest.approx(np.pi * (60**2 - 20**2), rel=0.1)


def test_noise_alone_is_no_cell():
    result = label_section(np.random.default_rng(0).normal(size=(200, 200)), PIXEL_NM)
    assert not result.labels.any()
    assert "No cell found" in result.warnings[0]


def test_excluded_pixels_are_never_labelled(typical):
    density, _ = typical
    excluded = np.zeros(density.shape, bool)
    excluded[250:] = True
    result = label_section(density, PIXEL_NM, excluded)
    assert not result.labels[excluded].any()
    assert result.touching_border == (1,)


@pytest.mark.parametrize("level", [0.0, 255.0])
def test_an_even_image_is_no_cell(level):
    assert not label_section(np.full((90, 90), level), PIXEL_NM).labels.any()


def test_a_hot_pixel_changes_nothing(typical):
    density, _ = typical
    hot = density.copy()
    hot[5, 5] = 1e5
    assert (label_section(hot, PIXEL_NM).labels == label_section(density, PIXEL_NM).labels).mean() > 0.999


def test_a_nucleolus_belongs_to_its_nucleus(draw, round_cell):
    bite = [("membrane", 180, 180, 61), ("nucleus", 180, 180, 60), ("cytoplasm", 180, 214, 24)]
    density, _ = draw((360, 360), round_cell(180, 180, 150, 13) + bite)
    y, x = np.indices((360, 360)) - 180
    truth = np.where(np.hypot(y, x) < 61, LABELS["nucleus"], 0)
    assert _dice(label_section(density, PIXEL_NM).labels, truth, "nucleus") > 0.93


def test_real_section_without_yeast_gives_labels_or_a_reason():
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder or not Path(folder, "tem").is_dir():
        pytest.skip("EM2CRYO_REFERENCE_DATA is not set: no real section to look at")
    from skimage.io import imread

    # Fly tissue fills the field: no resin, no wall, nothing that could honestly be called a yeast organelle.
    image = imread(Path(folder, "tem", "isbi2012_0.png")).astype(float)
    result = label_section(image.max() - image, 4.0)
    assert result.labels.shape == image.shape
    assert result.warnings


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4)), np.full((9, 9), np.nan)])
def test_unusable_arrays_are_refused(bad):
    with pytest.raises(ValueError, match=r"2-D|NaN"):
        label_section(bad, PIXEL_NM)


def test_pixel_size_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        label_section(np.zeros((9, 9)), 0.0)
