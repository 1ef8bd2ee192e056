import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from em2cryo_assets.store.digest import digest_folder
from em2cryo_assets.store.provenance import InputRef, Provenance
from em2cryo_assets.store.publish import Artifact, Store


def _publish(store: Store, key: str | None, content: bytes, **more: object) -> Artifact:
    provenance = dataclasses.replace(Provenance("thing", key), **more)  # type: ignore[arg-type]
    with store.publish("thing", key, provenance) as staging:
        (staging / "content").write_bytes(content)
    assert staging.artifact is not None
    return staging.artifact


def _entries(store: Store, key: str) -> set[str]:
    return {path.name for path in (store.root / "thing" / key).iterdir()} - {".lock"}


def test_what_is_published_is_current_and_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.current("thing", "k") is None
    assert store.keys("thing") == []
    artifact = _publish(store, "k", b"one", inputs=(InputRef("raw", "k", "0"),), seed=3)
    assert artifact.path.joinpath("content").read_bytes() == b"one"
    assert artifact.digest == digest_folder(artifact.path)
    assert store.current("thing", "k") == artifact
    assert store.get("thing", "k", artifact.digest) == artifact
    assert artifact.provenance.seed == 3
    assert _entries(store, "k") == {artifact.digest, f"{artifact.digest}.json", f"{artifact.digest}.files", "current"}


def test_older_artifacts_stay_readable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = _publish(store, "k", b"one")
    new = _publish(store, "k", b"two")
    assert store.current("thing", "k") == new
    assert store.get("thing", "k", old.digest) == old
    assert old.path.joinpath("content").read_bytes() == b"one"


