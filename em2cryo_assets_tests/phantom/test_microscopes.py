"""Sections integrate over their thickness, slabs miss a wedge, planes sample as stereology wants."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.cryo import cryo_slab
from em2cryo_assets.phantom.planes import Plane, deep_plane, profile_extent_nm, random_plane, wall_plane
from em2cryo_assets.phantom.scene import body_of, draw_cell
from em2cryo_assets.phantom.soft_x_ray import soft_x_ray
from em2cryo_assets.phantom.tem import section_coverage, tem_section
from em2cryo_assets_tests.phantom.test_scene import round_cell

OUTSIDE, CYTOPLASM = MATERIALS.index("outside"), MATERIALS.index("cytoplasm")


@pytest.mark.parametrize(("height", "thickness"), [(0.0, 80.0), (1200.0, 80.0), (1200.0, 400.0)])
def test_section_integrates_the_cell_through_its_thickness(height, thickness):
    radius = 2000.0
    cell = round_cell(radius)
    axes = random_rotation(np.random.default_rng(4))
    shares = section_coverage(cell, Plane(height * axes[0], axes), (230, 230), 20.0, thickness)
    area = (1.0 - shares[OUTSIDE]).sum() * 20.0**2
    # Mean of pi (R² - z²) over the slab.
    assert area == pytest.approx(np.pi * (radius**2 - height**2 - thickness**2 / 12), rel=0.004)


def test_oblique_wall_is_smeared_by_the_thickness():
    cell = round_cell(2000.0)
    axes = np.eye(3)

    def edge_width(height: float) -> float:
        row = section_coverage(cell, Plane(height * axes[0], axes), (3, 460), 10.0, 80.0)[OUTSIDE][1]
        return float(np.sum((row > 0.02) & (row < 0.98)) * 10.0 / 2)

    # At height h the surface is inclined by asin(h/R): the edge is t tan(inclination) wide.
    expected = 80.0 * np.tan(np.arcsin(0.8))
    assert edge_width(1600.0) == pytest.approx(expected, abs=25.0)
    assert edge_width(0.0) < 0.35 * expected


def test_section_shows_the_order_of_densities_and_repeats():
    cell = draw_cell(2)
    plane = Plane(cell.organelles.nucleus.centre_nm, np.eye(3))
    image = tem_section(cell, plane, (160, 160), 32.0, seed=1)
    assert image.tobytes() == tem_section(cell, plane, (160, 160), 32.0, seed=1).tobytes()
    labels = cell.labels(plane.points_nm(np.zeros(1), *(2 * [(np.arange(160) - 79.5) * 32.0]))[0])
    inner = {code: ndimage.binary_erosion(labels == code) for code in (0, 1, 3, 4)}
    outside, wall, cytoplasm, nucleus = (float(np.median(image[inner[code]])) for code in (0, 1, 3, 4))
    assert outside < wall < nucleus < cytoplasm


def test_slab_keeps_contrast_order_and_misses_the_wedge():
    cell = draw_cell(2)
    plane = wall_plane(cell.body, np.random.default_rng(3), 100.0)
    tilts = np.arange(-60.0, 61.0, 3.0).tolist()
    shape = (24, 64, 64)
    slab = cryo_slab(cell, plane, shape, 10.0, tilts, snr=200.0, seed=0)
    assert slab.shape == shape
    assert slab.dtype == np.float32
    z, y, x = ((np.arange(n) - 0.5 * (n - 1)) * 10.0 for n in shape)
    labels = cell.labels(plane.points_nm(z, y, x))
    outside, cytoplasm = (ndimage.binary_erosion(labels == code) for code in (0, 3))
    assert slab[cytoplasm].mean() > slab[outside].mean()
    taper = np.hanning(24)[:, None, None] * np.hanning(64)[:, None] * np.hanning(64)
    power = np.abs(np.fft.fftn((slab - slab.mean()) * taper)) ** 2
    kz, _, kx = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    ring = (np.hypot(kz, kx) > 0.15) & (np.hypot(kz, kx) < 0.4)
    angle = np.rad2deg(np.arctan2(np.abs(kz), np.abs(kx)))
    missing = power[ring & (angle > 72)].mean()
    assert missing < 0.1 * power[ring & (angle < 55)].mean()


def test_soft_x_ray_holds_the_whole_cell_at_its_true_volume():
    cell = draw_cell(4)
    volume = soft_x_ray(cell, random_rotation(np.random.default_rng(1)), (64, 64, 64), 110.0, seed=0)
    rim = np.ones(volume.shape, dtype=bool)
    rim[3:-3, 3:-3, 3:-3] = False
    smooth = ndimage.gaussian_filter(volume, 0.7)
    background = float(np.median(smooth[rim]))
    assert smooth[rim].max() < background + 0.1
    solid = ndimage.binary_fill_holes(smooth > background + 0.12)
    assert solid.sum() * 0.110**3 == pytest.approx(cell.truth().volume_um3, rel=0.05)


def test_random_planes_give_volume_fractions_by_the_ratio_estimator():
    rng = np.random.default_rng(8)
    cut, inner_cut, volume, inner_volume, number = [], [], [], [], 0
    while len(cut) < 150:
        number += 1
        body = body_of(number)
        reach = body.half_extent_nm()
        cloud = rng.uniform(-reach, reach, (4000, 3))
        depth = body.distance(cloud)
        volume.append((depth < 0).mean() * reach**3)
        inner_volume.append((depth < -150).mean() * reach**3)
        plane = random_plane(body, rng)
        if plane is None:
            continue
        axis = np.arange(-4500.0, 4500.0, 150.0)
        section = body.distance(plane.points_nm(np.zeros(1), axis, axis)[0].reshape(-1, 3))
        cut.append((section < 0).sum())
        inner_cut.append((section < -150).sum())
    a, b = np.array(inner_cut, float), np.array(cut, float)
    ratio, truth = a.sum() / b.sum(), sum(inner_volume) / sum(volume)
    error = np.sqrt(np.sum((a - ratio * b) ** 2)) / b.sum()
    assert abs(ratio - truth) < 4 * error
    assert error < 0.01


def test_planes_find_wall_or_none():
    rng = np.random.default_rng(0)
    body = body_of(1)
    assert profile_extent_nm(body, Plane(np.array([9e3, 0, 0]), np.eye(3))) == 0.0
    for _ in range(10):
        plane = wall_plane(body, rng, 350.0)
        axis = np.arange(-480.0, 481.0, 60.0)
        section = body.distance(plane.points_nm(np.zeros(1), axis, axis).reshape(-1, 3))
        assert section.min() < 0
        assert body.distance(deep_plane(body, rng, 900.0).centre_nm[None])[0] < -900.0
