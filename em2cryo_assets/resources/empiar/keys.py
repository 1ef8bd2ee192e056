"""Keys for the tomograms of an entry of EMPIAR.

Belongs here: what of a path goes into a key. Does not belong here: making keys differ (`archives.keys`).
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from em2cryo_assets.resources.archives.keys import plain_key, unique_keys
from em2cryo_assets.resources.empiar.archive import check_entry_id
from em2cryo_assets.resources.empiar.choose import ending_of

__all__ = ["keys_of"]


def keys_of(entry: str, paths: Iterable[str], *, known: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """Key of each path: ``empiar-NNNNN-<stem>``, made unique by `archives.keys.unique_keys`.

    Parameters
    ----------
    entry : str
        Accession.
    paths : iterable of str
        Paths below the folder of the entry.
    known : Mapping of str to str
        Keys that paths already have; they keep them.
    taken : collection of str
        Keys of other files of the study.
    """
    prefix = f"empiar-{check_entry_id(entry).removeprefix('EMPIAR-')}"
    plain = {path: plain_key(prefix, path, _stem(PurePosixPath(path).name)) for path in paths}
    return unique_keys(plain, known=known, taken=taken)


def _stem(name: str) -> str:
    return name[: len(name) - len(ending_of(name) or PurePosixPath(name).suffix)]
