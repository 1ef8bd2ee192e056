import numpy as np
import pytest

from em2cryo_assets.fusion.cutaway import cutaway
from em2cryo_assets.geometry.isosurface import mesh_of_volume


def _ring_section(long_px: float, short_px: float, turn_deg: float):
    """An elliptical profile whose density is the relative distance from its middle."""
    y, x = np.indices((300, 300)) - 149.5
    turn = np.deg2rad(turn_deg)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    relative = np.hypot(along / long_px, across / short_px)
    return relative.astype(np.float32), relative < 1


@pytest.mark.parametrize("turn_deg", [0, 35, 90, 160])
def test_rings_of_the_section_become_rings_of_the_cell(cell, turn_deg):
    density, profile = _ring_section(130, 95, turn_deg)
    result = cutaway(cell, density, profile, pixel_size_nm=20.0, grid_pixel_nm=30.0)
    y = result.origin_nm[1] + 30.0 * np.arange(result.mask.shape[0])[:, None]
    x = result.origin_nm[2] + 30.0 * np.arange(result.mask.shape[1])[None, :]
    relative = np.hypot(y / 2050.0, x / 2500.0)
    assert np.abs(result.density - relative)[result.mask].max() < 0.06
    assert np.isnan(result.density[~result.mask]).all()
    assert result.mask.sum() * 30.0**2 == pytest.approx(np.pi * 2050 * 2500, rel=0.01)


def test_caption_says_that_it_is_another_cell(cell):
    density, profile = _ring_section(100, 90, 0)
    result = cutaway(cell, density, profile, pixel_size_nm=20.0, grid_pixel_nm=60.0)
    assert "another cell" in result.caption


def test_an_empty_profile_is_refused(cell):
    with pytest.raises(ValueError, match="empty"):
        cutaway(cell, np.zeros((9, 9)), np.zeros((9, 9), bool), pixel_size_nm=1.0, grid_pixel_nm=60.0)


def test_a_profile_is_not_stretched_into_a_bud():
    axis = np.arange(-2300.0, 4301.0, 100.0)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    mother, bud = np.sqrt(z**2 + y**2 + x**2) < 1900, np.sqrt(z**2 + y**2 + (x - 2600) ** 2) < 1000
    mesh = mesh_of_volume(mother | bud, (100.0,) * 3)
    density, profile = _ring_section(100, 100, 0)
    result = cutaway(mesh, density, profile, pixel_size_nm=20.0, grid_pixel_nm=40.0)
    along = result.origin_nm[2] + 40.0 * np.arange(result.mask.shape[1]) + axis[0]
    in_bud = result.mask & (along > 2300.0)
    assert np.ptp(result.density[in_bud]) == 0
    assert np.ptp(result.density[result.mask & (along < 1500.0)]) > 0.8
    assert "bud is left grey" in result.caption
