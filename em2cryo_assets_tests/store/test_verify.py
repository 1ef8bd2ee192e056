"""Changed bytes are found and named, and nothing else is."""

import multiprocessing
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.store.provenance import Provenance
from em2cryo_assets.store.publish import Store
from em2cryo_assets.store.verify import places, set_aside, verify_place

FILES = {"a.parquet": b"table" * 50, "v.ome.zarr/0/c/0/1": b"\x00\x01" * 3000, "v.ome.zarr/zarr.json": b"{}"}


def publish(root: Path, key: str | None = "k", files: dict[str, bytes] = FILES) -> Store:
    store = Store(root)
    with store.publish("thing", key, Provenance("thing", key)) as staging:
        for name, content in files.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content)
    return store


def current(store: Store, key: str | None = "k") -> Path:
    artifact = store.current("thing", key)
    assert artifact is not None
    return artifact.path


def found(store: Store) -> set[tuple[str, str]]:
    return {(one.kind, one.file.partition("/")[2] or one.file) for p in places(store) for one in verify_place(p)}


def test_what_was_published_is_well(tmp_path: Path) -> None:
    for key in ("k", "a|b", None):
        store = publish(tmp_path, key)
    assert [(p.asset, p.key) for p in places(store)] == [("thing", None), ("thing", "a|b"), ("thing", "k")]
    assert [p.key for p in places(store, "thing", "a|b")] == ["a|b"]
    assert places(store, "other") == []
    assert found(store) == set()


@given(name=st.sampled_from(sorted(FILES)), at=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_changed_byte_is_found_in_its_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, flip: int
) -> None:
    root = tmp_path_factory.mktemp("store")
    store = publish(root)
    path = current(store) / name
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= flip
    path.write_bytes(content)
    assert found(store) == {("corrupt", name)}
    shutil.rmtree(root)


def test_missing_foreign_and_shortened_files_are_told_apart(tmp_path: Path) -> None:
    store = publish(tmp_path)
    folder = current(store)
    (folder / "a.parquet").unlink()
    (folder / "new").write_bytes(b"x")
    (folder / "v.ome.zarr/zarr.json").write_bytes(b"{")
    (folder.parent / "notes.txt").write_text("mine")
    expected = {("missing", "a.parquet"), ("foreign", "new"), ("corrupt", "v.ome.zarr/zarr.json")}
    assert found(store) == {*expected, ("foreign", "notes.txt")}


def test_a_foreign_file_alone_does_not_cost_the_artifact(tmp_path: Path) -> None:
    store = publish(tmp_path)
    (current(store) / "new").write_bytes(b"x")
    assert set_aside(store, places(store)[0]) is None
    assert store.current("thing", "k") is not None


def test_damage_to_what_lies_beside_an_artifact_is_named(tmp_path: Path) -> None:
    store = publish(tmp_path)
    folder = current(store)
    record = folder.with_name(folder.name + ".json")
    text = record.read_text()
    for content in (text[:40], text.replace('"k"', '"other"'), "[]"):
        record.write_text(content)
        assert found(store) == {("corrupt", record.name)}
    record.unlink()
    assert found(store) == {("missing", record.name)}
    record.write_text(text)
    (folder.parent / "current").write_bytes(b"\xff\xfe")
    assert found(store) == {("corrupt", "current")}
    shutil.rmtree(folder)
    (folder.parent / "current").write_text(folder.name)
    assert found(store) == {("missing", folder.name)}


def test_links_are_refused_and_lists_may_be_missing(tmp_path: Path) -> None:
    store = publish(tmp_path)
    folder = current(store)
    folder.with_name(folder.name + ".files").unlink()  # as of versions that did not write it
    assert found(store) == set()
    (folder / "a.parquet").write_bytes(b"other")
    assert [one.problem for one in verify_place(places(store)[0])] == ["its bytes changed; which file is not known"]
    (folder / "a.parquet").unlink()
    (folder / "a.parquet").symlink_to("/dev/null")
    assert "link" in verify_place(places(store)[0])[0].problem


@pytest.mark.parametrize("damage", ["a.parquet", "current", "record", "folder"])
def test_what_is_set_aside_counts_as_never_made_and_is_made_again(tmp_path: Path, damage: str) -> None:
    store = publish(tmp_path)
    folder = current(store)
    if damage == "folder":
        shutil.rmtree(folder)
    else:
        name = {"record": f"../{folder.name}.json", "current": "../current"}.get(damage, damage)
        (folder / name).write_bytes(b"bad")
    target = set_aside(store, places(store)[0])
    assert target is not None
    assert target.is_dir()
    assert store.current("thing", "k") is None
    publish(tmp_path)
    assert current(store) == folder
    assert found(store) == set()
    assert set_aside(store, places(store)[0]) is None


def _publish_many(root: Path, stop: str) -> None:
    for number in range(10_000):
        publish(root, files={"content": b"%d" % (number % 7) * 5000})
        if Path(stop).exists():
            return


def test_a_writer_at_work_is_not_taken_for_damage(tmp_path: Path) -> None:
    store = publish(tmp_path / "store")
    writer = multiprocessing.get_context("spawn").Process(
        target=_publish_many, args=(tmp_path / "store", str(tmp_path / "stop"))
    )
    writer.start()
    try:
        first = current(store)
        while current(store) == first:
            assert writer.is_alive()
        for _ in range(100):
            assert found(store) == set()
            assert set_aside(store, places(store)[0]) is None
    finally:
        (tmp_path / "stop").touch()
        writer.join()
    assert writer.exitcode == 0
