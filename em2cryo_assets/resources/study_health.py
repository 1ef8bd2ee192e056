"""Whether a study's folder and store are fit to work in.

Belongs here: the folder, its disk, and a quick look at the store. Does not belong here: digests of all bytes
(`store.verify`), what is out of date (`automation.plan_health`).
"""

import fcntl
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from em2cryo_assets.resources.archives.budget import GB, free_bytes, size_text
from em2cryo_assets.resources.findings import Finding, note, ok, problem, problem_from
from em2cryo_assets.resources.inbox import KINDS
from em2cryo_assets.store.collect import find_garbage
from em2cryo_assets.store.entries import FAILURE, POINTER, is_digest, key_folders
from em2cryo_assets.store.publish import Store
from em2cryo_assets.wording import first_of

__all__ = ["file_system", "folder", "holds_a_study", "store"]

_LITTLE: Final = 1 * GB
_ENOUGH: Final = 10 * GB
"""Below the first a run ends with a full disk; a study of twenty cells with its tomograms fits into the second."""

_NETWORK: Final = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "beegfs", "gpfs", "fuse.")
"""Beginnings of the names of file systems that lie elsewhere, where kernel locks and SQLite cannot be relied on."""


def holds_a_study(root: Path) -> bool:
    """Whether a folder was ever used as a study."""
    return (root / "inbox").is_dir() or (root / "study.toml").is_file()


def folder(root: Path) -> Iterator[Finding]:
    """The folder: there, a study, writable, with locks that hold, on a local disk with room.

    Nothing is left in it.

    Parameters
    ----------
    root : pathlib.Path
        The study's folder.
    """
    if not root.is_dir():
        said = f"EM2CRYO_DATA names {root}" if os.environ.get("EM2CRYO_DATA") else f"EM2CRYO_DATA is not set: {root}"
        begin = "export EM2CRYO_DATA=FOLDER with the folder of your study; to begin one: em2cryo add sem FILES"
        yield problem("study", f"{said}, which does not exist.", begin)
        return
    if not holds_a_study(root):
        remedy = "em2cryo add sem FILES begins one; if yours lies elsewhere: export EM2CRYO_DATA=FOLDER"
        yield note("study", f"{root} holds no study yet (no inbox in it).", remedy)
    else:
        yield ok("study", f"{root}.")
    yield from _disk(root)


def store(place: Store) -> Iterator[Finding]:
    """A quick look at the store: entries that cannot be opened, and what is left over. No array is read."""
    artifacts, lost, failures = 0, [], 0
    for entry in key_folders(place.root):
        failures += (entry / FAILURE).is_file()
        try:
            digest = (entry / POINTER).read_bytes().decode(errors="replace").strip()
        except FileNotFoundError:
            continue
        artifacts += 1
        if not is_digest(digest) or not (entry / digest).is_dir() or not (entry / f"{digest}.json").is_file():
            lost.append(f"{entry.parent.name} {entry.name}")
    verify = "em2cryo store verify --set-aside, then em2cryo run"
    if lost:
        yield problem("store", f"{len(lost)} of {artifacts} artifacts are damaged: {first_of(lost, 5)}.", verify)
    try:
        left = find_garbage(place)
    except ValueError as error:
        yield problem_from("store", str(error), verify)
        return
    if not lost:
        said = f", {failures} failures recorded" if failures else ""
        yield ok("store", f"{artifacts} artifacts{said}; em2cryo store verify checks their bytes, too.")
    if left.writers:
        yield note("store", f"{left.writers} runs are writing just now.", "what is out of date changes as they end")
    count, total = Counter[str](), Counter[str]()
    for one in left.garbage:
        count[one.kind] += 1
        total[one.kind] += one.size
    if count:
        said = ", ".join(f"{number} {kind} ({size_text(total[kind])})" for kind, number in sorted(count.items()))
        yield note("store", f"not needed any more: {said}.", "em2cryo store gc says what; --delete removes it")


def file_system(path: Path, mounts: str) -> str:
    """Type of the file system of a path, by the text of ``/proc/mounts``; empty if it says nothing of it."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(fields[1].encode().decode("unicode_escape"))  # a space is written \040
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


def _disk(root: Path) -> Iterator[Finding]:
    places = [root, *(one for one in (root / "inbox", *(root / "inbox" / kind for kind in KINDS),
              root / "store", root / "dagster_home") if one.is_dir())]  # fmt: skip
    for place in places:
        if said := _cannot_write(place):
            yield problem(
                "disk", f"{place}: {said}", f"sudo chown -R $USER {root}; or mount that disk to be written to"
            )
            return
    mounts = Path("/proc/mounts")
    kind = file_system(root.resolve(), mounts.read_text(encoding="utf-8")) if mounts.is_file() else ""
    if kind.startswith(_NETWORK):
        yield problem(
            "disk",
            f"{root} lies on a network file system ({kind}), where locks and SQLite cannot be relied on.",
            "move the study to a local disk and set EM2CRYO_DATA to it",
        )
    free = free_bytes(root)
    room = "make room, or em2cryo store gc --delete"
    if free < _LITTLE:
        yield problem("disk", f"only {size_text(free)} free.", room)
    elif free < _ENOUGH:
        yield note("disk", f"{size_text(free)} free: little for tomograms.", room)
    else:
        yield ok("disk", f"writable, locks hold, {size_text(free)} free{f' ({kind})' if kind else ''}.")


def _cannot_write(place: Path) -> str:
    """Why nothing can be written and locked in a folder; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=place) as handle:
            handle.write(b"?")
            handle.flush()
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"nothing can be written or locked there ({error.strerror})."
    return ""
