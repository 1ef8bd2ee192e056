"""Keys for the tomograms of an entry.

Belongs here: from keys that an archive would give to keys that no two files share. Does not belong here: the rules for
keys (`partitions`).
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping

from em2cryo_assets.partitions import check_slug, slugify

__all__ = ["plain_key", "unique_keys"]

_LONGEST = 90


def plain_key(prefix: str, path: str, stem: str) -> str:
    """``<prefix>-<stem>``, with part of a digest of the path where the stem holds nothing usable."""
    try:
        slug = slugify(stem[:_LONGEST])
    except ValueError:
        slug = _digest(path)
    return f"{prefix}-{slug}"


def unique_keys(plain: Mapping[str, str], *, known: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """Key of each path: the plain one, with part of a digest of the path where that is not enough.

    Parameters
    ----------
    plain : Mapping of str to str
        Plain key by path.
    known : Mapping of str to str
        Keys that paths already have; they keep them.
    taken : collection of str
        Keys of other files of the study.
    """
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


def _marked(key: str, path: str) -> str:
    mark = _digest(path)
    return check_slug(f"{key[: _LONGEST - len(mark) - 1].rstrip('-_')}-{mark}")


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:8]
