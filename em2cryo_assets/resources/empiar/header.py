"""What the first bytes of a tomogram say, before the rest is fetched.

Belongs here: shape, mode and voxel size of an MRC header, gzip included, and whether a fetched file holds what its header
announces. Does not belong here: reading voxels (`cryoet.mrc_header` does, and decides what an asset may be made from).

Format: Cheng et al. 2015, J. Struct. Biol. 192:146 (MRC2014).
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from em2cryo_assets.formats.errors import InputError

__all__ = ["HEADER_BYTES", "PEEK_GZIP_BYTES", "VolumeHeader", "check_whole", "parse_header"]

HEADER_BYTES: Final = 1024
PEEK_GZIP_BYTES: Final = 16_384
"""Compressed bytes that hold a header for certain: deflate adds at most a few bytes to a block it cannot shrink."""

_ITEM_BYTES: Final = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}
_SERIES_TYPES: Final = (b"SERI", b"FEI1", b"FEI2", b"AGAR")
"""Extended headers that acquisition software writes, one record an image: images, not a volume."""


@dataclass(frozen=True)
class VolumeHeader:
    """The part of an MRC header that decides whether a file is fetched.

    Parameters
    ----------
    shape : tuple of int
        Sections, rows, columns.
    mode : int
        MRC mode.
    voxel_nm : tuple of float or None
        Sides along z, y, x, nm; None if a side is 0 or exactly 1 angstrom, which means unknown.
    images : bool
        Whether the header calls its sections a stack of images rather than a volume.
    whole_bytes : int
        Size of the uncompressed file that the header announces.
    """

    shape: tuple[int, int, int]
    mode: int
    voxel_nm: tuple[float, float, float] | None
    images: bool
    whole_bytes: int


def parse_header(name: str, start: bytes) -> VolumeHeader:
    """Read a header from the first bytes of a file.

    Parameters
    ----------
    name : str
        File name; ``.gz`` is inflated.
    start : bytes
        `HEADER_BYTES` of a plain file, `PEEK_GZIP_BYTES` of a compressed one, or the whole of a shorter one.

    Raises
    ------
    InputError
        If this is no MRC header of a density.
    """
    raw = _inflated(name, start) if name.lower().endswith(".gz") else start[:HEADER_BYTES]
    if len(raw) < HEADER_BYTES:
        raise InputError(name, f"its header has {len(raw)} bytes, not {HEADER_BYTES}.", "report it to the archive.")
    for order in "<>":  # the machine stamp is often wrong, the mode is not
        header = np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order))[0]
        if 0 <= int(header["mode"]) <= 101 and 0 <= int(header["mapc"]) <= 3 and 0 < int(header["nx"]) < 2**24:
            break
    else:
        raise InputError(name, "its first bytes are no MRC header.", "nothing to do if it is another kind of file.")
    mode = int(header["mode"])
    if mode not in _ITEM_BYTES:
        raise InputError(name, f"MRC mode {mode} is no density.", "nothing to do.")
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    extended = int(header["nsymbt"])
    if min(shape) < 1 or max(shape) > 65_536 or not 0 <= extended <= 2**30:
        raise InputError(name, f"its header declares {shape} voxels, which no volume has.", "report it to the archive.")
    return VolumeHeader(
        shape=shape,
        mode=mode,
        voxel_nm=_voxel_nm(header),
        images=(int(header["ispg"]) == 0 and int(header["mz"]) == 1)
        or (extended > 0 and bytes(header["exttyp"]) in _SERIES_TYPES),
        whole_bytes=HEADER_BYTES + extended + math.prod(shape) * _ITEM_BYTES[mode],
    )


def check_whole(path: Path, name: str) -> None:
    """Refuse a fetched file that holds less than its header announces, or a damaged gzip stream.

    Parameters
    ----------
    path : pathlib.Path
        The file as it lies on disk.
    name : str
        Its name in the archive; tells whether it is compressed.

    Raises
    ------
    InputError
        If it is damaged or cut short.
    """
    compressed = name.lower().endswith(".gz")
    with path.open("rb") as stream:
        header = parse_header(name, stream.read(PEEK_GZIP_BYTES if compressed else HEADER_BYTES))
    found = path.stat().st_size
    if compressed:
        found = 0
        try:
            with gzip.open(path, "rb") as unpacked:
                # Read to the end for its checksum; a bomb is left at one piece beyond what the header announces.
                while (got := unpacked.read(2**22)) and found <= header.whole_bytes:
                    found += len(got)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(name, f"the gzip stream is damaged ({error}).", "report it to the archive.") from error
    if found < header.whole_bytes:
        raise InputError(
            name,
            f"its header announces {header.whole_bytes:,} bytes, it has {found:,}.",
            "report it to the archive.",
        )


def _inflated(name: str, start: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(start, HEADER_BYTES)
    except zlib.error as error:
        raise InputError(name, f"it is no gzip file ({error}).", "report it to the archive.") from error


def _voxel_nm(header: np.void) -> tuple[float, float, float] | None:
    sides = []
    for axis in "zyx":
        sampling, cell = int(header[f"m{axis}"]), float(header["cella"][axis])
        if sampling <= 0 or not math.isfinite(cell) or cell <= 0:
            return None
        sides.append(cell / sampling / 10)
    if all(abs(side - 0.1) < 1e-6 for side in sides):
        return None
    return sides[0], sides[1], sides[2]
