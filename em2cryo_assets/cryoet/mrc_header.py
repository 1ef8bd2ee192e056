"""The MRC2014 container: header, byte order, axis order, gzip.

Belongs here: everything that is particular to MRC, REC and MAP files. Does not belong here: sidecars, contrast,
other formats (:mod:`em2cryo_assets.cryoet.mrc` brings them together).

Format: Cheng et al. 2015, J. Struct. Biol. 192:146 (MRC2014) and the IMOD notes on ``imodStamp``.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from em2cryo_assets.cryoet.raw_volume import FileArray, RawVolume, check_declared_size
from em2cryo_assets.formats.errors import InputError

__all__ = ["read_mrc"]

_HEADER_BYTES = 1024
_MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_IMOD_STAMP = 1146047817
_AGAIN = "Copy or export the file again."


def read_mrc(path: Path) -> RawVolume:
    """Read the header of an MRC file and make its voxels available.

    Uncompressed files are mapped lazily; ``.gz`` is unpacked as a stream into one array of the file's own dtype.

    Parameters
    ----------
    path : pathlib.Path
        ``.mrc``, ``.rec``, ``.map`` or any of them followed by ``.gz``.

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
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path, "rb") as stream:
                return _read(path, cast("IO[bytes]", stream), compressed=True)
        with path.open("rb") as stream:
            return _read(path, stream, compressed=False)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(path, f"the gzip stream is damaged or cut short ({error}).", _AGAIN) from error


def _read(path: Path, stream: IO[bytes], *, compressed: bool) -> RawVolume:
    warnings: list[str] = []
    header, order = _header(path, stream.read(_HEADER_BYTES))
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    dtype = _dtype(path, header, order)
    check_declared_size(path, shape, dtype.itemsize, in_memory=compressed)
    extended = int(header["nsymbt"])
    if not 0 <= extended <= 2**30:
        raise InputError(path, f"the extended header claims {extended} bytes.", _AGAIN)
    offset = _HEADER_BYTES + extended
    needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    array: FileArray | NDArray[Any]
    if compressed:
        if len(stream.read(extended)) < extended:
            raise InputError(path, "the file ends within its extended header.", _AGAIN)
        array = _unpacked(path, stream, shape, dtype)
    else:
        found = path.stat().st_size
        if found < offset + needed:
            raise InputError(
                path,
                f"truncated: {shape[0]} x {shape[1]} x {shape[2]} voxels need {offset + needed} bytes, "
                f"the file has {found}.",
                _AGAIN,
            )
        if found > offset + needed:
            warnings.append(f"{found - offset - needed} bytes after the last voxel were ignored.")
        array = FileArray(path, offset, shape, dtype)
    return RawVolume(array, _axes(path, header), _voxel_nm(header), "MRC header", warnings)


def _header(path: Path, raw: bytes) -> tuple[np.void, str]:
    """Header in the byte order that makes sense; the machine stamp is often wrong, the mode is not."""
    if len(raw) < _HEADER_BYTES:
        raise InputError(path, f"truncated: an MRC header has 1024 bytes, {len(raw)} were found.", _AGAIN)
    for order in ("<", ">"):
        header = np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order))[0]
        if 0 <= int(header["mode"]) <= 101 and 0 <= int(header["mapc"]) <= 3 and 0 < int(header["nx"]) < 2**24:
            return header, order
    raise InputError(
        path, "this is not an MRC file (mode and axis fields make no sense).", "Export it as MRC2014 or TIFF."
    )


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


def _unpacked(path: Path, stream: IO[bytes], shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Fill one array from the stream; the declared size has been checked, so a bomb cannot grow past it."""
    array = np.empty(shape, dtype=dtype)
    view = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    filled = 0
    while filled < len(view):
        got = stream.read(min(2**22, len(view) - filled))
        if not got:
            raise InputError(path, f"truncated: {len(view)} bytes of voxels were announced, {filled} came.", _AGAIN)
        view[filled : filled + len(got)] = got
        filled += len(got)
    return array
