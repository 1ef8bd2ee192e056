"""Bringing the tomograms of an entry into the inbox of a study.

Belongs here: the order of operations that survives being killed at any point, and the record of what came.
Does not belong here: what is to come (`look`), or one download (`download`).

What lies where, and in which order::

    inbox/tomogram/.empiar/<name>.part    1. the bytes, until they are whole and fit their header
    empiar/EMPIAR-NNNNN.json              2. "arriving", with the digest of those bytes
    inbox/tomogram/<name>.toml            3. the sidecar
    inbox/tomogram/<name>                 4. the raw file, by a rename on the same disk: it makes the key
    empiar/EMPIAR-NNNNN.json              5. "here"
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.resources.empiar.archive import ArchiveError
from em2cryo_assets.resources.empiar.budget import check_budget, size_text
from em2cryo_assets.resources.empiar.choose import sidecar_of
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.download import Progress, Version, discard, part_of
from em2cryo_assets.resources.empiar.entries import Entry
from em2cryo_assets.resources.empiar.header import check_whole
from em2cryo_assets.resources.empiar.look import Item, Look, inbox_folder, look, records_of, refuse_simulated, sha256_of
from em2cryo_assets.resources.empiar.record import EntryRecord, FileRecord
from em2cryo_assets.resources.study import Study

__all__ = ["Fetched", "fetch", "flag_withdrawn"]

_STAGING: Final = ".empiar"
_MOST_FAILURES: Final = 3
"""Files in a row that cannot be had before the archive counts as down."""


@dataclass
class Fetched:
    """What fetching an entry did.

    Parameters
    ----------
    entry : Entry
        As the archive has it now.
    arrived : list of str
        Keys of new and changed tomograms.
    refused : list of str
        Files that are damaged or doubled, in a sentence each.
    failed : list of str
        Files that could not be had now, in a sentence each; asked again later, they may come.
    """

    entry: Entry
    arrived: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def fetch(
    study: Study,
    client: EmpiarClient,
    entry_id: str,
    *,
    only: str | None = None,
    max_gb: float | None = None,
    restore: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    progress: Callable[[Item], Progress] | None = None,
) -> Fetched:
    """Fetch what is new or changed of an entry.

    Parameters
    ----------
    study : Study
        Where it goes.
    client : EmpiarClient
        The archive.
    entry_id : str
        Accession.
    only : str, optional
        Pattern of paths or names; what was last asked for if not given.
    max_gb : float, optional
        Largest download, GB.
    restore : bool
        Whether files that a person deleted from the inbox come back.
    tell : callable
        Takes one line of progress.
    progress : callable, optional
        Gives the progress of a file that begins.

    Raises
    ------
    ArchiveError
        If the archive cannot be asked, or another process fetches the entry.
    InputError
        If the study is simulated, or there is too little room.
    """
    refuse_simulated(study, entry_id)
    records = records_of(study)
    with records.only_one(entry_id):
        found = look(study, client, entry_id, only)
        known = records.read(entry_id) is not None
        record = records.change(entry_id, lambda old: _seen(old, found))
        if found.entry.withdrawn:
            kept = f"; its {len(record.files)} files are kept" if known else ""
            tell(f"{entry_id} was withdrawn from the archive (status {found.entry.status}){kept}.")
            return Fetched(found.entry)
        wanted = found.wanted(restore)
        folder = _staging(study)
        check_budget(entry_id, _still_to_come(folder, wanted), folder, max_gb)
        fetching = _Fetching(study, client, found, tell)
        fetching.finish()
        return fetching.files(wanted, progress)


def flag_withdrawn(study: Study, entry: Entry) -> EntryRecord | None:
    """Write into the record that an entry was withdrawn; None where the study has none of it."""
    records = records_of(study)
    if records.read(entry.id) is None:
        return None
    return records.change(entry.id, lambda old: replace(old, withdrawn=True, status=entry.status))


class _Fetching:
    """The files of one entry, one after another."""

    def __init__(self, study: Study, client: EmpiarClient, found: Look, tell: Callable[[str], None]) -> None:
        self.study = study
        self.client = client
        self.found = found
        self.entry = found.entry
        self.tell = tell
        self.records = records_of(study)
        self.result = Fetched(found.entry)

    def finish(self) -> None:
        """Complete what is known of files that lie in the inbox, and whose fetch was killed right after that."""
        for item in self.found.items:
            if item.state != "here":
                continue
            staged, file = _staging(self.study) / item.name, self._record_of(item)
            if file is not None and file.state == "arriving":
                digest = self._put_sidecar(item, staged, inbox_folder(self.study) / item.name, file.sidecar_sha256)
                self._save(item, replace(file, state="here", sidecar_sha256=digest))
            discard(staged)

    def files(self, wanted: tuple[Item, ...], progress: Callable[[Item], Progress] | None) -> Fetched:
        in_a_row = 0
        for number, item in enumerate(wanted, start=1):
            self.tell(f"[{number}/{len(wanted)}] {item.path}  {size_text(item.version.size)}  → {item.key}")
            try:
                self._one(item, None if progress is None else progress(item))
            except ArchiveError as error:
                in_a_row += 1
                self.result.failed.append(str(error))
                if in_a_row >= _MOST_FAILURES:
                    left = len(wanted) - number
                    self.result.failed += [f"{left} further files were not tried."] if left else []
                    break
            except InputError as error:
                self.result.refused.append(str(error))
            else:
                in_a_row = 0
        return self.result

    def _one(self, item: Item, progress: Progress | None) -> None:
        staged = _staging(self.study) / item.name
        version = self._whole(item, staged, progress)
        part = part_of(staged)
        digest = sha256_of(part)
        target = inbox_folder(self.study) / item.name
        old = self._record_of(item)
        file = FileRecord(item.key, item.name, version.size, digest, version.etag, version.last_modified)
        file = replace(file, sidecar_sha256=old.sidecar_sha256 if old is not None else "")
        if target.is_file() and sha256_of(target) == digest:
            self._save(item, file)  # only its marks in the archive changed
            discard(staged)
            return
        if (twin := self._twin(item, part, digest)) is not None:
            problem = f"the same bytes as {twin}"
            self._save(item, replace(file, state="refused", problem=problem))
            discard(staged)
            raise InputError(item.path, f"it has {problem}.", "nothing to do; one of them is enough.")
        self._save(item, replace(file, state="arriving"))
        file = replace(file, sidecar_sha256=self._put_sidecar(item, staged, target, file.sidecar_sha256))
        os.replace(part, target)
        _sync(target.parent)
        self._save(item, file)
        discard(staged)
        self.result.arrived.append(item.key)

    def _whole(self, item: Item, staged: Path, progress: Progress | None) -> Version:
        """Download a file until it holds what its header announces; refused if it never does."""
        for last in (False, True):
            version = self.client.download(self.entry.id, item.path, staged, seen=item.version, progress=progress)
            try:
                check_whole(part_of(staged), item.name)
            except InputError as error:
                digest = sha256_of(part_of(staged))
                discard(staged)  # what is damaged must not be continued
                if last:
                    mark = FileRecord(item.key, item.name, version.size, digest, version.etag, version.last_modified)
                    self._save(item, replace(mark, state="refused", problem=error.problem.rstrip(".")))
                    raise InputError(item.path, error.problem, error.remedy) from error
            else:
                return version
        raise AssertionError("unreachable")

    def _put_sidecar(self, item: Item, staged: Path, target: Path, written: str) -> str:
        """Put the sidecar beside the place of the raw file, unless a person changed it; digest of what was written."""
        content = sidecar_of(self.entry, item.path, item.source, item.header)
        ours = write_sidecar(staged, content)
        digest = sha256_of(ours)
        place = target.with_name(target.name + ".toml")
        if place.is_file() and sha256_of(place) not in (written, digest):
            ours.unlink()
            self.tell(f"{place.name} was changed by hand and is kept.")
            return written
        os.replace(ours, place)
        return digest

    def _twin(self, item: Item, part: Path, digest: str) -> str | None:
        size = part.stat().st_size
        for raw in self.study.inbox.files("tomogram").values():
            # A raw file may also be a folder, which has no bytes of its own.
            same_size = raw.key != item.key and raw.path.is_file() and raw.path.stat().st_size == size
            if same_size and sha256_of(raw.path) == digest:
                return raw.path.name
        return None

    def _record_of(self, item: Item) -> FileRecord | None:
        record = self.records.read(self.entry.id)
        return None if record is None else record.files.get(item.path)

    def _save(self, item: Item, file: FileRecord) -> None:
        self.records.change(self.entry.id, lambda old: old.with_file(item.path, file))


def _seen(old: EntryRecord, found: Look) -> EntryRecord:
    """The record after a look: what the archive says now, and the state of each file."""
    record = old.seen_as(found.entry)
    if found.entry.withdrawn:
        return record
    files = dict(record.files)
    for path in found.gone:
        if files[path].state == "here":
            files[path] = replace(files[path], state="gone")
    for item in found.items:
        if item.path in files and files[item.path].state == "gone":
            files[item.path] = replace(files[item.path], state="here")
    return replace(record, only=found.only, files=files, left_out=found.left_out)


def _staging(study: Study) -> Path:
    """Folder for what arrives: on the disk of the inbox, and overlooked by it."""
    folder = inbox_folder(study) / _STAGING
    if folder.is_symlink():
        raise InputError(folder, "it is a link, and may lead anywhere.", "delete it; it is made again.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _still_to_come(folder: Path, wanted: tuple[Item, ...]) -> int:
    here = (part_of(folder / item.name) for item in wanted)
    arrived = sum(part.stat().st_size for part in here if part.is_file())
    return max(0, sum(item.version.size for item in wanted) - arrived)


def _sync(folder: Path) -> None:
    """Make a rename last through a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
