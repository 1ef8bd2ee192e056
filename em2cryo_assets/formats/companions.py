"""Files that a microscope or an alignment leaves beside an image, a stack or a tomogram.

Belongs here: their endings, and finding them. Does not belong here: reading them (`cryoet.mdoc`,
`cryoet.tilt_series_file`, `formats.sem_companions`), or sidecars (`formats.sidecar`).
"""

import re
from pathlib import Path
from typing import Final

__all__ = [
    "COMPANION_ENDINGS",
    "FOLDER_ENDINGS",
    "IMAGE_COMPANION_ENDINGS",
    "beside",
    "companions",
    "image_companions",
    "names_beside",
]

COMPANION_ENDINGS: Final = (".tlt", ".rawtlt", ".xf", ".mdoc")
"""Refined and recorded tilts, alignment (IMOD), metadata (SerialEM)."""

IMAGE_COMPANION_ENDINGS: Final = (".txt", ".hdr", ".emi")
"""What JEOL and Hitachi, TESCAN, and TIA write beside an image."""

FOLDER_ENDINGS: Final = (".ome.zarr", ".zarr")
"""Raw images that are folders."""

_PACKINGS: Final = (".gz", ".bz2")


def names_beside(name: str, ending: str) -> tuple[str, ...]:
    """Names of a file's companion of one ending: by its own name, its stem, or that of the stack it was made of.

    ``TS_01.mrc.mdoc`` is what SerialEM writes, ``TS_01.mdoc`` what archives hold, and both may lie beside ``TS_01.rec``.
    """
    unpacked = name
    for packing in _PACKINGS:
        unpacked = unpacked.removesuffix(packing)
    stem = unpacked.rsplit(".", 1)[0]
    return tuple(one + ending for one in dict.fromkeys((name, stem, f"{stem}.mrc", f"{stem}.st")))


def beside(path: Path, ending: str) -> Path | None:
    """The companion of one ending, by the first of `names_beside` that is there."""
    names = names_beside(path.name, ending)
    return next((file for one in names if (file := path.with_name(one)).is_file()), None)


def companions(path: Path) -> dict[str, Path]:
    """All companions by ending, in the order of `COMPANION_ENDINGS`."""
    found = ((ending, beside(path, ending)) for ending in COMPANION_ENDINGS)
    return {ending: file for ending, file in found if file is not None}


def image_companions(path: Path) -> dict[str, Path]:
    """What a microscope wrote beside an image, by ending; those of Windows programs in capitals too.

    Beside ``a.tif``: ``a.txt`` of JEOL and Hitachi, ``a-tif.hdr`` or ``a.hdr`` of TESCAN; beside ``a_1.ser``: ``a.emi``.
    The inbox calls them ``a.tif.txt`` and so on, as it does all that belongs to a raw file.
    """
    stem, kind = path.stem, path.suffix.removeprefix(".")
    names = {
        ".txt": (path.name, stem),
        ".hdr": (path.name, f"{stem}-{kind}", stem),
        ".emi": (path.name, re.sub(r"_[1-9]$", "", stem), stem) if kind.lower() == "ser" else (),
    }
    found = {}
    for ending, stems in names.items():
        files = (path.with_name(one + end) for one in stems for end in (ending, ending.upper()))
        there = next((file for file in files if file.is_file()), None)
        if there is not None:
            found[ending] = there
    return found
