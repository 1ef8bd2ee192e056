"""Which resolution of an OME-Zarr image is fetched, and what the folder then says of itself.

Belongs here: reading the metadata of a remote image, choosing one level, and metadata that name that level alone. Does not
belong here: reading voxels (`cryoet.ome_zarr_input` does, from what was fetched), or the bucket (`bucket`).

Specifications: https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.http import MissingError
from em2cryo_assets.vocabulary import LEAST_VOXEL_NM

__all__ = ["Level", "choose_level"]

_NM: Final = {"angstrom": 0.1, "nanometer": 1.0, "micrometer": 1e3, "å": 0.1, "nm": 1.0}
_SLACK: Final = 1e-3
_PORTAL: Final = "report it to the portal."


@dataclass(frozen=True)
class Level:
    """One level of a remote image.

    Parameters
    ----------
    path : str
        Its folder below that of the image.
    number, of : int
        Its place, 0 the finest, and how many there are.
    voxel_nm : tuple of float or None
        Sides along z, y, x, nm; None if neither the image nor the portal says.
    shape : tuple of int
        Voxels along z, y, x.
    binning : float
        Its voxel side over that of the finest level.
    written : mapping of str to bytes
        Metadata of an image that holds this level alone, by file name.
    """

    path: str
    number: int
    of: int
    voxel_nm: tuple[float, float, float] | None
    shape: tuple[int, int, int]
    binning: float
    written: Mapping[str, bytes] = field(repr=False)


def choose_level(name: str, read: Callable[[str], bytes], finest_nm: float | None) -> Level:
    """Choose the finest level whose voxels are not smaller than what is compared; the coarsest if all are.

    A tilt series is binned to the same side before it is reconstructed (`cryoet.from_tilt_series`). A level finer by
    a factor of two is eight times the bytes.

    Parameters
    ----------
    name : str
        The image, for messages.
    read : callable
        Gives the content of a file of the image by its path below it, or raises `MissingError`.
    finest_nm : float or None
        Voxel side of the finest level by the portal, nm, where the image has no unit.

    Raises
    ------
    InputError
        If the metadata are not those of a volume, or a path in them leads out of the folder.
    """
    version, attributes, files = _attributes(name, read)
    try:
        images = attributes["multiscales"]
        image = images[0]
        axes = [one if isinstance(one, Mapping) else {"name": one} for one in image["axes"]]
        datasets = image["datasets"]
        paths = [_plain(str(one["path"])) for one in datasets]
        sides = [_sides(image, one, axes) for one in datasets]
        if [str(one["name"]).lower() for one in axes][-3:] != ["z", "y", "x"] or not paths:
            raise ValueError("its axes are not z, y, x")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            name, f"its metadata are no multiscale volume's ({type(error).__name__}: {error}).", _PORTAL
        ) from error
    binnings = [max(one) / max(sides[0]) for one in sides]
    units = [_NM.get(str(one.get("unit", "")).lower()) for one in axes[-3:]]
    voxels = [_voxel(own, units, binning, finest_nm) for own, binning in zip(sides, binnings, strict=True)]
    number = _wanted(voxels)
    path = paths[number]
    only = {**image, "datasets": [datasets[number]]}
    content = _replaced(version, attributes, only, files)
    return Level(path, number, len(paths), voxels[number], _shape(name, read, path), binnings[number], content)


def _voxel(
    sides: tuple[float, ...], units: list[float | None], binning: float, finest_nm: float | None
) -> tuple[float, float, float] | None:
    """Voxel sides of a level by the image, else by the portal; 1 angstrom at the finest level is what nobody knew."""
    own = [side * unit for side, unit in zip(sides, units, strict=True) if unit is not None]
    if len(own) == 3 and any(abs(side - 0.1 * binning) > 1e-6 for side in own):
        return own[0], own[1], own[2]
    return None if finest_nm is None else (finest_nm * binning,) * 3


def _wanted(voxels: list[tuple[float, float, float] | None]) -> int:
    sides = [None if one is None else max(one) for one in voxels]
    if None in sides:
        return 0  # of unknown size: the finest, and a person says how large its voxels are
    enough = [n for n, side in enumerate(sides) if side is not None and side >= LEAST_VOXEL_NM * (1 - _SLACK)]
    return min(enough, key=lambda n: sides[n] or math.inf, default=len(sides) - 1)


def _attributes(name: str, read: Callable[[str], bytes]) -> tuple[int, Mapping[str, Any], dict[str, Any]]:
    """Version of Zarr, attributes of OME, and the root metadata they came from."""
    try:
        root = _json(name, read("zarr.json"))
        attributes = root.get("attributes", {}).get("ome")
        version = 3
    except MissingError:
        root = _json(name, read(".zattrs"))
        attributes, version = root, 2
    if not isinstance(attributes, Mapping):
        raise InputError(name, "the group holds no OME metadata.", _PORTAL)
    return version, attributes, root


def _replaced(
    version: int, attributes: Mapping[str, Any], image: Mapping[str, Any], root: dict[str, Any]
) -> dict[str, bytes]:
    ome = {**attributes, "multiscales": [image]}
    if version == 3:
        content = {**root, "attributes": {**root["attributes"], "ome": ome}}
        content.pop("consolidated_metadata", None)  # would name levels that are not here
        return {"zarr.json": _bytes(content)}
    return {".zattrs": _bytes(ome), ".zgroup": _bytes({"zarr_format": 2})}


def _shape(name: str, read: Callable[[str], bytes], path: str) -> tuple[int, int, int]:
    try:
        content = _json(name, read(f"{path}/zarr.json"))
    except MissingError:
        content = _json(name, read(f"{path}/.zarray"))
    shape = content.get("shape")
    if not isinstance(shape, list) or len(shape) < 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise InputError(name, f"its level {path} has the shape {shape!r}.", _PORTAL)
    return shape[-3], shape[-2], shape[-1]


def _sides(image: Mapping[str, Any], dataset: Mapping[str, Any], axes: list[Any]) -> tuple[float, ...]:
    """Scale along z, y, x, in the unit of the axes."""
    total = [1.0] * len(axes)
    for item in (image, dataset):
        for transform in item.get("coordinateTransformations") or ():
            if transform.get("type") == "scale":
                total = [a * float(b) for a, b in zip(total, transform["scale"], strict=True)]
    if not all(math.isfinite(one) and one > 0 for one in total):
        raise ValueError(f"a scale is {total}")
    return tuple(total[-3:])


def _plain(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or PurePosixPath(path).is_absolute():
        raise ValueError(f"a level is said to lie in {path!r}")
    return "/".join(parts)


def _json(name: str, content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content)
        if not isinstance(read, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise InputError(name, f"its metadata cannot be read ({error}).", _PORTAL) from error
    return read


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()
