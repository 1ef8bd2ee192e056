"""Names of assets and keys as names of folders.

Belongs here: what a key may look like and the reversible way from a key to a folder name.
Does not belong here: turning file names into slugs, or which keys a study has.
"""

import re

__all__ = ["checked_asset", "folder_of_key", "key_of_folder"]

_ASSET = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_UNPARTITIONED = "_"  # no slug starts with an underscore, so this cannot be a key


def checked_asset(asset: str) -> str:
    """Return `asset` unchanged if it is safe as a folder name.

    Raises
    ------
    ValueError
        If it is not a letter followed by letters, digits and underscores.
    """
    if not _ASSET.fullmatch(asset):
        raise ValueError(f"Asset name {asset!r} is not a letter followed by letters, digits or underscores.")
    return asset


def folder_of_key(key: str | None) -> str:
    """Folder name of a partition key.

    Parameters
    ----------
    key : str or None
        A slug ``[A-Za-z0-9][A-Za-z0-9_-]*``, two of them joined by ``|``, or None.

    Returns
    -------
    str
        The slug; ``a@b`` for ``a|b`` (``|`` is awkward in shells and forbidden on Windows); ``_`` for None.

    Raises
    ------
    ValueError
        If the key could leave its folder or collide with another key's folder.
    """
    if key is None:
        return _UNPARTITIONED
    parts = key.split("|")
    if len(parts) > 2 or not all(_SLUG.fullmatch(part) for part in parts):
        raise ValueError(
            f"Key {key!r} is not usable: letters, digits, '-' and '_' only, starting with a letter or digit, "
            "at most 100 characters; a pair is two such keys joined by '|'."
        )
    return "@".join(parts)


def key_of_folder(folder: str) -> str | None:
    """Inverse of `folder_of_key`."""
    return None if folder == _UNPARTITIONED else folder.replace("@", "|")
