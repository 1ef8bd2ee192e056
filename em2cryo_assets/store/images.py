"""Images and labels as OME-Zarr 0.5.

Belongs here: writing an array with its pyramid and labels in bounded memory, and reading it lazily.
Does not belong here: reading raw microscope files (`formats`, `cryoet.mrc`), publishing (`store.publish`).

The specification is https://ngff.openmicroscopy.org/0.5/. All lengths are nanometres. A scale of `s` and a
translation of `t` put the centre of voxel `i` at ``s * i + t``; voxel 0 of the finest level is at 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr
from numpy.typing import NDArray

from em2cryo_assets.store.chunks import lazy_array
from em2cryo_assets.store.label_colors import image_label
from em2cryo_assets.store.levels import Voxels, write_levels
from em2cryo_assets.store.pyramid import halve_image, halve_labels, level_shapes

__all__ = ["LabelNames", "LazyImage", "read_image", "read_labels", "write_image"]

LabelNames = Mapping[int, str] | Mapping[str, Mapping[int, str]]
"""Names by label value, for all labels of an image alike, or by name of the labels and then by value."""

_IMAGE_TYPES = ("int8", "uint8", "uint16", "int16", "int32", "float32")
_LABEL_TYPES = ("uint8", "uint16", "int32")


@dataclass(frozen=True)
class LazyImage:
    """An OME-Zarr image of which nothing has been read but its metadata.

    Parameters
    ----------
    data : dask.array.Array, shape (y, x) or (z, y, x)
        Finest level; equal to ``levels[0]``.
    voxel_nm : tuple of float
        Voxel sides of the finest level along the axes of `data`, nm.
    levels : list of dask.array.Array
        All levels, finest first.
    name : str
        Name given when it was written.
    """

    data: da.Array
    voxel_nm: tuple[float, ...]
    levels: list[da.Array]
    name: str

    def coarsened(self, largest_nm: float, most_voxels: int) -> tuple["LazyImage", tuple[float, ...]]:
        """The image from a coarser level on.

        Parameters
        ----------
        largest_nm : float
            Levels are passed over as long as the next one's voxels are at most that large, nm.
        most_voxels : int
            Levels that hold more are passed over in any case.

        Returns
        -------
        image : LazyImage
            Its finest level is the one chosen.
        origin_nm : tuple of float
            Centre of its voxel 0 in the frame of this image, nm.
        """
        number = 0
        while number + 1 < len(self.levels) and (
            max(self.voxel_nm) * 2 ** (number + 1) <= largest_nm or self.levels[number].size > most_voxels
        ):
            number += 1
        voxel = tuple(side * 2**number for side in self.voxel_nm)
        origin = tuple(side * (2**number - 1) / 2 for side in self.voxel_nm)
        return LazyImage(self.levels[number], voxel, self.levels[number:], self.name), origin


def write_image(
    path: Path,
    data: Voxels,
    *,
    voxel_nm: tuple[float, ...],
    name: str,
    labels: Mapping[str, NDArray[np.generic] | da.Array] | None = None,
    label_names: LabelNames | None = None,
    chunk: int = 128,
    origin_nm: tuple[float, ...] | None = None,
) -> None:
    """Write an image, its pyramid and its labels as an OME-Zarr 0.5 group.

    Boxes of at most 64 MiB are read and written one after another, so memory does not grow with the
    image, and the bytes depend on the values only, never on the dask scheduler or on the chunks of `data`.

    Parameters
    ----------
    path : pathlib.Path
        Folder to write; must not hold a Zarr group yet.
    data : array, shape (y, x) or (z, y, x)
        A NumPy or dask array, or anything else with a shape and a dtype of which boxes can be read; int8, uint8,
        uint16, int16, int32 or float32. Coarser levels are means over two voxels along each axis.
    voxel_nm : tuple of float
        Voxel sides along the axes of `data`, nm.
    name : str
        Shown by viewers.
    labels : mapping of str to array, optional
        Label arrays of the same shape; bool, uint8, uint16 or int32. Coarser levels are every second voxel.
    label_names : mapping, optional
        What the label values mean.
    chunk : int
        Side of a chunk of a volume; chunks of a 2-D image have four times this side.
    origin_nm : tuple of float, optional
        Centre of voxel 0, nm, where the image is a coarser one of another's frame; 0 where missing.

    Raises
    ------
    ValueError
        If shapes, types or voxel sides do not fit together.
    """
    voxel = _checked(data, voxel_nm, _IMAGE_TYPES, "image")
    labels = labels or {}
    for label_name, array in labels.items():
        if not label_name.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"Labels named {label_name!r}: letters, digits, '-' and '_' only.")
        if tuple(array.shape) != tuple(data.shape):
            raise ValueError(f"Labels {label_name!r} have shape {array.shape}, the image {data.shape}.")
        _checked(array, voxel_nm, ("bool", *_LABEL_TYPES), f"labels {label_name!r}")
    side = chunk if len(data.shape) == 3 else 4 * chunk
    root = _create_group(path)
    write_levels(root, data, side, _axes(len(voxel)), halve_image)
    n_levels = len(level_shapes(tuple(data.shape), side))
    origin = origin_nm or (0.0,) * len(voxel)
    root.attrs["ome"] = _ome(name, voxel, n_levels, origin, centred=True)
    if not labels:
        return
    parent = root.create_group("labels")
    parent.attrs["ome"] = {"version": "0.5", "labels": sorted(labels)}
    for label_name, array in sorted(labels.items()):
        group = parent.create_group(label_name)
        plain = array.astype(np.uint8) if array.dtype == bool else array
        write_levels(group, plain, side, _axes(len(voxel)), halve_labels)
        attributes = _ome(label_name, voxel, n_levels, origin, centred=False)
        attributes["image-label"] = image_label(_names_of(label_names, label_name))
        group.attrs["ome"] = attributes


def read_image(path: Path) -> LazyImage:
    """Open an OME-Zarr image lazily.

    Parameters
    ----------
    path : pathlib.Path
        Folder of an OME-Zarr 0.5 image.

    Raises
    ------
    ValueError
        If the folder is no OME-Zarr 0.5 image in nanometres.
    """
    ome = _read_ome(path)
    levels = [lazy_array(Path(path, item["path"])) for item in ome["datasets"]]
    scale = ome["datasets"][0]["coordinateTransformations"][0]["scale"]
    return LazyImage(levels[0], tuple(float(side) for side in scale), levels, str(ome.get("name", "")))


def read_labels(path: Path, name: str) -> da.Array:
    """Open the finest level of the labels `name` of the image at `path` lazily.

    Raises
    ------
    ValueError
        If the image has no such labels.
    """
    return read_image(Path(path, "labels", name)).data


def _checked(data: Voxels, voxel_nm: tuple[float, ...], types: tuple[str, ...], what: str) -> tuple[float, ...]:
    ndim = len(data.shape)
    if ndim not in (2, 3) or 0 in data.shape:
        raise ValueError(f"The {what} must be (y, x) or (z, y, x) and not empty, not of shape {data.shape}.")
    if data.dtype.name not in types:
        raise ValueError(f"The {what} is {data.dtype.name}; it must be one of {', '.join(types)}.")
    voxel = tuple(float(side) for side in voxel_nm)
    if len(voxel) != ndim or not all(np.isfinite(side) and side > 0 for side in voxel):
        raise ValueError(f"voxel_nm is {voxel_nm}; {ndim} positive lengths are needed.")
    return voxel


def _create_group(path: Path) -> zarr.Group:
    path = Path(path)
    if (path / "zarr.json").exists():
        raise ValueError(f"{path.name} already holds a Zarr group.")
    path.mkdir(parents=True, exist_ok=True)
    return zarr.create_group(str(path), zarr_format=3)


def _axes(ndim: int) -> list[str]:
    return ["z", "y", "x"][-ndim:]


def _ome(
    name: str, voxel: tuple[float, ...], n_levels: int, origin: tuple[float, ...], *, centred: bool
) -> dict[str, Any]:
    datasets = []
    for number in range(n_levels):
        scale = [side * 2**number for side in voxel]
        # A mean lies in the middle of what it averages; a sampled label lies where it was sampled.
        shift = [o + (side * (2**number - 1) / 2 if centred else 0.0) for side, o in zip(voxel, origin, strict=True)]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        transforms.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in _axes(len(voxel))]
    method = "mean" if centred else "nearest"
    multiscale = {"name": name, "type": method, "axes": axes, "datasets": datasets}
    return {"version": "0.5", "multiscales": [multiscale]}


def _names_of(label_names: LabelNames | None, label_name: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for key, value in (label_names or {}).items():
        if isinstance(value, Mapping):
            if key == label_name:
                names.update({int(code): str(text) for code, text in value.items()})
        else:
            names[int(key)] = str(value)
    return names


def _read_ome(path: Path) -> dict[str, Any]:
    try:
        ome: Any = zarr.open_group(str(path), mode="r", zarr_format=3).attrs["ome"]
        multiscale = ome["multiscales"][0]
        units = {axis["unit"] for axis in multiscale["axes"]}
    except (FileNotFoundError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{Path(path).name} is not an OME-Zarr 0.5 image ({error}).") from error
    if units != {"nanometer"}:
        raise ValueError(f"{Path(path).name} has axes in {', '.join(sorted(units))}, not nanometers.")
    return dict(multiscale)
