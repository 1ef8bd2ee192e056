"""What is known of each entry, in ``<study>/empiar/EMPIAR-NNNNN.json``.

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
from typing import Any, Literal

from em2cryo_assets.resources.empiar.archive import ArchiveError, check_entry_id
from em2cryo_assets.resources.empiar.download import Version
from em2cryo_assets.resources.empiar.entries import Entry

__all__ = ["EntryRecord", "FileRecord", "LeftOut", "Records"]

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
class FileRecord:
    """One file that was fetched.

    Parameters
    ----------
    key : str
        Partition key.
    name : str
        File name in the inbox.
    size : int
        Bytes.
    sha256 : str
        Of the bytes; of those that were refused, if they were.
    etag, last_modified : str or None
        As the archive sent them.
    sidecar_sha256 : str
        Of the sidecar as it was written; another one is a person's and is kept.
    state : str
        ``arriving`` until it lies in the inbox, then ``here``; ``gone`` from the archive, and kept; ``refused`` after
        it was fetched.
    problem : str
        Why it was refused.
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

    @property
    def version(self) -> Version:
        """Version in the archive."""
        return Version(self.size, self.etag, self.last_modified)


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
    """

    entry: str
    title: str = ""
    status: str = ""
    update_date: str = ""
    withdrawn: bool = False
    only: str = "*"
    files: dict[str, FileRecord] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def seen_as(self, entry: Entry) -> "EntryRecord":
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
        ``<study>/empiar``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, entry: str) -> Path:
        """File of a record, whether it exists or not."""
        return self.root / f"{check_entry_id(entry)}.json"

    def read(self, entry: str) -> EntryRecord | None:
        """The record of an entry; None if there is none or nobody can read it: it is then made again."""
        try:
            given = json.loads(self.path(entry).read_text(encoding="utf-8"))
            given["files"] = {path: FileRecord(**one) for path, one in given["files"].items()}
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
        with _locked(self.root / f".fetching-{check_entry_id(entry)}", waiting=False, entry=entry):
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
