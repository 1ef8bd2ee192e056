"""What an electron microscopist records beside a raw file, as TOML.

Belongs here: the fields, their checks, reading and writing ``<file name>.toml``.
Does not belong here: metadata inside image files (`formats.image`, `cryoet.mrc`).
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from em2cryo_assets.formats.errors import InputError

__all__ = ["MODALITIES", "Sidecar", "read_sidecar", "write_sidecar"]

MODALITIES: Final = (
    "sem", "tem", "lamella", "cryo-section", "overview", "soft-x-ray", "fib-sem",
)  # fmt: skip
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "modality": MODALITIES,
    "sampling": ("random", "selected"),
    "contrast": ("dark-is-dense", "bright-is-dense"),
}
_POSITIVE: Final = ("pixel_size_nm", "voxel_size_nm", "live_cell_diameter_um", "section_thickness_nm")
_IDENTITIES: Final = ("block", "cell")
_LARGEST_BYTES: Final = 1 << 20
_LENGTHS_NM: Final = (1e-3, 1e8)
"""Beyond these a length "in nm" is in another unit: smaller than an atom, larger than a specimen stub."""


@dataclass(frozen=True)
class Sidecar:
    """All that a sidecar can say; None where it is silent.

    Parameters
    ----------
    pixel_size_nm : float or None
        Pixel side of an image, nm.
    voxel_size_nm : float, tuple of float or None
        Voxel side, or sides along z, y, x, nm.
    scale_bar : str or None
        What the burnt-in scale bar stands for, such as ``"5 um"``.
    modality : str or None
        One of `MODALITIES`.
    tilt_deg : float or None
        Stage tilt of an SEM image, degrees.
    tilts_deg : tuple of float or None
        Tilts of a tilt series, degrees.
    live_cell_diameter_um : float or None
        Mean diameter of living cells of the strain, µm: undoes drying.
    section_thickness_nm : float or None
        Thickness of a TEM section, or of the slab that a tilt series shows, nm.
    compression : float or None
        Share by which the knife shortened a section along its path, 0 where it is known that it did not.
    block, cell : str or None
        Identity of the resin block and of the cell: the independent units.
    sampling : str or None
        ``random`` or ``selected`` sections.
    contrast : str or None
        ``dark-is-dense`` or ``bright-is-dense``.
    denoised : bool or None
        Whether a denoiser or a wedge-filling network touched the volume.
    simulated : bool or None
        Whether the file is simulated.
    strain, medium, detector, coating, fixation, drying, resin, halves, licence, source, notes : str or None
        Recorded and shown.
    unknown : tuple of str
        Names in the file that are not fields.
    """

    pixel_size_nm: float | None = None
    voxel_size_nm: float | tuple[float, ...] | None = None
    scale_bar: str | None = None
    modality: str | None = None
    tilt_deg: float | None = None
    tilts_deg: tuple[float, ...] | None = None
    live_cell_diameter_um: float | None = None
    section_thickness_nm: float | None = None
    compression: float | None = None
    block: str | None = None
    cell: str | None = None
    sampling: str | None = None
    contrast: str | None = None
    denoised: bool | None = None
    simulated: bool | None = None
    strain: str | None = None
    medium: str | None = None
    detector: str | None = None
    coating: str | None = None
    fixation: str | None = None
    drying: str | None = None
    resin: str | None = None
    halves: str | None = None
    licence: str | None = None
    source: str | None = None
    notes: str | None = None
    unknown: tuple[str, ...] = ()


_NUMBERS: Final = (*_POSITIVE, "tilt_deg", "compression")
_FLAGS: Final = ("denoised", "simulated")
_LISTS: Final = ("tilts_deg",)
_NAMES: Final = tuple(field.name for field in fields(Sidecar) if field.name != "unknown")


def read_sidecar(raw_path: Path) -> Sidecar:
    """Read ``<file name>.toml`` beside a raw file; an empty record if there is none.

    Raises
    ------
    InputError
        If it is not TOML, or a field has an impossible value.
    """
    path = raw_path.with_name(raw_path.name + ".toml")
    if not path.is_file():
        return Sidecar()
    if path.stat().st_size > _LARGEST_BYTES:
        raise InputError(path, "it is larger than 1 MiB.", "a sidecar holds a few lines; is it another file?")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors begin with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, f"it is not TOML ({error}).", "correct that line.") from error
    known = {name: _checked(path, name, value) for name, value in given.items() if name in _NAMES}
    return Sidecar(**known, unknown=tuple(sorted(set(given) - set(_NAMES))))


def write_sidecar(raw_path: Path, content: Mapping[str, Any]) -> Path:
    """Write ``<file name>.toml``; returns its path.

    Raises
    ------
    InputError
        If a field is unknown or impossible. None is left out.
    """
    path = raw_path.with_name(raw_path.name + ".toml")
    lines = []
    for name, value in content.items():
        if name not in _NAMES:
            raise InputError(path, f"{name!r} is not a field of a sidecar.", f"known are {', '.join(_NAMES)}.")
        if value is None:
            continue
        _checked(path, name, list(value) if isinstance(value, tuple) else value)
        lines.append(f"{name} = {_toml(value)}\n")
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def _checked(path: Path, name: str, value: Any) -> Any:
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise InputError(path, f"{name} = {value!r} is not true or false.", "write true or false, unquoted.")
        return value
    if name in _LISTS or (name == "voxel_size_nm" and isinstance(value, list)):
        if not isinstance(value, list) or not value or not all(_is_number(v) for v in value):
            raise InputError(path, f"{name} is not a list of numbers.", f"write {name} = [-60, -57, …].")
        if name == "voxel_size_nm" and (len(value) != 3 or min(value) <= 0):
            raise InputError(path, f"{name} = {value!r} is not three positive sides.", "give z, y, x in nm.")
        for number in value:
            _check_range(path, name, float(number))
        return tuple(float(v) for v in value)
    if name in _NUMBERS:
        if not _is_number(value) or (name in _POSITIVE and value <= 0):
            raise InputError(path, f"{name} = {value!r} is not a positive number.", "write a plain number, unquoted.")
        _check_range(path, name, float(value))
        return float(value)
    if name in _IDENTITIES and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # people number their blocks and cells
    if not isinstance(value, str):
        raise InputError(path, f"{name} = {value!r} is not text.", 'put it into quotes: "…".')
    if name in _CHOICES and value not in _CHOICES[name]:
        raise InputError(path, f"{name} = {value!r} is not known.", f"use one of {', '.join(_CHOICES[name])}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _check_range(path: Path, name: str, value: float) -> None:
    if name.endswith("_nm") and not _LENGTHS_NM[0] <= value <= _LENGTHS_NM[1]:
        raise InputError(path, f"{name} = {value:g} is no length in nanometres.", "convert it to nm.")
    if name == "compression" and not 0 <= value <= 0.6:
        raise InputError(path, f"{name} = {value:g} is not possible.", "give the share that was lost, 0 to 0.6.")
    if name in ("tilt_deg", "tilts_deg") and abs(value) > 90:
        raise InputError(path, f"{name}: {value:g} is no tilt.", "give degrees between -90 and 90.")


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # JSON's strings, numbers and flags are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
