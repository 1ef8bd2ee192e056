"""Verdicts on studies of known answers, texture compared with and without degradation, and the cost of a pair.

The calibration is the full one: 1,000 studies for each answer (twice as many for fakes), at the size of the demo study
and at one with units enough for power; about an hour on two processors.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from em2cryo_assets.compare.calibration import judged_studies, rates
from em2cryo_assets.compare.calibration_pool import read_pool
from em2cryo_assets.compare.degrade import averaged, common_blur_nm, degrade_to_match
from em2cryo_assets.compare.distances import distance_excess
from em2cryo_assets.compare.interior import normalised, power_spectrum
from em2cryo_assets.compare.known_answers import A_FAKE, HALF, NO_DIFFERENCE, WHOLE, Sizes
from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.pairs import compare_pair
from em2cryo_assets.compare.pose import slab_pose
from em2cryo_assets.compare.record import TomogramRecord
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.benchmarks.figure import Figure
from em2cryo_assets_tests.compare.bodies import DENSITY, TILTS_DEG, cell, tomogram_of

STUDIES = 1000
SIZES = {
    "demo": Sizes(cells=16, sections=10, blocks=True, slabs=8, wholes=12),
    "powered": Sizes(cells=60, sections=40, blocks=True, slabs=24, wholes=60),
}
TOMOGRAMS = 12
VOXEL_NM = 40.0
FINE_NM = 8.0
COARSE_NM = 24.0


def figures() -> Iterator[Figure]:
    """Rates of right and wrong verdicts, texture undegraded and matched, seconds a pair."""
    yield from _pair()
    yield from _texture()
    for name, sizes in SIZES.items():
        found = calibrated(sizes, STUDIES)
        print(found.to_string(), flush=True)
        yield from _rates(name, found)


def calibrated(sizes: Sizes, studies: int) -> pd.DataFrame:
    """Rates at a size, by as many processes as there are processors."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:

        def spread(judge: Callable[[Any], pd.DataFrame], tasks: Iterable[Any]) -> Iterator[pd.DataFrame]:
            return pool.map(judge, tasks)

        return rates(judged_studies(read_pool(), sizes, studies, seed=1, spread=spread))


def _rates(name: str, found: pd.DataFrame) -> Iterator[Figure]:
    def worst(rows: pd.DataFrame, column: str = "rate") -> float:
        return float(rows[column].max()) if len(rows) else 0.0

    answer, asked = found["answer"], found["asked"] != ""
    wrong = found["asked"].str.contains("at most")
    yield Figure.at_most(
        f"{name}_captured_at_the_tolerance_worst", worst(found[wrong & (answer == WHOLE)]), "share", 0.05
    )
    yield Figure.at_most(f"{name}_captured_fake_worst", worst(found[wrong & (answer == A_FAKE)]), "share", 0.05)
    for what, label in ((NO_DIFFERENCE, "no_difference"), (HALF, "half_the_tolerance")):
        powered = found[(answer == what) & asked]
        if len(powered):
            yield Figure.at_least(
                f"{name}_right_at_{label}_least_of_{len(powered)}", float(powered["rate"].min()), "share", 0.8
            )
    undefined = found[found["asked"].str.contains("always")]
    yield Figure.at_least(f"{name}_undefined_not_assessable", float(undefined["rate"].min()), "share", 1.0)
    held = found[found["n_intervals"] >= STUDIES / 2]["coverage"]
    yield Figure.at_least(f"{name}_coverage_least", float(held.min()), "share", 0.93)
    yield Figure.at_most(f"{name}_coverage_most", float(held.max()), "share", 0.97)


