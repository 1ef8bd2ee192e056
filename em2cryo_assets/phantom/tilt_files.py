"""A simulated tilt series as SerialEM would leave it: stack, tilts and metadata.

Belongs here: ``.mrc`` stack, ``.rawtlt`` and ``.mrc.mdoc``, byte for byte the same for the same series.
Does not belong here: recording (`tilt_series`), single pictures and volumes (`raw_files`).
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.raw_files import write_stack
from em2cryo_assets.phantom.tilt_series import TiltSeries

__all__ = ["mdoc_text", "write_tilt_series"]

_STARTED: Final = datetime(2024, 1, 1, 12, 0, 0)
_SECONDS_A_VIEW: Final = 60
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _stamp(when: datetime) -> str:
    """SerialEM's date, in English whatever the locale."""
    return f"{when.day:02d}-{_MONTHS[when.month - 1]}-{when.year % 100:02d}  {when:%H:%M:%S}"


def mdoc_text(series: TiltSeries, stack_name: str) -> str:
    """Metadata of a series in SerialEM's format.

    The views are numbered in the order in which they were taken. Doses are electrons per Å², pixels Å, underfocus
    negative in µm, angles degrees. The tilt axis runs along the picture's y: "Tilt axis angle" 0, from which
    SerialEM's ``RotationAngle`` differs by 90. Clocks start on 1 January 2024 and a view takes a minute, so that the
    bytes repeat. ``SubFramePath`` is left out: there are no frames.

    Parameters
    ----------
    series : TiltSeries
        The series.
    stack_name : str
        Name of the ``.mrc`` file beside which the text will lie.

    Returns
    -------
    str
        Lines, ended by a line feed alone.
    """
    pixel = f"{10.0 * series.pixel_nm:.6g}"
    _, height, width = series.counts.shape
    each = series.camera.dose_e_per_nm2 / len(series.tilts_deg)
    lines = [
        f"PixelSpacing = {pixel}",
        f"Voltage = {series.camera.voltage_kv:.6g}",
        f"ImageFile = {stack_name}",
        f"ImageSize = {width} {height}",
        "DataMode = 1",
        "",
        f"[T = SerialEM: simulated by em2cryo_assets.phantom     {_stamp(_STARTED)}    ]",
        "",
        "[T =     Tilt axis angle = 0.0, binning = 1  spot = 8  camera = 0]",
        "",
    ]
    for number, i in enumerate(np.argsort(series.ranks)):
        view = series.counts[i]
        fields: dict[str, Any] = {
            "TiltAngle": f"{series.tilts_deg[i]:.6g}",
            "ExposureDose": f"{each / 100.0:.6g}",
            "PriorRecordDose": f"{series.doses_before_e_per_nm2[i] / 100.0:.6g}",
            "PixelSpacing": pixel,
            "SpotSize": 8,
            "Defocus": f"{-series.camera.defocus_um:.6g}",
            "RotationAngle": 90,
            "Binning": 1,
            "CameraIndex": 0,
            "DividedBy2": 0,
            "MinMaxMean": f"{view.min():.0f} {view.max():.0f} {view.mean(dtype=np.float64):.6g}",
            "TargetDefocus": f"{-series.camera.defocus_um:.6g}",
            "DateTime": _stamp(_STARTED + timedelta(seconds=_SECONDS_A_VIEW * number)),
        }
        lines += [f"[ZValue = {number}]", *(f"{key} = {value}" for key, value in fields.items()), ""]
    return "\n".join(lines)


def write_tilt_series(folder: Path, stem: str, series: TiltSeries, *, halves: bool = False) -> list[Path]:
    """Write a series as a microscope would: views in the order in which they were taken.

    Parameters
    ----------
    folder : pathlib.Path
        Existing folder.
    stem : str
        Name without ending.
    series : TiltSeries
        The series.
    halves : bool
        Whether ``<stem>_even.mrc`` and ``<stem>_odd.mrc`` are written too.

    Returns
    -------
    list of pathlib.Path
        ``<stem>.mrc`` (int16 counts), ``<stem>.rawtlt`` (a tilt a line), ``<stem>.mrc.mdoc``, and the halves.

    Raises
    ------
    ValueError
        If a count exceeds what int16 holds.
    """
    order = np.argsort(series.ranks)

    def stack(path: Path, counts: NDArray[np.float32]) -> Path:
        if counts.max() > np.iinfo(np.int16).max:
            raise ValueError(f"{counts.max():.0f} electrons in a pixel do not fit int16; lower the dose.")
        return write_stack(path, counts[order].astype(np.int16), pixel_nm=series.pixel_nm, label="simulated")

    paths = [stack(folder / f"{stem}.mrc", series.counts), folder / f"{stem}.rawtlt", folder / f"{stem}.mrc.mdoc"]
    paths[1].write_bytes("".join(f"{series.tilts_deg[i]:8.2f}\n" for i in order).encode())
    paths[2].write_bytes(mdoc_text(series, paths[0].name).encode())
    if halves:
        paths += [stack(folder / f"{stem}_{name}.mrc", getattr(series, name)) for name in ("even", "odd")]
    return paths
