"""Files that a microscope or an alignment leaves beside a stack or a tomogram.

Belongs here: their endings, and finding them. Does not belong here: reading them (`cryoet.mdoc`,
`cryoet.tilt_series_file`), or sidecars (`formats.sidecar`).
"""

from pathlib import Path
from typing import Final

__all__ = ["COMPANION_ENDINGS", "FOLDER_ENDINGS", "beside", "companions"]

COMPANION_ENDINGS: Final = (".tlt", ".rawtlt", ".xf", ".mdoc")
"""Refined and recorded tilts, alignment (IMOD), metadata (SerialEM)."""

FOLDER_ENDINGS: Final = (".ome.zarr", ".zarr")
"""Raw images that are folders."""

_PACKINGS: Final = (".gz", ".bz2")


def beside(path: Path, ending: str) -> Path | None:
    """The companion of one ending: by the file's own name, its stem, or that of the stack it was made of.

    ``TS_01.mrc.mdoc`` is what SerialEM writes, ``TS_01.mdoc`` what archives hold, and both may lie beside ``TS_01.rec``.
    """
    name = path.name
    for packing in _PACKINGS:
        name = name.removesuffix(packing)
    stem = name.rsplit(".", 1)[0]
    names = dict.fromkeys((path.name, stem, f"{stem}.mrc", f"{stem}.st"))
    return next((file for one in names if (file := path.with_name(one + ending)).is_file()), None)


def companions(path: Path) -> dict[str, Path]:
    """All companions by ending, in the order of `COMPANION_ENDINGS`."""
    found = ((ending, beside(path, ending)) for ending in COMPANION_ENDINGS)
    return {ending: file for ending, file in found if file is not None}
