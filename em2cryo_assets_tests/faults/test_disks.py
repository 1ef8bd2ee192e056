"""A disk that fills up, a store that goes read-only: a clear error, and a plain re-run ends as ever."""

import subprocess
import sys
from pathlib import Path

import pytest

from em2cryo_assets_tests.faults.disturbed import assert_ends_like, copy_of, digests
from em2cryo_assets_tests.integration.tiny_study import copied

pytestmark = pytest.mark.slow

# In a mount namespace of its own: nobody else sees these mounts, and they vanish with it.
FULL = """
set -e
mount -t tmpfs -o size=$5 tmpfs "$1"
cp -r "$2"/inbox "$2"/study.toml "$1"/
export EM2CRYO_DATA="$1" EM2CRYO_COMPUTE=threads
"$3" -m em2cryo_assets.cli run && echo "ENDED WELL"
"$3" -m em2cryo_assets.cli store verify
echo "ROOM AGAIN"
mount -o remount,size=1g "$1"
"$3" -m em2cryo_assets.cli run
"$3" -m em2cryo_assets.cli store verify
cp -r "$1"/store "$4"
"""
READ_ONLY = """
set -e
export EM2CRYO_DATA="$1" EM2CRYO_COMPUTE=threads
mount --bind "$1"/store "$1"/store
mount -o remount,ro,bind "$1"/store
"$3" -m em2cryo_assets.cli run || true
"$3" -m em2cryo_assets.cli store verify
"""


def in_namespace(script: str, *arguments: Path | str) -> str:
    allowed = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    if allowed.returncode:
        pytest.skip("mount namespaces are not permitted here")
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "-", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("megabytes", [4, 9])
def test_a_full_disk_is_told_and_with_room_the_next_run_ends_as_ever(
    one_cell: Path, tmp_path: Path, megabytes: int
) -> None:
    raw = copy_of(one_cell, tmp_path / "raw")
    place, store = tmp_path / "mounted", tmp_path / "after" / "store"
    place.mkdir()
    store.parent.mkdir()
    told = in_namespace(FULL, place, raw, sys.executable, store, f"{megabytes}m")
    before, _, after = told.partition("ROOM AGAIN")
    assert "ENDED WELL" not in before
    assert "No space left on device" in before or "disk is full" in before or "disk I/O error" in before, before
    assert before.count("all as published") == 1  # nothing half was to be seen
    assert "! " not in after, after
    assert after.count("all as published") == 1
    assert digests(store.parent) == digests(one_cell)
    assert not list(store.glob("*/*/.staging-*"))


def test_a_read_only_store_is_told_and_changed_in_nothing(one_cell: Path, tmp_path: Path) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        root, settings = tiny.study.root, tiny.study.root / "study.toml"
        old, written = digests(root), settings.read_text()
    settings.write_text(written + "seed = 7\n")
    told = in_namespace(READ_ONLY, root, "", sys.executable)
    assert "! " in told
    assert "Read-only file system" in told
    assert "Traceback" not in told
    assert "all as published" in told
    assert digests(root) == old
    settings.write_text(written)
    assert_ends_like(old, root)
