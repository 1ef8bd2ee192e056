"""Thumbnails for the Dagster UI: small, labelled, and marked where the data are simulated.

Belongs here: arrays to inline PNG of at most 50 KB (each is written to two databases).
Does not belong here: figures of the report (`report`) or anything measured.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any, Final

import dagster as dg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from em2cryo_assets.geometry.mesh import Mesh

__all__ = ["label_colours", "mesh_picture", "picture", "table", "windowed"]

_LIMIT_BYTES = 50_000
_SIDE_PX = 320

# Okabe and Ito's colour-blind-safe palette in the order of the label codes; outside is black.
_PALETTE: Final = np.array(
    [
        (0, 0, 0),
        (230, 159, 0),
        (213, 94, 0),
        (120, 120, 120),
        (0, 114, 178),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
    ],
    dtype=np.uint8,
)


def windowed(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey levels between the 0.5th and the 99.5th percentile of the finite pixels, shape kept."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(np.asarray(image, dtype=np.float32)) - low) / max(high - low, 1e-12)
    return (np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def label_colours(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Vocabulary codes (y, x) as RGB (y, x, 3)."""
    return _PALETTE[np.clip(labels, 0, len(_PALETTE) - 1).astype(int)]


def picture(panels: Sequence[NDArray[Any]], caption: str, *, simulated: bool) -> dg.MetadataValue[Any]:
    """Panels side by side, as inline markdown.

    Parameters
    ----------
    panels : sequence of numpy.ndarray
        Grey (y, x) of any type, which is windowed, or RGB uint8 (y, x, 3).
    caption : str
        Alternative text, shown below.
    simulated : bool
        Burns the word into the picture, so that no copy of it loses the mark.
    """
    height = max(panel.shape[0] for panel in panels)
    scale = min(1.0, _SIDE_PX / height)
    images = [_fit(panel, scale) for panel in panels]
    sheet = Image.new("RGB", (sum(i.width for i in images) + 4 * (len(images) - 1), max(i.height for i in images)))
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + 4
    if simulated:
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((0, 0, 62, 12), fill=(0, 0, 0))
        pen.text((3, 0), "SIMULATED", fill=(255, 215, 0))
    encoded = base64.b64encode(_small_png(sheet)).decode()
    return dg.MetadataValue.md(f"![{caption}](data:image/png;base64,{encoded})\n\n{caption}")


def mesh_picture(mesh: Mesh, caption: str, *, simulated: bool) -> dg.MetadataValue[Any]:
    """A mesh seen from the microscope and from the side, shaded by its normals.

    Parameters
    ----------
    mesh : Mesh
        Closed mesh, nm.
    """
    return picture([_shade(mesh, axis) for axis in (0, 1)], caption, simulated=simulated)


def table(frame: Any, *, rows: int = 60) -> dg.MetadataValue[Any]:
    """A DataFrame as table metadata, which the UI shows without a click; floats rounded for reading."""
    records = [
        dg.TableRecord({str(k): _plain(v) for k, v in row.items()}) for row in frame.head(rows).to_dict("records")
    ]
    columns = [dg.TableColumn(str(name), _column_type(frame[name])) for name in frame.columns]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def _fit(panel: NDArray[Any], scale: float) -> Image.Image:
    image = Image.fromarray(panel if panel.ndim == 3 else windowed(panel)).convert("RGB")
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if panel.ndim == 2 else Image.Resampling.NEAREST)


def _small_png(sheet: Image.Image) -> bytes:
    for colours in (256, 64, 32, 16):
        out = io.BytesIO()
        sheet.quantize(colours).save(out, "PNG", optimize=True)
        if out.tell() <= _LIMIT_BYTES * 3 // 4:  # base64 adds a third
            return out.getvalue()
        sheet = sheet.resize((max(1, sheet.width * 4 // 5), max(1, sheet.height * 4 // 5)))
    return out.getvalue()


def _shade(mesh: Mesh, axis: int, side: int = 240) -> NDArray[np.uint8]:
    """Points spread over the triangles, nearest first, lit from the viewer."""
    corners = mesh.vertices_nm[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lit = np.abs(normals[:, axis]) / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    # A fixed lattice of barycentric points, dense enough for triangles of a few pixels.
    grid = [(a / 8, b / 8) for a in range(9) for b in range(9 - a)]
    points = np.concatenate([corners[:, 0] * (1 - a - b) + corners[:, 1] * a + corners[:, 2] * b for a, b in grid])
    light = np.tile(lit, len(grid))
    shown = [other for other in range(3) if other != axis]
    span = np.ptp(mesh.vertices_nm, axis=0).max() or 1.0
    centre = (mesh.vertices_nm.max(axis=0) + mesh.vertices_nm.min(axis=0)) / 2
    pixel = np.rint((points[:, shown] - centre[shown]) / span * (side * 0.9) + side / 2).astype(int).clip(0, side - 1)
    order = np.argsort(points[:, axis], kind="stable")  # painter: the nearest last
    image = np.zeros((side, side), dtype=np.float32)
    image[pixel[order, 0], pixel[order, 1]] = 0.15 + 0.85 * light[order]
    return np.repeat((image * 255).astype(np.uint8)[..., None], 3, axis=2)


def _plain(value: Any) -> str | int | float | bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if not np.isfinite(value) else float(f"{float(value):.4g}")
    return None if value is None else str(value)


def _column_type(column: Any) -> str:
    return {"b": "bool", "i": "int", "u": "int", "f": "float"}.get(column.dtype.kind, "string")
