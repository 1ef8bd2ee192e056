"""Bringing the tomograms of an entry into the inbox of a study.

Belongs here: the order of operations that survives being killed at any point, and the record of what came.
Does not belong here: what is to come (`item`), how an archive is asked (`empiar`, `cryoet_portal`), or one download
(`download`).

What lies where, and in which order; for EMPIAR::

    inbox/tomogram/.empiar/<name>.part    1. the bytes, until they are whole and fit their header
    empiar/EMPIAR-NNNNN.json              2. "arriving", with the digest of those bytes
    inbox/tomogram/<name>.toml            3. the sidecar
    inbox/tomogram/<name>.mdoc            4. companions
    inbox/tomogram/<name>                 5. the raw file, by a rename on the same disk: it makes the key
    empiar/EMPIAR-NNNNN.json              6. "here"
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.resources.archives.budget import check_budget, size_text
from em2cryo_assets.resources.archives.download import Progress, Version, discard, part_of
from em2cryo_assets.resources.archives.item import (
    ArchiveEntry,
    Companion,
    Item,
    Look,
    Source,
    digest_of,
    inbox_folder,
    records_in,
    refuse_simulated,
)
from em2cryo_assets.resources.archives.record import CompanionRecord, EntryRecord, FileRecord, Records
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.study import Study

__all__ = ["Fetched", "fetch_from", "flag_withdrawn"]

_MOST_FAILURES: Final = 3
"""Files in a row that cannot be had before the archive counts as down."""


@dataclass
class Fetched:
    """What fetching an entry did.

    Parameters
    ----------
    entry : ArchiveEntry
        As the archive has it now.
    arrived : list of str
        Keys of new and changed tomograms, also of those that got a new or changed companion.
    refused : list of str
        Files that are damaged or doubled, in a sentence each.
    failed : list of str
        Files that could not be had now, in a sentence each; asked again later, they may come.
    """

    entry: ArchiveEntry
    arrived: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def fetch_from(
    source: Source,
    study: Study,
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
    source : Source
        The entry.
    study : Study
        Where it goes.
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
    entry_id = source.entry_id
    refuse_simulated(study, entry_id)
    records = records_in(study, source)
    with records.only_one(entry_id):
        found = source.look(study, only)
        known = records.read(entry_id) is not None
        record = records.change(entry_id, lambda old: _seen(old, found))
        if found.entry.withdrawn:
            kept = f"; its {len(record.files)} files are kept" if known else ""
            tell(f"{entry_id} was withdrawn from the archive (status {found.entry.status}){kept}.")
            return Fetched(found.entry)
        fetching = _Fetching(study, source, found, tell)
        wanted = found.wanted(restore)
        fetching.check_room(wanted, max_gb)
        fetching.finish()
        return fetching.files(wanted, progress)


def flag_withdrawn(records: Records, entry: ArchiveEntry) -> EntryRecord | None:
    """Write into the record that an entry was withdrawn; None where the study has none of it."""
    if records.read(entry.id) is None:
        return None
    return records.change(entry.id, lambda old: replace(old, withdrawn=True, status=entry.status))


class _Fetching:
    """The files of one entry, one after another."""

    def __init__(self, study: Study, source: Source, found: Look, tell: Callable[[str], None]) -> None:
        self.study = study
        self.source = source
        self.found = found
        self.entry = found.entry
        self.tell = tell
        self.records = records_in(study, source)
        self.inbox = inbox_folder(study)
        self.staging = _staging(self.inbox / f".{source.records_folder}")
        self.result = Fetched(found.entry, failed=list(found.failed))

    def still_to_come(self, wanted: tuple[Item, ...]) -> int:
        """Bytes of the wanted files that no earlier fetch has left here."""
        total = 0
        for item in wanted:
            parts = [(one, self._staged(item, one)) for one in item.parts if one.state != "here"]
            total += sum(max(0, one.version.size - _bytes_in(part_of(staged))) for one, staged in parts)
        return total

    def check_room(self, wanted: tuple[Item, ...], max_gb: float | None) -> None:
        """Refuse what is too much, and note how much it was: a sensor tries again once there is room."""
        coming = self.still_to_come(wanted)
        try:
            check_budget(self.entry.id, coming, self.staging, max_gb)
        except InputError:
            self.records.change(self.entry.id, lambda old: replace(old, refused_bytes=coming))
            raise
        self.records.change(self.entry.id, lambda old: replace(old, refused_bytes=0))

    def finish(self) -> None:
        """Complete what is known of files that lie in the inbox, and whose fetch was killed right after that."""
        for item in self.found.items:
            for one in item.companions:
                if one.state == "here":
                    discard(self._staged(item, one))
            if item.state != "here":
                continue
            staged, file = self._staged(item), self._record_of(item)
            if file is not None and file.state == "arriving":
                digest = self._put_sidecar(item, staged, self.inbox / item.name, file.sidecar_sha256)
                self._save(item, replace(file, state="here", sidecar_sha256=digest))
            discard(staged)

    def files(self, wanted: tuple[Item, ...], progress: Callable[[Item], Progress] | None) -> Fetched:
        in_a_row = 0
        for number, item in enumerate(wanted, start=1):
            coming = [one for one in item.parts if one.state != "here"]
            beside = "".join(f" {one.ending}" for one in coming if isinstance(one, Companion))
            size = size_text(sum(one.version.size for one in coming))
            self.tell(f"[{number}/{len(wanted)}] {item.path}  {size}  → {item.key}" + (f" with{beside}" * bool(beside)))
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
        target = self.inbox / item.name
        if item.state == "here":
            if self._companions(item, target):
                self.result.arrived.append(item.key)
            return
        staged = self._staged(item)
        version = self._whole(item, staged, progress)
        part = part_of(staged)
        digest = digest_of(part)
        old = self._record_of(item)
        file = FileRecord(item.key, item.name, version.size, digest, version.etag, version.last_modified)
        if old is not None:
            file = replace(file, sidecar_sha256=old.sidecar_sha256, companions=old.companions)
        if target.exists() and digest_of(target) == digest:
            self._save(item, file)  # only its marks in the archive changed
            discard(staged)
            if self._companions(item, target):
                self.result.arrived.append(item.key)
            return
        if (twin := self._twin(item, part, digest)) is not None:
            problem = f"the same bytes as {twin}"
            self._save(item, replace(file, state="refused", problem=problem))
            discard(staged)
            raise InputError(item.path, f"it has {problem}.", "nothing to do; one of them is enough.")
        self._save(item, replace(file, state="arriving"))
        self._companions(item, target)
        kept = self._record_of(item)
        file = replace(file, companions=kept.companions if kept is not None else {})
        file = replace(file, sidecar_sha256=self._put_sidecar(item, staged, target, file.sidecar_sha256))
        _put(part, target)
        self._save(item, file)
        discard(staged)
        self.result.arrived.append(item.key)

    def _whole(self, item: Item, staged: Path, progress: Progress | None) -> Version:
        """Download a tomogram until it holds what it announces; refused if it never does."""
        for last in (False, True):
            version = self.source.bring(item, staged, progress)
            try:
                self.source.check(item, part_of(staged))
            except InputError as error:
                digest = digest_of(part_of(staged))
                discard(staged)  # what is damaged must not be continued
                if last:
                    mark = FileRecord(item.key, item.name, version.size, digest, version.etag, version.last_modified)
                    self._save(item, replace(mark, state="refused", problem=error.problem.rstrip(".")))
                    raise InputError(item.path, error.problem, error.remedy) from error
            else:
                return version
        raise AssertionError("unreachable")

    def _companions(self, item: Item, target: Path) -> bool:
        """Put the companions that are wanted beside the place of the raw file; whether one of them changed there."""
        changed = False
        for one in item.companions:
            staged = self._staged(item, one)
            place = target.with_name(target.name + one.ending)
            file = self._record_of(item)
            written = file.companions[one.ending].sha256 if file is not None and one.ending in file.companions else ""
            try:
                version = self.source.bring_companion(one, staged)
            except ArchiveError:
                raise
            except InputError as error:  # the tomogram is of use without it
                self.result.refused.append(str(error))
                marks = (one.version.size, "", one.version.etag, one.version.last_modified)
                self._save_companion(item, one.ending, CompanionRecord(one.path, *marks, problem=error.problem))
                discard(staged)
                continue
            digest = digest_of(part_of(staged))
            if place.is_file() and digest_of(place) not in (written, digest):
                self.tell(f"{place.name} was changed by hand and is kept.")
                digest = written
            elif not place.is_file() or digest_of(place) != digest:
                os.replace(part_of(staged), place)
                changed = True
            marks = (version.size, digest, version.etag, version.last_modified)
            self._save_companion(item, one.ending, CompanionRecord(one.path, *marks))
            discard(staged)
        return changed

    def _put_sidecar(self, item: Item, staged: Path, target: Path, written: str) -> str:
        """Put the sidecar beside the place of the raw file, unless a person changed it; digest of what was written."""
        ours = write_sidecar(staged, self.source.sidecar(item, self.entry))
        digest = digest_of(ours)
        place = target.with_name(target.name + ".toml")
        if place.is_file() and digest_of(place) not in (written, digest):
            ours.unlink()
            self.tell(f"{place.name} was changed by hand and is kept.")
            return written
        os.replace(ours, place)
        return digest

    def _twin(self, item: Item, part: Path, digest: str) -> str | None:
        size = _bytes_in(part)
        for raw in self.study.inbox.files("tomogram").values():
            same = raw.key != item.key and raw.path.is_dir() == part.is_dir() and _bytes_in(raw.path) == size
            if same and digest_of(raw.path) == digest:
                return raw.path.name
        return None

    def _staged(self, item: Item, companion: Item | Companion | None = None) -> Path:
        ending = companion.ending if isinstance(companion, Companion) else ""
        return self.staging / (item.name + ending)

    def _record_of(self, item: Item) -> FileRecord | None:
        record = self.records.read(self.entry.id)
        return None if record is None else record.files.get(item.path)

    def _save(self, item: Item, file: FileRecord) -> None:
        self.records.change(self.entry.id, lambda old: old.with_file(item.path, file))

    def _save_companion(self, item: Item, ending: str, companion: CompanionRecord) -> None:
        def with_it(old: EntryRecord) -> EntryRecord:
            file = old.files[item.path]
            return old.with_file(item.path, replace(file, companions={**file.companions, ending: companion}))

        self.records.change(self.entry.id, with_it)


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


def _staging(folder: Path) -> Path:
    """Folder for what arrives: on the disk of the inbox, and overlooked by it."""
    if folder.is_symlink():
        raise InputError(folder, "it is a link, and may lead anywhere.", "delete it; it is made again.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _put(part: Path, target: Path) -> None:
    """Move what arrived to its place, for good."""
    if target.is_dir():  # a folder is never replaced in one step; killed in between, it is fetched from what is here
        old = part.with_name(part.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
        os.replace(part, target)
        shutil.rmtree(old)
    else:
        os.replace(part, target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)  # makes the rename last through a power failure
    finally:
        os.close(handle)


def _bytes_in(path: Path) -> int:
    """Bytes of a file or of all files of a folder; 0 where there is none."""
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    return path.stat().st_size if path.is_file() else 0
