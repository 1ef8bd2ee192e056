"""Mitochondria branch and vacuoles have lobes, while what was drawn before stays where it was."""

import numpy as np
import pytest

from em2cryo_assets.phantom.body import columns
from em2cryo_assets.phantom.organelles import Vacuole
from em2cryo_assets.phantom.priors import PRIORS
from em2cryo_assets.phantom.scene import draw_cell

CELLS = [draw_cell(seed) for seed in range(24)]


def test_many_mitochondria_branch_and_some_do_not():
    branches = [len(tube.branches_nm) for cell in CELLS for tube in cell.organelles.tubes]
    assert 0.25 < np.mean(np.array(branches) > 0) < 0.75


def test_a_branch_starts_on_its_trunk_and_gets_clear_of_it():
    for cell in CELLS:
        for tube in cell.organelles.tubes:
            for branch in tube.branches_nm:
                assert np.all(tube.nodes_nm[1:-1] == branch[0], axis=1).any()
                way = np.linalg.norm(branch[:, None] - tube.nodes_nm[None], axis=2).min(axis=1)
                assert way[-1] > 2 * tube.radius_nm
                assert len(branch) >= 4


def test_branches_keep_the_length_and_the_distance_to_all_else():
    gap = PRIORS["gap"].mean
    lengths = []
    for cell in CELLS:
        tubes = cell.organelles.tubes
        for i, tube in enumerate(tubes):
            lengths.append(sum(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum() for chain in tube.chains_nm))
            for branch in tube.branches_nm:
                share = np.linspace(0.0, 1.0, 8)[:, None, None]
                axis = (branch[:-1] + share * np.diff(branch, axis=0)).reshape(-1, 3)
                for other in tubes[:i] + tubes[i + 1 :]:
                    # Between the points that were tried when it grew it may come a few nm closer.
                    assert other.distance(axis.T, 1e5)[0].min() > tube.radius_nm + gap - 15.0
                assert cell.organelles.droplet_distance(columns(axis)).min() > tube.radius_nm + gap - 15.0
                nucleus = cell.organelles.nucleus.distance(columns(axis))
                assert nucleus.min() > tube.radius_nm + gap - 15.0
    prior = PRIORS["mitochondrion_length"]
    assert prior.low / 3 < min(lengths)
    assert max(lengths) < 1.1 * prior.high


def test_a_junction_has_no_membrane_across_it():
    tube = next(t for c in CELLS for t in c.organelles.tubes if t.branches_nm)
    junction, second = tube.branches_nm[0][:2]
    line = junction + np.linspace(0.0, 1.0, 50)[:, None] * (second - junction)
    assert tube.distance(line.T, 1e3)[0].max() < 1.0 - tube.radius_nm


def test_most_vacuoles_are_whole_some_have_two_or_three_lobes():
    lobes = np.array([max(1, len(draw.organelles.vacuole.lobes_nm)) for draw in CELLS])
    assert set(lobes) <= {1, 2, 3}
    assert 0.4 < np.mean(lobes == 1) < 0.95


@pytest.mark.parametrize("count", [2, 3])
def test_lobes_are_apart_touch_no_nucleus_and_keep_the_volume(count):
    cell = next(c for c in CELLS if len(c.organelles.vacuole.lobes_nm) == count)
    vacuole, nucleus = cell.organelles.vacuole, cell.organelles.nucleus
    points = vacuole.centre_nm + np.random.default_rng(0).uniform(-1.0, 1.0, (150_000, 3)) * vacuole.radius_nm
    zyx = columns(points)
    cortex = cell.body.distance_of_columns(zyx) + cell.wall_nm + PRIORS["membrane_thickness"].mean
    in_nucleus = nucleus.distance(zyx)
    divided = cell.organelles.vacuole_distance(zyx, in_nucleus, cortex) < 0
    assert not np.any(divided & (in_nucleus < PRIORS["gap"].mean - 1.0))
    owner = np.linalg.norm(points[:, None] - vacuole.lobes_nm[None], axis=2).argmin(axis=1)
    shares = np.bincount(owner[divided], minlength=count) / divided.sum()
    assert shares.min() > 0.1
    for lobe in range(count):
        for other in range(lobe):
            # Facing points along the line between two seeds.
            way = vacuole.lobes_nm[other] - vacuole.lobes_nm[lobe]
            way = way / np.linalg.norm(way)
            along = points @ way
            middle = 0.5 * (vacuole.lobes_nm[other] + vacuole.lobes_nm[lobe]) @ way
            between = np.abs(along - middle) < 0.5 * PRIORS["lobe_gap"].mean - 0.5
            assert not np.any(divided & between & np.isin(owner, (lobe, other)))
    whole = Vacuole(vacuole.centre_nm, vacuole.radius_nm)
    ball = np.linalg.norm(points - whole.centre_nm, axis=1) - whole.radius_nm
    assert divided.sum() > 0.5 * (ball < 0).sum()
    assert np.all(ball[divided] < 1.0)


def test_the_population_keeps_the_priors_volumes():
    fractions = [cell.truth().fractions for cell in CELLS]
    vacuole = PRIORS["vacuole_fraction"]
    mean = np.mean([f["vacuole"] for f in fractions])
    # The prior's spread over the root of the number of cells, three times.
    assert mean == pytest.approx(vacuole.mean, abs=3.0 * vacuole.sd / np.sqrt(len(CELLS)))
