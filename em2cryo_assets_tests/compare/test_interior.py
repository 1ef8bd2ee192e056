import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.compare.interior import (
    QUANTILES,
    VECTOR_COLUMNS,
    autocorrelation_lengths,
    below_skirt,
    contrast_order,
    density_distribution,
    depth_nm,
    depth_profile,
    interior_vectors,
    label_medians,
    normalised,
    power_spectrum,
    with_contrast,
)
from em2cryo_assets.vocabulary import LABELS

WALL, CYTOPLASM, VACUOLE = LABELS["wall"], LABELS["cytoplasm"], LABELS["vacuole"]


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def slab(shape=(12, 60, 60), outside=10, wall=8):
    """Outside, then wall, then cytoplasm along y."""
    labels = np.full(shape, CYTOPLASM, dtype=np.uint8)
    labels[:, : outside + wall] = WALL
    labels[:, :outside] = 0
    return labels


@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-50, 50))
@settings(max_examples=20, deadline=None)
def test_normalised_density_does_not_depend_on_gain_and_offset(gain, offset):
    labels = slab()
    density = noise(labels.shape)
    z = normalised(density.astype(float) * gain + offset * gain, labels)
    np.testing.assert_allclose(z, normalised(density, labels), atol=2e-3)
    inside = z[labels == CYTOPLASM]
    assert abs(np.median(inside)) < 1e-4
    assert np.median(np.abs(inside)) == pytest.approx(1 / 1.4826, rel=1e-3)


def test_what_cannot_be_normalised_says_why():
    labels = slab()
    with pytest.raises(ValueError, match="no spread"):
        normalised(np.ones(labels.shape), labels)
    with pytest.raises(ValueError, match="voxels of cytoplasm"):
        normalised(noise(labels.shape), np.zeros_like(labels))
    with pytest.raises(ValueError, match="differ in shape"):
        normalised(noise((3, 3, 3)), labels)


def test_depth_below_a_flat_wall_is_exact():
    depth = depth_nm(slab(), (8.0, 8.0, 8.0))
    # The first row of cytoplasm has its centre half a voxel below the inner face of the wall.
    np.testing.assert_allclose(depth[:, 18, :], 4.0)
    np.testing.assert_allclose(depth[:, 40, :], 4.0 + 22 * 8.0)


