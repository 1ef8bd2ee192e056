"""Piles: cells rest on one another, hide one another, and are shaded as an SEM shades."""

import numpy as np
import pytest

from em2cryo_assets.phantom.annotate import burn_scale_bar, data_bar
from em2cryo_assets.phantom.fields import arrange
from em2cryo_assets.phantom.pile import drop_cells, resting_rotation, sem_image, trace_relief
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets_tests.phantom.test_scene import round_cell

RADIUS, SHRINK, PIXEL = 2000.0, 0.85, 40.0


@pytest.fixture(scope="module")
def ball():
    return trace_relief(round_cell(RADIUS), np.eye(3), SHRINK, PIXEL)


def test_relief_of_a_sphere_is_its_closed_form(ball):
    side = ball.top_nm.shape[0]
    axis = (np.arange(side) - side // 2) * PIXEL
    square = axis[:, None] ** 2 + axis[None] ** 2
    dried = RADIUS * SHRINK
    # At the very rim a ray is tangent: leave half a pixel.
    safe = square < (dried - 0.5 * PIXEL) ** 2
    height = np.sqrt(np.maximum(dried**2 - square, 0))
    assert np.abs(ball.top_nm - height)[safe].max() < 6.0
    assert np.abs(ball.bottom_nm + height)[safe].max() < 6.0
    assert np.isnan(ball.top_nm[square > (dried + PIXEL) ** 2]).all()
    assert np.abs(ball.normals[0] - height / dried)[safe].max() < 0.02


def test_relief_of_a_drawn_cell_lies_on_its_surface():
    cell, rotation = draw_cell(0), resting_rotation(np.random.default_rng(2))
    relief = trace_relief(cell, rotation, SHRINK, 60.0)
    side = relief.top_nm.shape[0]
    y, x = np.nonzero(np.isfinite(relief.top_nm))
    p = np.stack([relief.top_nm[y, x], (y - side // 2) * 60.0, (x - side // 2) * 60.0], axis=1)
    distance = cell.outer_distance(p.astype(float) @ rotation / SHRINK)
    assert np.abs(distance).max() < 3.0


@pytest.mark.parametrize("offset_px", [0, 20, 45, 70])
def test_ball_on_ball_comes_to_rest_where_they_touch(ball, offset_px):
    dried, offset = RADIUS * SHRINK, offset_px * PIXEL
    pile = drop_cells([ball, ball], [(100, 60), (100, 60 + offset_px)], (200, 220))
    rest = dried + np.sqrt(4 * dried**2 - offset**2)
    # Contact lies between pixels, so the upper ball may rest a little lower.
    assert pile.height_nm.max() == pytest.approx(rest + dried, rel=0.01)
    assert pile.visible[1] == 1.0
    assert (pile.visible[0] < 1.0) == (offset < 2 * dried)


def test_balls_far_apart_lie_on_the_support(ball):
    pile = drop_cells([ball, ball], [(100, 60), (100, 160)], (200, 220))
    assert pile.visible == (1.0, 1.0)
    assert pile.height_nm.max() == pytest.approx(2 * RADIUS * SHRINK, rel=0.005)


def test_border_cuts_and_says_so(ball):
    pile = drop_cells([ball], [(0, 110)], (200, 220))
    assert pile.visible[0] == pytest.approx(0.5, abs=0.03)


def test_edges_are_bright_and_the_picture_repeats(ball):
    pile = drop_cells([ball], [(110, 110)], (220, 220))
    image = sem_image(pile, PIXEL, seed=3)
    assert image.tobytes() == sem_image(pile, PIXEL, seed=3).tobytes()
    nz = pile.normals[0]
    on = pile.owner == 1
    rim, middle, beside = on & (nz < 0.4) & (nz > 0.1), on & (nz > 0.9), pile.owner == 0
    assert image[rim].mean() > 1.2 * image[middle].mean()
    assert image[middle].mean() > 1.5 * image[beside].mean()


def test_settled_cells_lie_down():
    rng = np.random.default_rng(0)
    long_axes = np.stack([resting_rotation(rng)[:, 2] for _ in range(500)])
    assert np.degrees(np.arcsin(np.abs(long_axes[:, 0]))).mean() < 30.0
    assert np.abs(long_axes[:, 1:].mean(axis=0)).max() < 0.15


def test_arrangement_keeps_enough_cells_clear(ball):
    centres = arrange([ball] * 6, (384, 512), (40, 120), clear=4, seed=0)
    pile = drop_cells([ball] * 6, centres, (384, 512))
    assert sum(v > 0.97 for v in pile.visible) >= 4
    assert min(pile.visible) > 0.3


def test_bars_have_the_length_they_state():
    blank = np.full((300, 500), 120, dtype=np.uint8)
    burnt = burn_scale_bar(blank, 18.0, 5)
    assert np.count_nonzero(burnt == 0, axis=1).max() == round(5000 / 18.0)
    assert np.array_equal(burnt[:200], blank[:200])
    strip = data_bar(800, 60, 18.0, 5, ["HV 5.00 kV"])
    ends = np.flatnonzero(strip[30 - 6] == 255)
    assert ends.max() - ends[ends > 400].min() + 1 == round(5000 / 18.0)
