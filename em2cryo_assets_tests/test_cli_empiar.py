"""What `em2cryo add empiar` says and does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from em2cryo_assets.cli import main
from em2cryo_assets_tests.resources.empiar.server import Empiar, entry_json, mrc_bytes, serving

NAME = "EMPIAR-10227"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EM2CRYO_DATA", str(tmp_path / "study"))
    monkeypatch.setenv("DAGSTER_HOME", "")  # set by the command; given back afterwards
    return tmp_path / "study"


@pytest.fixture(autouse=True)
def empiar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Empiar]:
    with serving() as archive:
        archive.entries[NAME] = entry_json()
        archive.put(NAME, "data/tomograms/TS_01.rec", mrc_bytes(seed=1))
        archive.put(NAME, "data/tomograms/TS_02.mrc", mrc_bytes((7, 10, 12), seed=2, voxel_a=0))
        archive.put(NAME, "data/tomograms/TS_01.mdoc", b"x")
        monkeypatch.setenv("EM2CRYO_EMPIAR_URL", archive.url)
        yield archive


def em2cryo(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def names(study: Path) -> list[str]:
    return sorted(path.name for path in (study / "inbox" / "tomogram").iterdir() if not path.name.startswith("."))


def test_a_dry_run_says_what_would_come_and_changes_nothing(study: Path) -> None:
    result = em2cryo("add", "empiar", NAME, "--dry-run")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:2] == [f"{NAME} Tomograms of yeast", "status REL, updated 2020-03-01, 1.2 TB"]
    assert "data/tomograms/TS_01.rec empiar-10227-TS_01 3.9 kB 6 × 10 × 12 0.784 new" in lines
    assert "data/tomograms/TS_02.mrc empiar-10227-TS_02 4.38 kB 7 × 10 × 12 not said new" in lines
    assert "data/tomograms/*.mdoc 1 no .mrc, .rec or .map file" in lines
    assert lines[-1].startswith("8.29 kB to fetch, ")
    assert lines[-1].endswith("free on the disk.")
    assert names(study) == []


def test_a_dry_run_says_what_would_be_refused(study: Path) -> None:
    result = em2cryo("add", "empiar", NAME, "--dry-run", "--max-gb", "1e-6")
    assert result.exit_code == 1
    assert "TS_01.rec" in result.stdout
    assert "at most 1e-06 GB were allowed" in result.stderr


def test_tomograms_are_fetched_once(study: Path) -> None:
    result = em2cryo("add", "empiar", NAME, "--only", "*.rec")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 tomograms arrived: type em2cryo run"
    assert names(study) == ["empiar-10227-TS_01.rec", "empiar-10227-TS_01.rec.toml"]
    assert em2cryo("add", "empiar", NAME).stdout.splitlines()[-1] == "1 tomograms arrived: type em2cryo run"
    assert em2cryo("add", "empiar", NAME).stdout == "0 tomograms arrived\n"
    (study / "inbox" / "tomogram" / "empiar-10227-TS_01.rec").unlink()
    assert "1 tomograms arrived" in em2cryo("add", "empiar", NAME).stdout  # asked for by hand, it comes back
    assert em2cryo("add", "empiar", NAME, "--dry-run").stdout.count(" here\n") == 2


def test_what_cannot_be_is_told_in_a_sentence(study: Path, empiar: Empiar) -> None:
    for entry, said in (("10227", "no accession of EMPIAR"), ("EMPIAR-99999", "no such entry")):
        result = em2cryo("add", "empiar", entry)
        assert result.exit_code == 1
        assert said in result.stderr
    assert em2cryo("add", "empiar", NAME, "--max-gb", "0").exit_code == 2
    empiar.entries[NAME] |= {"status": "OBS"}
    assert "withdrawn" in em2cryo("add", "empiar", NAME).stdout
    assert "withdrawn" in em2cryo("add", "empiar", NAME, "--dry-run").stdout


def test_a_refused_file_shows_in_the_exit_status(study: Path, empiar: Empiar) -> None:
    empiar.put(NAME, "data/tomograms/copy.rec", mrc_bytes(seed=1))
    result = em2cryo("add", "empiar", NAME)
    assert result.exit_code == 1
    assert "! copy.rec: it has the same bytes as" in result.stderr
    assert result.stdout.splitlines()[-1].startswith("2 tomograms arrived")
