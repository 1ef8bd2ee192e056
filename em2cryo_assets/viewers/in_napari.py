"""A scene in napari (0.9 or later), for those who have it.

Belongs here: handing layers to napari. Does not belong here: which layers there are (`viewers.layers`).
"""

from typing import Any, Final

import numpy as np

from em2cryo_assets.store.images import LazyImage, read_image
from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets.viewers.layers import Layer, Scene

__all__ = ["fill"]

_MESH_ALPHA: Final = 0.4


def fill(viewer: Any, scene: Scene) -> None:
    """Add the layers of a scene to a window of napari, all in nm; voxels are read as they are looked at.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Window, or what is behind one.
    scene : Scene
        What to show.
    """
    viewer.title = scene.title
    for layer in scene.layers:
        _ADD[layer.kind](viewer, layer)
    viewer.canvas.overlays.scale_bar.visible = True


def _add_image(viewer: Any, layer: Layer) -> None:
    image = read_image(layer.path)
    viewer.add_image(
        **_levels(image),
        contrast_limits=layer.window,
        colormap="viridis" if layer.in_colour else "gray",
        **_placed(layer, image.voxel_nm),
    )


def _add_labels(viewer: Any, layer: Layer) -> None:
    from napari.utils.colormaps import DirectLabelColormap

    image = read_image(layer.path)
    colors: dict[int | None, str] = {0: "transparent", None: "transparent"}
    colors.update(layer.colors.items())
    viewer.add_labels(
        **_levels(image),
        colormap=DirectLabelColormap(color_dict=colors),
        opacity=0.5,
        features={"index": list(layer.names), "name": list(layer.names.values())},
        **_placed(layer, image.voxel_nm),
    )


def _add_mesh(viewer: Any, layer: Layer) -> None:
    mesh = read_mesh(layer.path)
    viewer.add_surface(
        (mesh.vertices_nm, mesh.faces, np.ones(len(mesh.vertices_nm))),
        opacity=_MESH_ALPHA,
        **_placed(layer, (1.0, 1.0, 1.0)),
    )


_ADD: Final = {"image": _add_image, "labels": _add_labels, "mesh": _add_mesh}


def _levels(image: LazyImage) -> dict[str, Any]:
    """A pyramid of one level is none to napari."""
    several = len(image.levels) > 1
    return {"data": image.levels if several else image.data, "multiscale": several}


def _placed(layer: Layer, voxel_nm: tuple[float, ...]) -> dict[str, Any]:
    return {
        "name": layer.name,
        "visible": layer.visible,
        "scale": voxel_nm,
        "translate": layer.origin_nm,
        "units": ("nm",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
