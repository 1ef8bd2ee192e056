"""The archive of a study: whole, checkable, the same each time, and enough to make the study again."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trimesh
from click.testing import CliRunner
from rocrate.rocrate import ROCrate

from em2cryo_assets.assets.exports import INNER_TABLES, TABLES
from em2cryo_assets.cli import main
from em2cryo_assets.compare.characteristics import CHARACTERISTICS
from em2cryo_assets.export import archive
from em2cryo_assets.resources.inbox import KINDS, Inbox
from em2cryo_assets.resources.study import open_study
from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets_tests.integration.tiny_study import copied

CELL = "field-01-c001"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # set by the command; given back afterwards


def em2cryo(*arguments: str) -> Any:
    result = CliRunner().invoke(main, ["export", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def listed(folder: Path) -> dict[str, str]:
    lines = (folder / "manifest-sha256.txt").read_text().splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


@pytest.mark.slow
def test_an_archive_is_whole_checkable_and_the_same_each_time(
    one_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        study = tiny.study
    monkeypatch.setenv("EM2CRYO_DATA", str(study.root))
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()  # an empty folder may be there
    told = em2cryo(str(first)).stdout
    assert "begin with README.txt" in told
    assert "Nobody is named as author" in told
    assert em2cryo(str(second)).exit_code == 0
    found = contents(first)
    assert found == contents(second)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second", "study"]  # nothing half made is left

    sums = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    del sums["manifest-sha256.txt"]
    assert listed(first) == sums
    crate = ROCrate(first)
    described = {one.id: one["sha256"] for one in crate.data_entities if one.type == "File"}
    del sums["ro-crate-metadata.json"]
    assert described == sums

    readme = found["README.txt"].decode()
    assert "SIMULATED DATA" in readme
    verdicts = pd.read_csv(first / "tables" / "verdicts-verdicts.csv")
    for verdict, count in verdicts["verdict"].value_counts().items():
        assert f"{count} {verdict}" in readme
    columns = pd.read_csv(first / "tables" / "columns.csv")
    for table in (*TABLES, *INNER_TABLES):
        name = f"{table.asset}-{table.file}"
        frame = pd.read_parquet(first / "tables" / f"{name}.parquet")
        assert list(columns.loc[columns["table"] == name, "column"]) == list(frame.columns)
        plain = pd.read_csv(first / "tables" / f"{name}.csv")
        assert len(plain) == len(frame)
        for column in frame.select_dtypes("number"):
            np.testing.assert_array_equal(plain[column].to_numpy(float), frame[column].to_numpy(float))
    assert columns["meaning"].notna().all()
    explained = (first / "tables" / "columns.md").read_text(encoding="utf-8")
    assert all(f"| `{name}`" in explained for name in CHARACTERISTICS)

    artifact = study.store.current("cell_mesh", CELL)
    assert artifact is not None
    mesh = read_mesh(artifact.path / "mesh.zarr")
    ply = trimesh.load_mesh(first / "meshes" / f"{CELL}.ply")
    np.testing.assert_allclose(ply.bounds, np.sort(mesh.vertices_nm[:, ::-1], axis=0)[[0, -1]])
    glb = trimesh.load(first / "meshes" / f"{CELL}.glb", force="mesh")
    np.testing.assert_allclose(glb.bounds * 1000, ply.bounds, rtol=1e-5)

    again = Inbox(tmp_path / "again" / "inbox")  # as the README says: what it makes is what was made here
    shutil.copytree(first / "raw", again.root)
    for kind in KINDS:
        ours, theirs = study.inbox.files(kind), again.files(kind)  # type: ignore[arg-type]
        assert {key: study.inbox.digest(raw) for key, raw in ours.items()} == {
            key: again.digest(raw) for key, raw in theirs.items()
        }
        assert [study.inbox.labels_digest(raw) for raw in ours.values()] == [
            again.labels_digest(raw) for raw in theirs.values()
        ]
    assert (first / "parameters" / "study.toml").read_bytes() == (study.root / "study.toml").read_bytes()
    provenance = json.loads(found["parameters/provenance.json"])
    made = {(one["asset"], one["key"]): one["digest"] for one in provenance}
    for (asset, key), digest in tiny.digests().items():
        assert asset == "report" or made[asset, key] == digest
    assert not any(b"run_id" in content or str(study.root).encode() in content for content in found.values())


@pytest.mark.slow
def test_without_raw_files_they_are_listed_and_what_cannot_be_told_is_refused(
    one_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        root = tiny.study.root
    monkeypatch.setenv("EM2CRYO_DATA", str(root))
    target = tmp_path / "archive"
    assert em2cryo(str(target), "--no-raw").exit_code == 0
    raw = pd.read_csv(target / "parameters" / "raw-files.csv")
    assert set(raw["role"]) == {"raw", "sidecar", "labels"}
    for row in raw.to_dict("records"):
        assert row["included"] == (row["role"] != "raw") == (target / row["file"]).exists()
        original = root / "inbox" / Path(row["file"]).relative_to("raw")
        assert hashlib.sha256(original.read_bytes()).hexdigest() == row["sha256"]
    before = contents(target)
    for folder, reason in ((target, "not empty"), (root / "archive", "inside the study")):
        refused = em2cryo(str(folder))
        assert refused.exit_code == 1
        assert reason in refused.stderr
    assert contents(target) == before

    def broken(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "write_crate", broken)  # the last step but one
        failed = em2cryo(str(tmp_path / "half"))
    assert failed.exit_code == 1
    assert "No space left" in failed.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "study"]
    (root / "study.toml").write_text((root / "study.toml").read_text().replace("= 60", "= 61"))
    old = em2cryo(str(tmp_path / "old"))
    assert old.exit_code == 1
    assert "not up to date (fused_volume of field-01-c001 first). Remedy: type: em2cryo run" in old.stderr
    assert not (tmp_path / "old").exists()


def test_a_study_without_results_has_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EM2CRYO_DATA", str(open_study(tmp_path / "study").root))
    refused = em2cryo(str(tmp_path / "archive"))
    assert refused.exit_code == 1
    assert "type: em2cryo run" in refused.stderr
    assert not (tmp_path / "archive").exists()
