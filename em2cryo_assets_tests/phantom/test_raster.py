"""A rasterized cell is the sampled cell, whatever the chunks and the scheduler, and nothing of it is left out."""

import subprocess
import sys

import dask
import numpy as np
import pytest

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.raster import rasterize
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets_tests.memory import PEAK_MIB

UNBUDDED, BUDDED = 1, 15


def grid_of(cell, side):
    reach = cell.body.half_extent_nm() + 150.0
    voxel = 2 * reach / side
    return Grid((side,) * 3, (voxel,) * 3, (0.5 * voxel - reach,) * 3)


@pytest.mark.parametrize("seed", [UNBUDDED, BUDDED])
def test_no_voxel_of_the_cell_is_left_out(seed):
    cell = draw_cell(seed)
    assert (cell.body.bud is not None) == (seed == BUDDED)
    grid = grid_of(cell, 100)
    raster = rasterize(cell, grid, chunk=48)
    labels, density = dask.compute(raster.labels, raster.density)
    sampled = cell.sample(grid)
    # Single precision may move an interface by a hundredth of a nanometre.
    assert (labels != sampled.labels).mean() < 1e-4
    assert (density != sampled.density).mean() < 1e-4
    assert not labels[0].any()
    assert not labels[-1].any()


def test_chunks_and_threads_do_not_show():
    cell = draw_cell(UNBUDDED)
    grid = grid_of(cell, 60)
    made = []
    for chunk, workers in ((60, 1), (25, 2), (16, 2)):
        with dask.config.set(scheduler="threads", num_workers=workers):
            made.append(rasterize(cell, grid, chunk=chunk).labels.compute())
    assert all(np.array_equal(made[0], other) for other in made[1:])


def test_a_window_at_2_nm_shows_the_membrane_as_a_shell_of_its_thickness():
    cell = draw_cell(UNBUDDED)
    # Straight below the pole of the short axis, away from scars at the ends of the long one.
    axis = np.arange(-3000.0, 0.0, 1.0)
    inner = axis[np.argmax(cell.labels(np.stack([axis, 0 * axis, 0 * axis], axis=1)) == 2)]
    grid = Grid((40, 8, 8), (2.0,) * 3, (inner - 30.0, 0.0, 0.0))
    labels = rasterize(cell, grid).labels.compute()
    assert 3 <= (labels[:, 4, 4] == 2).sum() <= 7  # 10 nm of membrane along z, at any tilt of the wall


@pytest.mark.slow
def test_a_volume_of_384_cubed_stays_within_its_chunks_memory():
    code = (
        PEAK_MIB
        + """
import dask, numpy as np
from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.raster import rasterize
from em2cryo_assets.phantom.scene import draw_cell
cell = draw_cell(1)
reach = cell.body.half_extent_nm() + 150.0
side = 384
grid = Grid((side,) * 3, (2 * reach / side,) * 3, (reach / side - reach,) * 3)
with dask.config.set(scheduler="threads", num_workers=2):
    before = peak_mib()
    volume = rasterize(cell, grid).labels
    counts = sum(dask.compute(*[(block > 0).sum() for block in volume.blocks.ravel()]))
    print(counts * (2 * reach / side) ** 3 * 1e-9, peak_mib() - before)
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    volume_um3, megabytes = map(float, done.stdout.split())
    assert volume_um3 == pytest.approx(draw_cell(1).truth().volume_um3, rel=0.01)
    assert megabytes < 400


def test_an_empty_grid_is_refused():
    with pytest.raises(ValueError, match="holds nothing"):
        rasterize(draw_cell(UNBUDDED), Grid((0, 4, 4), (20.0,) * 3))
