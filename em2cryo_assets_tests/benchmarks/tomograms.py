"""A tomogram of many gigabytes from its file to its features: memory and time.

The demo's lamella, each voxel made 8 × 8 × 8 of 1 nm and the field laid out side by side until the file has the size.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np

from em2cryo_assets_tests.benchmarks.figure import Figure
from em2cryo_assets_tests.integration.tiny_study import DEMO, SETTINGS
from em2cryo_assets_tests.memory import PEAK_MIB

GIB = 16
FINER = 8
LAMELLA = "lamella-02.mrc"

_RUN = f"""{PEAK_MIB}
import json, sys
from em2cryo_assets import cli
from em2cryo_assets.resources.study import open_study
cli.main(["run"], standalone_mode=False)
store = open_study().store
made = {{name: store.current(name, "large") is not None for name in ("tomogram", "tomogram_labels", "tomogram_features")}}
print(json.dumps({{"peak_mib": peak_mib(), "made": made}}))
"""


def figures() -> Iterator[Figure]:
    """Peak memory of ingest, labels and features in one process, and seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        study = Path(scratch) / "study"
        raw = study / "inbox" / "tomogram" / "large.mrc"
        raw.parent.mkdir(parents=True)
        (study / "study.toml").write_text(SETTINGS)
        size = write_large(raw, GIB)
        start = time.perf_counter()
        environment = {**os.environ, "EM2CRYO_DATA": str(study), "EM2CRYO_COMPUTE": "threads"}
        done = subprocess.run([sys.executable, "-c", _RUN], env=environment, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
        said = json.loads(done.stdout.strip().splitlines()[-1])
        assert all(said["made"].values()), said
        yield Figure.at_most(f"tomogram_{size:.0f}_gib_peak_memory", said["peak_mib"] / 1024, "GiB", 3.0)
        yield Figure.at_most(f"tomogram_{size:.0f}_gib_seconds", seconds, "s", 600.0)


def write_large(path: Path, gib: float) -> float:
    """Write the large file plane by plane, with its sidecar; its size in GiB."""
    small = mrcfile.read(DEMO / "tomogram" / LAMELLA).astype(np.int16)
    nz, ny, nx = (side * FINER for side in small.shape)
    beside = max(1, round((gib * 2**30 / (2 * nz * ny * nx)) ** 0.5))
    with mrcfile.new_mmap(path, (nz, ny * beside, nx * beside), mrc_mode=1) as mrc:
        for number, plane in enumerate(small):
            fine = np.tile(plane.repeat(FINER, axis=0).repeat(FINER, axis=1), (beside, beside))
            mrc.data[number * FINER : (number + 1) * FINER] = fine
        mrc.voxel_size = 10.0
    sidecar = (DEMO / "tomogram" / f"{LAMELLA}.toml").read_text()
    path.with_name(f"{path.name}.toml").write_text(sidecar)
    return path.stat().st_size / 2**30
