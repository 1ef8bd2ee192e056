import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.tem.stereology import (
    boundary_length_px,
    holmes_area,
    linearised_units,
    mean_oblique_width,
    mean_shell_thickness,
    oblique_shell_fit,
    ratio_estimate,
)


def _planes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Isotropic normals and uniform positions of planes through the unit ball."""
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(n, 3))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True), rng.uniform(-1, 1, n)


def _cut(radius: float, centre: np.ndarray, normals: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Areas in which planes cut a ball."""
    return np.pi * np.maximum(radius**2 - (heights - normals @ centre) ** 2, 0)


@settings(max_examples=15, deadline=None)
@given(radius=st.floats(0.4, 0.9), share=st.floats(0, 1), seed=st.integers(0, 10**6))
def test_ratio_is_volume_fraction_for_nested_spheres_wherever_the_inner_lies(radius, share, seed):
    normals, heights = _planes(60_000, seed)
    inner = _cut(radius, np.array([share * (1 - radius), 0, 0]), normals, heights)
    whole = _cut(1.0, np.zeros(3), normals, heights)
    assert ratio_estimate(inner, whole) == pytest.approx(radius**3, rel=0.03)


def test_mean_of_ratios_would_be_biased_where_the_ratio_is_not():
    normals, heights = _planes(60_000, 1)
    wall = _cut(1.0, np.zeros(3), normals, heights) - _cut(0.94, np.zeros(3), normals, heights)
    whole = _cut(1.0, np.zeros(3), normals, heights)
    truth = 1 - 0.94**3
    assert ratio_estimate(wall, whole) == pytest.approx(truth, rel=0.02)
    assert np.mean(wall / whole) > 1.25 * truth


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 9)), min_size=2, max_size=30))
def test_mean_of_linearised_units_is_the_ratio(pairs):
    part, whole = np.array(pairs).T
    assert np.mean(linearised_units(part, whole)) == pytest.approx(ratio_estimate(part, whole), abs=1e-9)


def test_linearised_standard_error_covers():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        whole = rng.uniform(1, 9, 30)
        part = whole * np.clip(rng.normal(0.2, 0.05, 30), 0, 1)
        values = linearised_units(part, whole)
        hits += abs(values.mean() - 0.2) < 2.045 * values.std(ddof=1) / np.sqrt(30)
    assert 0.90 < hits / 400 < 0.99


@settings(max_examples=20, deadline=None)
@given(thickness=st.floats(20, 300), diameter=st.floats(0.4, 2.0))
def test_holmes_area_undoes_the_thickness_of_sections_of_spheres(thickness, diameter):
    # One sphere in a µm³: area, outline and number of its profiles in a slab of thickness t, summed over positions.
    t, radius = thickness / 1000, diameter / 2
    truth = np.pi * diameter**3 / 6
    centre = np.linspace(-radius - t / 2, radius + t / 2, 200_001)
    shown = np.sqrt(np.maximum(radius**2 - np.maximum(np.abs(centre) - t / 2, 0) ** 2, 0))
    sums = (np.trapezoid(np.pi * shown**2, centre), np.trapezoid(2 * np.pi * shown, centre), diameter + t)
    assert holmes_area(*sums, thickness, darker=True) == pytest.approx(truth + t**3, rel=1e-3)
    # What is clear is seen only where the whole thickness is clear.
    if t < 0.8 * diameter:
        centre = np.linspace(-radius + t / 2, radius - t / 2, 200_001)
        shown = np.sqrt(np.maximum(radius**2 - (np.abs(centre) + t / 2) ** 2, 0))
        sums = (np.trapezoid(np.pi * shown**2, centre), np.trapezoid(2 * np.pi * shown, centre), diameter - t)
        assert holmes_area(*sums, thickness, darker=False) == pytest.approx(truth, rel=0.02 + 1.5 * (t / diameter) ** 3)


@settings(max_examples=15, deadline=None)
@given(wall=st.floats(0.02, 0.15), seed=st.integers(0, 10**6))
def test_shell_thickness_needs_no_angle(wall, seed):
    _, heights = _planes(60_000, seed)
    outer2 = 1 - heights**2
    inner2 = np.maximum((1 - wall) ** 2 - heights**2, 0)
    area = np.pi * (outer2 - inner2).sum()
    length = np.pi * (np.sqrt(outer2) + np.sqrt(inner2)).sum()
    assert mean_shell_thickness(area, length) == pytest.approx(1000 * wall, rel=0.02)


@pytest.mark.parametrize("sd_log", [0.0, 0.15])
def test_oblique_fit_recovers_thickness_and_spread(sd_log):
    rng = np.random.default_rng(5)
    widths = 140 * np.exp(rng.normal(0, sd_log, 4000)) / np.sqrt(1 - rng.uniform(0, 1, 4000) ** 2)
    thickness, spread = oblique_shell_fit(widths)
    assert thickness == pytest.approx(140, rel=0.03)
    assert spread == pytest.approx(sd_log, abs=0.04)


def test_oblique_fit_says_nothing_from_three_profiles():
    assert np.isnan(oblique_shell_fit(np.array([1.0, 2.0, 3.0]))).all()


@pytest.mark.parametrize("radius", [8.0, 31.3, 60.0])
def test_crofton_length_of_a_disc(radius):
    y, x = np.indices((150, 150)) - 74.3
    assert boundary_length_px(np.hypot(y, x) < radius) == pytest.approx(2 * np.pi * radius, rel=0.04)


def test_border_of_the_image_is_no_boundary():
    assert boundary_length_px(np.ones((9, 9), bool)) == 0


@pytest.mark.parametrize("widest", [160.0, 200.0, 340.0, 1e9])
def test_the_mean_oblique_width_is_that_of_planes_through_a_thin_shell(widest):
    # A plane at height h meets the unit sphere at sin beta = h.
    _, heights = _planes(400_000, 5)
    width = 150.0 / np.sqrt(1 - heights**2)
    assert mean_oblique_width(150.0, widest) == pytest.approx(width[width < widest].mean(), rel=0.01)


@pytest.mark.parametrize("thickness", [340.0, 400.0, 0.0, float("nan")])
def test_a_shell_that_no_plane_shows_narrow_enough_has_no_mean_width(thickness):
    assert np.isnan(mean_oblique_width(thickness, 340.0))
