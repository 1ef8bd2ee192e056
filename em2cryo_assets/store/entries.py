"""What may lie in the folder of a key, and who may change it.

Belongs here: names of the entries, the lock of a folder, telling a dead writer's folder from a live one's.
Does not belong here: publishing (`store.publish`), checking (`store.verify`), clearing up (`store.collect`).
"""

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "FAILURE",
    "LOCK",
    "POINTER",
    "SET_ASIDE",
    "STAGING",
    "abandoned",
    "folder_bytes",
    "is_digest",
    "key_folders",
    "locked",
    "new_staging",
    "remove_abandoned",
]

STAGING = ".staging-"
POINTER = "current"
FAILURE = "failure.json"
LOCK = ".lock"
SET_ASIDE = ".set-aside"
"""Folder at the root of the store for artifacts whose bytes changed after they were published."""


def is_digest(name: str) -> bool:
    """Whether a name is 64 hexadecimal digits."""
    return len(name) == 64 and not set(name) - set("0123456789abcdef")


def new_staging(folder: Path) -> Path:
    """Path for a writer in the folder of a key; nothing is made."""
    return folder / f"{STAGING}{uuid.uuid4().hex}"


def key_folders(root: Path) -> Iterator[Path]:
    """Folders of all assets and keys of a store, sorted; hidden ones are none of them."""
    for asset in _folders(root):
        yield from _folders(asset)


def _folders(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in found if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a key's folder inside the block."""
    with (folder / LOCK).open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # freed when the file is closed, also by the death of the process
        yield


def abandoned(staging: Path) -> bool:
    """Whether the writer of a staging folder is dead; asked while nobody holds the folder's lock, it may err."""
    try:
        handle = os.open(staging, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def remove_abandoned(folder: Path) -> int:
    """Remove staging folders whose writer is dead; the caller holds the folder's lock. Returns their bytes."""
    freed = 0
    for path in folder.glob(f"{STAGING}*"):
        if abandoned(path):
            freed += folder_bytes(path)
            shutil.rmtree(path, ignore_errors=True)
    return freed


def folder_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what vanishes meanwhile counts nothing."""
    paths = (
        [path] if not path.is_dir() else [Path(parent, name) for parent, _, names in os.walk(path) for name in names]
    )
    total = 0
    for one in paths:
        with contextlib.suppress(FileNotFoundError):
            total += one.lstat().st_size
    return total
