"""What a person types, and what is said where it cannot be done."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from em2cryo_assets.cli import main
from em2cryo_assets.phantom import study as simulation
from em2cryo_assets_tests.integration.tiny_study import cells_in_rows, put_field


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EM2CRYO_DATA", str(tmp_path / "study"))
    monkeypatch.setenv("DAGSTER_HOME", "")  # set by the command; given back afterwards
    monkeypatch.setenv("EM2CRYO_COMPUTE", "threads")
    return tmp_path / "study"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "sem").mkdir()
    return put_field(tmp_path, "Field 1.tif", cells_in_rows(1, 1)[0])


def em2cryo(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_add_says_the_key_and_the_place(study: Path, raw: Path) -> None:
    result = em2cryo("add", "sem", str(raw))
    assert result.exit_code == 0
    assert result.stdout == f"Field-1  {study / 'inbox' / 'sem' / 'Field-1.tif'}\n"


def test_add_takes_what_it_can_and_tells_the_rest(study: Path, raw: Path, tmp_path: Path) -> None:
    result = em2cryo("add", "sem", str(tmp_path / "missing.tif"), str(raw))
    assert result.exit_code == 1
    assert "missing.tif: there is no such file. Remedy: check the path." in result.stderr
    assert result.stdout.startswith("Field-1")


def test_one_key_is_not_for_two_files(study: Path, raw: Path) -> None:
    result = em2cryo("add", "sem", str(raw), str(raw), "--key", "a")
    assert result.exit_code == 2
    assert "--key goes with one file" in result.stderr


def test_an_unknown_kind_is_refused_with_the_known_ones(study: Path, raw: Path) -> None:
    result = em2cryo("add", "afm", str(raw))
    assert result.exit_code == 2
    assert "tomogram" in result.stderr


def test_an_empty_study_has_a_status_and_no_verdicts(study: Path) -> None:
    assert "interior_atlas" in em2cryo("status").stdout
    result = em2cryo("verdicts")
    assert result.exit_code == 1
    assert "type: em2cryo run" in result.stderr


def test_status_names_new_files_and_problems_and_changes_nothing(study: Path, raw: Path) -> None:
    em2cryo("add", "sem", str(raw))
    (study / "inbox" / "sem" / "notes.docx").write_text("not an image")
    for _ in range(2):
        told = em2cryo("status").stdout
        assert "Field-1: type em2cryo run" in told
        assert "notes.docx: not a sem file by its name. Remedy: rename it" in told


def test_status_and_verdicts_of_a_finished_study_are_json_for_programs(study: Path, one_cell: Path) -> None:
    shutil.copytree(one_cell, study)
    rows = json.loads(em2cryo("status", "--json").stdout)
    assert {frozenset(row) for row in rows} == {frozenset({"asset", "key", "state", "why"})}
    assert {row["state"] for row in rows} == {"current"}
    verdicts = json.loads(em2cryo("verdicts", "--json").stdout)
    assert all(row["verdict"] and row["reason"] for row in verdicts)
    table = em2cryo("verdicts").stdout
    assert table.startswith("SIMULATED DATA")
    assert all(row["characteristic"] in table for row in verdicts)
    assert em2cryo("run").stdout.strip() == "0 materializations"


@pytest.mark.parametrize("command", [("run",), ("status",), ("verdicts",), ("add", "sem", "x.tif")])
def test_bad_settings_are_told_in_a_sentence_by_every_command(study: Path, command: tuple[str, ...]) -> None:
    study.mkdir()
    (study / "study.toml").write_text("sede = 1\n")
    result = em2cryo(*command)
    assert result.exit_code == 1
    assert "study.toml: 'sede' is not a setting. Remedy: known are seed" in result.stderr


def test_a_place_to_compute_that_nobody_knows_is_told_in_a_sentence(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EM2CRYO_COMPUTE", "procesess")
    result = em2cryo("run")
    assert result.exit_code == 1
    assert "EM2CRYO_COMPUTE" in result.stderr
    assert "processes:N" in result.stderr


def test_simulate_writes_a_whole_study_of_the_cells_and_the_seed_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(simulation, "write_whole_study", lambda root, **counts: asked.append((root, counts)) or [root])
    result = em2cryo("simulate", str(tmp_path / "out"), "--cells", "3", "--seed", "5")
    assert result.exit_code == 0
    assert asked == [(tmp_path / "out", {"seed": 5, "sem_cells": 3})]
    for place in ("inbox", "truth", "more"):
        assert str(tmp_path / "out" / place) in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--cells", "0", "0 is not in the range x>=1"),
        ("--cells", "1288", "1288 is not within 0 to 1287: a field holds 13 and numbers in file names have two digits"),
        ("--seed", "-1", "-1 is not in the range x>=0"),
        ("--seed", "4294967296", "4294967296 is not within 0 to 4294967295"),
    ],
)
def test_simulate_refuses_impossible_numbers_with_their_range(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    result = em2cryo("simulate", str(tmp_path / "out"), option, value)
    assert result.exit_code == 2
    assert option in result.stderr
    assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_simulate_leaves_real_files_and_other_simulations_alone(tmp_path: Path) -> None:
    (tmp_path / "inbox" / "sem").mkdir(parents=True)
    real = put_field(tmp_path / "inbox", "field.tif", cells_in_rows(1, 1)[0])
    marked = Path(f"{real}.toml")
    marked.write_text("pixel_size_nm = 20.0\n")
    result = em2cryo("simulate", str(tmp_path))
    assert result.exit_code == 1
    assert "no sidecar marks as simulated: field.tif" in result.stderr
    marked.write_text("pixel_size_nm = 20.0\nsimulated = true\n")
    result = em2cryo("simulate", str(tmp_path))
    assert result.exit_code == 1
    assert "name another folder, or delete" in result.stderr
    assert not (tmp_path / "truth").exists()
