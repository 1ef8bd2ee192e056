"""OME-Zarr folders as tomograms, versions 0.4 and 0.5.

Belongs here: what is particular to OME-Zarr as others write it: axes, units, scales, and what a hostile one could do.
Does not belong here: the OME-Zarr that this package writes and reads back (`store.images`), sidecars or contrast.

Specifications: https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.raw_volume import RawVolume, check_declared_size
from em2cryo_assets.formats.errors import InputError

__all__ = ["read_ome_zarr"]


_NM: Final = {
    "angstrom": 0.1, "picometer": 1e-3, "nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "meter": 1e9,
    "å": 0.1, "pm": 1e-3, "nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "mm": 1e6, "m": 1e9,
}  # fmt: skip
_LARGEST_METADATA: Final = 16 * 2**20
_LARGEST_CHUNK: Final = 2**30
"""A chunk must be decoded as a whole, so its declared size is memory; bytes."""
_CODECS: Final = frozenset(
    {"blosc", "zstd", "gzip", "zlib", "lz4", "lzma", "bz2"}  # pack
    | {"shuffle", "delta", "bytes", "transpose", "crc32c", "sharding_indexed"}  # arrange
)
"""Codecs that only compute. Others are refused: `pickle` among them would run what the file says."""
_KINDS: Final = "iuf"
_AGAIN: Final = "Copy or export the folder again."


@dataclass(frozen=True)
class ZarrVolume:
    """The three spatial axes of one array of a Zarr group, opened only while a block is read.

    Parameters
    ----------
    path, folder : pathlib.Path
        The image, for messages, and the folder of its array.
    shape, chunks : tuple of int
        Of the last three axes; those before are of length one.
    dtype : numpy.dtype
        Type of the voxels.
    """

    path: Path
    folder: Path
    shape: tuple[int, int, int]
    chunks: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Always three."""
        return 3

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read and decode a box."""
        import zarr

        array = zarr.open_array(str(self.folder), mode="r")
        inner = index if isinstance(index, tuple) else (index,)
        try:
            return np.asarray(array[(0,) * (array.ndim - 3) + inner])
        except (RuntimeError, ValueError, OSError, TypeError) as error:  # each codec has its own words for damage
            raise InputError(self.path, f"a chunk of it cannot be decoded ({error}).", _AGAIN) from error


def read_ome_zarr(path: Path) -> RawVolume:
    """Read the metadata of an OME-Zarr folder and make the voxels of its finest level available.

    Parameters
    ----------
    path : pathlib.Path
        Folder ``.ome.zarr`` or ``.zarr``, OME-Zarr 0.4 or 0.5, with axes z, y, x in this order; time points and channels
        may come first if there is one of each.

    Returns
    -------
    RawVolume
        Voxel sides from the scale of the finest level, in nm by the axes' units; None where the axes have no unit.

    Raises
    ------
    InputError
        If it is no multiscale image of these axes, holds a link, leads out of its folder, or uses a codec that could run
        code.
    """
    path = Path(path)
    _check_tree(path)
    multiscale = _multiscale(path)
    warnings: list[str] = []
    try:
        axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in multiscale["axes"]]
        names = [str(axis["name"]).lower() for axis in axes]
        dataset = multiscale["datasets"][0]
        folder = _inside(path, str(dataset["path"]))
        scale = _scale(dataset, len(axes)) * _scale(multiscale, len(axes))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            path, f"its multiscales metadata are not those of OME-Zarr ({type(error).__name__}: {error}).", _AGAIN
        ) from error
    if names[-3:] != ["z", "y", "x"]:
        raise InputError(path, f"its axes are {', '.join(names)}.", "Export one channel with the axes z, y, x.")
    array = _array(path, folder, warnings)
    if len(array.shape) != len(names) or any(n != 1 for n in array.shape[:-3]):
        raise InputError(
            path,
            f"its array of shape {array.shape} holds more than one volume (axes {', '.join(names)}).",
            "Export one time point and one channel.",
        )
    depth, height, width = array.shape[-3:]
    check_declared_size(path, (depth, height, width), array.dtype.itemsize, in_memory=False)
    chunks = array.chunks[-3:]
    units = [_NM.get(str(axis.get("unit", "")).strip().lower()) for axis in axes[-3:]]
    voxel_nm = None
    if None not in units and np.isfinite(scale).all() and (scale[-3:] > 0).all():
        z, y, x = (float(s * unit) for s, unit in zip(scale[-3:], units, strict=True) if unit is not None)
        # As in an MRC header, 1 angstrom along all sides is what a converter writes that knows none.
        voxel_nm = None if all(abs(side - 0.1) < 1e-6 for side in (z, y, x)) else (z, y, x)
    volume = ZarrVolume(
        path, folder, (depth, height, width), (int(chunks[0]), int(chunks[1]), int(chunks[2])), np.dtype(array.dtype)
    )
    labels = tuple(str(multiscale.get(key) or "") for key in ("name", "type"))
    return RawVolume(volume, (0, 1, 2), voxel_nm, "OME-Zarr metadata", warnings, labels)


def _check_tree(path: Path) -> None:
    """Refuse links, which could lead anywhere, and what is neither a file nor a folder."""
    for parent, inner, files in os.walk(path):
        for name in (*inner, *files):
            entry = Path(parent, name)
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                raise InputError(
                    path, f"{entry.relative_to(path)} in it is a link or a special file.", "Copy what it leads to."
                )


def _multiscale(path: Path) -> Mapping[str, Any]:
    """First multiscale image of the group, by either version of the specification."""
    if (path / "zarr.json").is_file():
        attributes = _json(path, path / "zarr.json").get("attributes")
        found = attributes.get("ome") if isinstance(attributes, Mapping) else None
    elif (path / ".zattrs").is_file():
        found = _json(path, path / ".zattrs")
    else:
        raise InputError(path, "the folder is no Zarr group (no zarr.json, no .zattrs).", _AGAIN)
    images = found.get("multiscales") if isinstance(found, Mapping) else None
    if not isinstance(images, list) or not images or not isinstance(images[0], Mapping):
        raise InputError(path, "the group holds no multiscale image.", "Give the folder of one image.")
    first: Mapping[str, Any] = images[0]
    return first


def _json(path: Path, file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_METADATA:
            raise ValueError("larger than 16 MiB")
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"{file.relative_to(path)} cannot be read ({error}).", _AGAIN) from error
    return content


def _inside(path: Path, inner: str) -> Path:
    parts = PurePosixPath(inner).parts
    if not parts or ".." in parts or PurePosixPath(inner).is_absolute():
        raise InputError(path, f"its finest level is said to lie in {inner!r}, outside the folder.", _AGAIN)
    return path.joinpath(*parts)


def _scale(item: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    """Product of the scales of a list of transformations; ones where there are none."""
    total = np.ones(ndim)
    for transform in item.get("coordinateTransformations") or ():
        if transform.get("type") == "scale":
            total = total * np.array([float(side) for side in transform["scale"]])
    return total


def _array(path: Path, folder: Path, warnings: list[str]) -> Any:
    """Open an array after its metadata have been looked through."""
    import zarr

    file = next((folder / name for name in ("zarr.json", ".zarray") if (folder / name).is_file()), None)
    if file is None:
        raise InputError(path, f"its finest level {folder.relative_to(path)} is missing.", _AGAIN)
    content = _json(path, file)
    unknown = sorted(set(_codec_names(content)) - _CODECS)
    if unknown:
        raise InputError(
            path, f"it is packed with {', '.join(unknown)}, which is not read.", "Export it with Blosc, zstd or gzip."
        )
    try:
        array = zarr.open_array(str(folder), mode="r")
        chunk = array.shards or array.chunks
        bytes_each = int(np.prod(chunk, dtype=object)) * array.dtype.itemsize
    except Exception as error:  # zarr has its own zoo of exceptions for metadata that make no sense
        raise InputError(path, f"its array cannot be opened ({type(error).__name__}: {error}).", _AGAIN) from error
    if array.dtype.kind not in _KINDS:
        raise InputError(path, f"its voxels are {array.dtype}, which is no density.", "Export grey values.")
    if len(array.shape) < 3 or bytes_each > _LARGEST_CHUNK:
        raise InputError(
            path,
            f"its array has shape {array.shape} in chunks of {chunk}, {bytes_each / 2**30:.1f} GiB each.",
            "Export a volume in chunks near 128 x 128 x 128.",
        )
    expected = int(np.prod([-(-n // side) for n, side in zip(array.shape, chunk, strict=True)], dtype=object))
    held = sum(len(files) for _, _, files in os.walk(folder)) - sum(
        (folder / name).is_file() for name in ("zarr.json", ".zarray", ".zattrs")
    )
    if held < expected:
        # Writers leave chunks out that hold the fill value alone, and so does a copy that was cut short.
        warnings.append(f"{expected - held} of {expected} chunks are absent and read as {array.fill_value}.")
    return array


def _codec_names(content: Mapping[str, Any]) -> list[str]:
    """Codecs named anywhere in the metadata of an array, of Zarr 2 (``id``) or 3 (``name`` in ``codecs``)."""
    names = []
    stack: list[Any] = [content.get("codecs"), content.get("compressor"), content.get("filters")]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, Mapping):
            names += [str(item[key]).removeprefix("numcodecs.") for key in ("id", "name") if key in item]
            inner = item.get("configuration")
            if isinstance(inner, Mapping):
                stack += [inner.get("codecs"), inner.get("index_codecs")]
    return names
