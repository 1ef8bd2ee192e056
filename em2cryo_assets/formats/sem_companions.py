"""Text files that JEOL, Hitachi and TESCAN microscopes write beside an image.

Belongs here: telling whose a file is, and its pixel size, tilt, detector, voltage and working distance. Does not
belong here: finding it (`formats.companions`), or tags inside images (`formats.sem_metadata`).

None of the three says whether tilt correction was on.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from em2cryo_assets.formats.companions import image_companions
from em2cryo_assets.formats.sem_metadata import SemMetadata, as_tags, ini_sections, number, sides, tescan_metadata
from em2cryo_assets.formats.units import nm_per

__all__ = ["read_sem_companions"]

_LARGEST_BYTES: Final = 1 << 20
_QUANTITY: Final = re.compile(r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([^\s0-9,;]*)")
_STEEPEST: Final = 90.0


def read_sem_companions(path: Path) -> list[SemMetadata]:
    """Read what lies beside an image and is of a microscope; a text that is none, such as notes, is left alone.

    Parameters
    ----------
    path : pathlib.Path
        The image.

    Returns
    -------
    list of SemMetadata
        One for each file, ``.txt`` before ``.hdr``.
    """
    found = []
    for ending, file in image_companions(path).items():
        if ending == ".emi":
            continue
        text = _text(file)
        if text is None:
            continue
        if ending == ".txt" and re.search(r"^\$+[A-Z]+_", text, re.MULTILINE):
            found.append(_jeol(file, text))
        elif ending == ".txt" and text.lstrip().startswith("[SemImageFile]"):
            found.append(_hitachi(file, ini_sections(text).get("SemImageFile", {})))
        elif ending == ".hdr" and (sections := ini_sections(text)).get("MAIN", {}).get("PixelSizeX"):
            found.append(tescan_metadata(sections, f"TESCAN header {file.name}"))
    return found


def _text(file: Path) -> str | None:
    """Its text, in the encodings that such programs use; None for what is too large to be one of theirs."""
    if file.stat().st_size > _LARGEST_BYTES:
        return None
    content = file.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _jeol(file: Path, text: str) -> SemMetadata:
    """``$CM_NAME value`` a line, ``$$SM_NAME value`` for what the scanning unit adds; a name may come with any sign."""
    words: dict[str, str] = {}
    for line in text.splitlines():
        name, *value = line.split(maxsplit=1)[:2] or [""]
        if name.startswith("$"):
            words.setdefault(name.lstrip("$"), "".join(value).strip())
    size = [int(n) for n in re.findall(r"\d+", words.get("CM_IMAGE_SIZE") or words.get("CM_FULL_SIZE", ""))][:2]
    made = SemMetadata(
        f"JEOL text {file.name}",
        image_px=(size[1], size[0]) if len(size) == 2 else None,
        tags=as_tags(
            voltage_kv=number(words.get("CM_ACCEL_VOLT")),
            working_distance_mm=number(words.get("SM_WD")),
            detector=words.get("FE_DETECTOR_NAME") or words.get("CM_SIGNAL"),
            magnification=number(words.get("CM_MAG")),
        ),
    )
    made.size_nm = _jeol_field(words, size) or _jeol_bar(words, made)
    tilt = _jeol_tilt(words, made)
    made.tags |= as_tags(tilt_deg=tilt)
    return made


def _jeol_field(words: Mapping[str, str], size: list[int]) -> tuple[float, float] | None:
    across, down = _lengths_nm(words.get("CM_FIELD_OF_VIEW", ""), 2)
    if len(size) < 2 or min(size) == 0 or across is None or down is None:
        return None
    return sides(down / size[1], across / size[0])


def _jeol_bar(words: Mapping[str, str], made: SemMetadata) -> tuple[float, float] | None:
    bar_px = number(words.get("SM_MICRON_BAR"))
    (marker,) = _lengths_nm(words.get("SM_MICRON_MARKER", ""), 1)
    if bar_px is None or bar_px < 1 or marker is None:
        return None
    if bar_px < 50:
        made.warnings.append(f"The pixel size in {made.source} rests on a bar of {bar_px:g} whole pixels.")
    return sides(marker / bar_px, marker / bar_px)


def _jeol_tilt(words: Mapping[str, str], made: SemMetadata) -> float | None:
    """Tilt by ``T=`` of CM_STAGE_POSITION; CM_STAGE_POS names no axes, and which of two angles it is, no source says."""
    named = re.search(r"\bT\s*=\s*([-+0-9.eE]+)", words.get("CM_STAGE_POSITION", ""))
    if named is not None:
        return number(named[1])
    angles = words.get("CM_STAGE_POS", "").split()[3:5]
    if len(angles) < 2:
        return None
    if all(number(angle) == 0 for angle in angles):
        return 0.0
    made.warnings.append(
        f"$CM_STAGE_POS in {made.source} gives {' and '.join(angles)} degrees and not which of them is the tilt: "
        "write tilt_deg into the sidecar."
    )
    return None


def _hitachi(file: Path, words: Mapping[str, str]) -> SemMetadata:
    """``[SemImageFile]``: the pixel in nm, volts, micrometres; the tilt is taken for degrees, as it has no unit."""
    side = number(words.get("PixelSize"))
    size = [int(n) for n in re.findall(r"\d+", words.get("DataSize", ""))][:2]
    made = SemMetadata(
        f"Hitachi text {file.name}",
        sides(side, side),
        (size[1], size[0]) if len(size) == 2 else None,
        tags=as_tags(
            voltage_kv=_quantity(words.get("AcceleratingVoltage"), {"volt": 1e-3, "v": 1e-3, "kv": 1.0}),
            working_distance_mm=_quantity(words.get("WorkingDistance"), {"um": 1e-3, "µm": 1e-3, "mm": 1.0}),
            detector=words.get("SignalName"),
            magnification=number(words.get("Magnification")),
        ),
    )
    tilt = number(words.get("StagePositionT"))
    if tilt is not None and abs(tilt) <= _STEEPEST:
        made.tags |= as_tags(tilt_deg=tilt)
        if tilt:
            made.warnings.append(f"The tilt in {made.source}, {tilt:g}, has no unit and was taken for degrees.")
    return made


def _quantity(text: str | None, units: Mapping[str, float]) -> float | None:
    match = _QUANTITY.match((text or "").strip())
    return None if match is None or match[2].lower() not in units else float(match[1]) * units[match[2].lower()]


def _lengths_nm(text: str, count: int) -> list[float | None]:
    """The first lengths in a text, nm; a number without a unit is none."""
    found: list[float | None] = []
    for value, unit in _QUANTITY.findall(text):
        per = nm_per(unit)
        found.append(None if per is None else float(value) * per)
    return [*found, *[None] * count][:count]
