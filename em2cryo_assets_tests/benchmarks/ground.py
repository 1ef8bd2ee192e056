"""The demo study from raw files to verdicts, as a newcomer meets it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from em2cryo_assets_tests.benchmarks.figure import Figure

DEMO = Path(__file__).parents[2] / "data" / "demo" / "inbox"
HEAVY = ("torch", "open3d", "skimage")


def figures() -> Iterator[Figure]:
    """Import of the code location, the first and the second run of the demo study."""
    loaded = _output(
        "-c", f"import sys, em2cryo_assets.definitions; print(sum(name in sys.modules for name in {HEAVY!r}))"
    )
    yield Figure.at_most("heavy packages loaded by the code location", float(loaded), "packages", 0)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(DEMO, Path(folder) / "inbox")
        started = time.monotonic()
        made = _run(folder)
        yield Figure.at_most("demo study from raw files to report", time.monotonic() - started, "s", 180)
        yield Figure.at_least("materializations of the first run", made, "materializations", 100)
        yield Figure.at_most("materializations of the second run", _run(folder), "materializations", 0)


def _run(folder: str) -> int:
    last = _output("-m", "em2cryo_assets.cli", "run", EM2CRYO_DATA=folder, EM2CRYO_COMPUTE="processes")
    return int(last.split()[0])


def _output(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1]
