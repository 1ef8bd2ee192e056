"""Surfaces and meshes of masks whose solids are known."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.geometry.mesh import is_outward, is_watertight, principal_axes_nm, sphericity, volume_um3
from em2cryo_assets.sem.solid import half_thickness_volume_um3, surface_to_mesh
from em2cryo_assets.sem.surface import CellSurface, ellipsoid_inflation, rotational_sweep
from em2cryo_assets_tests.geometry.shapes import ellipse_mask


@pytest.mark.parametrize("estimate", [rotational_sweep, ellipsoid_inflation])
def test_a_circle_becomes_a_sphere(estimate) -> None:
    surface = estimate(ellipse_mask(260, 100, 100), 20.0)
    assert half_thickness_volume_um3(surface, 20.0) == pytest.approx(4 / 3 * np.pi * 8, rel=5e-3)
    y, x = np.indices((260, 260)) - 130 + 0.3
    radius = np.hypot(y, x)
    inner = radius < 95
    truth = 20 * np.sqrt(100**2 - radius[inner] ** 2)
    assert np.abs(surface.half_thickness_nm[inner] - truth).max() < 25
    normals = np.stack([truth / 20, y[inner], x[inner]]) / 100
    cosine = (surface.normals[:, inner] * normals).sum(axis=0)
    off_deg = np.rad2deg(np.arccos(cosine.clip(-1, 1)))
    assert off_deg.mean() < 1.5
    assert np.percentile(off_deg, 99) < 4
    mesh = surface_to_mesh(surface, 20.0)
    assert sphericity(mesh) > 0.999
    np.testing.assert_allclose(principal_axes_nm(mesh), 2000, rtol=5e-3)


@settings(max_examples=12, deadline=None)
@given(short=st.floats(30, 90), ratio=st.floats(1.0, 1.8), angle=st.floats(0, 180), pixel=st.floats(5, 40))
def test_an_ellipse_in_any_pose_becomes_its_prolate_spheroid(
    short: float, ratio: float, angle: float, pixel: float
) -> None:
    mask = ellipse_mask(360, short * ratio, short, angle)
    surface = rotational_sweep(mask, pixel)
    mesh = surface_to_mesh(surface, pixel)
    assert is_watertight(mesh)
    assert is_outward(mesh)
    assert 2000 <= len(mesh.faces) <= 20000
    assert volume_um3(mesh) == pytest.approx(4 / 3 * np.pi * short**3 * ratio * pixel**3 / 1e9, rel=0.02)
    assert volume_um3(mesh) == pytest.approx(half_thickness_volume_um3(surface, pixel), rel=0.01)
    np.testing.assert_allclose(principal_axes_nm(mesh), np.array([short * ratio, short, short]) * pixel, rtol=0.02)


def test_turning_and_mirroring_the_mask_turns_and_mirrors_the_surface() -> None:
    mask = ellipse_mask(200, 80, 55, 33)
    mask[60:80, 60:75] = False
    height = rotational_sweep(mask, 10.0).half_thickness_nm
    for turn in (lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a.T):
        turned = rotational_sweep(np.ascontiguousarray(turn(mask)), 10.0).half_thickness_nm
        np.testing.assert_allclose(turned, turn(height), atol=8)


def test_a_bud_in_line_keeps_its_neck_and_both_volumes() -> None:
    y, x = np.indices((200, 300), dtype=float)
    mask = (np.hypot(y - 100, x - 100) < 80) | (np.hypot(y - 100, x - 215) < 40)
    surface = rotational_sweep(mask, 20.0)
    caps = 80 - 80 * np.cos(np.arcsin(np.sqrt(1 - ((115**2 + 80**2 - 40**2) / (2 * 115 * 80)) ** 2)))
    bud_cap = 40 - (115 - (80 - caps))
    cap = sum(np.pi * h**2 * (3 * r - h) / 3 for h, r in ((caps, 80), (bud_cap, 40)))
    truth = (4 / 3 * np.pi * (80**3 + 40**3) - cap) * 20**3 / 1e9
    assert half_thickness_volume_um3(surface, 20.0) == pytest.approx(truth, rel=0.02)
    mesh = surface_to_mesh(surface, 20.0)
    assert is_watertight(mesh)
    column = surface.half_thickness_nm.max(axis=0)
    assert column[170:185].min() < 0.6 * column[215]


def test_the_mesh_lies_where_the_image_has_it() -> None:
    mask = ellipse_mask(200, 80, 40, 0)
    mask = np.roll(mask, (13, -21), (0, 1))
    low = surface_to_mesh(rotational_sweep(mask, 10.0), 10.0).vertices_nm.min(axis=0)
    high = surface_to_mesh(rotational_sweep(mask, 10.0), 10.0).vertices_nm.max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=15)
    np.testing.assert_allclose(high - low, [800, 800, 1600], rtol=0.02)


def test_what_the_estimator_imposes_is_said() -> None:
    surface = rotational_sweep(ellipse_mask(100, 30, 20), 10.0)
    assert "axial symmetry" in surface.imposed
    assert "mirror in the image plane" in surface.imposed


def test_crumbs_of_a_surface_are_left_out() -> None:
    surface = rotational_sweep(ellipse_mask(200, 60, 50), 10.0)
    height = surface.half_thickness_nm.copy()
    height[2:6, 2:6] = 30
    whole, crumbed = (surface_to_mesh(s, 10.0) for s in (surface, CellSurface(height, surface.normals, "x", ())))
    assert volume_um3(crumbed) == pytest.approx(volume_um3(whole))


@pytest.mark.parametrize(
    ("mask", "pixel", "words"),
    [
        (np.zeros((50, 50), bool), 10.0, "too small"),
        (np.ones((50, 50), bool), 0.0, "positive"),
        (np.ones((2, 50, 50), bool), 10.0, r"\(y, x\)"),
    ],
)
def test_a_mask_that_cannot_be_a_cell_is_refused(mask: np.ndarray, pixel: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rotational_sweep(mask, pixel)


def test_a_cell_costs_less_than_its_budget() -> None:
    mask = ellipse_mask(300, 120, 90, 20)
    surface_to_mesh(rotational_sweep(mask, 20.0), 20.0)
    start = time.process_time()
    surface_to_mesh(rotational_sweep(mask, 20.0), 20.0)
    assert time.process_time() - start < 0.7
