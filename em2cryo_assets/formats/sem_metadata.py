"""What scanning electron microscopes write into their TIFF files about an exposure.

Belongs here: Thermo/FEI, Zeiss SmartSEM and TESCAN tags, and the one form in which all vendors' words are kept.
Does not belong here: files beside the image (`formats.sem_companions`), or which opinion counts
(`formats.image`, `formats.exposure`).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from em2cryo_assets.formats.units import nm_per

__all__ = [
    "TESCAN_TAG",
    "SemMetadata",
    "as_tags",
    "fei_metadata",
    "ini_sections",
    "number",
    "sides",
    "tescan_metadata",
    "zeiss_metadata",
]

TESCAN_TAG: Final = 50431
"""Private TIFF tag in which TESCAN keeps what its ``.hdr`` files hold."""

_ZEISS_TILTS: Final = ("ap_stage_at_t", "ap_tilt_angle")
_ZEISS_DETECTORS: Final = ("dp_detector_type", "dp_detector_channel")


@dataclass
class SemMetadata:
    """What a microscope says about one image.

    Parameters
    ----------
    source : str
        Who says it, as shown to people.
    size_nm : tuple of float or None
        (y, x) sides of a pixel, nm.
    image_px : tuple of int or None
        (rows, columns) of the image that `size_nm` was measured on, data bar left out; either may be 0 for unknown.
    bar_rows : int or None
        Rows of the data bar below the image; None where the microscope does not say.
    tags : dict of str to str
        voltage_kv, working_distance_mm, tilt_deg, tilt_correction ("on", "off"), detector, magnification, dwell_s.
    warnings : list of str
        What could not be made out.
    """

    source: str
    size_nm: tuple[float, float] | None = None
    image_px: tuple[int, int] | None = None
    bar_rows: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def as_tags(**values: float | str | bool | None) -> dict[str, str]:
    """Values as they are recorded: numbers in six digits, flags as on and off, nothing for what was not said."""
    words = {}
    for name, value in values.items():
        if isinstance(value, bool):
            words[name] = "on" if value else "off"
        elif isinstance(value, int | float) and math.isfinite(value):
            words[name] = f"{value:.6g}"
        elif isinstance(value, str) and value.strip():
            words[name] = value.strip()
    return words


def number(value: Any, factor: float = 1.0) -> float | None:
    """A number in whatever form a header gives it, times a factor; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        read = float(value) * factor
    except (TypeError, ValueError):
        return None
    return read if math.isfinite(read) else None


def sides(down: float | None, across: float | None) -> tuple[float, float] | None:
    """Both sides of a pixel if both are known and positive."""
    return (down, across) if down is not None and across is not None and min(down, across) > 0 else None


def _flag(value: Any) -> bool | None:
    known = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False, "0": False}
    return known.get(str(value).strip().lower())


def fei_metadata(fei: Mapping[str, Any], height: int) -> SemMetadata:
    """Tags 34680 and 34682 of Thermo/FEI, as tifffile parses them: metres, volts, radians.

    Parameters
    ----------
    fei : mapping
        Section to name to value.
    height : int
        Rows of the image in the file, data bar included.
    """
    scan, image = fei.get("EScan") or fei.get("Scan") or {}, fei.get("Image") or {}
    beam, stage, detectors = fei.get("EBeam") or {}, fei.get("Stage") or {}, fei.get("Detectors") or {}
    rows, columns = image.get("ResolutionY"), image.get("ResolutionX")
    return SemMetadata(
        "Thermo/FEI tags",
        sides(number(scan.get("PixelHeight"), 1e9), number(scan.get("PixelWidth"), 1e9)),
        (0, columns) if isinstance(columns, int) else None,
        height - rows if isinstance(rows, int) and 0 < rows <= height else None,
        as_tags(
            voltage_kv=number(beam.get("HV"), 1e-3),
            working_distance_mm=number(beam.get("WD"), 1e3),
            tilt_deg=number(stage.get("StageT"), 180 / math.pi),
            tilt_correction=_flag(beam.get("TiltCorrectionIsOn")),
            detector=detectors.get("Name"),
            dwell_s=number(scan.get("Dwell")),
        ),
    )


