"""Simulated pictures as the raw files that instruments leave behind.

Belongs here: PNG, TIFF with Thermo/FEI tags and MRC, byte for byte the same for the same pixels.
Does not belong here: reading them (`formats`, `cryoet.mrc`), what is in them (`study`), the metadata of a tilt series
(`tilt_files`).
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_fei_tiff", "write_mrc", "write_png", "write_stack"]

_FEI_TAG = 34682


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write an 8-bit grey PNG; returns the path."""
    from PIL import Image

    Image.fromarray(pixels).save(path, compress_level=9)
    return path


def write_fei_tiff(
    path: Path, pixels: NDArray[np.uint8], *, pixel_size_nm: float, data_bar_rows: int, stage_tilt_deg: float
) -> Path:
    """Write a grey TIFF with the metadata of a Thermo/FEI microscope in its private tag.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    pixels : numpy.ndarray, uint8, shape (y, x)
        Picture with its data bar at the bottom.
    pixel_size_nm : float
        Pixel side.
    data_bar_rows : int
        Rows of the data bar.
    stage_tilt_deg : float
        Tilt of the stage.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    import tifffile

    rows, columns = pixels.shape[0] - data_bar_rows, pixels.shape[1]
    side = pixel_size_nm * 1e-9
    sections: dict[str, dict[str, Any]] = {
        "User": {"UserText": "simulated by em2cryo"},
        "System": {"Type": "SEM", "Software": "em2cryo phantom", "SystemType": "simulated"},
        "Beam": {"HV": 5000, "Beam": "EBeam", "Scan": "EScan"},
        "EBeam": {"HV": 5000, "HFW": f"{side * columns:.6g}", "VFW": f"{side * rows:.6g}", "WD": 0.005},
        "Scan": {"PixelWidth": f"{side:.6g}", "PixelHeight": f"{side:.6g}"},
        "EScan": {"PixelWidth": f"{side:.6g}", "PixelHeight": f"{side:.6g}"},
        "Stage": {"StageT": f"{np.deg2rad(stage_tilt_deg):.6g}"},
        "Image": {"ResolutionX": columns, "ResolutionY": rows},
        "Detectors": {"Number": 1, "Name": "ETD", "Mode": "SE"},
        "PrivateFei": {"BitShift": 0, "DatabarHeight": data_bar_rows},
    }
    text = "\r\n".join(
        line
        for name, fields in sections.items()
        for line in (f"[{name}]", *(f"{key}={value}" for key, value in fields.items()), "")
    )
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        metadata=None,
        software=False,
        extratags=[(_FEI_TAG, 2, None, text + "\r\n", True)],
    )
    return path


def write_mrc(path: Path, volume: NDArray[np.int8], *, voxel_nm: float, label: str) -> Path:
    """Write a volume as MRC, gzipped where the name ends in ``.gz``.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    volume : numpy.ndarray, int8, shape (z, y, x)
        Stored as mode 0.
    voxel_nm : float
        Voxel side; the header holds ångström.
    label : str
        First text label of the header; it replaces the time stamp that would differ between two runs.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    zipped = path.name.endswith(".gz")
    plain = path.with_name(path.name.removesuffix(".gz"))
    _write_mrc(plain, volume, 10.0 * voxel_nm, label, stack=False)
    if zipped:
        path.write_bytes(gzip.compress(plain.read_bytes(), 9, mtime=0))
        plain.unlink()
    return path


def write_stack(path: Path, views: NDArray[np.int16], *, pixel_nm: float, label: str) -> Path:
    """Write a stack of images as MRC.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    views : numpy.ndarray, int16, shape (n, y, x)
        Stored as mode 1, marked as an image stack.
    pixel_nm : float
        Pixel side; the header holds ångström.
    label : str
        First text label of the header.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    _write_mrc(path, views, 10.0 * pixel_nm, label, stack=True)
    return path


def _write_mrc(path: Path, data: NDArray[Any], voxel_angstrom: float, label: str, *, stack: bool) -> None:
    import mrcfile

    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(data)
        if stack:
            mrc.set_image_stack()
        else:
            mrc.set_volume()
        mrc.voxel_size = voxel_angstrom
        mrc.header.nlabl = 1
        mrc.header.label = np.array([label] + [""] * 9, dtype="S80")
