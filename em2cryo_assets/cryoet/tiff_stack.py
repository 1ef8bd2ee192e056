"""ImageJ TIFF stacks as tomograms.

Belongs here: what is particular to TIFF stacks: page order, ImageJ's unit and spacing. Does not belong here:
single images (``formats.image``), sidecars or contrast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.raw_volume import FileArray, RawVolume, check_declared_size
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.units import nm_per

__all__ = ["read_tiff_stack"]


def read_tiff_stack(path: Path) -> RawVolume:
    """Read the layout of a TIFF stack and make its voxels available.

    Only ImageJ's own ``unit`` (nm, um, angstrom, mm) makes a voxel size of the resolution tags; dots per inch never
    are one.

    Parameters
    ----------
    path : pathlib.Path
        ``.tif`` or ``.tiff``, one grey channel.

    Returns
    -------
    RawVolume
        Lazily mapped when the pages lie uncompressed and contiguous, else unpacked.

    Raises
    ------
    InputError
        If the file is damaged, has more than one channel or time point, or declares more than the size limits.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            axes = "".join(axis for axis, n in zip(series.axes, series.shape, strict=True) if n > 1 or axis in "YX")
            shape = tuple(n for axis, n in zip(series.axes, series.shape, strict=True) if n > 1 or axis in "YX")
            if axes == "YX":
                shape = (1, *shape)
            elif len(axes) != 3 or axes[1:] != "YX" or axes[0] in "SC":
                raise InputError(
                    path, f"its axes are {series.axes} {series.shape}.", "Export one grey channel as a z-stack."
                )
            dtype = np.dtype(series.dtype)
            offset = series.dataoffset
            announced = int((tiff.imagej_metadata or {}).get("images", shape[0]))
            if announced > shape[0]:
                raise InputError(
                    path,
                    f"truncated: ImageJ announces {announced} planes, {shape[0]} can be read.",
                    "Copy or export the file again.",
                )
            check_declared_size(path, shape, dtype.itemsize, in_memory=offset is None)
            array: FileArray | NDArray[Any]
            if offset is None:
                array = np.asarray(series.asarray()).reshape(shape)
            else:
                if path.stat().st_size < offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
                    raise InputError(path, "truncated: the last pages are missing.", "Copy or export the file again.")
                array = FileArray(path, int(offset), shape, dtype.newbyteorder(tiff.byteorder))  # type: ignore[arg-type]
            return RawVolume(array, (0, 1, 2), _voxel_nm(tiff), "ImageJ metadata")
    except InputError:
        raise
    except (tifffile.TiffFileError, ValueError, IndexError, KeyError, OSError) as error:
        raise InputError(path, f"the TIFF cannot be read ({error}).", "Copy or export the file again.") from error


def _voxel_nm(tiff: Any) -> tuple[float, float, float] | None:
    metadata = tiff.imagej_metadata or {}
    unit_nm = nm_per(str(metadata.get("unit", "")))
    tags = tiff.pages[0].tags
    if unit_nm is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    sides = []
    for name in ("YResolution", "XResolution"):
        numerator, denominator = tags[name].value
        if numerator <= 0 or denominator <= 0:
            return None
        sides.append(unit_nm * denominator / numerator)
    spacing = float(metadata.get("spacing", 0.0)) * unit_nm
    # A single plane has no spacing; its depth is then one pixel.
    return (spacing if spacing > 0 else sides[1], sides[0], sides[1])
