"""The released network: what it sees, and that it labels slabs it was not made from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.cryoet.label_decoding import at_working_size, cleaned, network_slab, resampled
from em2cryo_assets.cryoet.label_network import CLASSES, WEIGHTS, WORKING_NM, normalised, slab_maps
from em2cryo_assets.cryoet.labels import label_tomogram
from em2cryo_assets.vocabulary import LABELS

VOXEL = (8.0, 8.0, 8.0)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.01, 5000), offset=st.floats(-100, 100))
def test_units_of_density_do_not_matter(gain, offset):
    volume = np.random.default_rng(0).normal(0.4, 0.2, (6, 40, 44))
    np.testing.assert_allclose(normalised(gain * (volume + offset)), normalised(volume), atol=0.02)


@pytest.mark.parametrize("voxel_nm", [(8.0, 8.0, 8.0), (5.3, 7.1, 7.1), (16.0, 16.0, 16.0), (20.0, 30.0, 30.0)])
def test_a_slab_keeps_its_extent_and_its_ramp_at_the_working_size(voxel_nm):
    x = np.arange(90.0, dtype=np.float32) * voxel_nm[2]
    small = at_working_size(np.broadcast_to(x, (24, 60, 90)).copy(), voxel_nm)
    for wide, narrow, side in zip((24, 60, 90), small.shape, voxel_nm, strict=True):
        assert narrow * WORKING_NM == pytest.approx(wide * side, abs=WORKING_NM / 2 + 1e-6)
    middle = small[small.shape[0] // 2, small.shape[1] // 2]
    assert middle.mean() == pytest.approx(x.mean(), rel=0.01)  # nothing is shifted by half a voxel
    again = resampled(small, (24, 60, 90))[12, 30, 30:-30]
    np.testing.assert_allclose(again, x[30:-30], atol=0.1 * voxel_nm[2])


def test_specks_take_the_label_of_what_is_about_them():
    codes = np.full((12, 60, 60), LABELS["cytoplasm"], np.uint8)
    codes[:, :20] = LABELS["outside"]
    codes[5:7, 40:43, 30:33] = LABELS["nucleus"]
    codes[5:7, 8:11, 30:33] = LABELS["vacuole"]
    clean = cleaned(codes, VOXEL)
    assert (clean[:, :20] == LABELS["outside"]).all()
    assert (clean[:, 20:] == LABELS["cytoplasm"]).all()


def test_the_weights_are_small_enough_to_ship_and_described():
    assert WEIGHTS.stat().st_size <= 2.0e6
    assert {f.suffix for f in WEIGHTS.parent.glob("tomogram_labels*")} >= {".safetensors", ".md", ".csv"}


def test_maps_are_probabilities_and_a_mirrored_slab_gives_mirrored_maps(slabs):
    volume = at_working_size(slabs[0.0][0].astype(np.float32), VOXEL)[:, :48, :48]
    maps = slab_maps(volume)
    assert maps.shape == (len(CLASSES), *volume.shape)
    np.testing.assert_allclose(maps.sum(axis=0), 1.0, atol=1e-4)
    # The mean is over three mirror images of eight.
    assert np.abs(slab_maps(volume[:, :, ::-1])[..., ::-1] - maps).mean() < 0.03


@pytest.mark.parametrize("beta", [0.0, 25.0])
def test_a_ball_that_no_simulation_of_a_cell_drew_is_labelled(slabs, beta):
    density, truth = slabs[beta]
    labels = label_tomogram(density, VOXEL, "lamella", slab=network_slab).labels
    assert dice(labels == LABELS["outside"], truth == LABELS["outside"]) > 0.94
    assert dice(labels == LABELS["wall"], truth == LABELS["wall"]) > 0.8
    assert dice(labels >= LABELS["membrane"], truth >= LABELS["membrane"]) > 0.93


def test_ice_and_noise_are_no_cell():
    rng = np.random.default_rng(0)
    for volume in (rng.normal(size=(24, 120, 120)), np.ones((24, 120, 120))):
        result = label_tomogram(volume, VOXEL, "lamella", slab=network_slab)
        assert not result.labels.any()
        assert result.warnings[0].startswith("no cell found: ")
