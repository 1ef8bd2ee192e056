"""What `em2cryo add empiar` and `em2cryo add portal` say and do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from em2cryo_assets.cli import main
from em2cryo_assets_tests.resources.cryoet_portal.stand_in import PortalHandler, StandIn, old_image
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
        archive.put(NAME, "data/tomograms/readme.txt", b"x")
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
    assert "data/tomograms/TS_01.mdoc .mdoc 1 B new" in lines
    assert "data/tomograms/*.txt 1 no .mrc, .rec or .map file" in lines
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
    assert names(study) == [f"empiar-10227-TS_01.rec{end}" for end in ("", ".mdoc", ".toml")]
    assert em2cryo("add", "empiar", NAME).stdout.splitlines()[-1] == "1 tomograms arrived: type em2cryo run"
    assert em2cryo("add", "empiar", NAME).stdout == "0 tomograms arrived\n"
    (study / "inbox" / "tomogram" / "empiar-10227-TS_01.rec").unlink()
    assert "1 tomograms arrived" in em2cryo("add", "empiar", NAME).stdout  # asked for by hand, it comes back
    assert em2cryo("add", "empiar", NAME, "--dry-run").stdout.count(" here\n") == 3


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


def test_a_dataset_of_the_portal_comes_by_its_own_command(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(StandIn(), PortalHandler) as portal:
        monkeypatch.setenv("EM2CRYO_PORTAL_URL", portal.url)
        portal.put_dataset()
        portal.put_run(11, "TS_026")
        path = portal.put_tomogram(100, 11, old_image(tmp_path / "old.zarr", 13.48), 13.48)
        looked = em2cryo("add", "portal", "10000", "--dry-run")
        assert looked.exit_code == 0
        lines = [" ".join(line.split()) for line in looked.stdout.splitlines()]
        assert lines[:2] == ["CZCDP-10000 Cells of a fission yeast", "status REL, updated 2023-05-02, 1.2e+03 GB"]
        key = "portal-10000-TS_026-raw"
        assert f"{path} {key} 49.1 kB 16 × 24 × 32 2.696 new resolution level 1 of 0 to 2" in lines
        assert names(study) == []
        fetched = em2cryo("add", "portal", "10000/TS_026")
        assert fetched.stdout.splitlines()[-1] == "1 tomograms arrived: type em2cryo run"
        assert names(study) == [f"{key}.ome.zarr", f"{key}.ome.zarr.toml"]
        assert "nor a run of one" in em2cryo("add", "portal", "TS_026").stderr
