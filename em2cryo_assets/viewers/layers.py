"""What a viewer is to show of a cell or a tomogram: layers with their colours, names and places in nm.

Belongs here: choosing layers, and reading their metadata. Does not belong here: any particular viewer
(`viewers.in_neuroglancer`, `viewers.in_napari`), or reading whole volumes.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.study import Study
from em2cryo_assets.store.images import read_image
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.wording import first_of

__all__ = ["Layer", "Scene", "cell_scene", "tomogram_scene"]

Kind = Literal["image", "labels", "mesh"]
Vector = tuple[float, float, float]

_SHOWN_KEYS = 10
_TAILS = (0.5, 99.5)
"""Percentiles of the coarsest level between which an image goes from black to white."""


@dataclass(frozen=True)
class Layer:
    """One layer.

    Parameters
    ----------
    name : str
        As the viewer shows it.
    kind : {"image", "labels", "mesh"}
        What `path` is: an OME-Zarr image, OME-Zarr labels, or a mesh of the store.
    path : pathlib.Path
        Folder.
    origin_nm : tuple of float
        Centre of voxel 0 along z, y, x in the frame of the scene, nm; of a mesh, what is added to its vertices.
    window : tuple of float or None
        Values of an image that are black and white.
    colors : dict of int to str
        Of labels and of the mesh, which is label 1: ``#rrggbb``.
    names : dict of int to str
        Meaning of labels.
    visible : bool
        Whether it is shown at first; the others are a click away.
    in_colour : bool
        Whether an image is shown in colours in place of grey.
    """

    name: str
    kind: Kind
    path: Path
    origin_nm: Vector = (0.0, 0.0, 0.0)
    window: tuple[float, float] | None = None
    colors: dict[int, str] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    visible: bool = True
    in_colour: bool = False


@dataclass(frozen=True)
class Scene:
    """What one window shows.

    Parameters
    ----------
    title : str
        Of the window; says so if the data are simulated.
    shape, voxel_nm : tuple
        Of the first image, along z, y, x.
    layers : tuple of Layer
        Bottom first.
    """

    title: str
    shape: tuple[int, int, int]
    voxel_nm: Vector
    layers: tuple[Layer, ...]


def cell_scene(study: Study, key: str) -> Scene:
    """Density, labels, sources and uncertainty of a fused volume, and the mesh that was filled.

    Raises
    ------
    InputError
        If the study has no fused volume of this cell.
    """
    fused = _artifact(study, "fused_volume", key, "cell")
    mesh = _artifact(study, "cell_mesh", key, "cell")
    z, y, x = (-float(value) for value in read_record(fused)["origin_nm"])  # the volume's voxel 0 is at 0 in its file
    image = fused.path / "fused.ome.zarr"
    layers = (
        _image("density", image),
        _labels("labels", image / "labels" / "interior"),
        replace(_labels("source", image / "labels" / "source"), visible=False),
        replace(_image("uncertainty, bits", fused.path / "uncertainty.ome.zarr"), visible=False, in_colour=True),
        Layer("mesh", "mesh", mesh.path / "mesh.zarr", (z, y, x), colors={1: "#9ecae1"}, names={1: key}),
    )
    return _scene(f"cell {key}", fused, layers)


def tomogram_scene(study: Study, key: str) -> Scene:
    """Density of a tomogram and, where it was labelled, its labels.

    Raises
    ------
    InputError
        If the study has no such tomogram.
    """
    tomogram = _artifact(study, "tomogram", key, "tomogram")
    layers = [_image("density", tomogram.path / "image.ome.zarr")]
    labelled = study.store.current("tomogram_labels", key)
    if labelled is not None:
        layers.append(_labels("labels", labelled.path / "labels.ome.zarr" / "labels" / "interior"))
    return _scene(f"tomogram {key}", tomogram, tuple(layers))


def _artifact(study: Study, asset: str, key: str, what: str) -> Artifact:
    try:
        found = study.store.current(asset, key)
    except ValueError as error:
        raise InputError(key, str(error), "see em2cryo status --all for the keys.") from error
    if found is not None:
        return found
    known = study.store.keys(asset)
    if not known:
        raise InputError(key, f"there is no {asset} in the study yet.", "type: em2cryo run")
    names = first_of(known, _SHOWN_KEYS)
    raise InputError(key, f"there is no {asset} of this {what}.", f"these can be shown: {names}.")


def _scene(title: str, artifact: Artifact, layers: tuple[Layer, ...]) -> Scene:
    if artifact.provenance.simulated:
        title = f"SIMULATED DATA: {title}"
        layers = tuple(replace(layer, name=f"{layer.name} (simulated data)") for layer in layers)
    first = read_image(layers[0].path)
    depth, height, width = first.data.shape
    z, y, x = first.voxel_nm
    return Scene(title, (depth, height, width), (z, y, x), layers)


def _image(name: str, path: Path) -> Layer:
    image = read_image(path)
    low, high = np.percentile(np.asarray(image.levels[-1]), _TAILS)
    window = (float(low), float(high) if high > low else float(low) + 1.0)
    return Layer(name, "image", path, _origin(_ome(path)), window)


def _labels(name: str, path: Path) -> Layer:
    ome = _ome(path)
    said = ome.get("image-label", {})
    colors = {int(one["label-value"]): "#{:02x}{:02x}{:02x}".format(*one["rgba"][:3]) for one in said.get("colors", ())}
    names = {int(one["label-value"]): str(one["name"]) for one in said.get("properties", ())}
    inside = {value: text for value, text in names.items() if value}  # 0 is background, which no viewer draws
    return Layer(name, "labels", path, _origin(ome), colors={v: c for v, c in colors.items() if v}, names=inside)


def _ome(path: Path) -> dict[str, Any]:
    content: Any = zarr.open_group(str(path), mode="r", zarr_format=3).attrs["ome"]
    return dict(content)


def _origin(ome: dict[str, Any]) -> Vector:
    """Centre of voxel 0 of the finest level, nm."""
    transforms = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    shift = next((one["translation"] for one in transforms if one["type"] == "translation"), (0.0, 0.0, 0.0))
    z, y, x = (float(value) for value in shift)
    return z, y, x
