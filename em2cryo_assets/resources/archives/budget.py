"""Whether there is room for what would come.

Belongs here: the check before the first byte. Does not belong here: what to do when a disk fills meanwhile (`download`).
"""

import shutil
from pathlib import Path
from typing import Final

from em2cryo_assets.formats.errors import InputError

__all__ = ["GB", "check_budget", "free_bytes", "size_text"]

GB: Final = 10**9

_SPARE: Final = 1 * GB
_WITH_STORE: Final = 2
"""Each tomogram lies on the disk twice: as it came, and as OME-Zarr in the store (compressed, but with its pyramid)."""


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


def check_budget(entry: str, to_fetch: int, folder: Path, max_gb: float | None) -> None:
    """Refuse a download that would be larger than allowed or than the disk can take.

    Parameters
    ----------
    entry : str
        Accession, for the message.
    to_fetch : int
        Bytes still to come.
    folder : pathlib.Path
        Where they go.
    max_gb : float or None
        Largest download, GB (10⁹ bytes); None for no other limit than the disk.

    Raises
    ------
    InputError
        With both numbers.
    """
    if max_gb is not None and to_fetch > max_gb * GB:
        raise InputError(
            entry,
            f"its tomograms are {size_text(to_fetch)}, and at most {max_gb:g} GB were allowed.",
            "choose some with --only, or allow more with --max-gb (max_gb in empiar.toml).",
        )
    free = free_bytes(folder)
    if to_fetch and to_fetch * _WITH_STORE + _SPARE > free:
        raise InputError(
            entry,
            f"its tomograms are {size_text(to_fetch)}, their copies in the store may be as large, and the disk has "
            f"{size_text(free)} free.",
            "make room, or choose some with --only.",
        )


def size_text(size: int) -> str:
    """A number of bytes for people, in decimal units as disks are sold."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
