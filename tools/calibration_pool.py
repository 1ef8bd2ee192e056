"""Make the pool from which `verdict_calibration` draws its studies: simulate one large study, run it, keep its numbers.

Half an hour on two processors. The pool changes when a stage that measures does; its card, ``pool.md`` beside it, is
written by this tool.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.compare.calibration_pool import RELEASED, write_pool
from em2cryo_assets.phantom.study import write_study
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets.store.tables import read_table

SEED = 777
COUNTS = {"cells_of_fields": (13,) * 4, "sections": 60, "lamellae": 72, "whole_cells": 30}
SETTINGS = f"seed = {SEED}\nfused_voxel_nm = 50\npairs_per_tomogram = 5\nsimulated_cells = 1\ncalibration_studies = 1\n"
MEASURING = ("cell_masks", "cell_surface", "interior_atlas", "cell_features", "tomogram_features", "comparison")


def main() -> None:
    """Parse arguments, make the study where it is missing, write the pool and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, help="folder of the simulated study; a temporary one if not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.study or Path(scratch) / "pool"
        if not (root / "study.toml").exists():
            write_study(root, seed=SEED, **COUNTS)
            (root / "study.toml").write_text(SETTINGS)
        environment = {**os.environ, "EM2CRYO_DATA": str(root), "EM2CRYO_COMPUTE": "processes"}
        subprocess.run([sys.executable, "-m", "em2cryo_assets.cli", "run"], env=environment, check=True)
        card = keep(open_study(root))
    print(card)


def keep(study: Study) -> str:
    """Write the pool of a study and its card; returns the card."""
    atlas = study.store.current("interior_atlas", None)
    assert atlas is not None
    cells, tomograms = pooled(study, "cell_features", "features"), pooled(study, "tomogram_features", "features")
    pairs, sections = pooled(study, "comparison", "vectors"), read_table(atlas.path / "measurements.parquet")
    live = {read_record(study.store.current("cell_features", k))["live_cell_diameter_um"] for k in set(cells["key"])}
    (live_um,) = live
    write_pool(RELEASED, cells, tomograms, sections, pairs, float(live_um))
    versions = ", ".join(f"{name} {STAGES[name].code_version}" for name in MEASURING)
    card = (
        "# Pool of the calibration\n\n"
        "SIMULATED. What one large simulated study measured: the units from which `verdict_calibration` draws studies "
        "whose answers are known.\nMade by `tools/calibration_pool.py`; nothing real enters.\n\n"
        f"- seed {SEED}; {len(set(cells['key']))} cells in SEM fields, {len(set(sections['unit']))} in sections, "
        f"{len(set(tomograms.loc[tomograms['modality'] == 'lamella', 'unit']))} in lamellae, "
        f"{len(set(tomograms.loc[tomograms['modality'] == 'soft-x-ray', 'unit']))} whole, "
        f"{len(pairs.groupby(['cell', 'tomogram']))} pairs\n"
        f"- stages: {versions}\n- package: {version('em2cryo-assets')}\n\n"
        "Spreads are those of the simulated population: real cells may scatter more, and then fewer verdicts are given, "
        "not more wrong ones.\n"
    )
    (RELEASED / "pool.md").write_text(card, encoding="utf-8")
    return card


def pooled(study: Study, asset: str, name: str) -> pd.DataFrame:
    """One table of all keys of an asset."""
    found = (study.store.current(asset, key) for key in study.store.keys(asset))
    frames = [read_table(artifact.path / f"{name}.parquet") for artifact in found if artifact is not None]
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


if __name__ == "__main__":
    main()
