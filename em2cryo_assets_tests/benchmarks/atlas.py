"""How well the interior atlas is calibrated: populations of known truth, and sections of a published cell.

100 simulated populations of 200 sections, each by its true labels drawn at half density; half of them drawn opaquely as
well, the other half compressed by a knife of the resin's prior. Estimators were looked at on `TUNING_SEED` only.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.label_scene import LabelScene
from em2cryo_assets.phantom.section_flaws import compression_matrix
from em2cryo_assets.tem.atlas import Atlas, build_atlas
from em2cryo_assets.tem.compression import prior_by_resin
from em2cryo_assets.tem.resampling import design_of
from em2cryo_assets.tem.wall import wall_table
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.benchmarks.figure import Figure
from em2cryo_assets_tests.benchmarks.populations import (
    KINDS,
    PIXEL_NM,
    THICKNESS_NM,
    Pool,
    cut,
    draw_population,
    make_pool,
    measured,
    section_meta,
    seen_stack,
)

POPULATIONS, POOL = 100, 240
TUNING_SEED, EVALUATION_SEED = 500_000, 700_000
_LATTICE_SECTIONS = 400
_KEEP: dict[str, Pool] = {}


def figures() -> Iterator[Figure]:
    """Bias and coverage of fractions, wall and sizes, naive estimators beside; the published cell."""
    table = calibration(EVALUATION_SEED, POOL, POPULATIONS)
    for kind in KINDS:
        rows = table[table["what"] == kind]
        half, opaque = rows[rows["how"] == "half-density"], rows[rows["how"] == "opaque"]
        yield Figure.at_most(f"atlas: |V_V bias|, {kind}", abs(_bias(half)), "", 0.03, _naive(rows, "mean of ratios"))
        yield Figure.at_most(
            f"atlas: |V_V bias|, {kind}, opaque outlines", abs(_bias(opaque)), "", 0.03, _naive(rows, "uncorrected")
        )
        yield from _coverage(f"{kind}", half)
        yield from _coverage(f"{kind}, opaque outlines", opaque)
    for how in ("half-density", "opaque", "compressed"):
        rows = table[(table["what"] == "wall_nm") & (table["how"] == how)]
        naive = table[table["what"] == "wall_nm"]
        peer = _naive(naive, {"compressed": "not stretched"}.get(how, "opaque width"))
        yield Figure.at_most(f"atlas: |bias| of the wall's thickness, {how}", abs(_bias(rows)), "", 0.05, peer)
        yield from _coverage(f"wall's thickness, {how}", rows)
    for what, naive_how in (("droplet_nm", "profiles"), ("droplets_per_um3", "N_A / t")):
        rows = table[table["what"] == what]
        half = rows[rows["how"] == "half-density"]
        yield Figure.at_most(f"atlas: |bias| of unfolded {what}", abs(_bias(half)), "", 0.05, _naive(rows, naive_how))
    lattice = published_cell()
    if lattice is None:
        print("atlas: EM2CRYO_REFERENCE_DATA is not set, so there is no published cell", file=sys.stderr)
        return
    inside = sum(bool(low <= truth <= high) for truth, _, low, high in lattice.values())
    yield Figure.at_least("atlas: fractions of a published cell within intervals", inside, "of 6", 5)
    for kind, (truth, value, _, _) in lattice.items():
        yield Figure.at_most(f"atlas: error of a published cell's {kind}", abs(float(value / truth) - 1), "", 0.2)


def calibration(first_seed: int, pool_size: int, populations: int, workers: int = 2) -> pd.DataFrame:
    """Estimate each population in all ways: what, how, value, low, high, truth, population."""
    _KEEP["pool"] = make_pool(first_seed, pool_size)
    context = multiprocessing.get_context("fork")  # the pool is at hand in each child
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        found = executor.map(_one, (first_seed + 1000 + i for i in range(populations)))
        return pd.concat([frame.assign(population=i) for i, frame in enumerate(found)], ignore_index=True)


def published_cell() -> dict[str, tuple[float, float, float, float]] | None:
    """Truth, estimate and interval of each fraction of the published whole-cell model, from sections of it."""
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder:
        return None
    return lattice_fractions(Path(folder) / "yeast_geometry" / "yeast_lattice.npz", _LATTICE_SECTIONS)


def lattice_fractions(path: Path, sections: int) -> dict[str, tuple[float, float, float, float]]:
    """As `published_cell`; each section stands for a cell of its own, as if all cells were alike."""
    scene = LabelScene.from_npz(path)
    rng = np.random.default_rng(0)
    codes = scene.labels(_voxel_centres(scene))
    counts = np.bincount(codes.ravel(), minlength=len(LABELS))
    stacks: dict[str, NDArray[np.uint8]] = {}
    while len(stacks) < sections:
        stack = seen_stack(scene, rng)
        if stack is not None:
            # Planes: its membrane is one voxel of 29 nm, of which the majority through 80 nm loses a third.
            stacks[f"{len(stacks) % 20:02d}-{len(stacks):03d}"] = stack[1:2]
    table = _atlas(stacks, "half-density").tables["fractions"].set_index("label")
    present = [n for n, code in LABELS.items() if n != "outside" and counts[code]]
    return {
        name: (counts[LABELS[name]] / counts[1:].sum(), *table.loc[name, ["v_v", "low", "high"]]) for name in present
    }


def _voxel_centres(scene: LabelScene) -> NDArray[np.float64]:
    axes = [scene.origin_nm[i] + scene.spacing_nm[i] * np.arange(n) for i, n in enumerate(scene.materials.shape)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _atlas(stacks: dict[str, NDArray[np.uint8]], outline: str) -> Atlas:
    tables = {key: measured(stack, outline) for key, stack in stacks.items()}
    return build_atlas(tables, {key: section_meta(key, outline) for key in stacks}, seed=1)


def _one(seed: int) -> pd.DataFrame:
    """All estimates of one population."""
    pool = _KEEP["pool"]
    population = draw_population(pool, seed)
    stacks = cut(pool, population, seed)
    truth = {
        **population.fractions,
        "wall_nm": population.wall_nm,
        "droplet_nm": population.droplet_nm,
        "droplets_per_um3": population.droplets_per_um3,
    }
    rows: list[tuple[str, str, float, float, float]] = []
    # Opaque outlines and compression take as long again: each in every other population.
    for outline in ("half-density", "opaque") if seed % 2 == 0 else ("half-density",):
        tables = {key: measured(stack, outline) for key, stack in stacks.items()}
        atlas = build_atlas(tables, {key: section_meta(key, outline) for key in stacks}, seed=seed)
        rows += _estimates(atlas, outline)
        areas = pd.concat([t["areas"].assign(section=k) for k, t in tables.items()])
        for kind in KINDS:
            mine = areas[areas["label"] == kind]
            plain = mine["area_um2"].sum() / mine["cell_um2"].sum()
            ratios = (mine["area_um2"] / mine["cell_um2"]).mean()
            naive = ("uncorrected", plain) if outline == "opaque" else ("mean of ratios", ratios)
            rows.append((kind, naive[0], naive[1], np.nan, np.nan))
        if outline == "half-density":
            rows += _naive_droplets(tables, float(areas[areas["label"] == "wall"]["cell_um2"].sum()))
    if seed % 2 == 0:
        widths = [_opaque_width_nm(stack) for stack in stacks.values()]
        rows.append(("wall_nm", "opaque width", float(np.nanmean(widths)), np.nan, np.nan))
    else:
        rows += _compressed(stacks, seed)
    table = pd.DataFrame(rows, columns=["what", "how", "value", "low", "high"])
    return table.assign(truth=table["what"].map(truth))


def _estimates(atlas: Atlas, how: str) -> list[tuple[str, str, float, float, float]]:
    fractions, wall = atlas.tables["fractions"].set_index("label"), atlas.tables["wall"].iloc[0]
    sizes = atlas.tables["sizes"].set_index("label").loc["lipid_droplet"]
    rows = [(kind, how, *map(float, fractions.loc[kind, ["v_v", "low", "high"]])) for kind in KINDS]
    rows.append(("wall_nm", how, float(wall["mean_nm"]), float(wall["low"]), float(wall["high"])))
    rows.append(("droplet_nm", how, float(sizes["diameter_nm"]), np.nan, np.nan))
    rows.append(("droplets_per_um3", how, float(sizes["n_per_um3"]), np.nan, np.nan))
    return rows


def _naive_droplets(tables: dict[str, dict[str, pd.DataFrame]], cell_um2: float) -> list[tuple]:
    """Mean diameter of profiles, and profiles in the volume that the sections hold."""
    bodies = pd.concat([t["bodies"] for t in tables.values()])
    area = bodies.loc[bodies["label"] == "lipid_droplet", "area_um2"].to_numpy(float)
    diameter = float(np.mean(2000 * np.sqrt(area / np.pi)))
    density = len(area) / (cell_um2 * 0.08)
    return [
        ("droplet_nm", "profiles", diameter, np.nan, np.nan),
        ("droplets_per_um3", "N_A / t", density, np.nan, np.nan),
    ]


def _opaque_width_nm(stack: NDArray[np.uint8]) -> float:
    """Width of everything through which wall is seen; NaN for a cut through nothing but wall."""
    cell, wall = (stack > 0).any(axis=0), (stack == LABELS["wall"]).any(axis=0)
    inside = cell & ~wall
    outline = wall & ndimage.binary_dilation(~cell)
    if not inside.any() or not outline.any():
        return float("nan")
    return float(np.median(ndimage.distance_transform_edt(~inside)[outline])) * PIXEL_NM


def _compressed(stacks: dict[str, NDArray[np.uint8]], seed: int) -> list[tuple[str, str, float, float, float]]:
    """The wall where the knife pressed all sections by one share drawn from the resin's prior."""
    prior = prior_by_resin("Lowicryl HM20")
    assert prior is not None
    rng = np.random.default_rng([seed, 3])
    share = float(prior.drawn(rng.normal()))
    tables = {}
    for key, stack in stacks.items():
        matrix = compression_matrix(share, float(rng.uniform(0, 180)))
        reach = np.array(stack.shape[1:]) / 2.0 - 0.5
        # The picture keeps its frame: nothing of a cell that shrinks leaves it.
        pressed = ndimage.affine_transform(
            stack, np.block([[np.eye(1), np.zeros((1, 2))], [np.zeros((2, 1)), np.linalg.inv(matrix)]]),
            offset=[0, *(reach - np.linalg.inv(matrix) @ reach)], order=0,
        )  # fmt: skip
        tables[key] = measured(pressed, "half-density")
    rows = []
    for how, knife in (("compressed", prior), ("not stretched", None)):
        walls = pd.concat(
            [
                t["wall"].assign(section=k, unit=k, block=k[:2], outline="half-density", thickness_nm=THICKNESS_NM)
                for k, t in tables.items()
            ]
        )
        found = wall_table(walls, design_of(walls), dict.fromkeys(tables, knife), seed)[0].iloc[0]
        rows.append(("wall_nm", how, float(found["mean_nm"]), float(found["low"]), float(found["high"])))
    return rows


def _bias(rows: pd.DataFrame) -> float:
    return float(rows["value"].mean() / rows["truth"].mean() - 1)


def _naive(rows: pd.DataFrame, how: str) -> float:
    """Bias of a naive estimator, printed beside."""
    return round(_bias(rows[rows["how"] == how]), 4)


def _coverage(name: str, rows: pd.DataFrame) -> Iterator[Figure]:
    covered = float(((rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])).mean())
    error = 1.96 * float(np.sqrt(0.9 * 0.1 / len(rows)))
    bench = f"atlas: coverage of 90 % intervals, {name} (± {error:.2f} by the number of populations)"
    yield Figure(bench, round(covered, 4), "", "0.85 to 0.95", 0.85 <= covered <= 0.95)
