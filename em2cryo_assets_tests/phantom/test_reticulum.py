"""The cortical reticulum is where it was measured to be, has two membranes, and no label."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import find_peaks

from em2cryo_assets.phantom.body import columns
from em2cryo_assets.phantom.contrast import MATERIALS, density, nominal
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets.phantom.priors import PRIORS
from em2cryo_assets.phantom.scene import Cell, draw_cell
from em2cryo_assets.phantom.tem import section_coverage
from em2cryo_assets.vocabulary import LABELS

ENVELOPE = MATERIALS.index("envelope")
DEPTH, THICKNESS = PRIORS["reticulum_depth"].mean, PRIORS["envelope_thickness"].mean


def at_depth(cell: Cell, depth_nm: float, count: int = 3000) -> np.ndarray:
    """Points (N, 3) at a depth below the plasma membrane's inner face, about evenly spread over the cortex."""
    points = np.random.default_rng(4).normal(size=(count, 3))
    points *= 2000.0 / np.linalg.norm(points, axis=1, keepdims=True)
    level = -(cell.wall_nm + PRIORS["membrane_thickness"].mean + depth_nm)
    for _ in range(5):
        points -= (cell.body.distance(points) - level)[:, None] * cell.body.gradient(points)
    return points


@pytest.mark.parametrize("seed", range(6))
def test_it_covers_as_much_of_the_cortex_as_was_measured(seed):
    cell = draw_cell(seed)
    covered = cell.coverage(at_depth(cell, DEPTH + 0.5 * THICKNESS), 2.0)[ENVELOPE] > 0
    assert 0.17 < covered.mean() < 0.48
    for depth in (DEPTH - 5.0, DEPTH + THICKNESS + 5.0):
        assert not cell.coverage(at_depth(cell, depth), 2.0)[ENVELOPE].any()


def test_two_membranes_about_a_lumen_lighter_than_cytoplasm():
    cell = draw_cell(5)
    middle = at_depth(cell, DEPTH + 0.5 * THICKNESS)
    inner = middle[np.argmin(cell.reticulum.beyond_nm(columns(middle)))]
    normal = cell.body.gradient(inner[None])[0]
    depth = np.arange(-40.0, 40.0, 0.25)
    shares = cell.coverage(inner - depth[:, None] * normal, 1.0)
    table = nominal("tem")
    profile = density(shares, table)
    # Four leaflets; the lumen between them is lighter than the cytoplasm about the sheet.
    inside = np.abs(depth) < 15.0
    assert len(find_peaks(profile[inside], prominence=0.2)[0]) == 4
    assert profile[np.abs(depth) < 4].mean() < table[MATERIALS.index("cytoplasm")] - 0.02
    blurred = density(cell.coverage(inner - depth[:, None] * normal, 10.5), table)[np.abs(depth) < 25.0]
    assert len(find_peaks(blurred, prominence=0.05)[0]) == 2


@pytest.mark.parametrize("softness", [4.0, 10.0, 40.0])
def test_its_mass_does_not_depend_on_the_sampling(softness):
    cell = draw_cell(5)
    middle = at_depth(cell, DEPTH + 0.5 * THICKNESS, 4000)
    normal = cell.body.gradient(middle)
    depths = np.arange(-60.0, 60.0, 2.0)
    masses = []
    for s in (1.0, softness):
        held = sum(cell.coverage(middle - d * normal, s)[ENVELOPE].sum() for d in depths)
        without = replace(cell, reticulum=None)
        masses.append(held - sum(without.coverage(middle - d * normal, s)[ENVELOPE].sum() for d in depths))
    # Membranes bend about the rims, which coarse samples do not see.
    assert masses[1] == pytest.approx(masses[0], rel=0.06)


def test_labels_do_not_know_it_and_organelles_keep_off():
    cell = draw_cell(2)
    points = at_depth(cell, DEPTH + 0.5 * THICKNESS)
    assert np.all(cell.labels(points) == LABELS["cytoplasm"])
    box = np.random.default_rng(0).uniform(-2600.0, 2600.0, (30000, 3))
    bare = replace(cell, reticulum=None)
    assert np.array_equal(cell.labels(box), bare.labels(box))
    for one, other in zip(cell.coverage(box, 3.0), bare.coverage(box, 3.0), strict=True):
        moved = np.flatnonzero(one != other)
        assert np.all(bare.labels(box[moved]) == LABELS["cytoplasm"])


def test_it_shows_in_a_fine_section():
    cell = draw_cell(5)
    middle = at_depth(cell, DEPTH + 0.5 * THICKNESS)
    inner = middle[np.argmin(cell.reticulum.beyond_nm(columns(middle)))]
    normal = cell.body.gradient(inner[None])[0]
    side = np.cross(normal, [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    plane = Plane(inner, np.stack([np.cross(normal, side), normal, side]))
    shares = section_coverage(cell, plane, (60, 20), 2.0, 40.0)[ENVELOPE]
    across = shares.mean(axis=1)
    assert across[:10].max() < 0.05
    assert across[25:35].mean() > 0.5
