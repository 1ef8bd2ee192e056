"""EMPIAR as one of the archives that tomograms are fetched from.

Belongs here: what `archives.fetch` asks of an archive, answered by the client. Does not belong here: the order in which
files come (`archives.fetch`), or which files they are (`look`, `choose`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from em2cryo_assets.resources.archives.download import Progress, Version
from em2cryo_assets.resources.archives.fetch import Fetched, fetch_from
from em2cryo_assets.resources.archives.item import ArchiveEntry, Companion, Item, Look
from em2cryo_assets.resources.empiar.archive import check_entry_id
from em2cryo_assets.resources.empiar.choose import sidecar_of
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.entries import Entry
from em2cryo_assets.resources.empiar.header import check_whole
from em2cryo_assets.resources.empiar.look import FOLDER, look
from em2cryo_assets.resources.study import Study

__all__ = ["EmpiarSource", "fetch"]


class EmpiarSource:
    """One entry of EMPIAR as something to fetch; see `archives.item.Source`.

    Parameters
    ----------
    client : EmpiarClient
        The archive.
    entry_id : str
        Accession.
    """

    records_folder = FOLDER

    def __init__(self, client: EmpiarClient, entry_id: str) -> None:
        self.client = client
        self.entry_id = check_entry_id(entry_id)

    def look(self, study: Study, only: str | None = None) -> Look:
        """What the entry holds and what of it would come."""
        return look(study, self.client, self.entry_id, only)

    def bring(self, item: Item, staged: Path, progress: Progress | None) -> Version:
        """Download a tomogram."""
        return self.client.download(self.entry_id, item.path, staged, seen=item.version, progress=progress)

    def bring_companion(self, companion: Companion, staged: Path) -> Version:
        """Download a companion."""
        return self.client.download(self.entry_id, companion.path, staged, seen=companion.version)

    def check(self, item: Item, part: Path) -> None:
        """Refuse a file that holds less than its header announces, or a damaged gzip stream."""
        check_whole(part, item.name)

    def sidecar(self, item: Item, entry: ArchiveEntry) -> dict[str, Any]:
        """Content of the sidecar."""
        assert isinstance(entry, Entry)
        return sidecar_of(entry, item.path, item.source, item.what)


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
    """Fetch what is new or changed of an entry of EMPIAR; see `archives.fetch.fetch_from`."""
    source = EmpiarSource(client, entry_id)
    return fetch_from(source, study, only=only, max_gb=max_gb, restore=restore, tell=tell, progress=progress)
