"""The simulated yeast and its microscopes: how fast a cell, a field and a tilt series come about."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from em2cryo_assets_tests.benchmarks.figure import Figure

SIDE, LARGE_SIDE = 256, 1024
FIELD_CELLS, FIELD_SIDE, FIELD_PIXEL_NM = 30, 1024, 30.0
SLAB, TILTS_DEG = (128, 512, 512), np.arange(-60.0, 61.0, 3.0).tolist()


def figures() -> Iterator[Figure]:
    """Rasterizing, an SEM field, a tilt series with its reconstruction."""
    from em2cryo_assets.cryoet.reconstruct import back_project, project
    from em2cryo_assets.phantom.pile import drop_cells, resting_rotation, sem_image, trace_relief
    from em2cryo_assets.phantom.scene import draw_cell

    seconds, _, _ = _rasterized(SIDE, "labels, density")
    yield Figure.at_least("rasterizing a whole cell, labels and density", SIDE**3 / seconds / 1e6, "Mvoxel/s", 8)
    _, volume_um3, peak_gb = _rasterized(LARGE_SIDE, "labels")
    yield Figure.at_most(f"peak memory of labels {LARGE_SIDE}³ on disk", peak_gb, "GB", 2)
    truth_um3 = draw_cell(1).truth().volume_um3
    yield Figure.at_most("volume of those labels off the scene's", abs(volume_um3 / truth_um3 - 1), "relative", 0.01)

    rng = np.random.default_rng(0)
    cells = [draw_cell(i) for i in range(FIELD_CELLS)]

    def field() -> Any:
        reliefs = [trace_relief(c, resting_rotation(rng), 0.85, FIELD_PIXEL_NM) for c in cells]
        centres = [(int(y), int(x)) for y, x in rng.integers(100, FIELD_SIDE - 100, (FIELD_CELLS, 2))]
        pile = drop_cells(reliefs, centres, (FIELD_SIDE, FIELD_SIDE))
        return sem_image(pile, FIELD_PIXEL_NM, seed=0)

    first, _ = _timed(field)  # imports torch, which takes a second
    print(f"phantom: the first SEM field of a process takes {first:.1f} s", file=sys.stderr)
    seconds, _ = _timed(field)
    yield Figure.at_most(f"SEM field {FIELD_SIDE}² with {FIELD_CELLS} cells", seconds, "s", 3)

    volume = rng.standard_normal(SLAB, dtype=np.float32)

    def series() -> Any:
        return back_project(project(volume, TILTS_DEG), TILTS_DEG, SLAB[0])

    seconds, _ = _timed(series)
    yield Figure.at_most(f"tilt series of {len(TILTS_DEG)} views of 512² and its reconstruction", seconds, "s", 60)
    yield Figure.at_most("largest error of adjointness", _adjointness(project, back_project, rng), "relative", 1e-4)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    yield Figure.at_most("peak memory of all of these", peak_gb, "GB", 3)


_RASTERIZE = """
import resource, sys, tempfile, time, dask, dask.array as da, numpy as np, zarr
from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.raster import rasterize
from em2cryo_assets.phantom.scene import draw_cell
side, names = int(sys.argv[1]), sys.argv[2].split(", ")
cell = draw_cell(1)
reach = cell.body.half_extent_nm() + 150.0
voxel = 2 * reach / side
raster = rasterize(cell, Grid((side,) * 3, (voxel,) * 3, (0.5 * voxel - reach,) * 3))
with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="threads", num_workers=2):
    arrays = [getattr(raster, name) for name in names]
    kind = dict(shape=(side,) * 3, chunks=(128,) * 3)
    targets = [zarr.create_array(f"{folder}/{n}", dtype=a.dtype, **kind) for n, a in zip(names, arrays)]
    started = time.perf_counter()
    da.store(arrays, targets, lock=False)
    seconds = time.perf_counter() - started
    filled = sum(int(np.count_nonzero(targets[0][z : z + 128])) for z in range(0, side, 128))
print(seconds, filled * voxel**3 * 1e-9, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def _rasterized(side: int, names: str) -> tuple[float, float, float]:
    """Seconds, filled volume in µm³ and peak memory in GB of writing volumes of a cell, in a process of its own."""
    command = [sys.executable, "-c", _RASTERIZE, str(side), names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, volume_um3, peak_gb = map(float, done.stdout.split())
    return seconds, volume_um3, peak_gb


def _adjointness(project: Callable[..., Any], back_project: Callable[..., Any], rng: np.random.Generator) -> float:
    """|<P v, s> - <v, Pᵀ s>| over the norms' product."""
    volume = rng.standard_normal((32, 48, 48), dtype=np.float32)
    views = rng.standard_normal((len(TILTS_DEG), 48, 48), dtype=np.float32)
    forward = float(np.vdot(project(volume, TILTS_DEG).astype(float), views))
    backward = float(np.vdot(volume.astype(float), back_project(views, TILTS_DEG, 32, weighting="none")))
    return abs(forward - backward) / float(np.linalg.norm(volume) * np.linalg.norm(views))


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result