def _pair() -> Iterator[Figure]:
    """One matched degradation with its descriptors, 1 × 1 × 0.2 µm at 10 nm and 41 tilts; then many."""
    record = TomogramRecord((20, 100, 100), (10.0, 10.0, 10.0), "lamella", TILTS_DEG, snr=0.5, unit="t")
    model, image, labels = cell(seed=1), *_tomogram(record, 2)
    seconds = []
    for turn in range(8):
        start = time.perf_counter()
        compare_pair(*model, VOXEL_NM, image, labels, record, cell=f"c{turn}", tomogram="t", seed=turn)
        seconds.append(time.perf_counter() - start)
    yield Figure.at_most("pair_seconds", float(np.median(seconds)), "s", 4.0)
    # Linear: what comes late takes no longer than what came early.
    yield Figure.at_most(
        "late_pairs_over_early_ones", float(np.mean(seconds[5:]) / np.mean(seconds[2:5])), "ratio", 1.5
    )


def _texture() -> Iterator[Figure]:
    """Distance of spectra to real ones beyond that of real ones to each other, of another cell of the population.

    Slabs of cytoplasm, so that texture is all there is to compare.
    """
    record = TomogramRecord((30, 120, 120), (8.0, 8.0, 8.0), "lamella", TILTS_DEG, snr=0.1, unit="t")
    rows: dict[str, list[pd.DataFrame]] = {"undegraded": [], "matched": []}
    for number in range(TOMOGRAMS):
        density, labels = _cytoplasm(100 + number)
        pose = slab_pose(labels, FINE_NM, record, None, seed=number)
        image, seen = tomogram_of(density, labels, FINE_NM, record, pose, seed=number)
        blur_nm = common_blur_nm(COARSE_NM, record.voxel_nm[0])
        image = ndimage.gaussian_filter(image, blur_nm / record.voxel_nm[0], mode="reflect")
        real = _spectrum(image, seen, record).assign(variant="reference")
        slab = degrade_to_match(
            *_coarse(*_cytoplasm(500 + number)), COARSE_NM, reference=record, anchor=None, seed=number
        )
        for kind, made in (("undegraded", slab.pristine), ("matched", slab.density)):
            both = pd.concat([real, _spectrum(made, slab.labels, record).assign(variant="model")])
            key = f"t{number}"
            rows[kind].append(
                both.assign(tomogram=key, unit_tomogram=key, unit_cell=f"c{number}", characteristic="power_spectrum")
            )
    for kind, frames in rows.items():
        found = distance_excess(pd.concat(frames, ignore_index=True), "power_spectrum", "model", seed=0)
        assert found is not None
        delta = MARGINS["power_spectrum"].delta
        make = Figure.at_most if kind == "matched" else Figure.at_least
        yield make(f"texture_excess_{kind}", found.excess, "ln power", delta, peer=found.positive)


def _cytoplasm(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A cell without organelles, at the tomogram's voxel; its grains are some 20 nm wide."""
    density, labels = cell(voxel_nm=FINE_NM, semi_axes_nm=(700.0, 850.0, 850.0), seed=seed)
    inside = labels >= LABELS["cytoplasm"]
    grains = np.random.default_rng(seed).normal(size=labels.shape).astype(np.float32)
    grains = ndimage.gaussian_filter(grains, 1.25)
    density[inside] = DENSITY[LABELS["cytoplasm"]] + 0.05 * (grains / grains.std())[inside]
    labels[inside] = LABELS["cytoplasm"]
    return density, labels


def _coarse(density: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same at three times the voxel, as pseudo-3D cells are."""
    coarse = averaged(density, 3)
    return coarse, np.ascontiguousarray(labels[1::3, 1::3, 1::3])[tuple(slice(n) for n in coarse.shape)]


def _tomogram(record: TomogramRecord, seed: int) -> tuple[np.ndarray, np.ndarray]:
    density, labels = cell(seed=seed)
    pose = slab_pose(labels, VOXEL_NM, record, None, seed=seed)
    return tomogram_of(density, labels, VOXEL_NM, record, pose, seed=seed)


def _spectrum(density: np.ndarray, labels: np.ndarray, record: TomogramRecord) -> pd.DataFrame:
    return power_spectrum(normalised(density, labels), labels, record.voxel_nm, finest_nm=COARSE_NM)
