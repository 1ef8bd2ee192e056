"""What is known of each entry of an archive, such as ``<study>/empiar/EMPIAR-NNNNN.json``.

Belongs here: the record, and reading and replacing it whole. Does not belong here: deciding what to fetch (`look`).
"""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from em2cryo_assets.partitions import check_slug
from em2cryo_assets.resources.archives.download import Version
from em2cryo_assets.resources.archives.server import ArchiveError

if TYPE_CHECKING:
    from em2cryo_assets.resources.archives.item import ArchiveEntry

__all__ = ["CompanionRecord", "EntryRecord", "FileRecord", "LeftOut", "Records"]

State = Literal["arriving", "here", "gone", "refused"]


@dataclass(frozen=True)
class LeftOut:
    """Files or a folder that are not fetched.

    Parameters
    ----------
    path : str
        A file, a folder, or ``folder/*.ending`` for several.
    count : int
        How many files; 0 for a folder that was not opened.
    reason : str
        Why.
    """

    path: str
    count: int
    reason: str


@dataclass(frozen=True)
class CompanionRecord:
    """A short file beside a tomogram that was fetched.

    Parameters
    ----------
    path : str
        Below the folder of the entry.
    size : int
        Bytes.
    sha256 : str
        As it was fetched; another one in the inbox is a person's and is kept. Empty for one that was refused.
    etag, last_modified : str or None
        As the archive sent them.
    problem : str
        Why it was refused; empty if it was not.
    """

    path: str
    size: int
    sha256: str
    etag: str | None = None
    last_modified: str | None = None
    problem: str = ""

    @property
    def version(self) -> Version:
        """Version in the archive."""
        return Version(self.size, self.etag, self.last_modified)


@dataclass(frozen=True)
class FileRecord:
    """One tomogram that was fetched.

    Parameters
    ----------
    key : str
        Partition key.
    name : str
        Name in the inbox.
    size : int
        Bytes.
    sha256 : str
        Of the bytes, or of all that a folder holds; of those that were refused, if they were.
    etag, last_modified : str or None
        As the archive sent them.
    sidecar_sha256 : str
        Of the sidecar as it was written; another one is a person's and is kept.
    state : str
        ``arriving`` until it lies in the inbox, then ``here``; ``gone`` from the archive, and kept; ``refused`` after
        it was fetched.
    problem : str
        Why it was refused.
    companions : dict of str to CompanionRecord
        By ending.
    """

    key: str
    name: str
    size: int
    sha256: str
    etag: str | None = None
    last_modified: str | None = None
    sidecar_sha256: str = ""
    state: State = "here"
    problem: str = ""
    companions: dict[str, CompanionRecord] = field(default_factory=dict)

    @property
    def version(self) -> Version:
        """Version in the archive."""
        return Version(self.size, self.etag, self.last_modified)

    @classmethod
    def read(cls, given: dict[str, Any]) -> "FileRecord":
        """The record from its JSON; one of an older release names no companions."""
        beside = {ending: CompanionRecord(**one) for ending, one in given.pop("companions", {}).items()}
        return cls(**given, companions=beside)


@dataclass(frozen=True)
class EntryRecord:
    """All that is known of one entry.

    Parameters
    ----------
    entry, title, status, update_date : str
        As in the archive.
    withdrawn : bool
        Whether the archive made it obsolete or has it no more; its files are kept.
    only : str
        Pattern of the paths that are wanted.
    files : dict of str to FileRecord
        By path below the folder of the entry.
    left_out : tuple of LeftOut
        Everything else in the archive.
    refused_bytes : int
        What the last fetch would have brought and was refused for want of room; 0 if it was not.
    """

    entry: str
    title: str = ""
    status: str = ""
    update_date: str = ""
    withdrawn: bool = False
    only: str = "*"
    files: dict[str, FileRecord] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    refused_bytes: int = 0

    def seen_as(self, entry: "ArchiveEntry") -> "EntryRecord":
        """The record with what the archive says of the entry now."""
        return replace(
            self,
            title=entry.title,
            status=entry.status,
            update_date=entry.update_date,
            withdrawn=entry.withdrawn,
        )

    def with_file(self, path: str, file: FileRecord) -> "EntryRecord":
        """The record with one file replaced."""
        return replace(self, files={**self.files, path: file})


class Records:
    """The records of one study.

    Parameters
    ----------
    root : pathlib.Path
        Such as ``<study>/empiar``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, entry: str) -> Path:
        """File of a record, whether it exists or not."""
        return self.root / f"{check_slug(entry)}.json"

    def read(self, entry: str) -> EntryRecord | None:
        """The record of an entry; None if there is none or nobody can read it: it is then made again."""
        try:
            given = json.loads(self.path(entry).read_text(encoding="utf-8"))
            given["files"] = {path: FileRecord.read(one) for path, one in given["files"].items()}
            given["left_out"] = tuple(LeftOut(**one) for one in given["left_out"])
            return EntryRecord(**given)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def change(self, entry: str, how: Callable[[EntryRecord], EntryRecord]) -> EntryRecord:
        """Read a record, or begin one, and replace it by what `how` makes of it; no other process comes between."""
        self.root.mkdir(parents=True, exist_ok=True)
        with _locked(self.root / ".lock"):
            record = how(self.read(entry) or EntryRecord(entry))
            _replace(self.path(entry), _as_json(record))
        return record

    @contextlib.contextmanager
    def only_one(self, entry: str) -> Iterator[None]:
        """Hold an entry while its files are fetched.

        Raises
        ------
        ArchiveError
            If another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with _locked(self.root / f".fetching-{check_slug(entry)}", waiting=False, entry=entry):
            yield


@contextlib.contextmanager
def _locked(path: Path, *, waiting: bool = True, entry: str = "") -> Iterator[None]:
    """Hold a lock that the kernel takes back when its holder is killed."""
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waiting else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ArchiveError(entry, "another process is fetching it just now.", "wait until it is done.") from None
        yield


def _as_json(record: EntryRecord) -> str:
    rows: dict[str, Any] = {one.name: getattr(record, one.name) for one in fields(record)}
    rows["files"] = {path: asdict(record.files[path]) for path in sorted(record.files)}
    rows["left_out"] = [asdict(one) for one in record.left_out]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