def test_depth_in_a_sphere_is_the_distance_to_its_surface():
    n, voxel, radius = 61, 10.0, 250.0
    axis = (np.arange(n) - n // 2) * voxel
    r = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    labels = np.where(r < radius, CYTOPLASM, WALL).astype(np.uint8)
    depth = depth_nm(labels, (voxel,) * 3)
    inside = labels == CYTOPLASM
    error = depth[inside] - (radius - r[inside])
    # The nearest centre outside is never nearer than the surface plus half a voxel along the grid, and often
    # nearer than that askew: a third of a voxel is lost on average.
    assert abs(error.mean()) < 0.35 * voxel
    assert np.abs(error).max() < voxel


def test_depth_is_undefined_without_a_wall():
    labels = np.full((10, 40, 40), CYTOPLASM, dtype=np.uint8)
    assert depth_nm(labels, (8.0,) * 3) is None
    assert len(depth_profile(noise(labels.shape), labels, (8.0,) * 3, None)) == 0


def test_depth_profile_recovers_a_known_profile():
    labels = slab((20, 120, 40))
    depth = depth_nm(labels, (8.0,) * 3)
    profile = depth_profile((0.01 * depth).astype(np.float32), labels, (8.0,) * 3, depth)
    assert list(profile.columns) == list(VECTOR_COLUMNS)
    middle = profile[(profile["x"] > 20) & (profile["x"] < 570)]
    np.testing.assert_allclose(middle["value"], 0.01 * middle["x"], atol=0.03)
    # Every voxel less than 600 nm deep is counted once, shared between bins; the first loses what
    # would fall before it.
    counted = np.count_nonzero((labels == CYTOPLASM) & (depth < 592.5) & (depth > 7.5))
    assert profile["weight"].sum() == pytest.approx(counted, rel=0.03)


def test_wider_voxels_make_wider_steps_on_the_same_scale():
    labels = slab((12, 60, 60), 5, 3)
    depth = depth_nm(labels, (50.0,) * 3)
    profile = depth_profile(noise(labels.shape), labels, (50.0,) * 3, depth)
    assert (profile["bin"] % 3 == 0).all()
    np.testing.assert_allclose(profile["x"], 15 * profile["bin"] + 22.5)


def test_skirt_takes_out_what_lies_near_the_wall_and_nothing_else():
    labels = slab()
    core = below_skirt(labels, depth_nm(labels, (8.0,) * 3), 40.0)
    assert (core[:, 18:25] == LABELS["membrane"]).all()
    assert (core[:, 26:] == CYTOPLASM).all()
    np.testing.assert_array_equal(core[:, :18], labels[:, :18])


def test_skirt_keeps_a_stronger_wall_out_of_every_vector():
    # The wall's contrast and 20 nm of blur must not be told from the interior's texture.
    from scipy import ndimage

    labels = slab((12, 90, 60))
    texture = noise(labels.shape)
    vectors = []
    for contrast in (0.0, 20.0):
        density = texture + contrast * ndimage.gaussian_filter((labels < 2).astype(np.float32), 2.5)
        vectors.append(interior_vectors(density, labels, (8.0,) * 3, finest_nm=40.0))
    np.testing.assert_allclose(vectors[0]["value"], vectors[1]["value"], rtol=0.02, atol=0.06)


def test_distribution_of_gaussian_noise_is_gaussian_and_its_distance_is_a_shift():
    from scipy.stats import norm

    labels = slab((30, 80, 80))
    frame = density_distribution(noise(labels.shape), labels)
    np.testing.assert_allclose(frame["value"], norm.ppf(QUANTILES), atol=0.03)
    assert (frame["bin"] // 100 == CYTOPLASM).all()
    # Mean absolute difference of quantiles of N(0, 1) and N(0, 1.5): 0.5 E|x| = 0.5 sqrt(2/pi).
    wider = density_distribution(1.5 * noise(labels.shape, 1), labels)
    distance = np.abs(wider["value"] - frame["value"]).mean()
    assert distance == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=0.05)


def test_distribution_keeps_labels_apart():
    labels = slab()
    labels[:, 45:] = VACUOLE
    z = noise(labels.shape) + np.where(labels == VACUOLE, -7, 0).astype(np.float32)
    frame = density_distribution(z, labels)
    assert set(frame["bin"] // 100) == {CYTOPLASM, VACUOLE}
    assert abs(frame["value"].mean()) < 0.1


def test_spectrum_of_white_noise_is_flat_at_its_variance():
    labels = np.full((20, 120, 120), CYTOPLASM, dtype=np.uint8)
    frame = power_spectrum(3 * noise(labels.shape), labels, (8.0, 8.0, 8.0))
    np.testing.assert_allclose(frame["value"], np.log(9 * 64), atol=0.25)
    heavy = frame[frame["weight"] > 5000]
    np.testing.assert_allclose(heavy["value"], np.log(9 * 64), atol=0.03)


@pytest.mark.parametrize("wave_nm", [60.0, 120.0, 240.0])
def test_spectrum_peaks_at_the_wave_that_is_there(wave_nm):
    labels = slab((4, 120, 120))
    y, x = np.mgrid[:120, :120] * 8.0
    wave = np.sin(2 * np.pi * (0.6 * x + 0.8 * y) / wave_nm).astype(np.float32)
    z = wave[None] + 0.05 * noise(labels.shape)
    frame = power_spectrum(z, labels, (8.0,) * 3)
    peak = frame["x"].iloc[int(frame["value"].argmax())]
    assert 2**-0.3 < peak * wave_nm < 2**0.3


def test_spectrum_stops_where_the_coarser_source_does():
    labels = slab((4, 120, 120))
    frame = power_spectrum(noise(labels.shape), labels, (8.0,) * 3, finest_nm=40.0)
    assert frame["x"].max() * 2**0.25 <= 1 / 80 + 1e-9
    assert len(frame) < len(power_spectrum(noise(labels.shape), labels, (8.0,) * 3))


@pytest.mark.parametrize("sigma", [(2.0, 2.0, 2.0), (1.5, 3.0, 6.0)])
def test_autocorrelation_length_of_blurred_noise(sigma):
    # Noise blurred by a Gaussian of SD s has the autocorrelation exp(-t²/4s²), which is 1/e at 2s.
    from scipy import ndimage

    labels = np.full((60, 100, 140), CYTOPLASM, dtype=np.uint8)
    z = ndimage.gaussian_filter(noise(labels.shape), sigma)
    z /= z.std()
    lengths = autocorrelation_lengths(z, labels, (8.0, 8.0, 8.0))
    np.testing.assert_allclose(lengths, 16 * np.array(sigma), rtol=0.12)


def test_autocorrelation_is_of_the_texture_not_of_an_organelle():
    labels = slab((16, 60, 60))
    z = noise(labels.shape)
    plain = autocorrelation_lengths(z, labels, (8.0,) * 3)
    labels[:, :, 30:] = np.where(labels[:, :, 30:] == CYTOPLASM, VACUOLE, labels[:, :, 30:])
    shifted = z + np.where(labels == VACUOLE, 5, 0).astype(np.float32)
    np.testing.assert_allclose(autocorrelation_lengths(shifted, labels, (8.0,) * 3), plain, rtol=0.02)


def test_contrast_order_counts_pairs():
    first = {0: 0.0, 1: 1.0, 3: 2.0, 5: 3.0}
    assert contrast_order(first, first) == (1.0, 4)
    assert contrast_order(first, {k: -v for k, v in first.items()}) == (-1.0, 4)
    one_swapped = {0: 0.0, 1: 2.0, 3: 1.0, 5: 3.0}
    assert contrast_order(first, one_swapped)[0] == pytest.approx(4 / 6)
    tau, shared = contrast_order(first, {0: 1.0, 1: 2.0})
    assert np.isnan(tau)
    assert shared == 2


def test_with_contrast_gives_each_shared_label_the_other_median():
    labels = slab()
    z = noise(labels.shape)
    moved = with_contrast(z, labels, {WALL: -9.0, CYTOPLASM: 2.0, VACUOLE: 1.0})
    medians = label_medians(moved, labels)
    assert medians[WALL] == pytest.approx(-9, abs=1e-3)
    assert medians[CYTOPLASM] == pytest.approx(2, abs=1e-3)
    np.testing.assert_array_equal(moved[labels == 0], z[labels == 0])