def zeiss_metadata(zeiss: Mapping[str, Any], width: int) -> SemMetadata:
    """Tag 34118 of Zeiss SmartSEM, as tifffile parses it: name to (caption, value, unit).

    ``Image Pixel Size`` is that of the file. Old versions lack it: the fourth of the unnamed numbers is then the pixel
    size in metres of the image on the screen, 1,024 pixels wide (as RosettaSciIO reads it).

    Parameters
    ----------
    zeiss : mapping
        By lower-case name.
    width : int
        Columns of the image in the file.
    """
    side = _zeiss_length(zeiss, "ap_image_pixel_size", 1.0)
    unnamed: tuple[Any, ...] = zeiss.get("") or ()
    if side is None and len(unnamed) > 3 and (on_screen := number(unnamed[3], 1e9)) is not None:
        side = on_screen * 1024 / width
    stored = str(_zeiss(zeiss, "dp_image_store") or "").split("*")
    size = [int(part) for part in stored if part.strip().isdigit()]
    return SemMetadata(
        "Zeiss tags",
        sides(side, side),
        (0, size[0]) if len(size) == 2 else None,  # the data zone is drawn into the image
        None,
        as_tags(
            voltage_kv=next((kv for name in ("ap_actualkv", "ap_manualkv") if (kv := _zeiss_kv(zeiss, name))), None),
            working_distance_mm=_zeiss_length(zeiss, "ap_wd", 1e-6),
            tilt_deg=next((t for name in _ZEISS_TILTS if (t := number(_zeiss(zeiss, name))) is not None), None),
            tilt_correction=_flag(_zeiss(zeiss, "dp_tilt_correction")),
            detector=next((str(d) for name in _ZEISS_DETECTORS if (d := _zeiss(zeiss, name))), None),
            magnification=str(_zeiss(zeiss, "ap_mag") or "") or None,
        ),
    )


def _zeiss(zeiss: Mapping[str, Any], name: str) -> Any:
    entry: Any = zeiss.get(name)
    if entry is None and name == "dp_tilt_correction":
        # Its name has differed between versions; its caption has not.
        entry = next((e for e in zeiss.values() if e and str(e[0]).startswith("Tilt Corrn")), None)
    return None if entry is None or len(entry) < 2 else entry[1]


def _zeiss_length(zeiss: Mapping[str, Any], name: str, factor: float) -> float | None:
    entry = zeiss.get(name)
    if not isinstance(entry, tuple) or len(entry) < 3 or (per := nm_per(str(entry[2]))) is None:
        return None
    return number(entry[1], per * factor)


def _zeiss_kv(zeiss: Mapping[str, Any], name: str) -> float | None:
    entry = zeiss.get(name)
    if not isinstance(entry, tuple) or len(entry) < 3:
        return None
    return number(entry[1], {"kV": 1.0, "V": 1e-3}.get(str(entry[2]), math.nan))


def ini_sections(text: str) -> dict[str, dict[str, str]]:
    """Sections of a text in the form of an INI file; what stands before a first header is in "MAIN".

    Lines that are no ``name = value``, such as those of a note, are passed over; configparser stumbles over them.
    """
    sections: dict[str, dict[str, str]] = {}
    section = "MAIN"
    for line in text.splitlines():
        header = re.fullmatch(r"\s*\[([^\]]+)\]\s*", line)
        if header is not None:
            section = header[1].strip()
            continue
        name, equals, value = line.partition("=")
        if equals and name.strip():
            sections.setdefault(section, {}).setdefault(name.strip(), value.strip())
    return sections


def tescan_metadata(sections: Mapping[str, Mapping[str, str]], source: str) -> SemMetadata:
    """A TESCAN header, from its ``.hdr`` file or from tag 50431: metres, volts, degrees; tilt correction is not in it.

    Parameters
    ----------
    sections : mapping
        "MAIN" and "SEM", each name to value.
    source : str
        Who says it.
    """
    main = {**sections.get("SEM", {}), **sections.get("FIB", {}), **sections.get("MAIN", {})}
    strip = number(main.get("ImageStripSize"))
    return SemMetadata(
        source,
        sides(number(main.get("PixelSizeY"), 1e9), number(main.get("PixelSizeX"), 1e9)),
        None,
        int(strip) if strip is not None and strip >= 0 else None,
        as_tags(
            voltage_kv=number(main.get("HV"), 1e-3),
            working_distance_mm=number(main.get("WD"), 1e3),
            tilt_deg=number(main.get("StageTilt")),
            detector=main.get("Detector") or main.get("Detector0"),
            magnification=number(main.get("Magnification")),
            dwell_s=number(main.get("DwellTime")),
        ),
    )
