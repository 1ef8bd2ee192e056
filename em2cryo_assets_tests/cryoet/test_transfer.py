"""Contrast transfer and dose: published values at known frequencies."""

import numpy as np
import pytest

from em2cryo_assets.cryoet.transfer import contrast_transfer, dose_filter, filter_images


def test_first_zero_lies_at_the_inverse_root_of_wavelength_times_defocus():
    """Without Cs and amplitude contrast the first zero is k = 1/sqrt(lambda df); lambda at 300 kV is 1.969 pm."""
    transfer = contrast_transfer((1, 4096), 0.5, 4.0, spherical_aberration_mm=0.0, amplitude_contrast=0.0)[0]
    k = np.fft.rfftfreq(4096, 0.5)
    first = k[1:][np.flatnonzero(np.diff(np.sign(transfer[1:])) != 0)[0]]
    assert first == pytest.approx(1 / np.sqrt(1.969e-3 * 4000), rel=2e-3)


def test_underfocus_keeps_the_polarity_of_density():
    transfer = contrast_transfer((64, 64), 2.0, 5.0)
    assert transfer[0, 0] == pytest.approx(0.07, abs=1e-6)
    assert transfer[0, 1] > transfer[0, 0]


def test_dose_filter_follows_the_published_curve():
    """Ne(1/20 A) = 0.245 * 20^1.665 + 2.81 = 38.73 e/A2; at 30 e/A2 amplitude exp(-30/77.5)."""
    attenuation = dose_filter((1, 400), 0.5, 3000.0)[0]
    k = np.fft.rfftfreq(400, 0.5)
    at = int(np.argmin(np.abs(k - 0.5)))
    assert attenuation[at] == pytest.approx(np.exp(-30 / (2 * (0.245 * 20**1.665 + 2.81))), rel=1e-4)
    assert attenuation[0] == 1.0
    assert (np.diff(attenuation) <= 0).all()


def test_unit_transfer_changes_nothing():
    images = np.random.default_rng(0).normal(size=(3, 16, 15)).astype(np.float32)
    np.testing.assert_allclose(filter_images(images, np.ones((16, 8), dtype=np.float32)), images, atol=1e-5)
