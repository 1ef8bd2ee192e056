"""The MRC2014 container: header, byte order, axis order, gzip and bzip2.

Belongs here: everything that is particular to MRC, REC and MAP files. Does not belong here: sidecars, contrast,
other formats (:mod:`em2cryo_assets.cryoet.mrc` brings them together).

Format: Cheng et al. 2015, J. Struct. Biol. 192:146 (MRC2014) and the IMOD notes on ``imodStamp``.
"""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from em2cryo_assets.cryoet.raw_volume import FileArray, RawVolume, check_declared_size
from em2cryo_assets.formats.errors import InputError

__all__ = ["PACKINGS", "read_mrc"]

PACKINGS: Final = (".gz", ".bz2")
"""Endings of packed files, after that of the format."""

_HEADER_BYTES = 1024
_MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_IMOD_STAMP = 1146047817
_BIG_STAMP = 0x11
"""First byte of the machine stamp of a big-endian file."""
_AGAIN = "Copy or export the file again."
_MOST_PACKED = {".gz": 1_040, ".bz2": 46_000}
"""What the formats can at most gain by packing (a run of equal bytes); a header that claims more is wrong."""
_PACKED_IN_MEMORY = 256 * 2**20
"""Larger volumes are unpacked to a temporary file, so that memory does not grow with them."""
_BLOCK_BYTES = 4 * 2**20
_REST_BYTES = 16 * 2**20
"""How far a packed stream is followed beyond its last voxel; a bomb goes on longer."""


def read_mrc(path: Path) -> RawVolume:
    """Read the header of an MRC file and make its voxels available.

    Plain files are read lazily. ``.gz`` and ``.bz2`` are unpacked as a stream, above 256 MiB to a temporary file
    (where ``TMPDIR`` says) that goes when the volume does.

    Parameters
    ----------
    path : pathlib.Path
        ``.mrc``, ``.rec``, ``.map`` or any of them followed by ``.gz`` or ``.bz2``.

    Returns
    -------
    RawVolume
        Voxel sides from the cell dimensions (angstrom in the file, nm here); None if a side is 0 or exactly
        1 angstrom, which is how programs write "unknown".

    Raises
    ------
    InputError
        If the file is truncated, is no MRC file, or has a mode, size or axis order that cannot be read.
    """
    packing = path.suffix.lower() if path.suffix.lower() in PACKINGS else ""
    try:
        with _opened(path, packing) as stream:
            return _read(path, stream, packing)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(path, f"the packed stream is damaged or cut short ({error}).", _AGAIN) from error
    except OSError as error:
        if error.errno is not None:  # a trouble of the disk; bzip2 reports damage without a number
            raise
        raise InputError(path, f"the packed stream is damaged ({error}).", _AGAIN) from error


def _opened(path: Path, packing: str) -> IO[bytes]:
    if packing == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return cast("IO[bytes]", bz2.open(path, "rb")) if packing else path.open("rb")


def _read(path: Path, stream: IO[bytes], packing: str) -> RawVolume:
    warnings: list[str] = []
    header, order = _header(path, stream.read(_HEADER_BYTES))
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    dtype = _dtype(path, header, order)
    axes = _axes(path, header)
    check_declared_size(path, shape, dtype.itemsize, in_memory=False)
    extended = int(header["nsymbt"])
    if not 0 <= extended <= 2**30:
        raise InputError(path, f"the extended header claims {extended} bytes.", _AGAIN)
    offset = _HEADER_BYTES + extended
    needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    found = path.stat().st_size
    if found * _MOST_PACKED.get(packing, 1) < offset + needed:
        raise InputError(
            path,
            f"truncated: {shape[0]} x {shape[1]} x {shape[2]} voxels need {offset + needed} bytes, "
            f"the {'packed ' if packing else ''}file has {found}.",
            _AGAIN,
        )
    array: FileArray | NDArray[Any]
    if packing:
        for block in _blocks(stream, extended):
            extended -= len(block)
        if extended:
            raise InputError(path, "the file ends within its extended header.", _AGAIN)
        array = _unpacked(path, stream, shape, dtype)
        rest = sum(len(block) for block in _blocks(stream, _REST_BYTES))  # at the end of the stream its sum is checked
        if rest:
            warnings.append(f"{rest} bytes or more after the last voxel were ignored.")
    else:
        if found > offset + needed:
            warnings.append(f"{found - offset - needed} bytes after the last voxel were ignored.")
        array = FileArray(path, offset, shape, dtype)
    return RawVolume(array, axes, _voxel_nm(header), "MRC header", warnings, _labels(header))


