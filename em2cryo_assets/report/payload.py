"""A cell's mesh and cut faces as a classic script, for the viewer of a page opened from disk.

Belongs here: the change of frame, the packing, the script's text. Does not belong here: the viewer itself
(`viewer/src/viewer.js`), which reads what is written here.
"""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.report.entries import CellEntry
from em2cryo_assets.report.raster import colour_codes, grey, png
from em2cryo_assets.vocabulary import LABELS

__all__ = ["cell_script"]


def cell_script(cell: CellEntry) -> str:
    """Write the script that hands one cell to the page.

    A page on ``file://`` may load scripts but not fetch files, so the data are a call. Positions are
    16-bit steps (a few tenths of a nanometre for a cell). The viewer's frame has y up where images have y
    down, so y changes its sign and the faces their winding: the cell on the screen is the cell in the
    micrograph, not its mirror image.

    Parameters
    ----------
    cell : CellEntry
        With a mesh.

    Returns
    -------
    str
        JavaScript.

    Raises
    ------
    ValueError
        If the cell has no mesh.
    """
    if cell.mesh is None:
        raise ValueError(f"The cell {cell.key} has no mesh to show.")
    xyz = cell.mesh.vertices_nm[:, ::-1] * (1.0, -1.0, 1.0)
    centre = (xyz.min(axis=0) + xyz.max(axis=0)) / 2
    step = max(float(np.abs(xyz - centre).max()) / 32767, 1e-9)
    packed = np.rint((xyz - centre) / step).astype("<i2")
    body = {
        "positions": _code(packed),
        "faces": _code(cell.mesh.faces[:, ::-1].astype("<u4")),
        "step_nm": step,
        "centre_nm": [float(value) for value in centre],
        "planes": _planes(cell),
    }
    # "<" is escaped although a script file needs no escaping: the text stays safe wherever it is pasted.
    arguments = f"{json.dumps(cell.key)}, {json.dumps(body)}".replace("<", "\\u003c")
    return f"window.em2cryoCell({arguments});\n"


def _planes(cell: CellEntry) -> list[dict[str, Any]]:
    planes: list[dict[str, Any]] = []
    for cut in (one for one in cell.slices if one.axis == "z"):
        inside = cut.labels != LABELS["outside"]
        levels = np.repeat(grey(cut.density, inside)[..., None], 3, axis=-1)
        place = (cut.pixel_nm, cut.origin_nm, cut.position_nm)
        planes.append(_plane("density", levels, inside, *place, crisp=False))
        planes.append(_plane("labels", colour_codes(cut.labels), inside, *place, crisp=True))
        break
    if cell.cutaway is not None:
        way = cell.cutaway
        levels = np.repeat(grey(way.density, way.mask)[..., None], 3, axis=-1)
        planes.append(_plane("tem", levels, way.mask, way.pixel_nm, way.origin_nm[1:], way.origin_nm[0], crisp=False))
    return planes


def _plane(
    name: str,
    rgb: NDArray[np.uint8],
    shown: NDArray[np.bool_],
    pixel_nm: float,
    origin_nm: tuple[float, float],
    z_nm: float,
    *,
    crisp: bool,
) -> dict[str, Any]:
    rows, columns = shown.shape
    rgba = np.concatenate([rgb, np.where(shown, 255, 0).astype(np.uint8)[..., None]], axis=-1)
    return {
        "id": name,
        "image": f"data:image/png;base64,{base64.b64encode(png(rgba)).decode('ascii')}",
        "crisp": crisp,
        "width_nm": columns * pixel_nm,
        "height_nm": rows * pixel_nm,
        "x_nm": origin_nm[1] + (columns - 1) / 2 * pixel_nm,
        "y_nm": -(origin_nm[0] + (rows - 1) / 2 * pixel_nm),
        "z_nm": z_nm,
    }


def _code(array: NDArray[np.integer]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
