"""What a person who is stuck is told, and that each thing told is true of a real study, disk or server."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from distributed import LocalCluster

from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.cli import main
from em2cryo_assets.resources import machine, study_health
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.dagster_home import POSTGRES
from em2cryo_assets.store.entries import new_staging
from em2cryo_assets.store.publish import Store
from em2cryo_assets_tests.integration.tiny_study import copied

CELL = "field-01-c001"
Row = dict[str, str]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # set by the command; given back afterwards
    monkeypatch.setenv("EM2CRYO_COMPUTE", "threads")
    monkeypatch.setenv("EM2CRYO_DEVICE", "cpu")
    monkeypatch.delenv(POSTGRES, raising=False)


def doctor(*arguments: str) -> Any:
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rows(code: int) -> list[Row]:
    result = doctor("--json")
    found: list[Row] = json.loads(result.stdout)
    assert result.exit_code == code, found
    assert result.exit_code == any(row["mark"] == "problem" for row in found)
    assert all(row["remedy"] for row in found if row["mark"] == "problem")
    return found


def of(found: list[Row], about: str) -> list[Row]:
    return [row for row in found if row["about"] == about]


@pytest.mark.slow
def test_a_study_is_well_then_outdated_failed_and_damaged(
    one_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        root, store = tiny.study.root, tiny.study.store
        monkeypatch.setenv("EM2CRYO_DATA", str(root))
        well = rows(0)
        assert {frozenset(row) for row in well} == {frozenset({"mark", "about", "says", "remedy"})}
        assert not of(well, "outdated") + of(well, "missing")
        steps = tiny.plan()
        assert of(well, "plan")[0]["says"] == f"{len(steps)} of {len(steps)} are current."
        assert of(well, "study")[0]["says"] == f"{root}."
        lines = doctor().stdout
        assert "0 problem" in lines.splitlines()[-1]
        assert "em2cryo store verify" in lines

        (root / "study.toml").write_text((root / "study.toml").read_text().replace("= 60", "= 61"))
        (root / "inbox" / "sem" / "notes.docx").write_text("not an image")
        step = tiny.plan()["cell_mesh", CELL]
        why = "broken.tif: it holds no pixel. Remedy: copy it again."
        store.record_failure("cell_mesh", CELL, why, step.inputs, STAGES["cell_mesh"].code_version)
        ill = rows(1)
        outdated = [row for row in of(ill, "outdated") if row["says"].startswith(f"fused_volume of {CELL}: ")]
        assert [row["remedy"] for row in outdated] == ["em2cryo run"]
        assert "settings of fused_volume changed" in outdated[0]["says"]
        failed = of(ill, "failed")[0]
        assert failed["says"] == f"cell_mesh of {CELL}: broken.tif: it holds no pixel."
        assert failed["remedy"] == "copy it again; then type: em2cryo run"
        assert "notes.docx" in of(ill, "raw files")[0]["says"]
        status = json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout)
        for row in status:  # the same plan: whatever status calls outdated is told here
            if row["state"] == "outdated":
                assert any(one["says"].startswith(row["asset"]) and row["why"] in one["says"] for one in ill)

        verdicts, volume = store.current("verdicts", None), store.current("fused_volume", CELL)
        assert verdicts is not None
        assert volume is not None
        shutil.rmtree(verdicts.path)
        new_staging(volume.path.parent).mkdir()
        hurt = of(rows(1), "store")
        assert "1 of 26 artifacts are damaged: verdicts _." in hurt[0]["says"]
        assert "verify --set-aside" in hurt[0]["remedy"]
        assert "1 left over" in hurt[1]["says"]
        volume.path.with_name(f"{volume.digest}.json").write_text("{")
        spoilt = rows(1)
        assert "cannot be read" in of(spoilt, "store")[1]["says"]
        assert of(spoilt, "plan")[0]["mark"] == "problem"


def test_bad_settings_and_folders_are_told_and_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EM2CRYO_DATA", str(tmp_path / "nowhere"))
    assert "does not exist" in of(rows(1), "study")[0]["says"]
    assert not (tmp_path / "nowhere").exists()
    monkeypatch.setenv("EM2CRYO_DATA", str(tmp_path))
    assert "no inbox" in of(rows(0), "study")[0]["says"]
    monkeypatch.setenv(POSTGRES, "postgresql://me:s3cret@127.0.0.1:1/study")
    (tmp_path / "study.toml").write_text("sede = 1\n")
    told = doctor()
    assert "Postgres at 127.0.0.1:1/study" in told.stdout
    assert "s3cret" not in told.output
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]
    monkeypatch.delenv(POSTGRES)
    assert of(rows(1), "settings")[0]["says"] == "study.toml: 'sede' is not a setting."


def test_a_disk_that_takes_nothing_or_lies_elsewhere_is_a_problem(tmp_path: Path) -> None:
    last = list(study_health.folder(Path("/proc")))[-1]  # nobody, not even root, can write there
    assert (last.mark, last.about) == ("problem", "disk")
    assert not list(tmp_path.iterdir())
    mounts = "/dev/sda1 / ext4 rw 0 0\nserver:/home /home\\040of\\040all nfs4 rw 0 0\n"
    assert study_health.file_system(Path("/home of all/me"), mounts) == "nfs4"
    assert study_health.file_system(Path("/home/me"), mounts) == "ext4"
    assert study_health.file_system(Path("/home/me"), "") == ""


def test_packages_that_are_missing_or_too_old_are_named() -> None:
    found = list(machine.packages(["numpy>=999", "no-such-package>=1", "click>=8", "ruff>=999; extra == 'dev'"]))
    assert [one.mark for one in found] == ["problem"]
    assert "no-such-package is not installed" in found[0].says
    assert ">=999 is needed" in found[0].says
    assert "click" not in found[0].says
    assert "ruff" not in found[0].says
    listed = ["click>=8; extra == 'portal'", "no-such-package; extra == 'postgres'"]
    marks = {one.about: (one.mark, one.remedy) for one in machine.extras(listed)}
    assert marks["extra portal"] == ("ok", "")
    assert marks["extra postgres"] == ("note", "pip install 'em2cryo-assets[postgres]'")


def test_a_device_and_a_way_to_compute_that_are_not_there_are_problems() -> None:
    away = machine.device(ComputeResource(device="cuda:99"))
    assert away.mark == "problem"
    assert "EM2CRYO_DEVICE=cpu" in away.remedy
    chosen = machine.device(ComputeResource(device="auto"))
    assert chosen.mark == "ok"
    assert "CUDA" in chosen.says
    assert machine.scheduler(ComputeResource(scheduler="thraeds")).mark == "problem"
    assert machine.scheduler(ComputeResource(scheduler="processes:999")).mark == "note"
    assert machine.scheduler(ComputeResource(scheduler="processes")).mark == "ok"


def test_a_dask_scheduler_is_asked_for_its_workers() -> None:
    with LocalCluster(
        n_workers=0, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as cluster:
        address = cluster.scheduler_address
        assert "has no worker" in machine.scheduler(ComputeResource(scheduler=address)).says
        cluster.scale(1)
        deadline = time.monotonic() + 30
        while not cluster.scheduler.workers:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        wide = machine.scheduler(ComputeResource(scheduler=address))
        assert (wide.mark, "--nthreads 1" in wide.remedy) == ("problem", True)
        assert "more than one thread" in wide.says
    gone = machine.scheduler(ComputeResource(scheduler=address))
    assert "no dask scheduler answers" in gone.says


def test_an_empty_store_is_well(tmp_path: Path) -> None:
    assert [one.mark for one in study_health.store(Store(tmp_path / "store"))] == ["ok"]