def test_the_same_bytes_have_the_same_digest_whatever_their_history(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = _publish(store, "k", b"one", run_id="a")
    inode = first.path.stat().st_ino
    second = _publish(store, "k", b"one", run_id="b")
    assert second.digest == first.digest
    assert second.path.stat().st_ino == inode  # the bytes on disk were reused
    current = store.current("thing", "k")
    assert current is not None
    assert current.provenance.run_id == "b"
    assert _publish(Store(tmp_path / "other"), "k2", b"one").digest == first.digest


def test_bytes_changed_by_hand_are_mended(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = _publish(store, "k", b"one")
    (artifact.path / "content").write_bytes(b"bad")
    assert _publish(store, "k", b"one").digest == artifact.digest
    assert (artifact.path / "content").read_bytes() == b"one"
    assert _entries(store, "k") == {artifact.digest, f"{artifact.digest}.json", f"{artifact.digest}.files", "current"}


def test_an_exception_leaves_no_trace(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = _publish(store, "k", b"one")
    before = _entries(store, "k")
    staging = None
    try:
        with store.publish("thing", "k", Provenance("thing", "k")) as staging:
            (staging / "content").write_bytes(b"half")
            raise KeyboardInterrupt  # the strongest of them
    except KeyboardInterrupt:
        pass
    assert staging is not None
    assert staging.artifact is None
    assert store.current("thing", "k") == artifact
    assert _entries(store, "k") == before


def test_refusals_publish_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="no file"), store.publish("thing", "k", Provenance("thing", "k")):
        pass
    with (
        pytest.raises(ValueError, match="provenance is of"),
        store.publish("thing", "k", Provenance("thing", "other")),
    ):
        raise AssertionError("not reached")
    with (
        pytest.raises(TypeError),
        store.publish("thing", "k", Provenance("thing", "k", parameters={"p": Path()})) as staging,
    ):
        (staging / "content").write_bytes(b"x")
    with (
        pytest.raises(ValueError, match="not usable"),
        store.publish("thing", "a/b", Provenance("thing", "a/b")),
    ):
        raise AssertionError("not reached")
    with pytest.raises(ValueError, match="not a digest"):
        store.get("thing", "k", "../k")
    assert store.current("thing", "k") is None
    assert _entries(store, "k") == set()


def test_provenance_may_be_completed_while_writing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.publish("thing", None, Provenance("thing", None)) as staging:
        (staging / "content").write_bytes(b"x")
        staging.provenance = dataclasses.replace(staging.provenance, fallbacks=("assumed",))
    current = store.current("thing", None)
    assert current is not None
    assert current.provenance.fallbacks == ("assumed",)


def test_keys_are_those_published(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in ("b", "a|c", None, "B", "a"):
        _publish(store, key, b"x")
    store.record_failure("thing", "failed", "why", "i", "1")
    assert store.keys("thing") == ["B", "a", "a|c", "b"]
    assert store.keys("other") == []


def test_failures_are_remembered_until_something_is_published(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.failure("thing", "k") is None
    artifact = _publish(store, "k", b"one")
    store.record_failure("thing", "k", "픽셀 크기가 없음", "abc", "2")
    assert store.failure("thing", "k") == {
        "message": "픽셀 크기가 없음",
        "inputs_digest": "abc",
        "code_version": "2",
    }
    assert store.current("thing", "k") == artifact  # the last good one stays
    _publish(store, "k", b"two")
    assert store.failure("thing", "k") is None


# ---- killed writers ---------------------------------------------------------------------------------------

_WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from em2cryo_assets.store import publish
from em2cryo_assets.store.images import write_image
from em2cryo_assets.store.provenance import Provenance

root, stop = Path(sys.argv[1]), sys.argv[2]

def wait_at(name, then=lambda *a, **k: None):
    def call(*args, **kwargs):
        if stop == name:
            print("there", flush=True)
            time.sleep(60)
        return then(*args, **kwargs)
    return call

publish.digest_files = wait_at("digest", publish.digest_files)
publish._sync_folder = wait_at("renamed", publish._sync_folder)
real = publish._replace
def replace(path, text):
    wait_at("provenance" if path.suffix == ".json" else "pointer")()
    real(path, text)
publish._replace = replace
with publish.Store(root).publish("thing", "k", Provenance("thing", "k")) as staging:
    volume = np.arange(100**3, dtype=np.int32).reshape(100, 100, 100)
    write_image(staging / "a.ome.zarr", volume, voxel_nm=(1, 1, 1), name="a", chunk=20)
    wait_at("writing")()
"""


@pytest.mark.parametrize("stop", ["writing", "digest", "renamed", "provenance", "pointer"])
def test_a_killed_writer_loses_nothing(tmp_path: Path, stop: str) -> None:
    store = Store(tmp_path)
    old = _publish(store, "k", b"good")
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), stop], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    # Readers see the old artifact, whole, and nothing of the other.
    assert store.current("thing", "k") == old
    assert digest_folder(old.path) == old.digest
    # The next writer is not held up by the dead one's locks, and clears up after it.
    begun = time.monotonic()
    new = _publish(store, "k", b"better")
    assert time.monotonic() - begun < 5
    assert store.current("thing", "k") == new
    assert digest_folder(new.path) == new.digest
    left = _entries(store, "k") - {
        old.digest,
        f"{old.digest}.json",
        new.digest,
        f"{new.digest}.json",
        "current",
    }
    assert not [name for name in left if name.startswith(".staging")]
    # At most the finished, never announced artifact and a half-written record remain.
    assert len([name for name in left if len(name) == 64]) <= (stop in ("renamed", "provenance", "pointer"))


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.02, 0.05])
def test_a_writer_killed_at_any_moment_loses_nothing(tmp_path: Path, delay_s: float) -> None:
    store = Store(tmp_path)
    _publish(store, "k", b"start")
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_write_for_ever, args=(tmp_path,))
    process.start()
    while (current := store.current("thing", "k")) is None or (current.path / "content").read_bytes() == b"start":
        assert process.is_alive(), "The writer ended before it published anything."
        time.sleep(0.001)
    time.sleep(delay_s)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    current = store.current("thing", "k")
    assert current is not None
    assert digest_folder(current.path) == current.digest
    assert _publish(store, "k", b"end") == store.current("thing", "k")
    assert not [name for name in _entries(store, "k") if name.startswith(".staging")]


def _write_for_ever(root: Path) -> None:
    number = 0
    while True:
        _publish(Store(root), "k", b"%d" % number)
        number += 1


# ---- concurrent writers -----------------------------------------------------------------------------------


def _publish_many(root: Path, contents: list[bytes]) -> None:
    for content in contents:
        artifact = _publish(Store(root), "k", content)
        assert (artifact.path / "content").read_bytes() == content


def test_processes_publishing_one_key_do_not_disturb_each_other(tmp_path: Path) -> None:
    contents = [b"%d" % number for number in range(10)]
    context = multiprocessing.get_context("spawn")
    # Same contents in other orders: identical artifacts meet, and different ones too.
    processes = [context.Process(target=_publish_many, args=(tmp_path, contents[k:] + contents[:k])) for k in (0, 0, 5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = Store(tmp_path)
    digests = [name for name in _entries(store, "k") if len(name) == 64]
    assert len(digests) == len(contents)
    for digest in digests:
        artifact = store.get("thing", "k", digest)
        assert artifact is not None
        assert digest_folder(artifact.path) == digest
    assert not [name for name in _entries(store, "k") if name.startswith(".staging")]


def test_a_slow_writer_survives_a_quick_one_of_the_same_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.publish("thing", "k", Provenance("thing", "k")) as slow:
        (slow / "a").write_bytes(b"1")
        _publish(store, "k", b"quick")  # clears up what is abandoned; the slow one is not
        (slow / "b").write_bytes(b"2")
    assert slow.artifact is not None
    assert sorted(path.name for path in slow.artifact.path.iterdir()) == ["a", "b"]
    assert store.current("thing", "k") == slow.artifact


def test_threads_reading_meanwhile_always_see_a_whole_artifact(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _publish(store, "k", b"0")
    done = threading.Event()
    seen: list[bool] = []

    def read() -> None:
        while not done.is_set():
            current = store.current("thing", "k")
            seen.append(current is not None and digest_folder(current.path) == current.digest)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        _publish(store, "k", b"%d" % number)
    done.set()
    reader.join()
    assert len(seen) > 5
    assert all(seen)
