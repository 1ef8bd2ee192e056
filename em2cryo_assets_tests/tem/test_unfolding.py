import numpy as np
import pytest

from em2cryo_assets.tem.unfolding import unfold


def _profiles(n: int, mean: float, spread: float, cap_deg: float, thickness: float = 0.0, seed: int = 0) -> np.ndarray:
    """Diameters of the profiles of lognormal spheres; those below the capping angle are lost."""
    rng = np.random.default_rng(seed)
    sd_log = np.sqrt(np.log1p(spread**2))
    size = mean * np.exp(rng.normal(0, sd_log, 40 * n) - sd_log**2 / 2)
    beyond = np.maximum(np.abs(rng.uniform(-3 * mean, 3 * mean, 40 * n)) - thickness / 2, 0)
    seen = 2 * np.sqrt(np.maximum(size**2 / 4 - beyond**2, 0))
    return seen[seen > size * np.sin(np.deg2rad(cap_deg))][:n]


@pytest.mark.parametrize(
    ("spread", "cap", "thickness"), [(0.05, 0, 0), (0.2, 0, 0), (0.2, 25, 0), (0.2, 10, 80), (0.35, 5, 0)]
)
def test_sizes_come_back_with_and_without_lost_caps(spread, cap, thickness):
    sizes = unfold(_profiles(1500, 460.0, spread, cap, thickness), thickness)
    assert sizes.mean_nm == pytest.approx(460.0, rel=0.03)
    assert sizes.sd_nm == pytest.approx(460.0 * spread, rel=0.15)
    assert sizes.seen_nm == pytest.approx(thickness + 460.0 * np.cos(np.deg2rad(cap)), rel=0.04)


def test_profiles_left_out_are_not_missed():
    profiles = _profiles(1500, 460.0, 0.2, 0.0)
    crumbs = np.concatenate([profiles, np.full(200, 40.0)])
    # With crumbs the spread comes out too large, and without them as if nothing had been left out.
    assert unfold(crumbs).sd_nm > 1.05 * 0.2 * 460.0
    clean, left = unfold(profiles), unfold(crumbs, least_nm=100.0)
    assert left.mean_nm == pytest.approx(clean.mean_nm, rel=0.01)
    assert np.count_nonzero(profiles > 100.0) / left.seen_nm == pytest.approx(len(profiles) / clean.seen_nm, rel=0.02)


def test_size_and_unit_are_the_users():
    profiles = _profiles(300, 1.0, 0.2, 10.0)
    assert unfold(1000 * profiles).mean_nm == pytest.approx(1000 * unfold(profiles).mean_nm, rel=0.01)


def test_a_handful_says_nothing():
    assert np.isnan(unfold(np.arange(1.0, 8.0)).mean_nm)
