"""Overviews: whole cells are opaque and outlined truly; a lamella shows profiles."""

import numpy as np
import pytest

from em2cryo_assets.phantom.overview import overview
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets_tests.phantom.test_scene import round_cell

PLANE = Plane(np.zeros(3), np.eye(3))


def test_whole_cell_is_opaque_and_its_outline_is_its_shadow():
    cell = round_cell(1500.0)
    found = overview([cell, cell], [PLANE, PLANE], [(45, 45), (45, 130)], (90, 180), 50.0, seed=0)
    for number in (1, 2):
        area = (found.outlines == number).sum() * 50.0**2
        assert area == pytest.approx(np.pi * 1500.0**2, rel=0.03)
    inside, far = found.counts[45, 45], np.percentile(found.counts, 99)
    assert inside < 0.001 * far
    assert far == pytest.approx(10.0 * 50.0**2 * np.exp(-150 / 400), rel=0.1)


def test_lamella_shows_a_profile_and_lets_electrons_through():
    height = 900.0
    plane = Plane(np.array([height, 0.0, 0.0]), np.eye(3))
    found = overview([round_cell(1500.0)], [plane], [(40, 40)], (80, 80), 50.0, thickness_nm=200.0, seed=0)
    area = (found.outlines == 1).sum() * 50.0**2
    assert area == pytest.approx(np.pi * (1500.0**2 - height**2), rel=0.04)
    cell, ice = (found.counts[found.outlines == n].mean() for n in (1, 0))
    assert 0.5 * ice < cell < 0.95 * ice


def test_cells_beside_the_picture_do_no_harm_and_lists_must_match():
    cell = round_cell(600.0)
    empty = overview([cell], [PLANE], [(500, 500)], (30, 30), 50.0, seed=0)
    assert not empty.outlines.any()
    with pytest.raises(ValueError, match="zip"):
        overview([cell], [PLANE, PLANE], [(5, 5)], (30, 30), 50.0, seed=0)
