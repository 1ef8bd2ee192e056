"""Pictures for the Dagster UI: small, labelled, and marked where the data are simulated.

Belongs here: arrays to inline WebP of at most 50 KB (each is written to two databases).
Does not belong here: figures of the report (`report`) or anything measured.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import dagster as dg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.report.figures import still_of_mesh

__all__ = ["LABEL_COLOURS_SAID", "as_tall", "mesh_pictures", "outlined", "pictures", "table", "windowed"]

LABEL_COLOURS_SAID: Final = (
    "Wall orange, membrane yellow, cytoplasm grey, nucleus blue, vacuole pink, mitochondria red, lipid droplets green."
)
"""The colours of `colours.LABEL_COLOURS` in words, for captions."""

_LIMIT_BYTES: Final = 50_000
_SIDE_PX: Final = 320
_INLINE_CHARACTERS: Final = 999
"""Longer markdown is hidden behind a click in Dagster's UI."""
_INLINE_PX: Final = 128


def windowed(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey levels between the 0.5th and the 99.5th percentile of the finite pixels, shape kept."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(np.asarray(image, dtype=np.float32)) - low) / max(high - low, 1e-12)
    return (np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def as_tall(panel: NDArray[np.uint8], height: int = 256) -> NDArray[np.uint8]:
    """A grey panel at a given height, so that a small picture is not lost beside a large one."""
    width = round(panel.shape[1] * height / panel.shape[0])
    return np.asarray(Image.fromarray(panel).resize((width, height)))


def outlined(image: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """The image (y, x) with the rim of each label in colour, two pixels wide."""
    from scipy import ndimage

    rim = ndimage.grey_dilation(labels, 3) != ndimage.grey_erosion(labels, 3)
    shown = np.repeat(windowed(image)[..., None], 3, axis=2)
    shown[rim] = (255, 176, 0)
    return shown


def pictures(
    panels: Sequence[NDArray[Any]], caption: str, *, simulated: bool, labels: bool = False
) -> dict[str, dg.MetadataValue[Any]]:
    """Panels side by side: ``picture``, which the UI shows at once, and ``picture_large``, behind a click.

    Parameters
    ----------
    panels : sequence of numpy.ndarray
        Shape (y, x) or, RGB, (y, x, 3). Shown as they are if uint8, else windowed. They share one scale.
    caption : str
        One line, shown below.
    simulated : bool
        Burns the word into the pictures, so that no copy of them loses the mark.
    labels : bool
        Whether panels show labels in colour: the large picture's caption then says which is which.
    """
    height = max(panel.shape[0] for panel in panels)
    scale = _SIDE_PX / height if height > _SIDE_PX else max(1, _SIDE_PX // 2 // height)
    images = [_fit(panel, scale) for panel in panels]
    sheet = Image.new("RGB", (sum(i.width for i in images) + 4 * (len(images) - 1), max(i.height for i in images)))
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + 4
    line = " ".join(caption.split())
    full = f"{line}. {LABEL_COLOURS_SAID}" if labels else line
    return {
        "picture": dg.MetadataValue.md(_markdown(sheet, line[:80], _INLINE_PX, _INLINE_CHARACTERS, simulated)),
        "picture_large": dg.MetadataValue.md(_markdown(sheet, full, max(sheet.size), _LIMIT_BYTES, simulated)),
    }


def mesh_pictures(mesh: Mesh, *, simulated: bool) -> dict[str, dg.MetadataValue[Any]]:
    """A mesh as the SEM saw the cell, and from the side: what faced the microscope is on the left.

    Parameters
    ----------
    mesh : Mesh
        Closed mesh, nm.
    """
    z, y, x = mesh.vertices_nm.T
    turned = Mesh(np.stack([x, y, -z], axis=1), mesh.faces)
    above, pixel_nm = still_of_mesh(mesh, size_px=240)
    across_nm = float(np.ptp(turned.vertices_nm[:, 1:], axis=0).max())
    side, _ = still_of_mesh(turned, size_px=max(1, round(across_nm * 1.12 / pixel_nm)))
    return pictures([above, side], "as the SEM saw it; from the side, far half on the right", simulated=simulated)


def table(frame: Any, *, rows: int = 60, meaning: Mapping[str, str] = MappingProxyType({})) -> dg.MetadataValue[Any]:
    """A DataFrame as table metadata, which the UI shows without a click; floats rounded for reading.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its first `rows` rows are shown.
    meaning : mapping of str to str
        What a column means, by its name: shown beside it.
    """
    records = [
        dg.TableRecord({str(k): _plain(v) for k, v in row.items()}) for row in frame.head(rows).to_dict("records")
    ]
    columns = [dg.TableColumn(str(n), _column_type(frame[n]), description=meaning.get(str(n))) for n in frame.columns]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def _fit(panel: NDArray[Any], scale: float) -> Image.Image:
    image = Image.fromarray(panel if panel.dtype == np.uint8 else windowed(panel)).convert("RGB")
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    smooth = panel.ndim == 2 and scale < 1
    return image.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)


def _marked(image: Image.Image) -> Image.Image:
    """With the mark in a strip of its own, where it hides nothing."""
    sheet = Image.new("RGB", (max(62, image.width), image.height + 12))
    sheet.paste(image, (0, 12))
    ImageDraw.Draw(sheet).text((2, 0), "SIMULATED", fill=(255, 215, 0))
    return sheet


def _markdown(sheet: Image.Image, caption: str, side: int, most: int, simulated: bool) -> str:
    """The sheet in the best quality whose markdown keeps within `most` characters."""
    text = ""
    while side >= 16:
        scale = min(1.0, side / max(sheet.size))
        image = sheet.resize((max(1, round(sheet.width * scale)), max(1, round(sheet.height * scale))))
        image = _marked(image) if simulated else image
        for quality in (85, 60, 40, 25, 15, 8):
            out = io.BytesIO()
            image.save(out, "WEBP", quality=quality, method=6)
            text = f"![](data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()})\n\n{caption}"
            if len(text) <= most:
                return text
        side = side * 9 // 10
    return text


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
