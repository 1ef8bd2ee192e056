"""How a scanning micrograph was taken, as far as a shape must know it: tilt, detector, tilt correction.

Belongs here: the order in which sidecar and microscope are believed, and saying where they differ. Does not belong
here: reading either (`formats.sidecar`, `formats.sem_metadata`).
"""

from collections.abc import Mapping
from typing import Final

from em2cryo_assets.formats.sidecar import Sidecar

__all__ = ["exposure"]

_SAME_DEG: Final = 0.5
"""Stages are set to whole degrees and read back to tenths."""


def exposure(tags: Mapping[str, str], sidecar: Sidecar, warnings: list[str]) -> dict[str, float | str | bool | None]:
    """Tilt, detector and tilt correction that count, each with who said it.

    The sidecar comes before the microscope: a person knows of a pre-tilted holder, and what a detector's number means.

    Parameters
    ----------
    tags : mapping
        What the microscope wrote (`sem_metadata.SemMetadata.tags`).
    sidecar : Sidecar
        What the owner recorded.
    warnings : list of str
        Disagreements are added here.

    Returns
    -------
    dict
        tilt_deg, tilt_source, detector, detector_source, tilt_correction (True, False; None where nobody says).
    """
    written = float(tags["tilt_deg"]) if "tilt_deg" in tags else None
    tilt, tilt_source = (sidecar.tilt_deg, "sidecar") if sidecar.tilt_deg is not None else (written, "microscope")
    if sidecar.tilt_deg is not None and written is not None and abs(sidecar.tilt_deg - written) > _SAME_DEG:
        warnings.append(
            f"The sidecar gives a tilt of {sidecar.tilt_deg:g}°, the microscope {written:g}°; the sidecar's was kept."
        )
    by_tag = tags.get("detector")
    detector, detector_source = (sidecar.detector, "sidecar") if sidecar.detector else (by_tag, "microscope")
    if sidecar.detector and by_tag and sidecar.detector.casefold() != by_tag.casefold():
        warnings.append(f"The sidecar calls the detector {sidecar.detector!r}, the microscope {by_tag!r}.")
    corrected = {"on": True, "off": False}.get(tags.get("tilt_correction", ""))
    if corrected and tilt:
        warnings.append(f"Tilt correction was on at {tilt:g}°: the picture is stretched across the axis of tilt.")
    return {
        "tilt_deg": tilt,
        "tilt_source": None if tilt is None else tilt_source,
        "detector": detector or None,
        "detector_source": detector_source if detector else None,
        "tilt_correction": corrected,
    }
