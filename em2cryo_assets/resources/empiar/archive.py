"""Where EMPIAR is reached.

Belongs here: its addresses and accessions. Loads no HTTP library, so that the code location may import it.
Does not belong here: asking anything (`archives.http`), or what an answer means (`entries`, `listing`).

Entry look-ups and search live on one host of the EBI, the files on another; a mirror or a test has all three under one
address.
"""

import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.server import Origin, Server, address_in, origin_of

__all__ = ["Archive", "archive_at", "check_entry_id"]

_API: Final = "https://www.ebi.ac.uk"
_FILES: Final = "https://ftp.ebi.ac.uk"
_VARIABLE: Final = "EM2CRYO_EMPIAR_URL"
_ENTRY: Final = re.compile(r"EMPIAR-(\d{5,7})")


@dataclass(frozen=True)
class Archive(Server):
    """One EMPIAR: the real one, a mirror or a stand-in.

    Parameters
    ----------
    api, files : str
        Addresses without a trailing slash: of look-ups and search, and of the files.
    """

    api: str = _API
    files: str = _FILES

    @property
    def origins(self) -> frozenset[Origin]:
        """EBI's own two hosts and those named."""
        return frozenset(origin_of(one) for one in (_API, _FILES, self.api, self.files))

    @property
    def variable(self) -> str:
        """Names a mirror."""
        return _VARIABLE

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
    url = address_in(os.environ, _VARIABLE, url)
    return Archive(api=url, files=url) if url else Archive()


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
