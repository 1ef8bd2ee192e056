"""Whether the bytes of the store are still those that were published.

Belongs here: digesting current artifacts anew, naming what changed, and taking a damaged artifact out of the way so
that the plan sees it as missing. Does not belong here: removing what is not needed (`store.collect`).
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from em2cryo_assets.store.digest import FileSum, digest_files, read_list_of_files
from em2cryo_assets.store.entries import FAILURE, LOCK, POINTER, SET_ASIDE, STAGING, is_digest, key_folders, locked
from em2cryo_assets.store.keys import checked_asset, folder_of_key, key_of_folder
from em2cryo_assets.store.provenance import Provenance
from em2cryo_assets.store.publish import Store

__all__ = ["Finding", "Place", "places", "set_aside", "verify_place"]


@dataclass(frozen=True)
class Place:
    """One asset and key of a store.

    Parameters
    ----------
    asset, key : str, str or None
        What.
    folder : pathlib.Path
        Where.
    """

    asset: str
    key: str | None
    folder: Path


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was published.

    Parameters
    ----------
    kind : str
        ``corrupt``, ``missing`` or ``foreign``.
    asset, key : str, str or None
        Whose.
    file : str
        File, relative to the folder of the key.
    problem : str
        In words.
    """

    kind: str
    asset: str
    key: str | None
    file: str
    problem: str

    @property
    def spoils(self) -> bool:
        """Whether the artifact itself is damaged: set aside, it is made again. A file too many is moved by hand."""
        return self.kind != "foreign"


def places(store: Store, asset: str | None = None, key: str | None = None) -> list[Place]:
    """Assets and keys of a store, sorted; those of one asset, or one of its keys, where given.

    Raises
    ------
    ValueError
        If a name cannot be one of an asset or a key.
    """
    wanted = None if key is None else folder_of_key(key)
    if asset is not None:
        checked_asset(asset)
    found = []
    for folder in key_folders(store.root):
        if asset in (None, folder.parent.name) and wanted in (None, folder.name):
            found.append(Place(folder.parent.name, key_of_folder(folder.name), folder))
    return found


def verify_place(place: Place, progress: Callable[[int], None] | None = None) -> list[Finding]:
    """Compare the current artifact of a key with its digest. Memory does not grow with its size.

    What a writer changes meanwhile is not taken for damage: a finding counts if a second look, with the folder's
    lock held, still finds it.

    Parameters
    ----------
    place : Place
        What to look at.
    progress : callable, optional
        Takes the number of bytes read since it was called last.

    Returns
    -------
    list of Finding
        Nothing if all is well, or nothing was published.
    """
    found = list(_look(place, progress))
    if not found:
        return []
    try:
        with locked(place.folder):
            return list(_look(place, None))
    except OSError:  # a store that can only be read has no writer
        return found


def set_aside(store: Store, place: Place) -> Path | None:
    """Move a damaged artifact out of the folder of its key, which then counts as never made.

    It is looked at once more, with the lock held; one that has become good is left where it is.

    Returns
    -------
    pathlib.Path or None
        Where it lies now.
    """
    with locked(place.folder):
        if not any(one.spoils for one in _look(place, None)):
            return None
        text = (place.folder / POINTER).read_bytes().decode(errors="replace").strip()
        target = store.root / SET_ASIDE / place.asset / place.folder.name / uuid.uuid4().hex
        target.mkdir(parents=True)
        os.replace(place.folder / POINTER, target / POINTER)  # first: from here on readers see nothing
        if is_digest(text):
            for name in (text, f"{text}.json", f"{text}.files"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.move(place.folder / name, target / name)
        return target


def _look(place: Place, progress: Callable[[int], None] | None) -> Iterator[Finding]:
    def finding(kind: str, file: str, problem: str) -> Finding:
        return Finding(kind, place.asset, place.key, file, problem)

    for path in sorted(place.folder.iterdir()):
        if not _ours(path.name):
            yield finding("foreign", path.name, "no part of the store")
    try:
        digest = (place.folder / POINTER).read_bytes().decode(errors="replace").strip()
    except FileNotFoundError:
        return
    if not is_digest(digest):
        yield finding("corrupt", POINTER, "it holds no digest")
        return
    if (problem := _record_problem(place, digest)) is not None:
        yield finding(*problem)
    folder = place.folder / digest
    if not folder.is_dir():
        yield finding("missing", digest, "the folder of the artifact is gone")
        return
    try:
        now, sums = digest_files(folder, progress=progress)
    except ValueError as error:  # a link, or no file at all
        yield finding("corrupt", digest, str(error))
        return
    except OSError as error:
        broken = Path(error.filename or folder)
        inner = broken.relative_to(place.folder) if broken.is_relative_to(place.folder) else broken
        yield finding("corrupt", inner.as_posix(), f"it cannot be read ({error.strerror})")
        return
    if now != digest:
        changes = _changes(place.folder / f"{digest}.files", sums)
        unknown = ("corrupt", "", "its bytes changed; which file is not known")
        for kind, name, what in changes or [unknown]:
            yield finding(kind, f"{digest}/{name}", what)


def _record_problem(place: Place, digest: str) -> tuple[str, str, str] | None:
    name = f"{digest}.json"
    try:
        record = Provenance.from_json((place.folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "missing", name, "the provenance is gone"
    except (ValueError, TypeError, KeyError, AttributeError):
        return "corrupt", name, "the provenance cannot be read"
    if (record.asset, record.key) != (place.asset, place.key):
        return "corrupt", name, f"the provenance is of {record.asset}, {record.key or 'the study'}"
    return None


def _changes(list_file: Path, now: list[FileSum]) -> list[tuple[str, str, str]]:
    """What differs from the list of files that was published, if there is one."""
    try:
        then = {one.name: one for one in read_list_of_files(list_file.read_text(encoding="utf-8"))}
    except (OSError, ValueError):
        return []
    found = {one.name: one for one in now}
    changes = []
    for name in sorted(then | found):
        if name not in found:
            changes.append(("missing", name, f"{then[name].size} bytes are gone"))
        elif name not in then:
            changes.append(("foreign", name, "it was not published"))
        elif found[name].size != then[name].size:
            changes.append(("corrupt", name, f"{found[name].size} bytes in place of {then[name].size}"))
        elif found[name] != then[name]:
            changes.append(("corrupt", name, "its bytes changed"))
    return changes


def _ours(name: str) -> bool:
    stem, _, end = name.partition(".")
    artifact = is_digest(stem) and end in ("", "json", "files")
    half = name.startswith(".") and name.endswith(".new")  # of a writer killed while it replaced a small file
    return artifact or half or name in (POINTER, FAILURE, LOCK) or name.startswith(STAGING)
