"""The scene: nothing overlaps, nothing is lost, and what is reported is there."""

import numpy as np
import pytest

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.body import Body, Lobe
from em2cryo_assets.phantom.contrast import LABEL_OF_MATERIAL, MATERIALS
from em2cryo_assets.phantom.priors import PRIORS, draw
from em2cryo_assets.phantom.scene import Cell, body_of, draw_cell
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

SEEDS = range(6)


def round_cell(radius: float, wall: float = 150.0) -> Cell:
    """A spherical cell without bud, bumps or scars, filled as a drawn one of that size would be."""
    lobe = Lobe(np.zeros(3), np.eye(3), np.full(3, radius), np.zeros((0, 3)), (), np.zeros(0))
    return Cell(Body(lobe, None, 1.0), draw_cell(3).organelles, (), wall)


def inside_box(cell: Cell, count: int = 60000) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, 3)) * cell.body.half_extent_nm()


@pytest.mark.parametrize("seed", SEEDS)
def test_organelles_overlap_neither_each_other_nor_the_cortex(seed):
    cell = draw_cell(seed)
    points = inside_box(cell)
    smooth = cell.body.distance(points)
    distances = cell._body_distances(points.T, smooth, 500.0)
    inside = np.stack([distances[name] < 0 for name in ORGANELLES])
    assert inside.sum(axis=0).max() == 1
    assert np.all(smooth[inside.any(axis=0)] < -cell.wall_nm - PRIORS["membrane_thickness"].mean)


@pytest.mark.parametrize("seed", SEEDS)
def test_bodies_keep_the_least_distance(seed):
    organelles = draw_cell(seed).organelles
    gap = PRIORS["gap"].mean
    centres, radii = organelles.droplet_centres_nm, organelles.droplet_radii_nm
    for i in range(len(radii)):
        apart = np.linalg.norm(centres - centres[i], axis=1) - radii - radii[i]
        assert np.all(np.delete(apart, i) >= gap - 1e-6)
        for tube in organelles.tubes:
            assert tube.distance(centres[i : i + 1].T, 1e5)[0][0] - radii[i] >= gap - 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_are_a_partition(seed):
    cell = draw_cell(seed)
    points = inside_box(cell, 20000)
    shares = cell.coverage(points, 60.0)
    assert shares.min() > -1e-5
    assert np.allclose(shares.sum(axis=0), 1.0, atol=1e-4)
    # Leaflets and pores, which a finer look shows, are nowhere but in membranes.
    fine = cell.coverage(points, 5.0)
    assert fine.min() > -1e-5
    membranes = fine[[MATERIALS.index("membrane"), MATERIALS.index("envelope")]].any(axis=0)
    assert np.allclose(fine.sum(axis=0)[~membranes], 1.0, atol=1e-4)


def test_amounts_do_not_depend_on_softness():
    cell = draw_cell(1)
    reach = cell.body.half_extent_nm() + 300.0
    axis = np.arange(-reach, reach, 90.0)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    fine, coarse = (cell.coverage(points, softness).sum(axis=1) for softness in (60.0, 140.0))
    for name in ("wall", "membrane", "cytoplasm", "nucleus", "vacuole"):
        i = MATERIALS.index(name)
        assert coarse[i] == pytest.approx(fine[i], rel=0.03), name


def test_truth_of_a_sphere_is_its_closed_form():
    radius, wall = 2200.0, 160.0
    cell = round_cell(radius, wall)
    truth = cell.truth()
    assert truth.volume_um3 == pytest.approx(4 / 3 * np.pi * (radius * 1e-3) ** 3, rel=0.003)
    assert truth.fractions["wall"] == pytest.approx(1 - (1 - wall / radius) ** 3, rel=0.01)
    assert truth.semi_axes_nm == pytest.approx((radius,) * 3, rel=0.004)
    nucleus = 4 / 3 * np.pi * float(np.prod(cell.organelles.nucleus.semi_axes_nm)) * 1e-9
    assert truth.fractions["nucleus"] * truth.volume_um3 == pytest.approx(nucleus, rel=0.01)


def test_labels_agree_with_truth_when_counted():
    cell = draw_cell(5)
    truth = cell.truth()
    n, side = 90, 2.1 * cell.body.half_extent_nm()
    grid = Grid((n, n, n), (side / n,) * 3, (-0.5 * side * (n - 1) / n,) * 3)
    sample = cell.sample(grid)
    assert sample.labels.shape == sample.density.shape == (n, n, n)
    counts = np.bincount(sample.labels.ravel(), minlength=len(LABELS)).astype(float)
    assert counts[1:].sum() * (side / n) ** 3 * 1e-9 == pytest.approx(truth.volume_um3, rel=0.01)
    for name in ("wall", "nucleus", "vacuole", "mitochondrion"):
        assert counts[LABELS[name]] / counts[1:].sum() == pytest.approx(truth.fractions[name], rel=0.06), name


def test_wall_and_membrane_follow_each_other_along_the_normal():
    cell = round_cell(2000.0)
    depth = np.array([-5.0, 5.0, 145.0, 155.0, 165.0])
    points = np.zeros((5, 3))
    points[:, 1] = 2000.0 - depth
    names = ("outside", "wall", "wall", "membrane", "cytoplasm")
    assert cell.labels(points).tolist() == [LABELS[name] for name in names]


def test_every_material_carries_a_label():
    assert LABEL_OF_MATERIAL[: len(LABELS)].tolist() == [LABELS[name] for name in MATERIALS[: len(LABELS)]]
    assert LABEL_OF_MATERIAL[MATERIALS.index("fringe")] == LABELS["wall"]


def test_same_seed_same_cell_other_seed_other_cell():
    a, b, c = draw_cell(9), draw_cell(9), draw_cell(10)
    assert a.organelles.droplet_centres_nm.tobytes() == b.organelles.droplet_centres_nm.tobytes()
    assert a.truth() == b.truth()
    assert a.wall_nm != c.wall_nm
    assert np.array_equal(body_of(9).mother.semi_axes_nm, a.body.mother.semi_axes_nm)


def test_draws_stay_within_their_limits():
    rng = np.random.default_rng(0)
    for name, prior in PRIORS.items():
        values = [draw(name, rng) for _ in range(200)]
        assert prior.low <= min(values), name
        assert max(values) <= prior.high, name
