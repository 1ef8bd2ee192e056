"""Fused volumes: speed beside one distance query a voxel, memory of 1,024³ voxels, and how truly they are filled.

Meshes are those of simulated cells, with and without a bud; the atlas is that of sections of simulated cells.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np

from em2cryo_assets.fusion.plan import FusionPlan, plan_fusion
from em2cryo_assets.fusion.volume import fuse
from em2cryo_assets.geometry.distance import signed_distance_at
from em2cryo_assets.geometry.isosurface import mesh_of_volume
from em2cryo_assets.geometry.mesh import Mesh, volume_um3
from em2cryo_assets.phantom.scene import body_of
from em2cryo_assets.tem.atlas import Atlas, build_atlas
from em2cryo_assets.vocabulary import LABELS, ORGANELLES
from em2cryo_assets_tests.benchmarks.figure import Figure
from em2cryo_assets_tests.benchmarks.populations import cut, draw_population, make_pool, measured, section_meta

FIRST_CELL, CELLS = 810_000, 12
VOXEL_NM = 40.0
SPEED_VOXEL_NM = 12.0
_QUERIES = 60_000


def figures() -> Iterator[Figure]:
    """Fractions and volume of twelve cells, speed, memory."""
    atlas = simulated_atlas()
    wanted = atlas.tables["fractions"].set_index("label")["v_v"]
    off: dict[str, list[float]] = {"volume": [], **{name: [] for name in ORGANELLES}}
    for number in range(CELLS):
        mesh = cell_mesh(FIRST_CELL + number, budded=number % 3 == 0)
        plan = plan_fusion(mesh, atlas, voxel_nm=VOXEL_NM, seed=number, realisations=1)
        with dask.config.set(scheduler="threads"):
            counts = np.bincount(fuse(plan).labels.compute().ravel(), minlength=len(LABELS))
        cell = counts[1:].sum()
        off["volume"].append(abs(cell * VOXEL_NM**3 / 1e9 / volume_um3(mesh) - 1))
        for name in ORGANELLES:
            off[name].append(abs(counts[LABELS[name]] / cell / wanted[name] - 1))
    yield Figure.at_most("fusion: SEM mesh volume off, worst of 12 cells", float(max(off["volume"])), "", 0.005)
    for name in ORGANELLES:
        yield Figure.at_most(f"fusion: atlas fraction off, {name}, worst of 12 cells", float(max(off[name])), "", 0.02)
    plan = plan_fusion(cell_mesh(FIRST_CELL, budded=False), atlas, voxel_nm=SPEED_VOXEL_NM, seed=1)
    speed, cpu = _speed(plan)
    straight = _straightforward(plan)
    yield Figure.at_least(
        "fusion: all four volumes, 2 threads", speed / 1e6, "million voxels/s", 8.0, round(cpu / 1e6, 1)
    )
    yield Figure.at_least("fusion: times as fast as one distance query a voxel", speed / straight, "", 5.0)
    found = _large()
    yield Figure.at_most("fusion: peak memory of 1,024³ voxels, written, all processes", found["gb"], "GB", 3.0)
    yield Figure.at_least(
        "fusion: 1,024³ voxels computed and written, with pyramids", found["voxels_s"] / 1e6, "million voxels/s", 8.0
    )


def simulated_atlas() -> Atlas:
    """An atlas of 200 sections of simulated cells."""
    pool = make_pool(600_000, 40)
    stacks = cut(pool, draw_population(pool, 1), 1)
    tables = {key: measured(stack, "half-density") for key, stack in stacks.items()}
    return build_atlas(tables, {key: section_meta(key, "half-density") for key in stacks}, seed=1)


def cell_mesh(seed: int, *, budded: bool) -> Mesh:
    """Outer surface of the first simulated cell from a seed on with, or without, a bud; nm."""
    body = next(b for b in map(body_of, range(seed * 1000, seed * 1000 + 1000)) if (b.bud is not None) == budded)
    side = 40.0
    reach = np.arange(-body.half_extent_nm() - 2 * side, body.half_extent_nm() + 3 * side, side)
    points = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1)
    field = body.distance(points.reshape(-1, 3), exact=False).reshape(points.shape[:3])
    return mesh_of_volume(field < 0, (side,) * 3)


def _speed(plan: FusionPlan) -> tuple[float, float]:
    """Voxels a second of all four volumes on two threads, and a CPU second."""
    fused = fuse(plan)
    started, cpu = time.perf_counter(), time.process_time()
    with dask.config.set(scheduler="threads", num_workers=2):
        # Summed, so that nothing but the blocks at work is in memory.
        dask.compute(*(a.sum() for a in (fused.density, fused.labels, fused.source, fused.uncertainty)))
    voxels = float(np.prod(plan.grid.shape))
    return voxels / (time.perf_counter() - started), voxels / (time.process_time() - cpu)


def _straightforward(plan: FusionPlan) -> float:
    """Voxels a second of one signed-distance query each, on all cores: the distance alone, nothing filled."""
    rng = np.random.default_rng(0)
    index = np.sort(rng.integers(0, np.prod(plan.grid.shape), _QUERIES))
    places = np.stack(np.unravel_index(index, plan.grid.shape), axis=1)
    points = np.array(plan.grid.origin_nm) + places * np.array(plan.grid.voxel_nm)
    signed_distance_at(plan.mesh, points[:10])
    started = time.perf_counter()
    signed_distance_at(plan.mesh, points)
    return _QUERIES / (time.perf_counter() - started)


def _large() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", __name__, folder],
            capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _write_large(folder: Path) -> dict[str, float]:
    """Fuse and write a cell of 1,024³ voxels in this process, as the asset does; one process is all there is."""
    from em2cryo_assets.assets.fused_files import write_fused

    mesh = cell_mesh(FIRST_CELL, budded=False)
    extent = np.ptp(mesh.vertices_nm, axis=0)
    # Stretched to a cube, so that the box is 1,024 voxels along each side.
    mesh = Mesh(mesh.vertices_nm * (extent.max() / extent), mesh.faces)
    plan = plan_fusion(mesh, simulated_atlas(), voxel_nm=float(extent.max()) / 1016.5, seed=1)
    assert plan.grid.shape == (1024, 1024, 1024), plan.grid.shape
    started, cpu = time.perf_counter(), time.process_time()
    with dask.config.set(scheduler="threads"):
        write_fused(folder, fuse(plan), "large")
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    voxels = 1024.0**3
    return {
        "gb": peak / 1e9,
        "voxels_s": voxels / (time.perf_counter() - started),
        "voxels_cpu_s": voxels / (time.process_time() - cpu),
    }


if __name__ == "__main__":
    print(json.dumps(_write_large(Path(sys.argv[1]))))
