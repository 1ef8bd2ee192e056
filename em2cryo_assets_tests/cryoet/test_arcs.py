"""Arcs and thickness of walls: closed forms, known slabs, honest errors."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.cryoet.arcs import fit_wall_arc, wall_thickness
from em2cryo_assets.cryoet.circle import fit_circle
from em2cryo_assets.cryoet.labels import label_tomogram
from em2cryo_assets.cryoet.layers import depth_map_nm, fit_layers

VOXEL = (8.0, 8.0, 8.0)
TILTS = tuple(float(t) for t in range(-60, 61, 3))


def arc_points(rng, radius=2500.0, slope=-0.3, span=0.4, noise=8.0, n=400):
    angle, z = rng.uniform(0, span, n) + rng.uniform(0, 6), rng.uniform(-100, 100, n)
    reach = radius + slope * z + rng.normal(0, noise, n)
    return np.stack([z, 90 + reach * np.sin(angle), -40 + reach * np.cos(angle)], axis=1)


def test_noiseless_circle_is_exact():
    circle = fit_circle(arc_points(np.random.default_rng(0), noise=0.0))
    assert circle.radius_nm == pytest.approx(2500, rel=1e-6)
    assert circle.slope == pytest.approx(-0.3, rel=1e-6)
    np.testing.assert_allclose(circle.centre_nm, (90, -40), atol=1e-3)


def test_errors_are_what_they_say():
    """Over 120 noisy arcs curvature and slope are unbiased and scatter by their standard errors."""
    rng = np.random.default_rng(1)
    fits = [fit_circle(arc_points(rng)) for _ in range(120)]
    # Curvature, not radius, is normally distributed on short arcs; d(1/r) = dr / r^2.
    curvature = [(1 / f.radius_nm - 1 / 2500) * f.radius_nm**2 / f.radius_se_nm for f in fits]
    slope = [(f.slope + 0.3) / f.slope_se for f in fits]
    for z in (np.array(curvature), np.array(slope)):
        assert abs(z.mean()) < 0.3
        assert 0.7 < z.std() < 1.2


def test_correlated_residuals_widen_the_errors():
    rng = np.random.default_rng(2)
    angle = np.linspace(0, 0.4, 400)
    wave = 8 * np.sin(60 * angle)

    def fit(noise):
        return fit_circle(np.stack([np.zeros(400), (2500 + noise) * np.sin(angle), (2500 + noise) * np.cos(angle)], 1))

    white = fit(rng.permutation(wave))
    assert fit(wave).radius_se_nm > 2 * white.radius_se_nm


def test_lines_and_too_few_points_are_no_circle():
    with pytest.raises(ValueError, match="12 points"):
        fit_circle(np.zeros((5, 3)))
    line = np.stack([np.zeros(50), np.zeros(50), np.arange(50.0)], axis=1)
    with pytest.raises(ValueError, match="straight"):
        fit_circle(line)


def ball_labels(radius_nm, beta_deg, azimuth_deg=30.0, inside_out=False, shape=(24, 100, 100)):
    z, y, x = (8.0 * (np.arange(n) - 0.5 * (n - 1)) for n in shape)
    beta, azimuth = np.deg2rad(beta_deg), np.deg2rad(azimuth_deg)
    normal = np.array([np.sin(beta), np.cos(beta) * np.sin(azimuth), np.cos(beta) * np.cos(azimuth)])
    centre = -radius_nm * normal
    reach = np.sqrt((z[:, None, None] - centre[0]) ** 2 + (y[None, :, None] - centre[1]) ** 2 + (x - centre[2]) ** 2)
    depth = (reach - radius_nm) if inside_out else (radius_nm - reach)
    return np.where(depth < 0, 0, np.where(depth < 150, 1, 3)).astype(np.uint8)


@pytest.mark.parametrize("radius_nm", [600.0, 2300.0])
@pytest.mark.parametrize("beta_deg", [-40.0, 0.0, 30.0])
def test_a_plane_through_a_ball_gives_its_radius(radius_nm, beta_deg):
    """Any plane cuts a ball of radius R in a circle of R cos(beta), so R_n = R whatever the inclination."""
    arc = fit_wall_arc(ball_labels(radius_nm, beta_deg), VOXEL, tilts_deg=None)
    assert arc is not None
    assert arc.usable, arc.reason
    assert arc.radius_nm == pytest.approx(radius_nm * np.cos(np.deg2rad(beta_deg)), rel=0.03)
    assert arc.inclination_deg == pytest.approx(beta_deg, abs=1.5)
    assert arc.normal_radius_nm == pytest.approx(radius_nm, rel=0.03)


@pytest.mark.parametrize(
    ("labels", "words"),
    [(ball_labels(2300.0, 65.0), "inclined"), (ball_labels(1500.0, 0.0, inside_out=True), "inwards")],
)
def test_arcs_that_say_nothing_are_not_usable(labels, words):
    arc = fit_wall_arc(labels, VOXEL, tilts_deg=None)
    assert arc is not None
    assert not arc.usable
    assert words in arc.reason


def test_no_wall_no_arc():
    labels = np.full((10, 60, 60), 3, dtype=np.uint8)
    assert fit_wall_arc(labels, VOXEL) is None
    assert np.isnan(wall_thickness(labels, np.zeros(labels.shape), VOXEL)).all()
    with pytest.raises(ValueError, match="shape"):
        wall_thickness(labels, np.zeros((1, 2, 3)), VOXEL)


@pytest.mark.parametrize("beta", [0.0, 25.0])
def test_radius_inclination_and_thickness_through_a_missing_wedge(slabs, beta):
    density, _ = slabs[beta]
    labels = label_tomogram(density, VOXEL, "lamella").labels
    arc = fit_wall_arc(labels, VOXEL, TILTS)
    assert arc is not None
    assert arc.usable, arc.reason
    # The edge lies 120 nm beyond the point whose normal is inclined by beta.
    truth = np.degrees(np.arcsin(np.sin(np.deg2rad(beta)) * (2300 - 120) / 2300))
    assert arc.inclination_deg == pytest.approx(truth, abs=max(1.0, 2 * arc.inclination_se_deg))
    assert arc.normal_radius_nm == pytest.approx(2300, rel=max(0.03, 3 * arc.log_normal_radius_se))
    value, sd = wall_thickness(labels, density, VOXEL, arc)
    assert value == pytest.approx(150, rel=0.04)
    assert 0 < sd < 12


@pytest.mark.slow
def test_inclination_across_the_tilt_axis_is_recovered_or_declined():
    """The wedge makes a wall with its normal near the tilt axis look steeper; the correction undoes it."""
    spec = importlib.util.spec_from_file_location("slab_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    density, _ = module.wall_slab(beta_deg=20.0, azimuth_deg=65.0, noise=0.03)
    labels = label_tomogram(density, VOXEL, "lamella").labels
    seen = fit_wall_arc(labels, VOXEL, None)
    arc = fit_wall_arc(labels, VOXEL, TILTS)
    assert seen is not None
    assert arc is not None
    assert seen.inclination_deg < 15
    assert not arc.usable or arc.inclination_deg == pytest.approx(18.9, abs=max(3, 2 * arc.inclination_se_deg))


def test_layers_of_a_made_profile():
    depth = np.arange(-156.0, 440.0, 8.0)
    mean = 0.1 + 0.26 * (depth > 5) + 0.14 * (depth > 135)
    layers = fit_layers(depth, mean, np.ones_like(depth))
    assert layers is not None
    assert layers.is_wall
    assert layers.inner_nm - layers.outer_nm == pytest.approx(130, abs=6)
    single = fit_layers(depth, 0.2 + 0.3 * (depth > 0), np.ones_like(depth))
    assert single is None or not single.is_wall
    assert fit_layers(depth[:10], mean[:10], np.ones(10)) is None


def test_depth_of_an_inclined_plane_is_the_normal_distance():
    z, _, x = np.ogrid[:24, :40, :100]
    beta = np.deg2rad(30)
    true = (8 * (x - 50) * np.cos(beta) + 8 * (z - 12) * np.sin(beta)) * np.ones((24, 40, 100))
    depth = depth_map_nm(true > 0, VOXEL)
    near = np.abs(true) < 200
    assert np.abs(depth[near] - true[near]).max() < 12
