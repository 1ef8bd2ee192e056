"""What is reported about a cell is what counting voxels finds, and what an instrument gets of it."""

import numpy as np
import pytest

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.planes import centred
from em2cryo_assets.phantom.raster import rasterize
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.soft_x_ray import voxel_coverage
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

BALLS = 4.0 / 3.0 * np.pi


# With and without lobes of the vacuole, branches and scars.
@pytest.mark.parametrize("seed", [0, 2, 5, 7])
def test_every_share_is_within_one_per_cent_of_counted_voxels(seed):
    cell, side = draw_cell(seed), 25.0
    count = int(2 * (cell.body.half_extent_nm() + 170.0) / side) + 1
    # Off the grid that the truth is counted on.
    first = -0.5 * side * (count - 1)
    grid = Grid((count,) * 3, (side,) * 3, (first + 3.1, first - 4.2, first + 7.7))
    labels = rasterize(cell, grid).labels.compute(scheduler="synchronous")
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))
    truth = cell.truth()
    assert truth.volume_um3 == pytest.approx(counts[1:].sum() * side**3 * 1e-9, rel=0.002)
    for name in ("wall", *ORGANELLES):
        assert truth.fractions[name] == pytest.approx(counts[LABELS[name]] / counts[1:].sum(), rel=0.01), name


@pytest.mark.parametrize(("voxel", "count"), [(76.0, 72), (150.0, 38)])
def test_soft_x_ray_volumes_hold_the_lipid_and_mitochondria_that_are_there(voxel, count):
    cell = draw_cell(5)
    axis = centred(count, voxel)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    shares = voxel_coverage(cell, points, np.eye(3), voxel)
    assert shares.shape == (len(MATERIALS), count, count, count)
    # In an envelope with pores shares sum to 1 on the mean only.
    whole, envelope = shares.sum(axis=0), shares[MATERIALS.index("envelope")] > 0
    assert np.allclose(whole[~envelope], 1.0, atol=1e-3)
    assert whole[envelope].mean() == pytest.approx(1.0, abs=2e-3)
    held = shares.reshape(len(MATERIALS), -1).sum(axis=1) * voxel**3
    lipid = BALLS * float(np.sum(cell.organelles.droplet_radii_nm**3))
    assert held[MATERIALS.index("lipid_droplet")] == pytest.approx(lipid, rel=0.01)
    # Sampled at the voxels' centres alone it would be 2.6 and 10 % too much.
    plain = cell.coverage(points, voxel)[MATERIALS.index("lipid_droplet")].sum() * voxel**3
    assert plain > 1.02 * lipid
    truth = cell.truth()
    nucleus = held[MATERIALS.index("nucleus")] + held[MATERIALS.index("nucleolus")]
    inner = BALLS * float(np.prod(cell.organelles.nucleus.semi_axes_nm - 30.0))
    assert nucleus == pytest.approx(inner, rel=0.01)
    assert held[1:].sum() * 1e-9 == pytest.approx(truth.volume_um3, rel=0.005)
