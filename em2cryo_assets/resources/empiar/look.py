"""What fetching an entry would bring, before anything is fetched.

Belongs here: comparing the archive with the record and the inbox of a study, file by file, each with a state or a reason.
Does not belong here: writing anything (`fetch`), or the rules for what a tomogram is (`choose`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final, Literal
from urllib.parse import urlsplit

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.empiar.choose import ending_of, not_by_header, not_by_name, skip_folder
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.download import Version
from em2cryo_assets.resources.empiar.entries import Entry
from em2cryo_assets.resources.empiar.header import VolumeHeader
from em2cryo_assets.resources.empiar.http import MissingError
from em2cryo_assets.resources.empiar.keys import keys_of
from em2cryo_assets.resources.empiar.record import EntryRecord, FileRecord, LeftOut, Records
from em2cryo_assets.resources.study import Study

__all__ = ["Item", "Look", "entry_or_withdrawn", "inbox_folder", "look", "records_of", "refuse_simulated", "sha256_of"]

State = Literal["new", "changed", "here", "deleted"]

_NOT_THERE: Final = "NOT FOUND"


@dataclass(frozen=True)
class Item:
    """One tomogram of the archive.

    Parameters
    ----------
    path : str
        Below the folder of the entry.
    url : str
        Its address.
    key, name : str
        Partition key and file name in the inbox.
    version : Version
        In the archive now.
    header : VolumeHeader
        From its first bytes.
    state : str
        ``new``; ``changed`` since it was fetched; ``here`` as it is; ``deleted`` from the inbox by a person.
    """

    path: str
    url: str
    key: str
    name: str
    version: Version
    header: VolumeHeader
    state: State

    @property
    def source(self) -> str:
        """Path in the archive's web server, the same on every mirror."""
        return urlsplit(self.url).path


