"""Where EMPIAR is reached and how patiently it is asked.

Belongs here: addresses, the hosts that may be spoken to, limits. Loads no HTTP library, so that the code location may
import it. Does not belong here: asking anything (`http`), or what an answer means (`entries`, `listing`).

Entry look-ups and search live on one host of the EBI, the files on another; a mirror or a test has all three under one
address.
"""

import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from em2cryo_assets.formats.errors import InputError

__all__ = ["Archive", "ArchiveError", "Origin", "archive_at", "check_entry_id", "origin_of"]

_API: Final = "https://www.ebi.ac.uk"
_FILES: Final = "https://ftp.ebi.ac.uk"
_ENTRY: Final = re.compile(r"EMPIAR-(\d{5,7})")
_PORTS: Final = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class ArchiveError(InputError):
    """The archive did not answer as it should; asked again later, it may.

    Everything else that is wrong with an entry or a file is a plain `InputError`: waiting does not mend it.
    """

    def __reduce__(self) -> tuple[type[InputError], tuple[object, str, str]]:  # type: ignore[override]
        """Survive the trip between processes as what it is."""
        return (ArchiveError, (self.file, self.problem, self.remedy))


@dataclass(frozen=True)
class Archive:
    """One EMPIAR: the real one, a mirror or a stand-in.

    Parameters
    ----------
    api, files : str
        Addresses without a trailing slash: of look-ups and search, and of the files.
    attempts : int
        How often in a row a request may fail, or a download may fail without a new byte, before it is given up.
    backoff_s, longest_wait_s : float
        First wait after a failure, doubled each time, and the longest, seconds. An archive that names a time
        (Retry-After) is given that time; one that names a longer time is given up for now.
    timeout_s : float
        Silence after which a connection counts as dead, seconds.
    interval_s : float
        Least time between two requests, seconds.
    """

    api: str = _API
    files: str = _FILES
    attempts: int = 6
    backoff_s: float = 1.0
    longest_wait_s: float = 300.0
    timeout_s: float = 60.0
    interval_s: float = 0.1

    @property
    def origins(self) -> frozenset[Origin]:
        """The only places that may be spoken to; a redirect to any other is refused."""
        return frozenset(origin_of(one) for one in (_API, _FILES, self.api, self.files))

    @property
    def entries_url(self) -> str:
        """Look-up of many entries (POST) and, with an accession behind it, of one."""
        return f"{self.api}/empiar/api/entry/"

    def entry_url(self, entry: str) -> str:
        """Look-up of one entry."""
        return f"{self.entries_url}{check_entry_id(entry)}/"

    def search_url(self, query: str, start: int, size: int) -> str:
        """One page of search results."""
        fields = {"query": query, "format": "json", "size": size, "start": start, "fields": "title,release_date"}
        return f"{self.api}/ebisearch/ws/rest/empiar?{urlencode(fields)}"

    def folder_url(self, entry: str) -> str:
        """Folder of an entry's files, with a trailing slash."""
        return f"{self.files}/empiar/world_availability/{check_entry_id(entry).removeprefix('EMPIAR-')}/"


def archive_at(url: str = "") -> Archive:
    """The archive at an address; empty means what ``EM2CRYO_EMPIAR_URL`` names, else the real one.

    Raises
    ------
    InputError
        If it is no http or https address.
    """
    url = (url or os.environ.get("EM2CRYO_EMPIAR_URL", "")).strip().rstrip("/")
    if not url:
        return Archive()
    try:
        origin_of(url)
    except ValueError as error:
        raise InputError(
            "EM2CRYO_EMPIAR_URL", f"{url!r} is no address.", "write it like https://mirror.example.org, or unset it."
        ) from error
    return Archive(api=url, files=url)


def check_entry_id(entry: str) -> str:
    """Return an accession unchanged.

    Raises
    ------
    InputError
        If it is not ``EMPIAR-`` and five to seven digits.
    """
    if not _ENTRY.fullmatch(entry):
        raise InputError(entry, "this is no accession of EMPIAR.", "write it like EMPIAR-10227.")
    return entry


def origin_of(url: str) -> Origin:
    """Scheme, host and port of an address.

    Raises
    ------
    ValueError
        If it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is neither http nor https.")
    return parts.scheme, parts.hostname.lower(), parts.port or _PORTS[parts.scheme]
