"""A small study through the command: made once, only what changed is made again, bad files fail alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

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


@pytest.mark.slow
def test_a_bad_file_fails_alone_and_loses_nothing(study: Path, tmp_path: Path) -> None:
    before = states(study)
    inbox = study / "inbox"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(inbox / "tem" / "black.png")
    (inbox / "tem" / "black.png.toml").write_text("pixel_size_nm = 10.0\nsimulated = true\n")
    whole = (DEMO / "tomogram" / "lamella-02.mrc").read_bytes()
    (inbox / "tomogram" / "cut.mrc").write_bytes(whole[: len(whole) // 2])
    (inbox / "tomogram" / "cut.mrc.toml").write_text("simulated = true\nmodality = 'lamella'\n")
    tifffile.imwrite(inbox / "sem" / "unsized.tif", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    (inbox / "sem" / "unsized.tif.toml").write_text("simulated = true\n")
    result = em2cryo(study, "run")
    assert result.returncode == 0
    after = states(study)
    for asset, key, word in (
        ("tem_section", "black", "all pixels"),
        ("tomogram", "cut", "cut.mrc"),
        ("sem_field", "unsized", "pixel_size_nm"),
    ):
        row = after[(asset, key)]
        assert row["state"] == "failed"
        assert word in row["why"], row["why"]
        assert "Remedy" in row["why"]
    for place, row in before.items():
        assert after[place]["state"] == row["state"], place
    for kind, name in (("tem", "black.png"), ("tomogram", "cut.mrc"), ("sem", "unsized.tif")):
        (inbox / kind / name).unlink()
        (inbox / kind / f"{name}.toml").unlink()
    assert materializations(em2cryo(study, "run")) == 0


@pytest.mark.slow
def test_one_corrected_cell_recomputes_one_cell(study: Path) -> None:
    from em2cryo_assets.store.images import read_labels
    from em2cryo_assets.store.publish import Store

    masks = Store(study / "store").current("cell_masks", "field-01")
    assert masks is not None
    labels = np.asarray(read_labels(masks.path / "masks.ome.zarr", "cells")).copy()
    number = int(labels.max())
    rows = np.argwhere(labels == number)[:, 0]
    labels[: rows.min() + 3][labels[: rows.min() + 3] == number] = 0  # a person trims the top of one cell
    before = {k: v for k, v in _digests(study, "cell_mesh").items()}
    tifffile.imwrite(study / "inbox" / "sem" / "field-01.png.labels.tif", labels.astype(np.uint16))
    assert materializations(em2cryo(study, "run")) > 0
    after = _digests(study, "cell_mesh")
    changed = {key for key in before if after[key] != before[key]}
    assert changed == {f"field-01-c{number:03d}"}
    assert materializations(em2cryo(study, "run")) == 0


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


def _digests(study: Path, asset: str) -> dict[str, str]:
    from em2cryo_assets.store.publish import Store

    store = Store(study / "store")
    found = {key: store.current(asset, key) for key in store.keys(asset)}
    return {key: artifact.digest for key, artifact in found.items() if artifact is not None}
