"""A small study through the command: made once, not twice, and guarded at the door."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from em2cryo_assets_tests.integration.tiny_study import SETTINGS

DEMO = Path(__file__).parents[2] / "data" / "demo" / "inbox"


def em2cryo(study: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EM2CRYO_DATA": str(study), "EM2CRYO_COMPUTE": "threads"}
    return subprocess.run(
        [sys.executable, "-m", "em2cryo_assets.cli", *arguments], env=environment, capture_output=True, text=True
    )


def states(study: Path) -> dict[tuple[str, str | None], dict[str, str]]:
    rows = json.loads(em2cryo(study, "status", "--json").stdout)
    return {(row["asset"], row["key"]): row for row in rows}


def materializations(result: subprocess.CompletedProcess[str]) -> int:
    assert result.returncode == 0, result.stderr
    return int(result.stdout.strip().splitlines()[-1].split()[0])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sections, two lamellae and one whole cell, and one field of the demo study, brought up to date once."""
    root = tmp_path_factory.mktemp("study")
    (root / "study.toml").write_text(SETTINGS)
    wanted = {
        "sem": ["field-01.png"],
        "tem": [f"section-{n:02d}.png" for n in range(1, 5)],
        "tomogram": ["lamella-01.mrc.gz", "lamella-02.mrc", "whole-cell-01.mrc.gz"],
    }
    for kind, names in wanted.items():
        result = em2cryo(root, "add", kind, *(str(DEMO / kind / name) for name in names))
        assert result.returncode == 0, result.stderr
    first = em2cryo(root, "run")
    assert materializations(first) > 20, first.stdout
    return root


@pytest.mark.slow
def test_second_run_makes_nothing(study: Path) -> None:
    assert materializations(em2cryo(study, "run")) == 0
    assert {row["state"] for row in states(study).values()} <= {"current", "retired"}


@pytest.mark.slow
def test_verdicts_have_what_others_build_on(study: Path) -> None:
    rows = json.loads(em2cryo(study, "verdicts", "--json").stdout)
    assert rows
    for row in rows:
        assert {"characteristic", "verdict", "n", "interval", "reason"} <= set(row)
        assert row["reason"]
    assert (study / "report" / "index.html").is_file()


def test_real_and_simulated_files_never_share_a_study(study: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.png"
    shutil.copy(DEMO / "tem" / "section-09.png", real)
    real.with_name("real.png.toml").write_text("pixel_size_nm = 10.0\n")
    result = em2cryo(study, "add", "tem", str(real))
    assert result.returncode == 1
    assert "EM2CRYO_DATA" in result.stderr


def test_a_key_with_a_slash_is_refused(study: Path) -> None:
    result = em2cryo(study, "add", "tem", str(DEMO / "tem" / "section-10.png"), "--key", "a/b")
    assert result.returncode == 1
    assert "--key" in result.stderr
