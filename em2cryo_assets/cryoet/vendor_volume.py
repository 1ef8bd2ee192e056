"""Volumes and overviews in the files of microscopes' own programs.

Belongs here: what a volume needs of such a file. Does not belong here: reading it (`formats.vendor_files`).
"""

from __future__ import annotations

from pathlib import Path

from em2cryo_assets.cryoet.raw_volume import MAX_BYTES_IN_MEMORY, RawVolume, check_declared_size
from em2cryo_assets.formats.vendor_files import read_vendor_file

__all__ = ["read_vendor_volume"]


def read_vendor_volume(path: Path) -> RawVolume:
    """Read a volume of DM3, DM4, SER or EMD, or an image as a volume of one plane.

    Parameters
    ----------
    path : pathlib.Path
        ``.dm3``, ``.dm4``, ``.emd`` or ``.ser``.

    Returns
    -------
    RawVolume
        In memory, as EMD is compressed; without a voxel size where any of its sides is not stated.

    Raises
    ------
    InputError
        As `formats.vendor_files.read_vendor_file` does, and above 4 GiB.
    """
    image = read_vendor_file(path, MAX_BYTES_IN_MEMORY)
    pixels, sides = image.pixels, image.sides_nm
    if pixels.ndim == 2:
        # A single plane has no spacing; its depth is then one pixel.
        pixels, sides = pixels[None], (sides[1], *sides)
    check_declared_size(path, pixels.shape, pixels.dtype.itemsize, in_memory=True)
    z, y, x = sides
    warnings = []
    if z is None and y is not None and x is not None:
        warnings.append(f"The {image.source} state pixels of {x:.4g} nm and no distance between planes.")
    voxel = (z, y, x) if z is not None and y is not None and x is not None else None
    return RawVolume(pixels, (0, 1, 2), voxel, image.source, warnings)
