"""Clearing up a store: what nobody needs any more.

Belongs here: finding superseded versions, what killed runs left and what was set aside; removing them.
Does not belong here: anything current, anything that a current artifact was made from, raw files.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from em2cryo_assets.store.entries import (
    POINTER,
    SET_ASIDE,
    STAGING,
    abandoned,
    folder_bytes,
    is_digest,
    key_folders,
    locked,
    new_staging,
    remove_abandoned,
)
from em2cryo_assets.store.keys import folder_of_key
from em2cryo_assets.store.provenance import Provenance
from em2cryo_assets.store.publish import Store

__all__ = ["Garbage", "Leftovers", "find_garbage", "remove_garbage"]

_BESIDE = (".json", ".files")


@dataclass(frozen=True)
class Garbage:
    """One thing that may go.

    Parameters
    ----------
    kind : str
        ``superseded``, ``left over`` or ``set aside``.
    path : pathlib.Path
        The artifact, the folder of a dead writer, a record without an artifact, or the folder of what was set aside.
    size : int
        Bytes.
    """

    kind: str
    path: Path
    size: int


@dataclass(frozen=True)
class Leftovers:
    """What may go, and why something else may not yet.

    Parameters
    ----------
    garbage : tuple of Garbage
        What may go.
    writers : int
        Writers at work. While there are any, superseded versions stay, as they may be read.
    """

    garbage: tuple[Garbage, ...]
    writers: int


def find_garbage(store: Store) -> Leftovers:
    """Look for what may go; change nothing.

    Parameters
    ----------
    store : Store
        The store.

    Raises
    ------
    ValueError
        If a record of provenance cannot be read, so that nobody can say what is needed.
    """
    older, left, before = [], [], 0
    for folder in key_folders(store.root):
        older += [path for path in _versions(folder) if path.name != _pointer(folder)]
        dead, alive = _staging(folder)
        before += alive
        left += [Garbage("left over", path, folder_bytes(path)) for path in (*dead, *_half_records(folder))]
    # In this order: a writer that read an older version is either still at work, or what it published is current.
    writers = sum(_staging(folder)[1] for folder in key_folders(store.root)) or before
    needed = _needed(store)
    superseded = [
        Garbage("superseded", path, folder_bytes(path) + sum(map(folder_bytes, _beside(path))))
        for path in older
        if path not in needed
    ]
    aside = store.root / SET_ASIDE
    spoilt = [Garbage("set aside", aside, folder_bytes(aside))] if aside.is_dir() else []
    return Leftovers((*([] if writers else superseded), *left, *spoilt), writers)


def remove_garbage(garbage: Garbage) -> int:
    """Remove one thing, unless it has become current or belongs to a live writer since; return the bytes freed."""
    path = garbage.path
    if garbage.kind == "set aside":
        shutil.rmtree(path)
        return garbage.size
    with locked(path.parent):
        if garbage.kind == "left over":
            if path.name.startswith(STAGING):
                return remove_abandoned(path.parent)
            if path not in set(_half_records(path.parent)):
                return 0
            path.unlink()
            return garbage.size
        if path.name == _pointer(path.parent):
            return 0
        # Out of sight first, under a name that the next writer clears up should this process be killed.
        doomed = new_staging(path.parent)
        path.rename(doomed)
        for record in _beside(path):
            record.unlink()
        shutil.rmtree(doomed)
        return garbage.size


def _versions(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if is_digest(path.name) and path.is_dir()]


def _pointer(folder: Path) -> str:
    try:
        return (folder / POINTER).read_bytes().decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _beside(artifact: Path) -> list[Path]:
    return [path for end in _BESIDE if (path := artifact.with_name(artifact.name + end)).is_file()]


def _staging(folder: Path) -> tuple[list[Path], int]:
    """Folders of dead writers, and the number of live ones."""
    if not any(folder.glob(f"{STAGING}*")):
        return [], 0
    with locked(folder):  # a writer locks its new folder before it lets go of this lock
        found = sorted(folder.glob(f"{STAGING}*"))
        dead = [path for path in found if abandoned(path)]
    return dead, sum(path.is_dir() for path in found if path not in dead)


def _half_records(folder: Path) -> list[Path]:
    """Records of artifacts that are gone, of keys that are not being written."""
    records = [path for path in sorted(folder.iterdir()) if path.suffix in _BESIDE and is_digest(path.stem)]
    return [path for path in records if path.stem != _pointer(folder) and not path.with_suffix("").exists()]


def _needed(store: Store) -> set[Path]:
    """Folders of all artifacts that a current one can be traced to."""
    needed: set[Path] = set()
    waiting = [folder / _pointer(folder) for folder in key_folders(store.root) if _pointer(folder)]
    while waiting:
        path = waiting.pop()
        if path not in needed:
            needed.add(path)
            waiting += _made_from(store, path)
    return needed


def _made_from(store: Store, artifact: Path) -> Iterator[Path]:
    record = artifact.with_name(artifact.name + ".json")
    try:
        inputs = Provenance.from_json(record.read_text(encoding="utf-8")).inputs
    except FileNotFoundError:
        return
    except (ValueError, TypeError) as error:  # nobody can say what it was made from, so nothing may go
        name = record.relative_to(store.root)
        raise ValueError(f"{name} cannot be read. Remedy: type em2cryo store verify, and then this again.") from error
    for ref in inputs:
        if is_digest(ref.digest):  # raw files and settings have digests too, but no folder in the store
            folder = store.root / ref.asset / folder_of_key(ref.key) / ref.digest
            if folder.is_dir():
                yield folder
