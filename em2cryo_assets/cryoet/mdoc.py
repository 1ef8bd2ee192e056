"""What SerialEM wrote beside a tilt series.

Belongs here: the fields of a ``.mdoc`` that bear on a reconstruction: pixel size, tilts, direction of the tilt axis.
Does not belong here: finding it (`formats.companions`), the tilt series itself, or which of several opinions is kept
(:mod:`em2cryo_assets.cryoet.voxel`, :mod:`em2cryo_assets.cryoet.tilt_series_file`).

A person may have edited the file, and a program may have cut it: what is no number is no opinion, and `Mdoc.problem`
says why its tilts must not be used. So the same reader serves who needs the tilts and who only looks for a pixel size.

Format: https://bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mdoc", "read_mdoc"]

_SECTION: Final = re.compile(r"^\[(ZValue|FrameSet|MontSection|Image)\s*=\s*(.*?)\s*\]$")
_FIELD: Final = re.compile(r"^(\w+)\s*=\s*(.*)$")
_AXIS: Final = re.compile(r"Tilt axis angle\s*=\s*(-?[\d.]+)")
_LARGEST_BYTES: Final = 1 << 22


@dataclass(frozen=True)
class Mdoc:
    """One file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    pixel_nm : float or None
        Pixel side of the recorded images, nm; None where none is written that could be one: 0, and as in a header 1
        angstrom, mean that nobody knew it.
    image_px : tuple of int or None
        Their width and height, px.
    axis_deg : float or None
        Direction of the tilt axis (SerialEM's "Tilt axis angle"), degrees.
    tilts_deg : numpy.ndarray, float64, shape (n,)
        Of the views in the order of the stack, degrees; empty where none is recorded.
    problem : str
        Why the tilts must not be used; empty if they may.
    """

    path: Path
    pixel_nm: float | None = None
    image_px: tuple[int, int] | None = None
    axis_deg: float | None = None
    tilts_deg: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    problem: str = ""


def read_mdoc(path: Path) -> Mdoc:
    """Read a ``.mdoc``; what it does not say, or says in no usable way, is None or empty.

    Fields before the first section count for all views, and so does the first of each name that a section gives.
    """
    with path.open("rb") as stream:
        text = stream.read(_LARGEST_BYTES + 1).decode("latin-1")
    first: dict[str, str] = {}
    sections: list[tuple[str, dict[str, str]]] = []
    for line in (one.strip() for one in text.splitlines()):
        if (match := _SECTION.match(line)) is not None:
            sections.append((match.group(2), {}))
        elif (match := _FIELD.match(line)) is not None:
            name, value = match.group(1), match.group(2).strip()
            first.setdefault(name, value)
            if sections:
                sections[-1][1].setdefault(name, value)
    axis = _AXIS.search(text)
    tilts, problem = _tilts(sections)
    if not sections and "PixelSpacing" not in first:
        problem = "it has neither a section nor a pixel size"
    if len(text) > _LARGEST_BYTES:
        problem = "it is larger than 4 MiB"
    return Mdoc(
        path,
        _pixel_nm(first.get("PixelSpacing", "")),
        _size(first.get("ImageSize", "")),
        _number(axis.group(1)) if axis is not None else None,
        tilts,
        problem,
    )


def _tilts(sections: list[tuple[str, dict[str, str]]]) -> tuple[NDArray[np.float64], str]:
    """Tilts in the order of the sections' numbers, and what is wrong with them."""
    given = [(_number(number), _number(fields["TiltAngle"])) for number, fields in sections if "TiltAngle" in fields]
    if not given:
        return np.empty(0), ""
    if len(given) < len(sections):
        return np.empty(0), f"{len(sections) - len(given)} of its {len(sections)} views have no TiltAngle"
    numbers, tilts = zip(*given, strict=True)
    if None in tilts or None in numbers:
        return np.empty(0), "a ZValue or TiltAngle in it is no number"
    order = np.argsort(np.asarray(numbers, dtype=np.float64), kind="stable")
    return np.asarray(tilts, dtype=np.float64)[order], ""


def _pixel_nm(value: str) -> float | None:
    angstrom = _number(value)
    return None if angstrom is None or not 0 < angstrom < 1e6 or angstrom == 1.0 else angstrom / 10.0


def _size(value: str) -> tuple[int, int] | None:
    sides = [int(side) for side in value.split() if side.isdecimal()]
    return (sides[0], sides[1]) if len(sides) == 2 and min(sides) > 0 else None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
