"""What fetching an entry of EMPIAR would bring, before anything is fetched.

Belongs here: comparing the archive with the record and the inbox of a study, file by file, each with a state or a reason.
Does not belong here: writing anything (`archives.fetch`), or the rules for what a tomogram is (`choose`).
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from em2cryo_assets.formats.companions import COMPANION_ENDINGS, names_beside
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.http import EmptyError, MissingError
from em2cryo_assets.resources.archives.item import (
    Companion,
    Item,
    Look,
    State,
    fits,
    inbox_folder,
    known_keys,
    state_of,
)
from em2cryo_assets.resources.archives.record import EntryRecord, FileRecord, LeftOut, Records
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.empiar.choose import (
    ending_of,
    is_series,
    not_a_companion,
    not_a_series,
    not_by_header,
    not_by_name,
    skip_folder,
)
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.entries import Entry
from em2cryo_assets.resources.empiar.keys import keys_of
from em2cryo_assets.resources.study import Study

__all__ = ["FOLDER", "entry_or_withdrawn", "look", "records_of"]

FOLDER: Final = "empiar"
"""Folder of the records in a study."""

_NOT_THERE: Final = "NOT FOUND"


def records_of(study: Study) -> Records:
    """The records of a study."""
    return Records(study.root / FOLDER)


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
    reasons = _reasons(entry, listing.files)
    candidates = [path for path, reason in reasons.items() if reason is None]
    keys = _keys(study, client, entry_id, candidates, record)
    known = record.files if record is not None else {}
    looking = _Looking(study, client, entry_id, frozenset(listing.files))
    items: list[Item] = []
    for path in candidates:
        if not fits(path, only):
            reasons[path] = f"not among {only!r}"
            continue
        found = looking.candidate(path, keys[path], known.get(path))
        if isinstance(found, Item):
            items.append(found)
        else:
            reasons[path] = found
    taken = {one.path for item in items for one in item.companions}
    left = [(path, reason) for path, reason in (reasons | looking.refused).items() if reason and path not in taken]
    folders = [LeftOut(path, 0, f"not opened: {reason}") for path, reason in listing.skipped]
    gone = tuple(sorted(set(known) - set(listing.files)))
    return Look(entry, only, tuple(items), (*folders, *_summary(left)), gone, tuple(looking.failed))


def _reasons(entry: Entry, paths: tuple[str, ...]) -> dict[str, str | None]:
    """Reason why a file is no tomogram, for each; tilt series count only where there is no reconstruction."""
    reasons = {path: not_by_name(entry, path) for path in paths}
    if None not in reasons.values():
        beside = set(paths)
        reasons |= {path: not_a_series(entry, path, beside) for path in paths if is_series(path)}
    return reasons


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
    sources = [(path, f"{entry_id} {urlsplit(client.url_of(entry_id, path)).path}") for path in candidates]
    known, taken = known_keys(study, sources, record)
    return keys_of(entry_id, candidates, known=known, taken=taken)


class _Looking:
    """The files of one entry, one after another.

    `refused` are companions that are not to come, and why; `failed` are tomograms that the archive does not give.
    """

    def __init__(self, study: Study, client: EmpiarClient, entry_id: str, files: frozenset[str]) -> None:
        self.study = study
        self.client = client
        self.entry_id = entry_id
        self.files = files
        self.refused: dict[str, str] = {}
        self.failed: list[str] = []

    def candidate(self, path: str, key: str, file: FileRecord | None) -> Item | str:
        """The item, or the reason why it is none."""
        try:
            version, header = self.client.header(self.entry_id, path)
        except MissingError:
            return "named in the index of the archive, and not there"
        except EmptyError:
            return "an empty file in the archive"
        except ArchiveError:
            raise
        except InputError as error:  # one file that may not be read holds up none of the others
            self.failed.append(str(error))
            return error.problem.rstrip(".")
        if isinstance(header, InputError):
            return header.problem.rstrip(".")
        if (reason := not_by_header(path, header, version.size)) is not None:
            return reason
        if file is not None and file.state == "refused" and file.version == version:
            return file.problem
        name = key + (ending_of(path) or PurePosixPath(path).suffix.lower())
        return Item(
            path,
            urlsplit(self.client.url_of(self.entry_id, path)).path,
            key,
            name,
            version,
            header.shape,
            header.voxel_nm,
            state_of(self.study, name, version, file),
            tuple(self._companions(path, name, file)),
            what=header,
        )

    def _companions(self, path: str, name: str, file: FileRecord | None) -> Iterable[Companion]:
        """What lies beside a tomogram, by the names by which it would be found beside a file of one's own."""
        here = PurePosixPath(path)
        for ending in COMPANION_ENDINGS:
            names = (str(here.with_name(one)) for one in names_beside(here.name, ending))
            beside = next((one for one in names if one in self.files), None)
            if beside is None:
                continue
            known = file.companions.get(ending) if file is not None else None
            try:
                version = self.client.version(self.entry_id, beside)
            except MissingError:
                self.refused[beside] = "named in the index of the archive, and not there"
                continue
            except InputError as error:
                self.refused[beside] = error.problem.rstrip(".")
                continue
            if (reason := not_a_companion(version.size)) is not None:
                self.refused[beside] = reason
                continue
            same = known is not None and known.path == beside and known.version == version
            if known is not None and same and known.problem:
                self.refused[beside] = known.problem.rstrip(".")
                continue
            there = (inbox_folder(self.study) / (name + ending)).is_file()
            state: State = "new" if known is None else "changed" if not same else "here" if there else "deleted"
            yield Companion(beside, ending, version, state)


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
