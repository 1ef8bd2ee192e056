"""What nobody needs goes; what is current, traced to, or being written never does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.store.collect import find_garbage, remove_garbage
from em2cryo_assets.store.provenance import InputRef, Provenance
from em2cryo_assets.store.publish import Artifact, Store
from em2cryo_assets.store.verify import places, set_aside, verify_place


def publish(store: Store, key: str, content: bytes, *inputs: Artifact) -> Artifact:
    refs = tuple(InputRef(one.asset, one.key, one.digest) for one in inputs)
    refs += (InputRef("inbox", key, "0" * 64), InputRef("settings", "thing", "1" * 64))
    with store.publish("thing", key, Provenance("thing", key, inputs=refs)) as staging:
        (staging / "content").write_bytes(content)
    assert staging.artifact is not None
    return staging.artifact


def clear_up(store: Store) -> int:
    return sum(remove_garbage(one) for one in find_garbage(store).garbage)


def test_looking_changes_nothing_and_removing_frees_what_was_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = publish(store, "k", b"old" * 100)
    publish(store, "k", b"new")
    before = sorted(tmp_path.rglob("*"))
    [garbage] = find_garbage(store).garbage
    assert sorted(tmp_path.rglob("*")) == before
    assert (garbage.kind, garbage.path) == ("superseded", old.path)
    assert garbage.size > 300
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert remove_garbage(garbage) == garbage.size
    assert size - sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == garbage.size
    assert store.get("thing", "k", old.digest) is None
    assert find_garbage(store).garbage == ()


def test_what_a_current_artifact_was_made_from_stays_as_far_as_it_can_be_traced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grandparent = publish(store, "a", b"1")
    parent = publish(store, "b", b"1", grandparent)
    child = publish(store, "c", b"1", parent)
    for key in "ab":
        publish(store, key, b"2")
    assert clear_up(store) == 0
    for one in (grandparent, parent, child):
        assert store.get("thing", one.key, one.digest) is not None
    publish(store, "c", b"2")
    assert {one.path for one in find_garbage(store).garbage} == {grandparent.path, parent.path, child.path}


steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sets(st.sampled_from("abc"))), max_size=12)


@given(steps=steps)
def test_after_any_history_all_that_is_current_can_still_be_traced(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, set[str]]]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    for key, number, read in steps:
        inputs = [one for name in sorted(read) if (one := store.current("thing", name)) is not None]
        publish(store, key, b"%d" % number, *inputs)
    traced = trace(store)
    clear_up(store)
    assert trace(store) == traced
    assert find_garbage(store).garbage == ()
    assert [one for place in places(store) for one in verify_place(place)] == []
    kept = {(path.parent.name, path.name) for path in store.root.glob("*/*/*") if path.is_dir()}
    assert kept == traced


def trace(store: Store) -> set[tuple[str | None, str]]:
    waiting = [one for key in "abc" if (one := store.current("thing", key)) is not None]
    seen: set[tuple[str | None, str]] = set()
    while waiting:
        one = waiting.pop()
        if (one.key, one.digest) not in seen:
            seen.add((one.key, one.digest))
            found = (store.get(r.asset, r.key, r.digest) for r in one.provenance.inputs)
            waiting += [artifact for artifact in found if artifact is not None]
    return seen


WRITER = """
import sys, time
from pathlib import Path
from em2cryo_assets.store.provenance import Provenance
from em2cryo_assets.store.publish import Store
with Store(Path(sys.argv[1])).publish("thing", "w", Provenance("thing", "w")) as staging:
    (staging / "content").write_bytes(b"half" * 100)
    print(staging.path, flush=True)
    time.sleep(600)
"""


def test_a_live_writer_keeps_its_folder_and_what_it_may_read_and_a_dead_one_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = publish(store, "k", b"old")
    publish(store, "k", b"new")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        staging = Path(writer.stdout.readline().strip())
        left = find_garbage(store)
        assert (left.garbage, left.writers) == ((), 1)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    left = find_garbage(store)
    assert {(one.kind, one.path) for one in left.garbage} == {("superseded", old.path), ("left over", staging)}
    assert [one.size for one in left.garbage if one.kind == "left over"] == [400]
    assert clear_up(store) == sum(one.size for one in left.garbage)
    assert not staging.exists()


def test_what_became_current_after_the_look_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = publish(store, "k", b"old")
    publish(store, "k", b"new")
    [garbage] = find_garbage(store).garbage
    publish(store, "k", b"old")
    assert remove_garbage(garbage) == 0
    assert (old.path / "content").read_bytes() == b"old"


def test_nothing_goes_while_a_record_cannot_be_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "k", b"old")
    new = publish(store, "k", b"new")
    new.path.with_name(f"{new.digest}.json").write_text("{")
    with pytest.raises(ValueError, match="em2cryo store verify"):
        find_garbage(store)


def test_what_was_set_aside_and_records_without_artifact_go_and_foreign_files_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (publish(store, "k", b"one").path / "content").write_bytes(b"bad")
    assert set_aside(store, places(store)[0]) is not None
    lost = publish(store, "k", b"two")
    publish(store, "k", b"three")
    lost.path.rename(tmp_path / "thing" / "k" / "mine")
    kinds = sorted(one.kind for one in find_garbage(store).garbage)
    assert kinds == ["left over", "left over", "set aside"]
    clear_up(store)
    assert (tmp_path / "thing" / "k" / "mine" / "content").read_bytes() == b"two"
    assert not list(tmp_path.glob(".set-aside"))
    assert find_garbage(store).garbage == ()
