"""From the archive into the inbox: only what is whole, new or changed; and a record of everything."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.archives import budget
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.look import look, records_of
from em2cryo_assets.resources.empiar.source import fetch
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets_tests.resources.empiar.an_entry import FOLDER, NAME, inbox, put_entry, record
from em2cryo_assets_tests.resources.empiar.server import Empiar, Fault, entry_json, gz, mrc_bytes


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "study")


@pytest.fixture(autouse=True)
def archive(empiar: Empiar) -> None:
    put_entry(empiar)


def served(empiar: Empiar, path: str) -> bytes:
    return empiar.files[f"10227/{path}"].content


def downloads(empiar: Empiar) -> list[str]:
    """File names that were asked for as wholes or remainders, not for their headers."""
    return [
        one.path.rpartition("/")[2]
        for one in empiar.asked
        if one.method == "GET" and "." in one.path.rpartition("/")[2] and not (one.range or "").startswith("bytes=0-")
    ]


def test_tomograms_arrive_with_sidecar_and_record(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    result = fetch(study, client, NAME)
    assert result.arrived == ["empiar-10227-TS-02", "empiar-10227-TS_01"]
    assert (result.refused, result.failed) == ([], [])
    assert inbox(study) == {
        "empiar-10227-TS_01.rec": served(empiar, f"{FOLDER}/TS_01.rec"),
        "empiar-10227-TS-02.mrc.gz": served(empiar, f"{FOLDER}/TS 02.mrc.gz"),
    }
    sidecar = read_sidecar(study.root / "inbox" / "tomogram" / "empiar-10227-TS-02.mrc.gz")
    assert sidecar.source == "EMPIAR-10227 /empiar/world_availability/10227/data/tomograms/TS%2002.mrc.gz"
    assert (sidecar.modality, sidecar.simulated, sidecar.unknown) == ("lamella", None, ())
    assert list((study.root / "inbox" / "tomogram" / ".empiar").iterdir()) == []
    written = record(study)
    assert (written["status"], written["update_date"], written["withdrawn"]) == ("REL", "2020-03-01", False)
    file = written["files"][f"{FOLDER}/TS_01.rec"]
    assert file["size"] == len(mrc_bytes())
    assert file["etag"] == empiar.files[f"10227/{FOLDER}/TS_01.rec"].etag
    assert file["last_modified"]
    assert len(file["sha256"]) == 64
    assert file["state"] == "here"
    reasons = {one["path"]: one["reason"] for one in written["left_out"]}
    assert set(reasons) == {
        "data/movies", f"{FOLDER}/TS_01_labels.mrc", f"{FOLDER}/slice.mrc", "data/series/*.st",
    }  # fmt: skip
    assert all(reasons.values())


def test_what_is_here_is_not_fetched_again(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    empiar.asked.clear()
    assert fetch(study, client, NAME).arrived == []
    assert downloads(empiar) == []


def test_only_what_changed_is_fetched_again(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    before = {key: study.inbox.digest(raw) for key, raw in study.inbox.files("tomogram").items()}
    empiar.put(NAME, f"{FOLDER}/TS_01.rec", mrc_bytes(seed=3))
    empiar.put(NAME, f"{FOLDER}/TS_03.rec", mrc_bytes(seed=4))
    empiar.entries[NAME] |= {"update_date": "2021-01-01", "title": "Another title"}
    empiar.asked.clear()
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_01", "empiar-10227-TS_03"]
    assert downloads(empiar) == ["TS_01.rec", "TS_03.rec"]
    assert inbox(study)["empiar-10227-TS_01.rec"] == mrc_bytes(seed=3)
    after = {key: study.inbox.digest(raw) for key, raw in study.inbox.files("tomogram").items()}
    assert {key for key in before if before[key] != after[key]} == {"empiar-10227-TS_01"}
    assert record(study)["update_date"] == "2021-01-01"


def test_a_file_that_the_archive_does_not_give_holds_up_no_other(
    empiar: Empiar, client: EmpiarClient, study: Study
) -> None:
    empiar.put(NAME, f"{FOLDER}/TS_03.rec", mrc_bytes(seed=4))
    empiar.put(NAME, f"{FOLDER}/TS_04.rec", b"")
    empiar.fault = lambda method, path: Fault("status", status=403) if path.endswith("TS_03.rec") else None
    result = fetch(study, client, NAME)
    assert result.arrived == ["empiar-10227-TS-02", "empiar-10227-TS_01"]
    assert len(result.failed) == 1
    assert result.failed[0].startswith("TS_03.rec: it answered 403")
    reasons = {one["path"]: one["reason"] for one in record(study)["left_out"]}
    assert reasons[f"{FOLDER}/TS_04.rec"] == "an empty file in the archive"
    assert reasons[f"{FOLDER}/TS_03.rec"].startswith("it answered 403")
    empiar.fault = lambda method, path: None
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS_03"]


def test_new_marks_for_the_same_bytes_change_nothing_here(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    raw = study.root / "inbox" / "tomogram" / "empiar-10227-TS_01.rec"
    before = (raw.stat().st_mtime_ns, raw.stat().st_ino)
    empiar.put(NAME, f"{FOLDER}/TS_01.rec", mrc_bytes(seed=1), etag='"moved"')
    assert fetch(study, client, NAME).arrived == []
    assert (raw.stat().st_mtime_ns, raw.stat().st_ino) == before
    assert record(study)["files"][f"{FOLDER}/TS_01.rec"]["etag"] == '"moved"'
    empiar.asked.clear()
    fetch(study, client, NAME)
    assert downloads(empiar) == []


def test_a_withdrawn_entry_is_flagged_and_its_files_kept(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    before, said = inbox(study), list[str]()
    empiar.entries[NAME] |= {"status": "OBS", "obsolete_date": "2021-01-01"}
    assert fetch(study, client, NAME, tell=said.append).entry.withdrawn
    assert said == ["EMPIAR-10227 was withdrawn from the archive (status OBS); its 2 files are kept."]
    assert (inbox(study), record(study)["withdrawn"]) == (before, True)
    del empiar.entries[NAME]
    fetch(study, client, NAME, tell=said.append)
    assert "status NOT FOUND" in said[-1]
    assert len(record(study)["files"]) == 2
    empiar.entries[NAME] = entry_json()
    fetch(study, client, NAME)
    assert (inbox(study), record(study)["withdrawn"]) == (before, False)


def test_an_entry_that_never_was_is_told(client: EmpiarClient, study: Study) -> None:
    with pytest.raises(InputError, match="the archive has no such entry"):
        fetch(study, client, "EMPIAR-99999")
    assert not (study.root / "empiar" / "EMPIAR-99999.json").exists()


def test_a_file_gone_from_the_archive_is_kept(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    before = inbox(study)
    gone = empiar.files.pop(f"10227/{FOLDER}/TS_01.rec")
    fetch(study, client, NAME)
    assert inbox(study) == before
    assert record(study)["files"][f"{FOLDER}/TS_01.rec"]["state"] == "gone"
    empiar.files[f"10227/{FOLDER}/TS_01.rec"] = gone
    empiar.asked.clear()
    fetch(study, client, NAME)
    assert record(study)["files"][f"{FOLDER}/TS_01.rec"]["state"] == "here"
    assert downloads(empiar) == []


def test_what_a_person_deleted_comes_back_only_when_asked_for(client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    before = inbox(study)
    (study.root / "inbox" / "tomogram" / "empiar-10227-TS_01.rec").unlink()
    assert fetch(study, client, NAME).arrived == []
    assert fetch(study, client, NAME, restore=True).arrived == ["empiar-10227-TS_01"]
    assert inbox(study) == before


def test_a_sidecar_that_a_person_changed_is_kept(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    sidecar = study.root / "inbox" / "tomogram" / "empiar-10227-TS_01.rec.toml"
    mine = sidecar.read_text() + "tilts_deg = [-60, 0, 60]\n"
    sidecar.write_text(mine)
    empiar.put(NAME, f"{FOLDER}/TS_01.rec", mrc_bytes(seed=3))
    said: list[str] = []
    fetch(study, client, NAME, tell=said.append)
    assert sidecar.read_text() == mine
    assert "empiar-10227-TS_01.rec.toml was changed by hand and is kept." in said
    empiar.entries[NAME]["title"] = "Another title"
    empiar.put(NAME, f"{FOLDER}/TS 02.mrc.gz", gz(mrc_bytes(seed=5)))
    fetch(study, client, NAME)
    other = read_sidecar(study.root / "inbox" / "tomogram" / "empiar-10227-TS-02.mrc.gz")
    assert str(other.notes).startswith("Another title")


def test_a_pattern_is_kept_for_the_times_nobody_gives_one(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    assert fetch(study, client, NAME, only="*.rec").arrived == ["empiar-10227-TS_01"]
    assert "not among '*.rec'" in {one["reason"] for one in record(study)["left_out"]}
    assert fetch(study, client, NAME).arrived == []
    assert fetch(study, client, NAME, only="*").arrived == ["empiar-10227-TS-02"]


def test_a_lost_record_is_made_again_without_doubling(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    fetch(study, client, NAME)
    before = inbox(study)
    for damage in ("", "{", '{"files": 3}'):
        (study.root / "empiar" / f"{NAME}.json").write_text(damage)
        assert fetch(study, client, NAME).arrived == []
        assert inbox(study) == before
        assert len(record(study)["files"]) == 2


def test_a_file_of_somebody_else_keeps_its_key(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    mine = study.root / "inbox" / "tomogram" / "empiar-10227-TS_01.rec"
    mine.write_bytes(mrc_bytes(seed=9))
    arrived = fetch(study, client, NAME).arrived
    assert mine.read_bytes() == mrc_bytes(seed=9)
    assert len(arrived) == 2
    assert len(inbox(study)) == 3


def test_the_same_bytes_come_once(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    empiar.put(NAME, f"{FOLDER}/copy.rec", mrc_bytes(seed=1))
    result = fetch(study, client, NAME)
    assert len(result.arrived) == 2
    assert "copy.rec: it has the same bytes as empiar-10227-TS_01.rec" in result.refused[0]
    empiar.asked.clear()
    assert fetch(study, client, NAME).refused == []
    assert downloads(empiar) == []
    assert "the same bytes as empiar-10227-TS_01.rec" in {one["reason"] for one in record(study)["left_out"]}


def test_a_file_damaged_in_the_archive_is_refused_until_it_changes(
    empiar: Empiar, client: EmpiarClient, study: Study
) -> None:
    whole = gz(mrc_bytes(seed=2))
    empiar.put(NAME, f"{FOLDER}/TS 02.mrc.gz", whole[:-100])
    result = fetch(study, client, NAME)
    assert result.arrived == ["empiar-10227-TS_01"]
    assert "TS 02.mrc.gz: the gzip stream is damaged" in result.refused[0]
    assert list(inbox(study)) == ["empiar-10227-TS_01.rec"]
    empiar.asked.clear()
    assert fetch(study, client, NAME).refused == []
    assert downloads(empiar) == []
    empiar.put(NAME, f"{FOLDER}/TS 02.mrc.gz", whole)
    assert fetch(study, client, NAME).arrived == ["empiar-10227-TS-02"]


def test_one_file_that_cannot_be_had_stops_no_other(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], study: Study
) -> None:
    said: list[str] = []
    empiar.fault = lambda method, path: Fault("reset") if said and path.endswith("02.mrc.gz") else None
    result = fetch(study, client_of(attempts=2), NAME, tell=said.append)
    assert result.arrived == ["empiar-10227-TS_01"]
    assert len(result.failed) == 1
    assert "TS 02.mrc.gz" in result.failed[0]
    empiar.fault = lambda method, path: None
    assert fetch(study, client_of(), NAME).arrived == ["empiar-10227-TS-02"]


def test_an_archive_that_is_down_is_not_asked_for_every_file(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], study: Study
) -> None:
    for number in range(10):
        empiar.put(NAME, f"{FOLDER}/more_{number}.rec", mrc_bytes((7, 10, 12), seed=number))
    fetching = []

    def down(method: str, path: str) -> Fault | None:
        return Fault("reset") if fetching else None

    def begun(line: str) -> None:
        fetching.append(line)

    empiar.fault = down
    result = fetch(study, client_of(attempts=1), NAME, tell=begun)
    assert len(result.failed) == 4
    assert result.failed[-1] == "9 further files were not tried."


def test_too_much_is_refused_before_the_first_byte(
    empiar: Empiar, client: EmpiarClient, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        InputError, match=r"its tomograms are 6.\d+ kB, and at most 1e-06 GB were allowed. Remedy:.*--only"
    ):
        fetch(study, client, NAME, max_gb=1e-6)
    monkeypatch.setattr(budget.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**6))
    with pytest.raises(InputError, match=r"the disk has 1 MB free\. Remedy: make room"):
        fetch(study, client, NAME)
    assert downloads(empiar) == []
    assert inbox(study) == {}


def test_real_files_do_not_join_simulated_ones(empiar: Empiar, client: EmpiarClient, study: Study) -> None:
    (study.root / "inbox" / "tomogram" / "a.mrc").write_bytes(mrc_bytes())
    (study.root / "inbox" / "tomogram" / "a.mrc.toml").write_text("simulated = true\n")
    with pytest.raises(
        InputError, match=r"this study holds simulated ones\. Remedy: keep them apart: set EM2CRYO_DATA"
    ):
        fetch(study, client, NAME)
    assert empiar.asked == []


def test_a_linked_staging_folder_is_refused(client: EmpiarClient, study: Study, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (study.root / "inbox" / "tomogram" / ".empiar").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="it is a link, and may lead anywhere"):
        fetch(study, client, NAME)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_hostile_names_stay_in_the_folder(empiar: Empiar, client: EmpiarClient, study: Study, tmp_path: Path) -> None:
    names = ("..%2f..%2fevil.mrc", "%2e%2e/evil.mrc", "/etc/evil.mrc", "../../../evil.mrc", "a%00b.mrc", "....mrc")
    empiar.pages[f"10227/{FOLDER}/"] = "".join(f'<a href="{name}">x</a>' for name in names)
    empiar.put(NAME, f"{FOLDER}/....mrc", mrc_bytes(seed=8))
    result = fetch(study, client, NAME)
    assert len(result.arrived) == 1
    inside = study.root / "inbox" / "tomogram"
    assert {path.parent for path in tmp_path.rglob("*.mrc")} == {inside}
    assert len(inbox(study)) == 1


def test_two_at_once_are_one_too_many(client: EmpiarClient, study: Study) -> None:
    with records_of(study).only_one(NAME), pytest.raises(ArchiveError, match="another process is fetching it just now"):
        fetch(study, client, NAME)


def test_a_look_changes_nothing(client: EmpiarClient, study: Study) -> None:
    before = sorted(study.root.rglob("*"))
    found = look(study, client, NAME)
    assert [(item.key, item.state) for item in found.wanted(restore=False)] == [
        ("empiar-10227-TS-02", "new"),
        ("empiar-10227-TS_01", "new"),
    ]
    assert sorted(study.root.rglob("*")) == before
