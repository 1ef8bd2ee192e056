"""What fetching would bring: one entry of an archive beside what a study has of it.

Belongs here: entries, tomograms and their companions as fetching sees them, whatever archive they come from, and the
interface that each archive implements. Does not belong here: how an archive is asked (`empiar`, `cryoet_portal`), or
writing anything (`fetch`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.archives.download import Progress, Version
from em2cryo_assets.resources.archives.record import EntryRecord, FileRecord, LeftOut, Records
from em2cryo_assets.resources.study import Study
from em2cryo_assets.store.digest import digest_folder

__all__ = [
    "ArchiveEntry",
    "Companion",
    "Item",
    "Look",
    "Source",
    "State",
    "digest_of",
    "fits",
    "inbox_folder",
    "known_keys",
    "records_in",
    "refuse_simulated",
    "state_of",
]

State = Literal["new", "changed", "here", "deleted"]


@dataclass(frozen=True)
class ArchiveEntry:
    """What every archive says of an entry.

    Parameters
    ----------
    id : str
        Accession.
    title, status, update_date, dataset_size : str
        As deposited; empty if not said.
    withdrawn : bool
        Whether it was made obsolete.
    """

    id: str
    title: str = ""
    status: str = ""
    update_date: str = ""
    withdrawn: bool = False
    dataset_size: str = ""


@dataclass(frozen=True)
class Companion:
    """A short file beside a tomogram, such as its ``.mdoc``.

    Parameters
    ----------
    path : str
        Below the folder of the entry.
    ending : str
        One of `formats.companions.COMPANION_ENDINGS`.
    version : Version
        In the archive now.
    state : str
        As of an `Item`.
    """

    path: str
    ending: str
    version: Version
    state: State


@dataclass(frozen=True)
class Item:
    """One tomogram of an archive.

    Parameters
    ----------
    path : str
        Below the folder of the entry.
    source : str
        Path in the archive's web server, the same on every mirror.
    key, name : str
        Partition key, and name of the file or folder in the inbox.
    version : Version
        In the archive now; of a folder, its whole size and a mark of all its files.
    shape : tuple of int
        Voxels along z, y, x.
    voxel_nm : tuple of float or None
        Sides along z, y, x, nm; None if not said.
    state : str
        ``new``; ``changed`` since it was fetched; ``here`` as it is; ``deleted`` from the inbox by a person.
    companions : tuple of Companion
        What comes beside it.
    note : str
        What a person should know of the choice; empty if nothing.
    what : Any
        What the archive itself needs to fetch it.
    """

    path: str
    source: str
    key: str
    name: str
    version: Version
    shape: tuple[int, int, int]
    voxel_nm: tuple[float, float, float] | None
    state: State
    companions: tuple[Companion, ...] = ()
    note: str = ""
    what: Any = field(default=None, compare=False, repr=False)

    @property
    def parts(self) -> "tuple[Item | Companion, ...]":
        """Itself and its companions."""
        return (self, *self.companions)


@dataclass(frozen=True)
class Look:
    """An entry as it is in the archive and in the study.

    Parameters
    ----------
    entry : ArchiveEntry
        What the archive says.
    only : str
        Pattern of the paths that are wanted.
    items : tuple of Item
        Tomograms.
    left_out : tuple of LeftOut
        Everything else.
    gone : tuple of str
        Paths that were fetched and that the archive has no more.
    failed : tuple of str
        Files that the archive names and does not give, in a sentence each.
    """

    entry: ArchiveEntry
    only: str = "*"
    items: tuple[Item, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    gone: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def wanted(self, restore: bool) -> tuple[Item, ...]:
        """Items of which something is to be fetched, with those companions that are.

        What a person deleted comes back only if it is to be restored, and its companions stay away with it.
        """
        states = ("new", "changed", "deleted") if restore else ("new", "changed")
        chosen = []
        for item in self.items:
            if item.state == "deleted" and not restore:
                continue
            beside = tuple(one for one in item.companions if one.state in states)
            if beside or item.state in states:
                chosen.append(replace(item, companions=beside))
        return tuple(chosen)

    def to_fetch(self, restore: bool) -> int:
        """Bytes of all that is to be fetched."""
        return sum(one.version.size for item in self.wanted(restore) for one in item.parts if one.state != "here")


class Source(Protocol):
    """One entry of one archive, as far as fetching needs it."""

    @property
    def records_folder(self) -> str:
        """Folder of the archive's records in a study."""

    @property
    def entry_id(self) -> str:
        """Accession."""

    def look(self, study: Study, only: str | None = None) -> Look:
        """Find out what an entry holds and what of it would come; writes nothing.

        Raises
        ------
        ArchiveError, InputError
            If the archive cannot be asked, has no such entry, or answers in an unknown format.
        """

    def bring(self, item: Item, staged: Path, progress: Progress | None) -> Version:
        """Bring a tomogram into ``<staged>.part``, continuing what is there; it is not checked yet.

        Raises
        ------
        ArchiveError, InputError
            If it cannot be had now, or is not there.
        """

    def bring_companion(self, companion: Companion, staged: Path) -> Version:
        """The same for a companion."""

    def check(self, item: Item, part: Path) -> None:
        """Refuse what was brought and is damaged.

        Raises
        ------
        InputError
            If it is not what it announces to be.
        """

    def sidecar(self, item: Item, entry: ArchiveEntry) -> dict[str, Any]:
        """Content of the sidecar of a tomogram; None where the archive is silent.

        It holds nothing that changes with each update of the entry, so that an unchanged file stays what it was.
        """


def records_in(study: Study, source: Source) -> Records:
    """The records of an archive in a study."""
    return Records(study.root / source.records_folder)


def inbox_folder(study: Study) -> Path:
    """Where tomograms of a study lie."""
    return study.inbox.root / "tomogram"


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of all that a folder holds."""
    if path.is_dir():
        return digest_folder(path)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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


def known_keys(
    study: Study, sources: Iterable[tuple[str, str]], record: EntryRecord | None
) -> tuple[dict[str, str], set[str]]:
    """Keys that paths of an entry already have in a study, and keys of its other files.

    A record may be lost; then the sidecars still tell which files came from there.

    Parameters
    ----------
    study : Study
        The study.
    sources : iterable of (str, str)
        Path of each candidate, and what its sidecar has as ``source``.
    record : EntryRecord or None
        What is known of the entry.
    """
    known = {path: file.key for path, file in record.files.items()} if record is not None else {}
    raws = study.inbox.files("tomogram")
    said = {}
    for key, raw in raws.items():
        try:
            said[read_sidecar(raw.path).source] = key
        except InputError:
            continue
    for path, source in sources:
        if path not in known and source in said:
            known[path] = said[source]
    return known, set(raws) - set(known.values())


def state_of(study: Study, name: str, version: Version, file: FileRecord | None) -> State:
    """State of a tomogram, from what is recorded of it and what lies in the inbox."""
    here = inbox_folder(study) / name
    if file is None or file.state == "refused":
        return "changed" if here.exists() else "new"  # its record was lost: fetched again, and compared
    whole = file.state != "arriving" or (here.exists() and digest_of(here) == file.sha256)
    if whole and not here.exists():
        return "deleted"
    if not whole:
        return "new"
    return "here" if file.version == version else "changed"


def fits(path: str, only: str) -> bool:
    """Whether a path or its last part fits a pattern (``*``, ``?``, ``[…]``)."""
    return fnmatchcase(path, only) or fnmatchcase(PurePosixPath(path).name, only)
