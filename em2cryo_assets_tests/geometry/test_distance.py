"""Signed distances against the closed form of a sphere."""

import numpy as np
import pytest

from em2cryo_assets.geometry.distance import signed_distance, signed_distance_at
from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.geometry.mesh import volume_um3
from em2cryo_assets_tests.geometry.shapes import ellipsoid

_GRID = Grid((60, 64, 70), (80.0, 75.0, 70.0), (-2360.0, -2400.0, -2450.0))


def _radius() -> np.ndarray:
    z, y, x = np.meshgrid(*[_GRID.axis_nm(i) for i in range(3)], indexing="ij")
    return np.sqrt(z**2 + y**2 + x**2)


def test_distance_of_a_sphere_is_radius_minus_r_negative_inside() -> None:
    distance = signed_distance(ellipsoid(2000, 2000, 2000, n=96), _GRID)
    truth = _radius() - 2000
    assert distance.dtype == np.float32
    assert distance[30, 32, 35] < -1900
    away_from_centre = truth > -1500
    assert np.abs(distance - truth)[away_from_centre].max() < 4
    assert np.abs(distance - truth).max() < 60


def test_volume_inside_is_the_mesh_volume() -> None:
    mesh = ellipsoid(1500, 2300, 2000)
    inside = (signed_distance(mesh, _GRID) < 0).sum() * np.prod(_GRID.voxel_nm) / 1e9
    assert inside == pytest.approx(volume_um3(mesh), rel=3e-3)


def test_blocks_hold_the_same_bytes_as_the_whole() -> None:
    mesh = ellipsoid(1500, 2300, 2000)
    whole = signed_distance(mesh, _GRID)
    block = signed_distance(mesh, _GRID, (7, 20, 1), (41, 64, 30))
    assert block.tobytes() == whole[7:41, 20:64, 1:30].tobytes()


def test_the_lattice_agrees_with_exact_queries_for_a_coarse_grid() -> None:
    mesh = ellipsoid(1500, 2300, 2000)
    grid = Grid((9, 9, 9), (600.0, 600.0, 600.0), (-2400.0, -2400.0, -2400.0))
    points = np.stack(np.meshgrid(*[grid.axis_nm(i) for i in range(3)], indexing="ij"), -1).reshape(-1, 3)
    np.testing.assert_allclose(signed_distance(mesh, grid).ravel(), signed_distance_at(mesh, points), atol=0.1)


def test_distance_does_not_lose_precision_far_from_the_origin() -> None:
    mesh = ellipsoid(2000, 2000, 2000, n=96)
    moved = type(mesh)(mesh.vertices_nm + 5e7, mesh.faces)
    points = np.array([[5e7 + 2100.0, 5e7, 5e7], [5e7, 5e7 + 1900.0, 5e7]])
    np.testing.assert_allclose(signed_distance_at(moved, points), [100, -100], atol=2)
