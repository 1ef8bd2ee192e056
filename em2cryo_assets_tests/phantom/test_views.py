"""Other views of a pile: what is rigid stays rigid."""

import numpy as np
import pytest

from em2cryo_assets.phantom.pile import drop_cells
from em2cryo_assets.phantom.relief import resting_rotation, trace_relief
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.views import Placed, place, stage_rotation, triplet, view
from em2cryo_assets_tests.phantom.test_scene import round_cell

PIXEL, SHAPE, SHRINK, RADIUS = 60.0, (200, 240), 0.85, 2000.0


@pytest.fixture(scope="module")
def settled():
    rng = np.random.default_rng(0)
    cells = [draw_cell(i) for i in range(4)]
    rotations = [resting_rotation(rng) for _ in cells]
    reliefs = [trace_relief(c, r, SHRINK, PIXEL) for c, r in zip(cells, rotations, strict=True)]
    pile = drop_cells(reliefs, [(70, 80), (80, 130), (130, 100), (100, 110)], SHAPE, PIXEL)
    return pile, place(cells, rotations, [SHRINK] * 4, pile)


def test_the_view_from_above_is_the_pile(settled):
    pile, placed = settled
    again = view(placed, np.eye(3), SHAPE, PIXEL)
    assert (again.owner != pile.owner).mean() < 1e-3
    same = again.owner == pile.owner
    assert np.abs(again.height_nm - pile.height_nm)[same].max() < 2.0
    np.testing.assert_allclose(again.centres_nm, pile.centres_nm, atol=1e-6)
    assert np.abs(again.depth_nm - pile.depth_nm)[same].max() < 2.0


@pytest.mark.parametrize(("tilt", "turn"), [(45.0, 0.0), (45.0, 180.0), (30.0, 60.0)])
def test_a_ball_moves_by_parallax_and_stays_round(tilt, turn):
    centre = np.array([RADIUS * SHRINK, 1000.0, -700.0])
    stage = stage_rotation(tilt, turn)
    pile = view([Placed(round_cell(RADIUS), np.eye(3), SHRINK, centre)], stage, SHAPE, PIXEL)
    z, y, x = stage @ centre
    # Where the ground does not hide it, the silhouette is a disc about the centre's image.
    rows, columns = (np.arange(n) - 0.5 * (n - 1) for n in SHAPE)
    disc = (rows[:, None] * PIXEL - y) ** 2 + (columns[None] * PIXEL - x) ** 2 < (RADIUS * SHRINK) ** 2
    assert ((pile.owner == 1) != disc).sum() < 0.01 * disc.sum()
    assert pile.height_nm[pile.owner == 1].max() == pytest.approx(z + RADIUS * SHRINK, abs=3.0)
    assert pile.centres_nm[0] == pytest.approx([z, y, x])


def test_the_tilted_support_is_a_tilted_plane():
    placed = [Placed(round_cell(RADIUS), np.eye(3), SHRINK, np.array([RADIUS * SHRINK, 0.0, 0.0]))]
    pile = view(placed, stage_rotation(45.0), SHAPE, PIXEL)
    ground = pile.owner == 0
    assert np.abs(np.gradient(pile.height_nm, PIXEL, axis=0)[:20] + 1.0).max() < 1e-3
    np.testing.assert_allclose(pile.normals[0][ground], np.cos(np.pi / 4), rtol=1e-5)
    # Depth is measured along the support's normal: the support is equally deep everywhere.
    assert np.ptp(pile.depth_nm[ground]) < 1.0
    assert pile.depth_nm[ground].mean() == pytest.approx(2 * RADIUS * SHRINK, rel=0.01)


def test_the_two_tilted_views_of_a_triplet_look_from_opposite_sides(settled):
    _, placed = settled
    level, one, other = triplet(placed, SHAPE, PIXEL)
    stages = np.eye(3), stage_rotation(45.0), stage_rotation(45.0, 180.0)
    for pile, stage in zip((level, one, other), stages, strict=True):
        np.testing.assert_allclose(pile.centres_nm @ stage, [p.centre_nm for p in placed], atol=1e-6)
    # A surface patch seen in both tilted views lies at one place in space.
    directions = [stage.T @ np.array([1.0, 0.0, 0.0]) for stage in stages[1:]]
    assert np.degrees(np.arccos(directions[0] @ directions[1])) == pytest.approx(90.0)
    assert len({int(p.owner.max()) for p in (level, one, other)}) == 1
    with pytest.raises(ValueError, match="edge"):
        view(placed, stage_rotation(90.0), SHAPE, PIXEL)


def test_an_offset_moves_the_cell_by_parts_of_a_pixel():
    still = trace_relief(round_cell(RADIUS), np.eye(3), SHRINK, PIXEL)
    moved = trace_relief(round_cell(RADIUS), np.eye(3), SHRINK, PIXEL, (0.5 * PIXEL, -0.25 * PIXEL))

    def middle(relief):
        thickness = np.nan_to_num(relief.top_nm - relief.bottom_nm)
        places = np.arange(thickness.shape[0]) - thickness.shape[0] // 2
        return np.array([places @ thickness.sum(axis=1), places @ thickness.sum(axis=0)]) / thickness.sum()

    np.testing.assert_allclose(middle(moved) - middle(still), [0.5, -0.25], atol=0.03)
