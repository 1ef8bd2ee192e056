"""What is checked in a microscope's file before a library that trusts headers reads it.

Belongs here: sizes that the file cannot hold, links that lead out of it, XML that grows. Does not belong here: reading
(`formats.vendor_files`).
"""

import struct
from pathlib import Path
from typing import Any, Final

from em2cryo_assets.formats.errors import InputError

__all__ = ["check_emi", "check_hdf5", "check_ser"]

_LARGEST_TEXT: Final = 64 << 20
_SER_BYTES: Final = {1: 1, 2: 2, 3: 4, 4: 1, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 16}
"""Data types of a SER file by number (TIA's description of the format): bytes an element."""
_SER_IMAGES: Final = 0x4122
_COPY: Final = "copy it again; it is truncated or damaged."


def check_ser(path: Path) -> None:
    """Refuse a SER file that claims more than it holds, or is a spectrum.

    Raises
    ------
    InputError
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            head = stream.read(34)
            order, series, version, kind, _, total, valid = struct.unpack_from("<HHHIIII", head)
            if (order, series) != (0x4949, 0x0197):
                raise InputError(path, "it is no SER file: the first bytes are others.", _COPY)
            wide = version > 0x0210
            table, dimensions = struct.unpack_from("<QI" if wide else "<II", head, 22)
            if kind != _SER_IMAGES:
                raise InputError(path, "it holds spectra and no images.", "add the .ser file of an image.")
            entry = 8 if wide else 4
            if not 0 < valid <= total or dimensions > 8 or table + 2 * entry * total > size:
                raise InputError(path, f"its header claims {total} images, which it cannot hold.", _COPY)
            stream.seek(table)
            (first,) = struct.unpack("<Q" if wide else "<I", stream.read(entry))
            stream.seek(first + 40)
            number, across, down = struct.unpack("<HII", stream.read(10))
    except struct.error as error:
        raise InputError(path, "it ends within its header.", _COPY) from error
    if number not in _SER_BYTES:
        raise InputError(path, f"its pixels are of the unknown type {number}.", "export the image as TIFF or MRC.")
    if valid * across * down * _SER_BYTES[number] > size:
        raise InputError(path, f"its header claims {valid} × {down} × {across} pixels, which it cannot hold.", _COPY)


def check_emi(path: Path) -> None:
    """Refuse an EMI file that is too large to be one, or whose XML defines entities.

    Raises
    ------
    InputError
    """
    if path.stat().st_size > _LARGEST_TEXT:
        raise InputError(path, "it is larger than 64 MiB.", "remove it; the .ser file is read without it.")
    if b"<!DOCTYPE" in (content := path.read_bytes()) or b"<!ENTITY" in content:
        raise InputError(path, "its XML defines entities, which no microscope writes.", "remove it.")


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that leads out of itself, or whose texts would fill the memory.

    Raises
    ------
    InputError
        For links to other files, data kept in other files, virtual data, and texts or metadata beyond 64 MiB.
    OSError
        If it is no HDF5 file.
    """
    import h5py

    with h5py.File(path, "r") as file:
        _walk(path, file, set(), h5py)


def _walk(path: Path, group: Any, seen: set[int], h5py: Any) -> None:
    token = h5py.h5o.get_info(group.id).addr
    if token in seen:
        return
    seen.add(token)
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise InputError(path, f"{group.name}/{name} is a link to another file.", "export the image as TIFF.")
        item = group.get(name)
        if isinstance(item, h5py.Group):
            _walk(path, item, seen, h5py)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise InputError(path, f"{item.name} keeps its data in other files.", "export the image as TIFF.")
            text = item.dtype.kind in "OSU" or "metadata" in name.lower()
            if text and item.size and item.size * max(1, item.dtype.itemsize) > _LARGEST_TEXT:
                raise InputError(path, f"{item.name} claims more than 64 MiB of text.", "export the image as TIFF.")
