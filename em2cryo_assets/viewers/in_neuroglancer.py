"""A scene in Neuroglancer: its own server on a loopback port, and the study's files read-only beside it.

Belongs here: handing layers to Neuroglancer. Does not belong here: which layers there are (`viewers.layers`).

The browser reads OME-Zarr chunk by chunk, at the level that it draws: a tomogram of many GB opens at once, and Python
holds none of it. Files come from the same address as the page, below a random token, so that no other web page can
read them.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets.viewers.layers import Layer, Scene

__all__ = ["serve"]

_PANEL_PX: Final = 330
"""Height of a quarter of a usual window: the volume just fits into it at first."""

_FROM_ABOVE: Final = (0.35, 0.25, 0.1, 0.9)
"""Quaternion (x, y, z, w): seen straight on, a body looks flat."""

_GREY: Final = "void main() { emitGrayscale(normalized()); }"
_COLOUR: Final = "void main() { emitRGB(colormapCubehelix(normalized())); }"  # told apart by every kind of eye


@contextlib.contextmanager
def serve(scene: Scene) -> Iterator[Any]:
    """Show a scene while the block lasts.

    Parameters
    ----------
    scene : Scene
        What to show.

    Yields
    ------
    neuroglancer.Viewer
        ``get_viewer_url()`` is the address to open; ``state`` what the page shows.
    """
    import neuroglancer
    from neuroglancer import server

    neuroglancer.set_server_bind_address("127.0.0.1")
    with TemporaryDirectory(prefix="em2cryo-view-") as made:
        viewer = neuroglancer.Viewer()
        try:
            running = server.global_server
            place = f"/em2cryo/{running.token}"
            _add_folders(running, place, [layer.path for layer in scene.layers], Path(made))
            with viewer.txn() as state:
                _fill(neuroglancer, state, scene, f"{running.server_url}{place}", Path(made))
            yield viewer
        finally:
            server.stop()


def _add_folders(running: Any, place: str, folders: list[Path], made: Path) -> None:
    """Let Neuroglancer's server read the folders of the layers, by number, and what was made for it."""
    from tornado.web import StaticFileHandler

    named = {str(number): folder for number, folder in enumerate(folders)} | {"made": made}
    handlers = [(f"{place}/{name}/(.*)", StaticFileHandler, {"path": str(path)}) for name, path in named.items()]
    running.loop.call_soon_threadsafe(running.app.add_handlers, ".*", handlers)


def _fill(neuroglancer: Any, state: Any, scene: Scene, address: str, made: Path) -> None:
    state.title = scene.title
    # x, y, z: the first panel shows x to the right and y down, like every picture of the study.
    sides = scene.voxel_nm[::-1]
    state.dimensions = neuroglancer.CoordinateSpace(names=["x", "y", "z"], units="nm", scales=sides)
    state.position = [count / 2 for count in scene.shape[::-1]]
    longest = max(count * side for count, side in zip(scene.shape, scene.voxel_nm, strict=True)) / sides[0]
    state.cross_section_scale = longest / _PANEL_PX
    state.projection_scale = 1.5 * longest
    state.projection_orientation = _FROM_ABOVE
    # Slices would hide the surface in 3-D; where there is none, they are all that can be drawn there.
    state.show_slices = not any(layer.kind == "mesh" for layer in scene.layers)
    state.hide_cross_section_background_3d = True
    state.layout = "4panel"
    for number, layer in enumerate(scene.layers):
        shown = _SHOW[layer.kind](neuroglancer, layer, f"{address}/{number}", address, made)
        state.layers.append(name=layer.name, layer=shown, visible=layer.visible)


def _show_image(neuroglancer: Any, layer: Layer, source: str, address: str, made: Path) -> Any:
    assert layer.window is not None
    low, high = layer.window
    shader = f"#uicontrol invlerp normalized(range=[{low:.9g}, {high:.9g}])\n{_COLOUR if layer.in_colour else _GREY}"
    return neuroglancer.ImageLayer(source=f"zarr3://{source}", shader=shader, opacity=1.0, tab="rendering")


def _show_labels(neuroglancer: Any, layer: Layer, source: str, address: str, made: Path) -> Any:
    names = _write_names(made, source.rpartition("/")[2], layer.names)
    return neuroglancer.SegmentationLayer(
        source=[f"zarr3://{source}", f"precomputed://{address}/made/{names}"],
        segments=sorted(layer.names),
        segment_colors=layer.colors,
        selected_alpha=0.5,
        tab="segments",
    )


def _show_mesh(neuroglancer: Any, layer: Layer, source: str, address: str, made: Path) -> Any:
    _write_mesh(made / "mesh", layer)
    names = _write_names(made, "mesh", layer.names)
    return neuroglancer.SegmentationLayer(
        source=[f"precomputed://{address}/made/mesh", f"precomputed://{address}/made/{names}"],
        segments=[1],
        segment_colors=layer.colors,
        tab="segments",
    )


_SHOW: Final = {"image": _show_image, "labels": _show_labels, "mesh": _show_mesh}


def _write_names(made: Path, of: str, names: dict[int, str]) -> str:
    """Names of labels in Neuroglancer's format for properties of segments; returns the folder's name."""
    values = sorted(names)
    labels = {"id": "label", "type": "label", "values": [names[value].replace("_", " ") for value in values]}
    inline = {"ids": [str(value) for value in values], "properties": [labels]}
    folder = made / f"names-{of}"
    folder.mkdir()
    content = {"@type": "neuroglancer_segment_properties", "inline": inline}
    (folder / "info").write_text(json.dumps(content), encoding="utf-8")
    return folder.name


def _write_mesh(folder: Path, layer: Layer) -> None:
    """The mesh as segment 1 in Neuroglancer's single-resolution format: x, y, z in nm."""
    mesh = read_mesh(layer.path)
    points = np.ascontiguousarray((mesh.vertices_nm + np.array(layer.origin_nm))[:, ::-1], dtype="<f4")
    folder.mkdir()
    (folder / "info").write_text(json.dumps({"@type": "neuroglancer_legacy_mesh"}), encoding="utf-8")
    (folder / "1:0").write_text(json.dumps({"fragments": ["whole"]}), encoding="utf-8")
    faces = mesh.faces.astype("<u4").tobytes()
    (folder / "whole").write_bytes(np.array(len(points), "<u4").tobytes() + points.tobytes() + faces)
