"""Shell correlation against known signal and noise; the wedge against the views given."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.cryoet.fsc import crossing_per_nm, sampled_to_deg, shell_correlation
from em2cryo_assets.cryoet.reconstruct import back_project


def test_halves_of_known_signal_to_noise_correlate_as_they_should():
    """White signal of variance 1 in noise of variance 3 a half: FSC = 1/4 in every shell."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((40, 64, 64))
    a, b = (signal + np.sqrt(3) * rng.standard_normal(signal.shape) for _ in range(2))
    frequency, correlation = shell_correlation(a, b, 2.0, shells=8)
    assert correlation[1:] == pytest.approx(0.25, abs=0.03)
    assert frequency[-1] < 0.25
    assert shell_correlation(a, a, 2.0)[1] == pytest.approx(1.0)
    assert np.abs(shell_correlation(a, rng.standard_normal(a.shape), 2.0, shells=8)[1][2:]).max() < 0.06


def test_crossing_is_where_a_blur_meets_the_noise():
    rng = np.random.default_rng(1)
    signal = ndimage.gaussian_filter(rng.standard_normal((48, 48, 48)), 1.2) * 5
    a, b = (signal + 0.3 * rng.standard_normal(signal.shape) for _ in range(2))
    k, correlation = shell_correlation(a, b, 1.0)
    # Power of the blurred signal over that of the noise, per frequency.
    ratio = 25 * np.exp(-((2 * np.pi * k * 1.2) ** 2)) / 0.09
    expected = crossing_per_nm(k, ratio / (1 + ratio), 0.143)
    assert crossing_per_nm(k, correlation, 0.143) == pytest.approx(expected, rel=0.08)


def test_crossing_of_curves_that_do_not_cross():
    k = np.array([1.0, 2.0, 3.0])
    assert crossing_per_nm(k, [0.9, 0.9, 0.9], 0.5) == 3.0
    assert crossing_per_nm(k, [0.1, 0.2, 0.1], 0.5) == 0.0
    assert crossing_per_nm(k, [0.1, 0.9, 0.1], 0.5) == pytest.approx(2.5)


@pytest.mark.parametrize("steepest", [40.0, 54.0, 70.0])
@pytest.mark.parametrize("depth", [32, 96])
def test_wedge_is_the_one_of_the_views(steepest, depth):
    tilts = np.arange(-steepest, steepest + 0.1, 2.0)
    views = np.random.default_rng(0).standard_normal((len(tilts), 16, 128))
    assert sampled_to_deg(back_project(views, tilts, depth)) == pytest.approx(steepest, abs=2.0)


def test_nothing_is_missing_from_white_noise():
    assert sampled_to_deg(np.random.default_rng(0).standard_normal((32, 16, 32))) == 90.0


def test_volumes_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        shell_correlation(np.zeros((4, 4, 4)), np.zeros((4, 4, 5)), 1.0)
