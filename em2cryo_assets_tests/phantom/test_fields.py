"""Crowds: deep piles whose truth is known, and how they look."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.charging import CROWDED, draw_look
from em2cryo_assets.phantom.fields import crowd, dried_stranger
from em2cryo_assets.phantom.pile import bse_images, drop_cells, sem_image
from em2cryo_assets.phantom.relief import trace_relief, turned
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.views import quarter_turn

PIXEL, SHAPE = 60.0, (256, 320)


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    drawn = [dried_stranger(draw_cell(i), rng) for i in range(8)]
    return [(cell, random_rotation(rng), rng.uniform(0.6, 0.8)) for cell in drawn]


@pytest.fixture(scope="module")
def reliefs(cells):
    return [trace_relief(cell, rotation, shrink, PIXEL) for cell, rotation, shrink in cells]


@pytest.fixture(scope="module")
def heap(reliefs):
    return crowd(reliefs, SHAPE, seed=1)


@pytest.fixture(scope="module")
def pile(heap):
    return drop_cells(heap.reliefs, heap.centres, SHAPE, PIXEL)


def test_a_crowd_is_several_layers_deep_and_hides_the_support(heap, pile):
    silhouettes = sum(np.isfinite(r.top_nm).sum() for r in heap.reliefs)
    assert silhouettes > 3.0 * SHAPE[0] * SHAPE[1]
    assert (pile.owner == 0).mean() < 0.05
    assert {index for index, _ in heap.members} == set(range(8))
    assert np.ptp(pile.centres_nm[:, 0]) > 2 * 3000.0
    in_view = np.array(pile.visible) > 0
    assert (np.array(pile.visible)[in_view] < 0.9).mean() > 0.3


def test_looking_for_low_places_makes_a_flatter_heap(reliefs):
    def top(choices):
        heap = crowd(reliefs, SHAPE, seed=2, choices=choices)
        return drop_cells(heap.reliefs, heap.centres, SHAPE).height_nm.max()

    assert top(8) < 0.8 * top(1)


def test_the_same_seed_gives_the_same_crowd(reliefs, heap):
    again = crowd(reliefs, SHAPE, seed=1)
    assert again.centres == heap.centres
    assert again.members == heap.members
    with pytest.raises(ValueError, match="crowd"):
        crowd([], SHAPE, seed=1)


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_relief_is_that_of_the_turned_cell(cells, reliefs, quarters):
    cell, rotation, shrink = cells[0]
    expected = trace_relief(cell, quarter_turn(quarters) @ rotation, shrink, PIXEL)
    got = turned(reliefs[0], quarters)
    both = np.isfinite(got.top_nm) & np.isfinite(expected.top_nm)
    assert (np.isfinite(got.top_nm) != np.isfinite(expected.top_nm)).sum() < 0.005 * both.sum()
    assert np.percentile(np.abs(got.top_nm - expected.top_nm)[both], 98) < 8.0
    inner = both & (expected.normals[0] > 0.3)
    assert np.percentile((got.normals * expected.normals).sum(axis=0)[inner], 2) > 0.99


def test_truth_of_a_pile_fits_together(pile):
    on = pile.owner > 0
    np.testing.assert_allclose(np.linalg.norm(pile.normals, axis=0), 1.0, atol=1e-4)
    assert pile.depth_nm.min() == 0.0
    np.testing.assert_allclose(pile.depth_nm + pile.height_nm, pile.height_nm.max(), rtol=1e-5)
    assert (pile.half_thickness_nm[~on] == 0).all()
    # Normals are those of the heights, away from contours.
    edges = ndimage.maximum_filter(pile.owner, 5) != ndimage.minimum_filter(pile.owner, 5)
    dy, dx = np.gradient(pile.height_nm.astype(float), PIXEL)
    inner = ~edges & (pile.normals[0] > 0.6)
    assert np.median(np.abs(dy + pile.normals[1] / pile.normals[0])[inner]) < 0.02
    assert np.median(np.abs(dx + pile.normals[2] / pile.normals[0])[inner]) < 0.02


def test_half_thickness_gives_the_volume_of_a_free_cell(cells, reliefs):
    cell, _, shrink = cells[0]
    pile = drop_cells([reliefs[0]], [(128, 160)], SHAPE, PIXEL)
    volume_um3 = 2.0 * pile.half_thickness_nm.sum() * PIXEL**2 / 1e9
    axis = np.arange(-3600.0, 3600.0, 120.0)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = np.clip(0.5 - cell.outer_distance(points) / 120.0, 0.0, 1.0).sum() * (0.12 * shrink) ** 3
    assert volume_um3 == pytest.approx(inside, rel=0.02)


def test_deep_cells_are_darker_and_softer(pile):
    image = sem_image(pile, PIXEL, seed=0, look=CROWDED).astype(float)
    shallow, deep = pile.depth_nm < np.percentile(pile.depth_nm, 25), pile.depth_nm > np.percentile(pile.depth_nm, 75)
    assert image[deep].mean() < 0.6 * image[shallow].mean()


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(pile):
    import torch

    threads = torch.get_num_threads()
    pictures = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            pictures.append(sem_image(pile, PIXEL, seed=5, look=CROWDED).tobytes())
            pictures[-1] += bse_images(pile, PIXEL, seed=5).tobytes()
    finally:
        torch.set_num_threads(threads)
    assert pictures[0] == pictures[1]
    assert sem_image(pile, PIXEL, seed=6, look=CROWDED).tobytes() != pictures[0][: pile.owner.size]


def test_quadrants_see_opposite_flanks(pile):
    east, south, west, north = (q.astype(float) for q in bse_images(pile, PIXEL, seed=0))
    faces_east = (pile.normals[2] > 0.5) & (pile.depth_nm < 2500.0)
    faces_south = (pile.normals[1] > 0.5) & (pile.depth_nm < 2500.0)
    assert east[faces_east].mean() > 2.0 * west[faces_east].mean()
    assert south[faces_south].mean() > 2.0 * north[faces_south].mean()


def test_drawn_looks_differ_and_can_be_looked_at(pile):
    rng = np.random.default_rng(3)
    images = [sem_image(pile, PIXEL, seed=1, look=draw_look(rng)) for _ in range(3)]
    assert len({image.tobytes() for image in images}) == 3
    assert all(image.std() > 5 for image in images)
    assert draw_look(rng, held_out=True).microscope.exponent >= 1.4
