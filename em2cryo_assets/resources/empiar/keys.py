"""Keys for the tomograms of an entry.

Belongs here: from a path in the archive to a key that no other path has. Does not belong here: the rules for keys
(`partitions`).
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from em2cryo_assets.partitions import check_slug, slugify
from em2cryo_assets.resources.empiar.archive import check_entry_id
from em2cryo_assets.resources.empiar.choose import ending_of

__all__ = ["keys_of"]

_LONGEST = 90


def keys_of(entry: str, paths: Iterable[str], *, known: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """Key of each path: ``empiar-NNNNN-<stem>``, with part of a digest of the path where that is not enough.

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
    plain = {path: _plain(entry, path) for path in paths}
    # File systems of some computers take upper and lower case for the same.
    used = Counter(key.lower() for path, key in plain.items() if path not in known)
    reserved = {key.lower() for key in (*taken, *known.values())}
    return {
        path: known[path]
        if path in known
        else key
        if used[key.lower()] == 1 and key.lower() not in reserved and len(key) <= _LONGEST
        else _marked(key, path)
        for path, key in plain.items()
    }


def _plain(entry: str, path: str) -> str:
    name = PurePosixPath(path).name
    prefix = f"empiar-{check_entry_id(entry).removeprefix('EMPIAR-')}"
    stem = name[: -len(ending_of(name) or "")]
    try:
        slug = slugify(stem[:_LONGEST])
    except ValueError:  # nothing usable in the name
        slug = _digest(path)
    return f"{prefix}-{slug}"


def _marked(key: str, path: str) -> str:
    mark = _digest(path)
    return check_slug(f"{key[: _LONGEST - len(mark) - 1].rstrip('-_')}-{mark}")


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:8]