def _header(path: Path, raw: bytes) -> tuple[np.void, str]:
    """Header in the byte order that makes sense; the machine stamp is often wrong and decides between two that do."""
    if len(raw) < _HEADER_BYTES:
        raise InputError(path, f"truncated: an MRC header has 1024 bytes, {len(raw)} were found.", _AGAIN)
    sensible = {}
    for order in ("<", ">"):
        header = np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order))[0]
        if 0 <= int(header["mode"]) <= 101 and 0 <= int(header["mapc"]) <= 3 and 0 < int(header["nx"]) < 2**24:
            sensible[order] = header
    if not sensible:
        raise InputError(
            path, "this is not an MRC file (mode and axis fields make no sense).", "Export it as MRC2014 or TIFF."
        )
    # Both make sense only for mode 0 without axis fields.
    order = ">" if "<" not in sensible or (">" in sensible and raw[212] == _BIG_STAMP) else "<"
    return sensible[order], order


def _dtype(path: Path, header: np.void, order: str) -> np.dtype[Any]:
    mode = int(header["mode"])
    if mode not in _MODES:
        raise InputError(
            path, f"MRC mode {mode} (complex, RGB or packed) is no density.", "Export it in mode 0, 1, 2, 6 or 12."
        )
    code = _MODES[mode]
    if mode == 0:
        # IMOD wrote unsigned bytes before 2012 and says so: its stamp with the lowest flag bit unset.
        stamp, flags = np.frombuffer(header.tobytes()[152:160], dtype=f"{order}i4")
        if stamp == _IMOD_STAMP and not flags & 1:
            code = "u1"
    return np.dtype(code).newbyteorder(order)  # type: ignore[arg-type]


def _axes(path: Path, header: np.void) -> tuple[int, int, int]:
    """Permutation from stored (sections, rows, columns) to (z, y, x)."""
    stored = [int(header["maps"]), int(header["mapr"]), int(header["mapc"])]
    if stored == [0, 0, 0]:
        stored = [3, 2, 1]
    if sorted(stored) != [1, 2, 3]:
        raise InputError(
            path,
            f"the axis order mapc, mapr, maps = {stored[2]}, {stored[1]}, {stored[0]} is no permutation.",
            "Set it to 1, 2, 3.",
        )
    return (stored.index(3), stored.index(2), stored.index(1))


def _voxel_nm(header: np.void) -> tuple[float, float, float] | None:
    """Cell side over sampling, along z, y, x."""
    sides = []
    for axis in "zyx":
        sampling, cell = int(header[f"m{axis}"]), float(header["cella"][axis])
        if sampling <= 0 or not np.isfinite(cell) or cell <= 0:
            return None
        sides.append(cell / sampling / 10.0)
    if all(abs(side - 0.1) < 1e-6 for side in sides):
        return None
    return (sides[0], sides[1], sides[2])


def _labels(header: np.void) -> tuple[str, ...]:
    """Lines of text that programs left, at most ten; whatever `nlabl` says, empty ones are left out."""
    lines = (bytes(line).decode("latin-1").strip("\0 ") for line in header["label"])
    return tuple(line for line in lines if line)


def _blocks(stream: IO[bytes], count: int) -> Iterator[bytes]:
    """At most `count` bytes of a stream, a block at a time; fewer where it ends."""
    while count and (block := stream.read(min(_BLOCK_BYTES, count))):
        count -= len(block)
        yield block


def _unpacked(
    path: Path, stream: IO[bytes], shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> FileArray | NDArray[Any]:
    """Take the voxels from the stream; no more than the declared size, so that a bomb cannot grow past it."""
    needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if needed <= _PACKED_IN_MEMORY:
        raw = b"".join(_blocks(stream, needed))
        _check_whole(path, needed, len(raw))
        return np.frombuffer(raw, dtype=dtype).reshape(shape)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < needed:
        raise InputError(
            path,
            f"unpacking it needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free in the temporary folder.",
            "Set TMPDIR to a folder with more room, or unpack it yourself.",
        )
    unpacked = _TemporaryFile()
    filled = 0
    with unpacked.path.open("wb") as out:
        for block in _blocks(stream, needed):
            filled += out.write(block)
    _check_whole(path, needed, filled)
    return FileArray(unpacked.path, 0, shape, dtype, owner=unpacked)


class _TemporaryFile:
    """A file that is removed with this object, at the latest when the process ends."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="em2cryo-", suffix=".raw")
        os.close(handle)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


def _check_whole(path: Path, needed: int, came: int) -> None:
    if came < needed:
        raise InputError(path, f"truncated: {needed} bytes of voxels were announced, {came} came.", _AGAIN)
