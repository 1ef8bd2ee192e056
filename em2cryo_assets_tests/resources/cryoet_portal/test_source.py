"""From the portal into the inbox: one level of each tomogram, whole, with what is known of it; and nothing else."""

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from em2cryo_assets.cryoet.mrc import open_tomogram
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.archives.fetch import fetch_from
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.cryoet_portal import metadata
from em2cryo_assets.resources.cryoet_portal.portal import BUCKET, Portal, Wanted, parse_wanted, portal_at
from em2cryo_assets.resources.cryoet_portal.source import PortalSource
from em2cryo_assets.resources.study import Study
from em2cryo_assets_tests.resources.cryoet_portal.stand_in import StandIn, old_image, yeast_image
from em2cryo_assets_tests.resources.empiar.server import Fault, Served

ONE, OTHER = "portal-10000-TS_026-raw", "portal-10000-TS_027-denoised"
SourceOf = Callable[..., PortalSource]


def folder(study: Study, key: str) -> Path:
    return study.root / "inbox" / "tomogram" / f"{key}.ome.zarr"


def record(study: Study) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((study.root / "cryoet_portal" / "CZCDP-10000.json").read_text())
    return content


def fetched(portal: StandIn) -> list[str]:
    """Chunks that were asked for."""
    return [path for path in portal.paths() if path.rpartition("/")[2].isdecimal()]


def test_tomograms_arrive_calibrated_with_sidecar_and_record(
    portal: StandIn, source_of: SourceOf, study: Study
) -> None:
    result = fetch_from(source_of(), study)
    assert (result.arrived, result.refused, result.failed) == ([ONE, OTHER], [], [])
    sidecar = read_sidecar(folder(study, ONE))
    assert sidecar.unknown == ()
    # 1.348 nm is finer than what is compared: the level of 2.696 nm came.
    assert sidecar.voxel_size_nm == pytest.approx(2.696)
    assert sidecar.tilts_deg == tuple(float(tilt) for tilt in range(-60, 61, 3))
    assert (sidecar.modality, sidecar.denoised, sidecar.licence) == ("lamella", False, "CC0-1.0")
    assert sidecar.cell == "CZCDP-10000-TS_026"
    assert str(sidecar.source).startswith("CZCDP-10000 TS_026/")
    notes = str(sidecar.notes)
    for said in ("Irene First et al.", "10.1000/xyz", "run TS_026, tomogram 100", "WBP by IMOD", "level 1 of 0 to 2"):
        assert said in notes
    tomogram = open_tomogram(folder(study, ONE), sidecar)
    assert tomogram.voxel_nm == pytest.approx((2.696,) * 3)
    assert tomogram.warnings == []
    assert not any("absent" in line for line in tomogram.warnings)
    file = record(study)["files"][sidecar.source.removeprefix("CZCDP-10000 ")]  # type: ignore[union-attr]
    assert (file["state"], file["key"], len(file["sha256"])) == ("here", ONE, 64)
    other = read_sidecar(folder(study, OTHER))
    assert (other.denoised, len(other.tilts_deg or ())) == (True, 61)


def test_the_voxels_are_those_of_the_chosen_level(source_of: SourceOf, study: Study, images: tuple[Path, Path]) -> None:
    fetch_from(source_of(), study)
    for key, source, level in ((ONE, images[0], "1"), (OTHER, images[1], None)):
        attributes = dict(zarr.open_group(str(folder(study, key)), mode="r").attrs)
        attributes = attributes.get("ome", attributes)
        ((here,),) = [one["datasets"] for one in attributes["multiscales"]]
        assert level in (None, here["path"])
        whole = zarr.open_array(str(source / here["path"]), mode="r")
        came = zarr.open_array(str(folder(study, key) / here["path"]), mode="r")
        np.testing.assert_array_equal(np.asarray(came[:]), np.asarray(whole[:]))
        others = [path.name for path in folder(study, key).iterdir() if path.is_dir()]
        assert others == [here["path"]]  # no finer and no coarser level


