"""What a microscope or an alignment left beside a tomogram in the archive comes with it, and only that."""

from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.cryoet.mrc import open_tomogram
from em2cryo_assets.cryoet.tilt_series_file import is_tilt_series, read_tilt_series
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.look import look
from em2cryo_assets.resources.empiar.source import fetch
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets_tests.resources.empiar.an_entry import FOLDER, NAME, inbox, record
from em2cryo_assets_tests.resources.empiar.server import Empiar, Fault, entry_json, mrc_bytes

RAW = "empiar-10227-TS_01.rec"
TILTS = tuple(float(tilt) for tilt in np.linspace(-50, 50, 5))


def listed(tilts: tuple[float, ...]) -> bytes:
    return "".join(f"{tilt:.2f}\n" for tilt in tilts).encode()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "study")


@pytest.fixture(autouse=True)
def archive(empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json()
    empiar.put(NAME, f"{FOLDER}/TS_01.rec", mrc_bytes(seed=1))
    empiar.put(NAME, f"{FOLDER}/TS_01.st.mdoc", b"PixelSpacing = 7.84\n")
    empiar.put(NAME, f"{FOLDER}/TS_01.tlt", listed(TILTS))


def beside(study: Study, raw: str = RAW) -> dict[str, bytes]:
    """Companions of a raw file by ending."""
    folder = study.root / "inbox" / "tomogram"
    return {
        path.name.removeprefix(raw): path.read_bytes()
        for path in folder.iterdir()
        if path.name.startswith(f"{raw}.") and path.suffix != ".toml"
    }


def downloads(empiar: Empiar) -> list[str]:
    """File names that were asked for as wholes."""
    return [one.path.rpartition("/")[2] for one in empiar.asked if one.range is None and "." in one.path[-9:]]


def test_they_come_beside_their_tomogram_and_are_read_there(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    empiar.put(NAME, f"{FOLDER}/another.tlt", listed(TILTS))
    empiar.put(NAME, "data/other/TS_01.xf", b"1 0 0 1 0 0\n")
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_01"]
    assert beside(study) == {".mdoc": b"PixelSpacing = 7.84\n", ".tlt": listed(TILTS)}
    path = study.root / "inbox" / "tomogram" / RAW
    assert open_tomogram(path, read_sidecar(path)).tilts_deg == pytest.approx(TILTS)
    written = record(study)
    companions = written["files"][f"{FOLDER}/TS_01.rec"]["companions"]
    assert {ending: one["path"] for ending, one in companions.items()} == {
        ".mdoc": f"{FOLDER}/TS_01.st.mdoc",
        ".tlt": f"{FOLDER}/TS_01.tlt",
    }
    assert all(len(one["sha256"]) == 64 and one["etag"] for one in companions.values())
    assert {one["path"] for one in written["left_out"]} == {f"{FOLDER}/*.tlt", "data/other/*.xf"}


def test_a_tomogram_without_any_arrives_alone(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    for path in [path for path in empiar.files if not path.endswith(".rec")]:
        del empiar.files[path]
    result = fetch(study, client, NAME)
    assert (result.arrived, result.refused, result.failed) == (["empiar-10227-TS_01"], [], [])
    assert beside(study) == {}


def test_a_look_names_them_and_the_budget_counts_them(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    found = look(study, client, NAME)
    assert [(one.ending, one.state) for one in found.items[0].companions] == [(".tlt", "new"), (".mdoc", "new")]
    everything = sum(len(one.content) for one in empiar.files.values())
    assert found.to_fetch(restore=False) == everything
    with pytest.raises(InputError, match="were allowed"):
        fetch(study, client, NAME, max_gb=(everything - 1) / 1e9)
    assert fetch(study, client, NAME, max_gb=everything / 1e9).arrived


def test_only_the_companion_that_changed_comes_again(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    before = study.inbox.digest(study.inbox.files("tomogram")["empiar-10227-TS_01"])
    empiar.asked.clear()
    assert fetch(study, client, NAME).arrived == []
    assert downloads(empiar) == []
    refined = listed(tuple(tilt + 0.3 for tilt in TILTS))
    empiar.put(NAME, f"{FOLDER}/TS_01.tlt", refined)
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_01"]
    assert downloads(empiar) == ["TS_01.tlt"]
    assert beside(study)[".tlt"] == refined
    assert study.inbox.digest(study.inbox.files("tomogram")["empiar-10227-TS_01"]) != before  # it is made again


def test_one_that_a_person_changed_or_deleted_is_left(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    mine = study.root / "inbox" / "tomogram" / f"{RAW}.tlt"
    mine.write_bytes(b"0\n")
    (study.root / "inbox" / "tomogram" / f"{RAW}.mdoc").unlink()
    empiar.put(NAME, f"{FOLDER}/TS_01.tlt", listed(TILTS[::-1]))
    said: list[str] = []
    assert fetch(study, client, NAME, tell=said.append).arrived == []
    assert beside(study) == {".tlt": b"0\n"}
    assert f"{RAW}.tlt was changed by hand and is kept." in said
    assert fetch(study, client, NAME, restore=True).arrived == ["empiar-10227-TS_01"]
    assert beside(study) == {".mdoc": b"PixelSpacing = 7.84\n", ".tlt": b"0\n"}


def test_a_useless_one_stops_no_tomogram(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    empiar.put(NAME, f"{FOLDER}/TS_01.st.mdoc", b"")
    empiar.put(NAME, f"{FOLDER}/TS_01.xf", b" " * (4 * 2**20 + 1))
    result = fetch(study, client, NAME)
    assert result.arrived == ["empiar-10227-TS_01"]
    assert list(beside(study)) == [".tlt"]
    reasons = {one["path"]: one["reason"] for one in record(study)["left_out"]}
    assert "4,194,305 bytes" in reasons[f"{FOLDER}/*.xf"]
    assert reasons[f"{FOLDER}/*.mdoc"]


def test_one_that_cannot_be_had_now_holds_its_tomogram_back(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    said: list[str] = []
    empiar.fault = lambda method, path: Fault("status", status=503) if said and path.endswith(".tlt") else None
    result = fetch(study, client, NAME, tell=said.append)
    assert (result.arrived, len(result.failed)) == ([], 1)
    assert inbox(study) == {}
    empiar.fault = lambda method, path: None
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_01"]
    assert set(beside(study)) == {".mdoc", ".tlt"}


def test_a_tilt_series_comes_where_there_is_no_reconstruction(
    empiar: Empiar, client: EmpiarClient, study: Study
) -> None:
    series = "data/series/TS_07"
    empiar.put(NAME, f"{series}.st", mrc_bytes((5, 10, 12), ispg=0, mz=1))
    empiar.put(NAME, f"{series}.rawtlt", listed(TILTS))
    empiar.put(NAME, f"{series}.xf", b"1 0 0 1 0 0\n" * 5)
    empiar.put(NAME, "data/series/TS_08.st", mrc_bytes((5, 10, 12), ispg=0, mz=1, seed=8))  # no tilts
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_01"]
    del empiar.files[f"10227/{FOLDER}/TS_01.rec"]
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_07"]
    path = study.root / "inbox" / "tomogram" / "empiar-10227-TS_07.st"
    assert is_tilt_series(path)
    read = read_tilt_series(path, read_sidecar(path))
    assert read.tilts_deg == pytest.approx(TILTS)
    assert read.transforms is not None
    reasons = {one["path"]: one["reason"] for one in record(study)["left_out"]}
    assert reasons["data/series/*.st"] == "a tilt series without a list of its tilts"


def test_of_a_series_and_its_aligned_copy_one_comes(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    empiar.files.clear()
    for ending in ("st", "ali"):
        empiar.put(NAME, f"data/TS_07.{ending}", mrc_bytes((5, 10, 12), ispg=0, mz=1, seed=len(ending)))
    empiar.put(NAME, "data/TS_07.tlt", listed(TILTS))
    fetch(study, client, NAME)
    assert list(inbox(study)) == ["empiar-10227-TS_07.ali"]
