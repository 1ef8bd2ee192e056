"""The inbox names files, tells versions apart and takes in whole files only."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources import inbox as inbox_module
from em2cryo_assets.resources.inbox import Inbox
from em2cryo_assets.store.digest import digest_folder
from em2cryo_assets.store.images import write_image


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    root = tmp_path / "inbox"
    for kind in ("sem", "tem", "tomogram"):
        (root / kind).mkdir(parents=True)
    return Inbox(root)


def image(path: Path, value: int = 1, *, simulated: bool = True) -> Path:
    tifffile.imwrite(path, np.full((16, 16), value, np.uint8))
    Path(f"{path}.toml").write_text(f"pixel_size_nm = 10.0\nsimulated = {str(simulated).lower()}\n")
    return path


def test_companions_and_hidden_files_are_no_raw_files(inbox: Inbox) -> None:
    image(inbox.root / "sem" / "My field (1).tif")
    image(inbox.root / "sem" / "My field (1).tif.labels.tif")
    (inbox.root / "sem" / ".adding-x.tif").write_bytes(b"")
    (inbox.root / "sem" / "notes.docx").write_bytes(b"")
    (raw,) = inbox.files("sem").values()
    assert (raw.key, raw.path.name) == ("My-field-1", "My field (1).tif")
    assert raw.labels == inbox.root / "sem" / "My field (1).tif.labels.tif"
    assert "notes.docx" in [path.name for path in inbox.unusable("sem")]


def test_the_longest_ending_counts(inbox: Inbox) -> None:
    (inbox.root / "tomogram" / "ts01.mrc.gz").write_bytes(b"")
    assert list(inbox.files("tomogram")) == ["ts01"]


def test_the_version_is_that_of_image_and_sidecar_but_labels_have_their_own(inbox: Inbox) -> None:
    path = image(inbox.root / "sem" / "a.tif")
    versions = [inbox.digest(inbox.require("sem", "a"))]
    image(path, 2)
    versions.append(inbox.digest(inbox.require("sem", "a")))
    Path(f"{path}.toml").write_text("pixel_size_nm = 11.0\nsimulated = true\n")
    versions.append(inbox.digest(inbox.require("sem", "a")))
    assert len(set(versions)) == 3
    assert inbox.labels_digest(inbox.require("sem", "a")) is None
    tifffile.imwrite(f"{path}.labels.tif", np.ones((16, 16), np.uint8))
    assert inbox.digest(inbox.require("sem", "a")) == versions[-1]
    assert inbox.labels_digest(inbox.require("sem", "a")) is not None


def test_a_damaged_cache_of_versions_is_made_again(inbox: Inbox) -> None:
    image(inbox.root / "sem" / "a.tif")
    version = inbox.digest(inbox.require("sem", "a"))
    (inbox.root / ".digests.json").write_text("{half")
    fresh = Inbox(inbox.root)
    assert fresh.digest(fresh.require("sem", "a")) == version


def test_a_key_that_two_files_claim_belongs_to_neither(inbox: Inbox) -> None:
    image(inbox.root / "sem" / "a b.tif")
    image(inbox.root / "sem" / "a-b.png")
    with pytest.raises(InputError, match=r"a b\.tif, a-b\.png all give the key 'a-b'.* Remedy: rename"):
        inbox.require("sem", "a-b")


def test_adding_brings_sidecar_and_labels_under_the_key(inbox: Inbox, tmp_path: Path) -> None:
    source = image(tmp_path / "Field 1.tif")
    tifffile.imwrite(f"{source}.labels.tif", np.ones((16, 16), np.uint8))
    raw = inbox.add("sem", source)
    assert (raw.key, raw.path.name) == ("Field-1", "Field-1.tif")
    assert raw.path.read_bytes() == source.read_bytes()
    assert raw.sidecar.read_text() == Path(f"{source}.toml").read_text()
    assert raw.labels is not None
    assert inbox.add("sem", image(tmp_path / "x.tif", 2), key="chosen").key == "chosen"


@pytest.mark.parametrize(
    ("name", "key", "told"),
    [
        ("missing.tif", None, "there is no such file"),
        ("a.docx", None, "sem files end in one of"),
        ("new.tif", "a/b", "choose a key with --key"),
        ("new.tif", "taken", "already taken by taken.tif"),
        ("same.tif", None, "the same bytes are already there as taken.tif"),
        ("real.tif", None, "EM2CRYO_DATA"),
    ],
)
def test_what_cannot_be_added_is_refused_and_leaves_nothing(
    inbox: Inbox, tmp_path: Path, name: str, key: str | None, told: str
) -> None:
    image(inbox.root / "sem" / "taken.tif")
    image(tmp_path / "new.tif", 2)
    image(tmp_path / "same.tif")
    image(tmp_path / "real.tif", 3, simulated=False)
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(InputError) as refused:
        inbox.add("sem", tmp_path / name, key=key)
    assert told in str(refused.value)
    assert "Remedy: " in str(refused.value)
    left = {path.name for path in (inbox.root / "sem").iterdir()}
    assert left == {"taken.tif", "taken.tif.toml"}


def test_a_copy_that_breaks_off_leaves_no_raw_file(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: str) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(inbox_module.shutil, "copyfile", full)
    with pytest.raises(OSError, match="no space"):
        inbox.add("sem", image(tmp_path / "a.tif"))
    assert list((inbox.root / "sem").iterdir()) == []


def zarr_image(path: Path, value: int = 1) -> Path:
    write_image(path, np.full((4, 5, 6), value, np.uint8), voxel_nm=(1, 1, 1), name="a")
    Path(f"{path}.toml").write_text("simulated = true\n")
    return path


def test_an_ome_zarr_folder_is_a_tomogram_and_any_other_folder_is_none(inbox: Inbox) -> None:
    folder = inbox.root / "tomogram"
    zarr_image(folder / "ts 01.ome.zarr")
    zarr_image(folder / "ts02.zarr")
    (folder / "ts03.mrc").mkdir()
    (folder / "ts04.zarr").write_bytes(b"a file")
    (folder / "ts05.zarr").symlink_to(folder / "ts02.zarr", target_is_directory=True)
    (folder / "ts06.mrc.bz2").write_bytes(b"")
    found = inbox.files("tomogram")
    assert {key: raw.path.name for key, raw in found.items()} == {
        "ts-01": "ts 01.ome.zarr",
        "ts02": "ts02.zarr",
        "ts06": "ts06.mrc.bz2",
    }
    assert {path.name for path in inbox.unusable("tomogram")} == {"ts03.mrc", "ts04.zarr", "ts05.zarr"}


def test_the_version_of_a_folder_is_that_of_its_files(inbox: Inbox) -> None:
    path = zarr_image(inbox.root / "tomogram" / "a.ome.zarr")
    first = inbox.digest(inbox.require("tomogram", "a"))
    shutil.copytree(path, path.with_name("b.ome.zarr"))
    shutil.copyfile(f"{path}.toml", path.with_name("b.ome.zarr.toml"))
    assert inbox.digest(inbox.require("tomogram", "b")) == first
    chunk = next(file for file in (path / "0" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes() + b"x")
    changed = inbox.digest(inbox.require("tomogram", "a"))
    chunk.unlink()
    assert len({first, changed, inbox.digest(inbox.require("tomogram", "a"))}) == 3


def test_a_folder_with_a_link_has_a_version_and_cannot_be_added(inbox: Inbox, tmp_path: Path) -> None:
    """The study goes on; what reads the folder refuses it."""
    path = zarr_image(tmp_path / "a.zarr")
    (path / "secret").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match=r"link.* Remedy: "):
        inbox.add("tomogram", path)
    assert list((inbox.root / "tomogram").iterdir()) == []
    shutil.copytree(path, inbox.root / "tomogram" / "a.zarr", symlinks=True)
    assert len(inbox.digest(inbox.require("tomogram", "a"))) == 64


def test_a_folder_is_added_whole_with_its_sidecar_and_once(inbox: Inbox, tmp_path: Path) -> None:
    source = zarr_image(tmp_path / "My ts.ome.zarr")
    raw = inbox.add("tomogram", source)
    assert (raw.key, raw.path.name) == ("My-ts", "My-ts.ome.zarr")
    assert digest_folder(raw.path) == digest_folder(source)
    assert raw.sidecar.is_file()
    with pytest.raises(InputError, match="the same bytes are already there"):
        inbox.add("tomogram", source, key="other")
    with pytest.raises(InputError, match="no such file"):
        inbox.add("tomogram", tmp_path)
    with pytest.raises(InputError, match="sem files end in"):
        inbox.add("sem", image(tmp_path / "x.docx"))


def test_a_folder_whose_copy_breaks_off_leaves_no_raw_folder(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, **_: object) -> None:
        Path(target).mkdir()
        raise OSError("no space left on device")

    monkeypatch.setattr(inbox_module.shutil, "copytree", full)
    with pytest.raises(OSError, match="no space"):
        inbox.add("tomogram", zarr_image(tmp_path / "a.zarr"))
    assert [path.name for path in (inbox.root / "tomogram").iterdir()] == ["a.zarr.toml"]


def test_a_mdoc_comes_along_and_belongs_to_the_version(inbox: Inbox, tmp_path: Path) -> None:
    source = tmp_path / "TS_01.rec"
    source.write_bytes(b"volume")
    (tmp_path / "TS_01.mrc.mdoc").write_text("PixelSpacing = 5.4\n")
    raw = inbox.add("tomogram", source, key="first")
    mdoc = raw.path.with_name("first.rec.mdoc")
    assert mdoc.read_text() == "PixelSpacing = 5.4\n"
    assert inbox.unusable("tomogram") == []
    before = inbox.digest(raw)
    mdoc.write_text("PixelSpacing = 2.7\n")
    assert inbox.digest(raw) != before


@pytest.mark.parametrize(
    ("name", "beside", "taken"),
    [
        ("a.tif", "a.txt", "a.tif.txt"),
        ("a.tif", "a-tif.hdr", "a.tif.hdr"),
        ("b_1.ser", "b.emi", "b_1.ser.emi"),
    ],
)
def test_what_a_microscope_writes_beside_an_image_comes_along_and_counts(
    inbox: Inbox, tmp_path: Path, name: str, beside: str, taken: str
) -> None:
    tifffile.imwrite(tmp_path / name, np.full((16, 16), 1, np.uint8))
    (tmp_path / beside).write_text("first")
    raw = inbox.add("sem", tmp_path / name)
    companion = inbox.root / "sem" / taken
    assert companion.read_text() == "first"
    assert inbox.unusable("sem") == []
    before = inbox.digest(raw)
    companion.write_text("second")
    assert inbox.digest(raw) != before
    companion.unlink()
    assert inbox.digest(raw) != before