@pytest.mark.parametrize(("voxel_a", "level"), [(25.0, 0), (20.0, 0), (19.0, 1), (6.0, 2), (2.0, 2)])
def test_the_finest_level_that_is_compared_is_chosen(
    voxel_a: float, level: int, portal: StandIn, source_of: SourceOf, study: Study, tmp_path: Path
) -> None:
    portal.tomograms.clear()
    portal.put_tomogram(7, 11, old_image(tmp_path / "one.zarr", voxel_a), voxel_a)
    (item,) = source_of().look(study).items
    assert item.voxel_nm == pytest.approx((voxel_a * 2**level / 10,) * 3)
    assert item.note == f"resolution level {level} of 0 to 2"
    assert item.shape == tuple(-(-n // 2**level) for n in (32, 48, 64))


def test_a_look_fetches_no_chunk_and_changes_nothing(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    before = sorted(study.root.rglob("*"))
    found = source_of().look(study)
    assert [(item.key, item.state) for item in found.items] == [(ONE, "new"), (OTHER, "new")]
    listed = [one for key, one in portal.files.items() if "TS_026.zarr/1/" in key]
    assert found.items[0].version.size == sum(len(one.content) for one in listed)
    assert (fetched(portal), sorted(study.root.rglob("*"))) == ([], before)


def test_too_much_is_refused_before_the_first_chunk(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    with pytest.raises(InputError, match="were allowed"):
        fetch_from(source_of(), study, max_gb=1e-6)
    assert fetched(portal) == []
    assert record(study)["refused_bytes"] > 1000


def test_a_run_alone_comes_and_the_rest_later(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    assert fetch_from(source_of("CZCDP-10000/TS_027"), study).arrived == [OTHER]
    portal.asked.clear()
    assert fetch_from(source_of("10000"), study, only="*").arrived == [ONE]
    assert not any("TS_027" in path for path in fetched(portal))
    assert fetch_from(source_of("10000/TS_026"), study).arrived == []
    assert {file["state"] for file in record(study)["files"].values()} == {"here"}


def test_only_what_changed_is_fetched_again(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    fetch_from(source_of(), study)
    before = {key: study.inbox.digest(raw) for key, raw in study.inbox.files("tomogram").items()}
    chunk = next(key for key in portal.files if key.endswith("TS_026.zarr/1/0/0/0"))
    other = next(key for key in portal.files if key.endswith("TS_026.zarr/1/0/0/1"))
    portal.files[chunk] = portal.files[other]
    portal.datasets[0]["lastModifiedDate"] = "2024-01-01T00:00:00+00:00"
    portal.asked.clear()
    assert fetch_from(source_of(), study).arrived == [ONE]
    assert not any("TS_027" in path for path in fetched(portal))
    after = {key: study.inbox.digest(raw) for key, raw in study.inbox.files("tomogram").items()}
    assert {key for key in before if before[key] != after[key]} == {ONE}
    assert record(study)["update_date"] == "2024-01-01"
    assert sorted(path.name for path in (study.root / "inbox" / "tomogram" / ".cryoet_portal").iterdir()) == []


def test_what_broke_off_goes_on_where_it_was(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    wanted = "10000/TS_026"
    chunks = sorted(key for key in portal.files if "TS_026.zarr/1/" in key and key[-1].isdecimal())
    broken = f"/{BUCKET}/{chunks[-1]}"
    first = [Fault("truncate", at=1000)]
    portal.fault = lambda method, path: (first.pop() if first else Fault("reset")) if path == broken else None
    result = fetch_from(source_of(wanted, attempts=2), study)
    assert (result.arrived, len(result.failed)) == ([], 1)
    assert list(study.inbox.files("tomogram")) == []
    portal.fault = lambda method, path: None
    portal.asked.clear()
    assert fetch_from(source_of(wanted), study).arrived == [ONE]
    again = [one for one in portal.asked if one.path in {f"/{BUCKET}/{key}" for key in chunks}]
    assert [(one.path, one.range) for one in again] == [(broken, "bytes=1000-")]
    tomogram = open_tomogram(folder(study, ONE), read_sidecar(folder(study, ONE)))
    assert tomogram.warnings == []


def test_an_object_that_changes_while_it_is_fetched_mixes_with_no_other(
    portal: StandIn, source_of: SourceOf, study: Study
) -> None:
    chunk = next(key for key in portal.files if key.endswith("TS_026.zarr/1/0/1/1"))
    said: list[str] = []

    def begun(line: str) -> None:
        said.append(line)
        portal.files[chunk] = Served(b"x" * len(portal.files[chunk].content))

    result = fetch_from(source_of("10000/TS_026"), study, tell=begun)
    assert result.arrived == []
    assert "changed since it was listed" in result.failed[0]


def test_what_is_deleted_comes_back_only_when_asked_for(source_of: SourceOf, study: Study) -> None:
    fetch_from(source_of(), study)
    here = folder(study, ONE)
    here.rename(study.root / "elsewhere")
    assert fetch_from(source_of(), study).arrived == []
    assert fetch_from(source_of(), study, restore=True).arrived == [ONE]
    assert here.is_dir()


def test_a_lost_record_doubles_nothing(source_of: SourceOf, study: Study) -> None:
    fetch_from(source_of(), study)
    (study.root / "cryoet_portal" / "CZCDP-10000.json").unlink()
    assert fetch_from(source_of(), study).arrived == []
    assert set(study.inbox.files("tomogram")) == {ONE, OTHER}
    assert len(record(study)["files"]) == 2


def test_halves_and_tomograms_without_a_folder_are_left_out(
    portal: StandIn, source_of: SourceOf, study: Study, tmp_path: Path
) -> None:
    image = yeast_image(tmp_path / "half.zarr", 3.0)
    half = portal.put_tomogram(102, 11, image, 30.0, processing="filtered_even")
    lost = portal.put_tomogram(103, 11, image, 31.0)
    for key in [key for key in portal.files if lost in key]:
        del portal.files[key]
    portal.put_tomogram(104, 11, image, 32.0, s3OmezarrDir=None)
    found = source_of().look(study)
    assert {item.what.tomogram.id for item in found.items} == {100, 101}
    assert {one.path: one.reason for one in found.left_out} == {
        half: "an even or odd half; halves are no tomograms of their own",
        lost: "named by the portal, and not in its bucket",
    }


def test_two_tomograms_of_one_run_get_keys_of_their_own_and_are_one_cell(
    portal: StandIn, source_of: SourceOf, study: Study, tmp_path: Path
) -> None:
    portal.put_tomogram(105, 11, yeast_image(tmp_path / "b.zarr", 3.0), 30.0)
    arrived = fetch_from(source_of("10000/TS_026"), study).arrived
    assert len(set(arrived)) == 2
    assert all(key.startswith(f"{ONE}-") for key in arrived)
    assert {read_sidecar(folder(study, key)).cell for key in arrived} == {"CZCDP-10000-TS_026"}


def test_simulated_data_are_not_taken_for_real(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    portal.datasets[0]["sampleType"] = "in_silico"
    with pytest.raises(InputError, match="its tomograms are simulated"):
        fetch_from(source_of(), study)


def test_what_is_not_there_is_told_and_what_was_withdrawn_is_kept(
    portal: StandIn, source_of: SourceOf, study: Study
) -> None:
    with pytest.raises(InputError, match="no such dataset"):
        fetch_from(source_of("99"), study)
    with pytest.raises(InputError, match="no run of this name"):
        fetch_from(source_of("10000/TS_9"), study)
    fetch_from(source_of(), study)
    portal.datasets.clear()
    said: list[str] = []
    assert fetch_from(source_of(), study, tell=said.append).entry.withdrawn
    assert said == ["CZCDP-10000 was withdrawn from the archive (status NOT FOUND); its 2 files are kept."]
    assert set(study.inbox.files("tomogram")) == {ONE, OTHER}


def test_a_portal_that_is_down_is_asked_again_and_given_up(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    left = [Fault("status", status=502)] * 2
    portal.fault = lambda method, path: left.pop() if left and path == "/graphql" else None
    assert fetch_from(source_of(), study).arrived == [ONE, OTHER]
    portal.fault = lambda method, path: Fault("reset") if path == "/graphql" else None
    with pytest.raises(ArchiveError, match="the connection failed"):
        fetch_from(source_of(attempts=2), study)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "cannot be read"),
        (b'{"multiscales": []}', "no multiscale volume"),
        (b'{"multiscales": [{"axes": ["z","y","x"], "datasets": [{"path": "../../x"}]}]}', "said to lie in"),
        (b'{"multiscales": [{"axes": ["c","y","x"], "datasets": [{"path": "0"}]}]}', "axes are not z, y, x"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(
    content: bytes, said: str, portal: StandIn, source_of: SourceOf, study: Study
) -> None:
    key = next(key for key in portal.files if key.endswith("TS_026.zarr/.zattrs"))
    portal.files[key] = Served(content)
    with pytest.raises(InputError, match=said):
        source_of("10000/TS_026").look(study)


@pytest.mark.parametrize("name", ["..", "a b", "../../x"])
def test_an_object_that_would_leave_its_folder_is_refused(
    name: str, portal: StandIn, source_of: SourceOf, study: Study
) -> None:
    key = next(key for key in portal.files if key.endswith("TS_026.zarr/1/0/0/0"))
    portal.files[key.removesuffix("0/0/0") + name] = Served(b"x")
    with pytest.raises(InputError, match="it holds an object called"):
        source_of("10000/TS_026").look(study)


def test_a_folder_in_another_bucket_is_refused(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    portal.tomograms[0]["s3OmezarrDir"] = "s3://another/10000/x.zarr"
    with pytest.raises(InputError, match="not in s3://cryoet-data-portal-public"):
        source_of().look(study)


def test_no_other_host_is_asked(portal: StandIn, source_of: SourceOf, study: Study) -> None:
    portal.fault = lambda method, path: (
        Fault("redirect", status=302, location="http://example.org/x") if path.endswith(".zarr/1/0/0/0") else None
    )
    result = fetch_from(source_of("10000/TS_026"), study)
    assert "leads to http://example.org, which is not the archive" in result.refused[0]
    assert result.arrived == []


def test_without_the_client_the_remedy_is_told(
    source_of: SourceOf, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata._client.cache_clear()
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "cryoet_data_portal":
            raise ModuleNotFoundError("No module named 'cryoet_data_portal'", name="cryoet_data_portal")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"not installed.*pip install 'em2cryo-assets\[portal\]'"):
        source_of().look(study)


def test_what_a_person_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_wanted("10000") == parse_wanted("czcdp-10000") == Wanted(10000)
    assert parse_wanted("10000/TS_026") == Wanted(10000, "TS_026")
    for wrong in ("TS_026", "10000/", "10000/a/b", "-1", ""):
        with pytest.raises(InputError, match="nor a run of one"):
            parse_wanted(wrong)
    monkeypatch.delenv("EM2CRYO_PORTAL_URL", raising=False)
    assert portal_at() == Portal()
    assert portal_at("http://127.0.0.1:1/").files == f"http://127.0.0.1:1/{BUCKET}"
    monkeypatch.setenv("EM2CRYO_PORTAL_URL", "ftp://x")
    with pytest.raises(InputError, match="is no address"):
        portal_at()


def test_the_real_one_is_where_its_own_client_says() -> None:
    import cryoet_data_portal._client as theirs

    assert Portal().graphql == theirs.DEFAULT_URL
