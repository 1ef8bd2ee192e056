"""Signal-to-noise ratios of known signal and noise."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.cryoet.noise import halves_snr, spatial_snr


def signal(seed=0, sigma=3.0, shape=(16, 80, 80)):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return field / field.std()


@pytest.mark.parametrize(("snr", "within"), [(0.1, 0.2), (0.5, 0.08), (2.0, 0.05), (10.0, 0.08)])
def test_spatial_split_finds_the_ratio(snr, within):
    rng = np.random.default_rng(1)
    noisy = signal() + rng.normal(size=(16, 80, 80)) / np.sqrt(snr)
    assert spatial_snr(noisy) == pytest.approx(snr, rel=within)


def test_noise_that_is_smooth_along_z_and_x_is_still_noise():
    """A reconstruction colours noise in z and x but leaves rows along the tilt axis independent."""
    rng = np.random.default_rng(2)
    noise = ndimage.gaussian_filter(rng.normal(size=(16, 80, 80)), (1.5, 0, 1.5))
    noise *= 1 / (noise.std() * np.sqrt(0.5))
    assert spatial_snr(signal() + noise) == pytest.approx(0.5, rel=0.15)


def test_pure_noise_has_none_and_pure_signal_much():
    noise = np.random.default_rng(3).normal(size=(16, 80, 80))
    assert spatial_snr(noise) < 0.03
    assert spatial_snr(signal(sigma=5.0)) > 20


def test_only_the_cell_counts():
    rng = np.random.default_rng(4)
    volume = signal() + rng.normal(size=(16, 80, 80))
    labels = np.zeros(volume.shape, dtype=np.uint8)
    labels[:, :, :40] = 3
    spoiled = volume.copy()
    spoiled[:, :, 40:] = 50 * rng.normal(size=(16, 80, 40))
    assert spatial_snr(spoiled, labels) == pytest.approx(spatial_snr(volume, labels))


def test_halves():
    rng = np.random.default_rng(5)
    first, second = (signal() + 2 * rng.normal(size=(16, 80, 80)) for _ in range(2))
    # Each half has 1/4, the mean of two twice that.
    assert halves_snr(first, second) == pytest.approx(0.5, rel=0.05)
    assert halves_snr(first, first) == float("inf")
    assert halves_snr(rng.normal(size=(4, 30, 30)), -rng.normal(size=(4, 30, 30))) < 0.1


def test_bad_arrays_are_refused_in_words():
    with pytest.raises(ValueError, match="too few"):
        spatial_snr(np.zeros((2, 5, 5)))
    with pytest.raises(ValueError, match="shape"):
        spatial_snr(np.zeros((2, 50, 50)), np.ones((2, 50, 51)))
    with pytest.raises(ValueError, match="shapes"):
        halves_snr(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="constant"):
        halves_snr(np.zeros((2, 2, 2)), np.ones((2, 2, 2)))
