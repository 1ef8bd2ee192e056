"""Which voxel size is believed: that of the file, of the sidecar, or of the microscope's record beside it.

Belongs here: the order of the opinions, and saying where they differ. Does not belong here: reading any of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from em2cryo_assets.cryoet.mdoc import read_mdoc
from em2cryo_assets.cryoet.raw_volume import RawVolume
from em2cryo_assets.formats.companions import beside
from em2cryo_assets.formats.errors import InputError

if TYPE_CHECKING:
    from em2cryo_assets.formats.sidecar import Sidecar

__all__ = ["believed_voxel"]

Sides = tuple[float, float, float]

_SAME: Final = 0.01
"""Relative difference below which two sides are one: programs write three or four digits."""
_BINNINGS: Final = range(1, 17)


def believed_voxel(
    path: Path, raw: RawVolume, sidecar: Sidecar, warnings: list[str], fallbacks: list[str]
) -> tuple[Sides, str]:
    """Voxel size of a raw volume, and who said so.

    The file is believed before the sidecar, and the sidecar before the pixel size of a ``.mdoc``, as reconstructions
    are often binned after the mdoc was written. Every difference of more than 1 % is told.

    Parameters
    ----------
    path : pathlib.Path
        The raw file, beside which a ``.mdoc`` is looked for.
    raw : RawVolume
        With `voxel_nm` None where the file says nothing.
    sidecar : Sidecar
        With `voxel_size_nm` None where it says nothing.
    warnings, fallbacks : list of str
        Differences and assumptions are added here.

    Returns
    -------
    voxel_nm : tuple of float
        Along z, y, x, nm.
    source : str
        "MRC header" or as the reader calls it, "sidecar" or "mdoc".

    Raises
    ------
    InputError
        If nobody says a voxel size.
    """
    given = sidecar.voxel_size_nm
    declared = None if given is None else _three(given)
    recorded, assumed = _recorded(path, raw)
    if raw.voxel_nm is not None:
        believed, source = raw.voxel_nm, raw.source
        if declared is not None and _differ(believed, declared):
            warnings.append(
                f"The sidecar gives voxels of {_text(declared)} nm (z, y, x), the {source} {_text(believed)} nm; the "
                "latter was kept."
            )
    elif declared is not None:
        believed, source = declared, "sidecar"
    elif recorded is not None:
        fallbacks.append(assumed)
        return _three(recorded), "mdoc"
    else:
        raise InputError(
            path,
            "the file holds no voxel size (0 or 1 angstrom means that nobody wrote one).",
            f"Write voxel_size_nm = ... (in nm) into {path.name}.toml beside it.",
        )
    if recorded is not None and not any(abs(believed[2] / (recorded * b) - 1) <= _SAME for b in _BINNINGS):
        warnings.append(
            f"The mdoc beside it gives pixels of {recorded:.4g} nm, of which the {believed[2]:.4g} nm by the {source} "
            "are no multiple; the latter were kept."
        )
    if max(believed) > (1 + _SAME) * min(believed):
        warnings.append(f"The voxel sides differ: {_text(believed)} nm (z, y, x).")
    return believed, source


def _recorded(path: Path, raw: RawVolume) -> tuple[float | None, str]:
    """Voxel side by a mdoc, with the sentence that says what was assumed; None without one.

    Reconstructions keep the field of view, so that the width of the images over that of the volume is the binning.
    """
    file = beside(path, ".mdoc")
    mdoc = None if file is None else read_mdoc(file)
    if mdoc is None or mdoc.pixel_nm is None:
        return None, ""
    said = f"The voxel size is that of the images by {mdoc.path.name}, {mdoc.pixel_nm:.4g} nm"
    width = raw.array.shape[raw.axes[2]]
    for side in mdoc.image_px or ():
        binning = round(side / width)
        if binning in _BINNINGS and abs(side / width - binning) < 0.02:
            times = "unbinned" if binning == 1 else f"binned {binning} times"
            return mdoc.pixel_nm * binning, f"{said}, {times}: the images are {side} pixels wide, the volume {width}."
    return mdoc.pixel_nm, f"{said}; whether the volume was binned is not known. If so, write voxel_size_nm."


def _three(sides: float | tuple[float, ...]) -> Sides:
    return (sides[0], sides[1], sides[2]) if isinstance(sides, tuple) else (sides, sides, sides)


def _differ(one: Sides, other: Sides) -> bool:
    return any(abs(a / b - 1) > _SAME for a, b in zip(one, other, strict=True))


def _text(sides: Sides) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)
