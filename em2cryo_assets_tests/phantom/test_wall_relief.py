"""Furrows: shallow, as much out as in, not on scars, and seen by every microscope that sees the wall."""

from dataclasses import replace

import numpy as np
import pytest

from em2cryo_assets.phantom.body import columns
from em2cryo_assets.phantom.priors import PRIORS
from em2cryo_assets.phantom.relief import trace_relief
from em2cryo_assets.phantom.scene import Cell, draw_cell


def on_surface(cell: Cell, count: int = 4000) -> np.ndarray:
    points = np.random.default_rng(2).normal(size=(count, 3))
    points *= 2250.0 / np.linalg.norm(points, axis=1, keepdims=True)
    for _ in range(5):
        points -= cell.body.distance(points)[:, None] * cell.body.gradient(points)
    return points


@pytest.mark.parametrize("seed", range(8))
def test_furrows_leave_the_walls_mean_thickness(seed):
    cell = replace(draw_cell(seed), scars=())
    height = -cell.outer_distance(on_surface(cell))
    assert abs(height.mean()) < 0.01 * cell.wall_nm
    assert np.abs(height).max() <= cell.furrows.amplitude_nm + 0.1
    assert 0.4 * cell.furrows.amplitude_nm < height.std() < 0.9 * cell.furrows.amplitude_nm
    flat = replace(cell, furrows=None).truth()
    assert cell.truth().volume_um3 == pytest.approx(flat.volume_um3, rel=5e-4)
    assert cell.truth().fractions["wall"] == pytest.approx(flat.fractions["wall"], rel=0.01)


def test_furrows_have_their_wavelength():
    cell = replace(draw_cell(3), scars=())
    angle = np.linspace(0.0, 2 * np.pi, 4000, endpoint=False)
    ring = np.stack([np.sin(angle), np.cos(angle), np.zeros_like(angle)], axis=1) * 2200.0
    for _ in range(5):
        ring -= cell.body.distance(ring)[:, None] * cell.body.gradient(ring)
    height = -cell.outer_distance(ring)
    length = np.linalg.norm(np.diff(ring, axis=0, append=ring[:1]), axis=1).sum()
    crossings = np.sum(np.signbit(height) != np.signbit(np.roll(height, 1)))
    # Waves seen obliquely along a line are longer than they are in space.
    assert 200.0 < 2.0 * length / crossings < 700.0


def test_no_furrow_on_a_scar_and_nothing_higher_than_the_bound():
    cell = next(c for c in map(draw_cell, range(20)) if c.scars)
    scar, smooth = cell.scars[0], replace(cell, furrows=None)
    points = on_surface(cell, 20000)
    along = np.arccos(points @ scar.direction / np.linalg.norm(points, axis=1)) * np.linalg.norm(points, axis=1)
    on = points[along < scar.radius_nm + 100.0]
    assert len(on) > 50
    assert np.array_equal(cell.outer_distance(on), smooth.outer_distance(on))
    assert not np.array_equal(cell.outer_distance(points), smooth.outer_distance(points))
    assert -cell.outer_distance(points).min() < cell.raised_nm
    assert PRIORS["furrow_amplitude"].high < cell.raised_nm


def test_furrows_end_before_the_wall_does():
    cell = replace(draw_cell(1), scars=())
    points = on_surface(cell, 500)
    inward = points - 140.0 * cell.body.gradient(points)
    assert not cell.height_nm(columns(inward), cell.body.distance(inward)).any()


def test_a_relief_shows_them_and_stays_a_relief():
    cell = replace(draw_cell(0), scars=())
    one, other = (trace_relief(c, np.eye(3), 0.85, 25.0) for c in (cell, replace(cell, furrows=None)))
    both = np.isfinite(one.top_nm) & np.isfinite(other.top_nm)
    assert np.mean(np.isfinite(one.top_nm) != np.isfinite(other.top_nm)) < 0.02
    upright = both & (other.normals[0] > 0.8)
    height = (one.top_nm - other.top_nm)[upright] * other.normals[0][upright] / 0.85
    assert np.abs(height).max() < cell.furrows.amplitude_nm + 3.0
    assert height.std() > 0.4 * cell.furrows.amplitude_nm
    tilted = np.degrees(np.arccos(np.clip(np.sum(one.normals * other.normals, axis=0)[upright], -1.0, 1.0)))
    assert 1.0 < np.median(tilted) < 15.0
