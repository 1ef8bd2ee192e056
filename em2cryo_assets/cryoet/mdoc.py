"""The pixel size that SerialEM wrote beside a tilt series.

Belongs here: the two fields of a ``.mdoc`` that bear on the voxel size of a reconstruction.
Does not belong here: finding it (`formats.companions`), the tilt series itself, or which of several opinions is kept
(:mod:`em2cryo_assets.cryoet.voxel`).

Format: https://bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MdocPixel", "mdoc_pixel"]

_FIELD = re.compile(r"^\s*(PixelSpacing|ImageSize)\s*=\s*([-+.\deE]+)(?:\s+(\d+))?\s*$", re.MULTILINE)
_READ_BYTES = 2**16
"""Both fields stand at the top or in the first section."""


@dataclass(frozen=True)
class MdocPixel:
    """Pixel side of the recorded images, nm, and their sides in pixels, (width, height), where they are given."""

    pixel_nm: float
    image_px: tuple[int, int] | None


def mdoc_pixel(mdoc: Path) -> MdocPixel | None:
    """Pixel size by an ``.mdoc``; None if it has no usable ``PixelSpacing``."""
    with mdoc.open("rb") as stream:
        text = stream.read(_READ_BYTES).decode("latin-1").replace("\r\n", "\n")
    found: dict[str, tuple[str, str]] = {}
    for name, first, second in _FIELD.findall(text):
        found.setdefault(name, (first, second))
    try:
        angstrom = float(found["PixelSpacing"][0])
        width, height = (int(n) for n in found.get("ImageSize", ("0", "0")))
    except (KeyError, ValueError):
        return None
    if not 0 < angstrom < 1e6 or angstrom in (0.0, 1.0):  # as in a header, 1 angstrom means that nobody wrote one
        return None
    return MdocPixel(angstrom / 10.0, (width, height) if width > 0 and height > 0 else None)
