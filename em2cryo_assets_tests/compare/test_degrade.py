import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.compare.degrade import (
    averaged,
    common_blur_nm,
    degrade_slabs,
    degrade_to_match,
    field_of,
    noise_of,
    wedge_margin,
)
from em2cryo_assets.compare.record import TomogramRecord
from em2cryo_assets_tests.compare.bodies import TILTS_DEG, cell

RECORD = TomogramRecord((15, 50, 50), (16.0, 16.0, 16.0), "lamella", TILTS_DEG, snr=0.5)


@pytest.fixture(scope="module")
def slab():
    nz, ny, nx = RECORD.shape
    grain = np.random.default_rng(0).standard_normal((nz, ny, nx + 2 * wedge_margin(RECORD)), dtype=np.float32)
    return ndimage.gaussian_filter(grain, 2.0) * 10


def degraded(slab, record=RECORD, blur_nm=0.0, seed=1):
    labels = np.ones(record.shape, np.uint8)
    noise = noise_of(record, blur_nm=blur_nm, seed=seed)
    return degrade_slabs({"model": slab}, labels, record, noise, first="model")["model"]


def with_snr(snr):
    return TomogramRecord(RECORD.shape, RECORD.voxel_nm, "lamella", TILTS_DEG, snr=snr)


def test_margin_is_what_the_steepest_view_sees():
    assert wedge_margin(RECORD) == int(np.ceil(7.5 * np.tan(np.pi / 3)))
    assert wedge_margin(TomogramRecord((60, 60, 60), (90.0,) * 3, "soft-x-ray")) == 0


@pytest.mark.parametrize("snr", [0.1, 1.0, 10.0])
def test_noise_has_the_recorded_strength(slab, snr):
    clean, noisy = degraded(slab, with_snr(1e12)), degraded(slab, with_snr(snr))
    assert clean.var() / (noisy - clean).var() == pytest.approx(snr, rel=0.02)


def test_the_spatial_estimator_reads_the_ratio_back(slab):
    from em2cryo_assets.cryoet.noise import spatial_snr

    assert spatial_snr(degraded(slab, with_snr(1.0))) == pytest.approx(1.0, rel=0.3)


def test_the_wedge_takes_out_what_no_view_sees(slab):
    # Waves along z lie in the missing wedge; waves along y, the tilt axis, and x are seen.
    clean = degraded(slab, with_snr(1e12))
    before = np.abs(np.fft.fftn(field_of(slab, RECORD) - slab.mean())) ** 2
    after = np.abs(np.fft.fftn(clean - clean.mean())) ** 2
    kept = after / before
    along_z = np.median(kept[2:5, :3, :3])
    in_plane = np.median(kept[0, 3:9, 3:9])
    assert along_z < 0.25 * in_plane
    assert 0.5 < in_plane < 2


def test_all_slabs_of_a_call_get_the_same_noise_and_no_cross_talk(slab):
    labels = np.ones(RECORD.shape, np.uint8)
    flat = np.zeros_like(slab)
    noise = noise_of(RECORD, seed=4)
    both = degrade_slabs({"model": slab, "flat": flat}, labels, RECORD, noise, first="model")
    alone = degraded(slab, seed=4)
    np.testing.assert_allclose(both["model"], alone, atol=1e-3)
    clean = degraded(slab, with_snr(1e12), seed=4)
    np.testing.assert_allclose(both["flat"] - both["flat"].mean(), (alone - clean) - (alone - clean).mean(), atol=0.02)


def test_blur_acts_on_the_noise(slab):
    clean = degraded(slab, with_snr(1e12))
    sharp = degraded(slab) - clean
    soft = degraded(slab, blur_nm=20.0) - clean
    np.testing.assert_allclose(soft, ndimage.gaussian_filter(sharp, 20 / 16, mode="reflect"), atol=2e-3)


def test_whole_cells_without_tilts_get_noise_only():
    record = TomogramRecord((20, 20, 20), (90.0,) * 3, "soft-x-ray", None, snr=1e12)
    body = np.random.default_rng(0).standard_normal(record.shape, dtype=np.float32)
    labels = np.ones(record.shape, np.uint8)
    after = degrade_slabs({"model": body}, labels, record, noise_of(record, seed=0), first="model")["model"]
    np.testing.assert_allclose(after, body, atol=1e-4)


def test_common_blur_is_the_voxel_s_box_and_triangle():
    assert common_blur_nm(40.0, 0.0) == pytest.approx(40 * np.sqrt(1 / 12 + 1 / 6))
    assert common_blur_nm(40.0, 90.0) == 0


def test_degrading_repeats_with_its_seed_and_keeps_the_pristine_slab():
    density, labels = cell(voxel_nm=60.0)
    first, again, other = (
        degrade_to_match(density, labels, 60.0, reference=RECORD, anchor=None, seed=s) for s in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.density, again.density)
    assert not np.array_equal(first.density, other.density)
    assert first.density.shape == first.labels.shape == first.pristine.shape == RECORD.shape
    inside = first.labels > 2
    correlation = np.corrcoef(first.density[inside], first.pristine[inside])[0, 1]
    assert 0.3 < correlation < 0.95


def test_unknown_noise_is_refused(slab):
    with pytest.raises(ValueError, match="signal-to-noise"):
        degraded(slab, with_snr(None))
    with pytest.raises(ValueError, match="must have shape"):
        degraded(slab[:, :, 3:])


def test_noise_is_averaged_like_the_tomogram():
    plain = noise_of(RECORD, seed=3)
    assert plain.std() == pytest.approx(1, rel=1e-5)
    coarse = noise_of(RECORD, factor=2, seed=3)
    np.testing.assert_allclose(coarse, averaged(plain, 2), atol=1e-6)
    assert coarse.shape == (7, 25, 25)


def test_averaging_takes_block_means_and_drops_the_rim():
    volume = np.arange(5 * 4 * 4, dtype=np.float32).reshape(5, 4, 4)
    mean = averaged(volume, 2)
    assert mean.shape == (2, 2, 2)
    assert mean[1, 0, 1] == volume[2:4, 0:2, 2:4].mean()