@dataclass(frozen=True)
class Look:
    """An entry as it is in the archive and in the study.

    Parameters
    ----------
    entry : Entry
        What the archive says.
    only : str
        Pattern of the paths that are wanted.
    items : tuple of Item
        Tomograms.
    left_out : tuple of LeftOut
        Everything else.
    gone : tuple of str
        Paths that were fetched and that the archive has no more.
    """

    entry: Entry
    only: str = "*"
    items: tuple[Item, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    gone: tuple[str, ...] = ()

    def wanted(self, restore: bool) -> tuple[Item, ...]:
        """What is to be fetched; also what a person deleted, if it is to come back."""
        states = ("new", "changed", "deleted") if restore else ("new", "changed")
        return tuple(item for item in self.items if item.state in states)


def records_of(study: Study) -> Records:
    """The records of a study."""
    return Records(study.root / "empiar")


def inbox_folder(study: Study) -> Path:
    """Where tomograms of a study lie."""
    return study.inbox.root / "tomogram"


def refuse_simulated(study: Study, entry: str) -> None:
    """Refuse to bring real files into a simulated study.

    Raises
    ------
    InputError
        If the study holds simulated files.
    """
    if study.inbox.simulated():
        raise InputError(
            entry,
            "files of an archive are real, and this study holds simulated ones.",
            "keep them apart: set EM2CRYO_DATA to another folder and fetch them there.",
        )


def look(study: Study, client: EmpiarClient, entry_id: str, only: str | None = None) -> Look:
    """Find out what an entry holds and what of it would come.

    Parameters
    ----------
    study : Study
        Where it would come to.
    client : EmpiarClient
        The archive.
    entry_id : str
        Accession.
    only : str, optional
        Pattern for paths or file names (``*``, ``?``, ``[…]``); what was last asked for if not given.

    Raises
    ------
    ArchiveError, InputError
        If the archive cannot be asked, has no such entry, or answers in an unknown format.
    """
    record = records_of(study).read(entry_id)
    only = only if only is not None else (record.only if record is not None else "*")
    entry = entry_or_withdrawn(client, entry_id, record)
    if entry.withdrawn:
        return Look(entry, only)
    listing = client.files(entry_id, lambda folder: skip_folder(entry, folder))
    reasons = {path: not_by_name(entry, path) for path in listing.files}
    candidates = [path for path, reason in reasons.items() if reason is None]
    keys = _keys(study, client, entry_id, candidates, record)
    left = [(path, reason) for path, reason in reasons.items() if reason is not None]
    items: list[Item] = []
    for path in candidates:
        if not _fits(path, only):
            left.append((path, f"not among {only!r}"))
            continue
        found = _candidate(study, client, entry_id, path, keys[path], record.files.get(path) if record else None)
        if isinstance(found, Item):
            items.append(found)
        else:
            left.append((path, found))
    known = record.files if record is not None else {}
    folders = [LeftOut(path, 0, f"not opened: {reason}") for path, reason in listing.skipped]
    return Look(entry, only, tuple(items), (*folders, *_summary(left)), tuple(sorted(set(known) - set(listing.files))))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def entry_or_withdrawn(client: EmpiarClient, entry_id: str, record: EntryRecord | None) -> Entry:
    """The entry; one that was known and is no longer there counts as withdrawn.

    Raises
    ------
    MissingError, ArchiveError, InputError
        If there is none and never was, or it cannot be asked for.
    """
    try:
        return client.entry(entry_id)
    except MissingError:
        if record is None:
            raise
        return Entry(entry_id, record.title, _NOT_THERE, record.update_date, withdrawn=True)


def _keys(
    study: Study, client: EmpiarClient, entry_id: str, candidates: list[str], record: EntryRecord | None
) -> dict[str, str]:
    known = {path: file.key for path, file in record.files.items()} if record is not None else {}
    raws = study.inbox.files("tomogram")
    # A record may be lost; then the sidecars still tell which files came from here.
    sources = {}
    for key, raw in raws.items():
        try:
            sources[read_sidecar(raw.path).source] = key
        except InputError:
            continue
    for path in candidates:
        source = f"{entry_id} {urlsplit(client.url_of(entry_id, path)).path}"
        if path not in known and source in sources:
            known[path] = sources[source]
    return keys_of(entry_id, candidates, known=known, taken=set(raws) - set(known.values()))


def _candidate(
    study: Study, client: EmpiarClient, entry_id: str, path: str, key: str, file: FileRecord | None
) -> Item | str:
    """The item, or the reason why it is none."""
    try:
        version, header = client.header(entry_id, path)
    except MissingError:
        return "named in the index of the archive, and not there"
    if isinstance(header, InputError):
        return header.problem.rstrip(".")
    if (reason := not_by_header(path, header, version.size)) is not None:
        return reason
    same = file is not None and file.version == version
    if file is not None and file.state == "refused" and same:
        return file.problem
    name = key + (ending_of(path) or "")
    here = inbox_folder(study) / name
    state: State = "new"
    if file is not None and file.state != "refused":
        whole = file.state != "arriving" or (here.is_file() and sha256_of(here) == file.sha256)
        if whole and not here.is_file():
            state = "deleted"
        elif whole:
            state = "here" if same else "changed"
    elif here.is_file():  # its record was lost: fetched again, and compared
        state = "changed"
    return Item(path, client.url_of(entry_id, path), key, name, version, header, state)


def _fits(path: str, only: str) -> bool:
    return fnmatchcase(path, only) or fnmatchcase(PurePosixPath(path).name, only)


def _summary(left: Iterable[tuple[str, str]]) -> list[LeftOut]:
    """One line a tomogram-like file, one for each folder and ending of the others."""
    lines: dict[tuple[str, str], LeftOut] = {}
    for path, reason in sorted(left):
        name = PurePosixPath(path)
        alone = ending_of(path) is not None
        place = path if alone else f"{name.parent}/*{name.suffix}" if name.suffix else f"{name.parent}/*"
        line = lines.get((place, reason), LeftOut(place, 0, reason))
        lines[place, reason] = replace(line, count=line.count + 1)
    return list(lines.values())
