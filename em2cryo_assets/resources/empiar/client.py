"""EMPIAR as this project uses it: entries, search, files of an entry, headers, downloads.

Belongs here: one method a question. Does not belong here: patience (`http`), what is wanted (`choose`), or the study
(`look`, `fetch`).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.download import Progress, Version, download, version_of
from em2cryo_assets.resources.archives.http import Http, MissingError
from em2cryo_assets.resources.empiar.archive import Archive, check_entry_id
from em2cryo_assets.resources.empiar.entries import Entry, parse_entries, parse_entry
from em2cryo_assets.resources.empiar.header import HEADER_BYTES, PEEK_GZIP_BYTES, VolumeHeader, parse_header
from em2cryo_assets.resources.empiar.listing import Listing, walk

__all__ = ["BLOCK", "EmpiarClient", "FoundPage"]

BLOCK: Final = 500
"""Entries that one look-up of many asks for at most."""

_MOST_JSON: Final = 128 * 2**20
_MOST_HTML: Final = 64 * 2**20


@dataclass(frozen=True)
class FoundPage:
    """One page of a search.

    Parameters
    ----------
    hits : int
        Entries that fit the query in all.
    ids : tuple of str
        Accessions on this page.
    """

    hits: int
    ids: tuple[str, ...]


class EmpiarClient:
    """Questions to one archive; close it, or use it as a context manager.

    Parameters
    ----------
    archive : Archive
        Which archive.
    deadline_s : float, optional
        Seconds from now after which every question fails.
    http : Http, optional
        The connection, where a test brings its own.
    """

    def __init__(self, archive: Archive, *, deadline_s: float | None = None, http: Http | None = None) -> None:
        self.archive = archive
        self.http = http or Http(archive, deadline_s=deadline_s)

    def __enter__(self) -> "EmpiarClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.__exit__()

    def entry(self, entry: str) -> Entry:
        """Look up one entry.

        Raises
        ------
        MissingError
            If the archive has none of this name.
        ArchiveError, InputError
            If it cannot be asked, or answers in an unknown format.
        """
        url = self.archive.entry_url(entry)
        try:
            return parse_entry(entry, self._json(url))
        except MissingError:
            raise MissingError(entry, "the archive has no such entry.", "check the accession.") from None

    def block(self, first: int, last: int) -> tuple[dict[str, Entry], list[str]]:
        """Look up all entries with numbers from `first` to `last`; also a sentence for each unreadable one."""
        return self._many(f"{first}-{last}")

    def entries(self, ids: Iterable[str]) -> tuple[dict[str, Entry], list[str]]:
        """Look up some entries at once, `BLOCK` at most; also a sentence for each unreadable one."""
        return self._many(", ".join(check_entry_id(one).removeprefix("EMPIAR-") for one in ids))

    def search(self, query: str, start: int, size: int = 100) -> FoundPage:
        """One page of the entries that fit a query.

        Raises
        ------
        InputError
            If the answer has another format than known.
        """
        answer = self._json(self.archive.search_url(query, start, size))
        try:
            hits, found = int(answer["hitCount"]), [str(one["id"]) for one in answer["entries"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "search", f"the answer lacks 'hitCount' or 'entries[].id' ({error!r}).", "report it, with this line."
            ) from error
        ids = [one if one.startswith("EMPIAR-") else f"EMPIAR-{one}" for one in found]
        return FoundPage(hits, tuple(check_entry_id(one) for one in ids))

    def files(self, entry: str, skip: Callable[[str], str | None]) -> Listing:
        """All files of an entry, as paths below its folder; `skip` gives the reason not to open a folder."""

        def page(url: str) -> str:
            reply = self.http.read(url, most=_MOST_HTML)
            return reply.body.decode("utf-8", errors="replace")

        return walk(self.archive.folder_url(entry), page, skip)

    def url_of(self, entry: str, path: str) -> str:
        """Address of a file of an entry."""
        return self.archive.folder_url(entry) + quote(path)

    def header(self, entry: str, path: str) -> tuple[Version, VolumeHeader | InputError]:
        """Version and header of a tomogram, from its first bytes only; an error for what is no volume.

        Raises
        ------
        MissingError, ArchiveError
            If the file cannot be asked for.
        """
        most = PEEK_GZIP_BYTES if path.lower().endswith(".gz") else HEADER_BYTES
        version, start = self._start(entry, path, most)
        try:
            return version, parse_header(path.rpartition("/")[2], start)
        except InputError as error:
            return version, error

    def version(self, entry: str, path: str) -> Version:
        """Version of a file that is no tomogram.

        Raises
        ------
        MissingError, ArchiveError, InputError
            If the file cannot be asked for.
        """
        return self._start(entry, path, 1)[0]

    def download(
        self, entry: str, path: str, target: Path, *, seen: Version | None = None, progress: Progress | None = None
    ) -> Version:
        """Bring a file of an entry into ``<target>.part``; see `download.download`."""
        return download(self.http, self.url_of(entry, path), target, seen=seen, progress=progress)

    def _start(self, entry: str, path: str, most: int) -> tuple[Version, bytes]:
        """Version and first bytes of a file."""
        url = self.url_of(entry, path)

        def version_and_start() -> tuple[Version, bytes]:
            reply = self.http.read(url, most=most, headers={"Range": f"bytes=0-{most - 1}"}, only_first=True)
            return version_of(url, reply.status, reply.headers), reply.body

        return self.http.patiently(version_and_start)

    def _many(self, numbers: str) -> tuple[dict[str, Entry], list[str]]:
        reply = self.http.read(
            self.archive.entries_url,
            most=_MOST_JSON,
            method="POST",
            body=numbers.encode("ascii"),
            headers={"Content-Type": "text/plain"},
        )
        return parse_entries(_decoded(reply.url, reply.body))

    def _json(self, url: str) -> Any:
        return _decoded(url, self.http.read(url, most=_MOST_JSON).body)


def _decoded(url: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(
            url.rstrip("/"), f"the archive answered something that is no JSON ({error}).", "try again later; report it."
        ) from error
