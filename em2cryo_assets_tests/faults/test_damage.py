"""A damaged chunk is an error of what reads it, never a number; set aside and made again, all ends as ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from em2cryo_assets.store.publish import Store
from em2cryo_assets_tests.faults.disturbed import assert_ends_like, digests, said, started
from em2cryo_assets_tests.integration.tiny_study import copied

pytestmark = pytest.mark.slow


def test_a_damaged_chunk_is_told_named_and_made_again(one_cell: Path, tmp_path: Path) -> None:
    for name in ("study", "undisturbed"):
        with copied(one_cell, tmp_path / name) as tiny:
            settings = tiny.study.root / "study.toml"
            settings.write_text(settings.read_text() + "seed = 7\n")
    with started(tmp_path / "undisturbed") as run:
        assert run.wait(timeout=500) == 0
    root = tmp_path / "study"
    before = digests(root)
    artifact = Store(root / "store").current("tomogram", "lamella-02")
    assert artifact is not None
    chunk = next(path for path in sorted(artifact.path.rglob("0/c/*/*/*")) if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    with started(root) as run:
        run.wait(timeout=500)
    assert "a chunk is damaged" in said(root)
    assert "em2cryo store verify --set-aside" in said(root)
    pairs = {at for at in before if at[0] == "comparison"}
    assert pairs
    assert {at: digests(root)[at] for at in pairs} == {at: before[at] for at in pairs}  # none made of wrong voxels
    verify = subprocess.run(
        [sys.executable, "-m", "em2cryo_assets.cli", "store", "verify", "--set-aside"],
        env={**os.environ, "EM2CRYO_DATA": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert verify.returncode == 1
    assert f"corrupt  tomogram lamella-02  {chunk.relative_to(artifact.path.parent)}" in verify.stdout
    assert_ends_like(digests(tmp_path / "undisturbed"), root)
