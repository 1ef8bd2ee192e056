"""A run killed while it writes a volume leaves whole artifacts, and the next run ends where it would have."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from em2cryo_assets.store.digest import digest_folder
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, copied

pytestmark = pytest.mark.slow

# Writes the first chunks of the fused volume as ever, says so, and then never goes on.
RUN_THAT_STOPS = """
import sys, time
from pathlib import Path
from em2cryo_assets import cli
from em2cryo_assets.assets import fused_files
from em2cryo_assets.store import levels

signal = Path(sys.argv.pop())

def first_chunks_only(level, chunk, block, corner):
    write(level, chunk, block, corner)
    if any(path.is_file() for path in level._folder.rglob("*")):
        signal.touch()
        time.sleep(600)

def write_image(path, data, **rest):
    levels._Level.write = first_chunks_only
    whole(path, data, **rest, chunk=16)

write = levels._Level.write
whole, fused_files.write_image = fused_files.write_image, write_image
cli.main(["run"], standalone_mode=False)
"""
PLACE = ("fused_volume", "field-01-c001")


def kill_while_it_writes(study: Path, signal: Path) -> None:
    environment = {**os.environ, "EM2CRYO_DATA": str(study), "EM2CRYO_COMPUTE": "threads"}
    with (signal.with_suffix(".log")).open("w") as log:
        run = subprocess.Popen(
            [sys.executable, "-c", RUN_THAT_STOPS, str(signal)], env=environment, stdout=log, stderr=log
        )
        try:
            while not signal.exists():
                assert run.poll() is None, signal.with_suffix(".log").read_text()
                time.sleep(0.05)
        finally:
            run.kill()
            run.wait()


def change_seed(tiny: TinyStudy) -> None:
    settings = tiny.study.root / "study.toml"
    settings.write_text(settings.read_text() + "seed = 7\n")


def test_a_killed_run_leaves_whole_artifacts_and_the_next_ends_like_an_undisturbed_one(
    one_cell: Path, tmp_path: Path
) -> None:
    with copied(one_cell, tmp_path / "undisturbed") as tiny:
        old = tiny.digests()
        change_seed(tiny)
    with copied(tmp_path / "undisturbed", tmp_path / "killed") as tiny:
        kill_while_it_writes(tiny.study.root, tmp_path / "signal")
        folder = tiny.study.root / "store" / PLACE[0] / PLACE[1]
        half = [path for path in folder.glob(".staging-*/fused.ome.zarr/**/*") if path.name.isdigit()]
        assert half, "the volume was not being written when the run was killed"
        assert tiny.digests()[PLACE] == old[PLACE]
        for asset, key in tiny.digests():
            artifact = tiny.study.store.current(asset, key)
            assert artifact is not None
            assert digest_folder(artifact.path) == artifact.digest
    with copied(tmp_path / "killed", tmp_path / "again") as tiny:  # opened anew, with the new seed
        outcome, _ = tiny.run()
        assert outcome.problems == ()
        assert not list(tiny.study.root.glob("store/*/*/.staging-*"))
        assert {step.state for step in tiny.plan().values()} == {"current"}
        again = tiny.bytes_of_all_but_the_report()
    with copied(tmp_path / "undisturbed", tmp_path / "whole") as tiny:
        tiny.run()
        assert tiny.bytes_of_all_but_the_report() == again
    assert again[PLACE] != old[PLACE]
