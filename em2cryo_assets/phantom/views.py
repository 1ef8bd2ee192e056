"""A pile seen from other directions, as after tilting and turning the stage.

Belongs here: cells fixed in space, the stage, pictures of the same pile from several sides.
Does not belong here: how cells came to lie (`pile`), brightness (`sem.image_model`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.pile import Canvas, Pile, visible_shares
from em2cryo_assets.phantom.relief import trace_relief
from em2cryo_assets.phantom.scene import Cell

__all__ = ["Placed", "place", "quarter_turn", "stage_rotation", "triplet", "view"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """A dried cell fixed in space.

    Parameters
    ----------
    cell : Cell
        The scene.
    rotation : numpy.ndarray, shape (3, 3)
        Cell frame to stage frame.
    shrink : float
        Linear shrinkage by drying.
    centre_nm : numpy.ndarray, shape (3,)
        Of its mother, (z, y, x), z from the support and y and x from the centre of the picture.
    """

    cell: Cell
    rotation: FloatArray
    shrink: float
    centre_nm: FloatArray


def quarter_turn(quarters: int) -> FloatArray:
    """Rotation (3, 3) of `relief.turned`: (z, y, x) to (z, -x, y) a quarter."""
    once = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return np.linalg.matrix_power(once, quarters % 4)


def stage_rotation(tilt_deg: float, turn_deg: float = 0.0) -> FloatArray:
    """Rotation (3, 3) that a stage performs: first a turn about its normal, then a tilt about the x axis.

    Parameters
    ----------
    tilt_deg : float
        Positive tilts lift what lies at small y, the upper part of the picture, towards the beam.
    turn_deg : float
        From +x towards +y.
    """
    a, b = np.deg2rad(tilt_deg), np.deg2rad(turn_deg)
    tilt = np.array([[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])
    turn = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(b), np.sin(b)], [0.0, -np.sin(b), np.cos(b)]])
    return tilt @ turn


def place(cells: Sequence[Cell], rotations: Sequence[FloatArray], shrinks: Sequence[float], pile: Pile) -> list[Placed]:
    """The cells of a pile, fixed where they came to rest.

    Parameters
    ----------
    cells, rotations, shrinks : sequence
        What each relief of the pile was traced from, in the order of falling.
    pile : Pile
        Made by `pile.drop_cells` with its pixel size.

    Returns
    -------
    list of Placed
        In the order of falling.

    Raises
    ------
    ValueError
        If the numbers of cells, rotations, shrinks and centres differ.
    """
    return [
        Placed(cell, rotation, shrink, centre)
        for cell, rotation, shrink, centre in zip(cells, rotations, shrinks, pile.centres_nm, strict=True)
    ]


def view(placed: Sequence[Placed], stage: FloatArray, shape: tuple[int, int], pixel_size_nm: float) -> Pile:
    """What a picture shows of a pile after the stage has moved, and the truth about it.

    Parameters
    ----------
    placed : sequence of Placed
        The pile.
    stage : numpy.ndarray, shape (3, 3)
        Rotation of the stage about the point of the support at the picture's centre.
    shape : tuple of int
        (y, x) pixels of the picture.
    pixel_size_nm : float
        Pixel side.

    Returns
    -------
    Pile
        Heights and normals in the frame of the picture; numbers of cells as in `placed`. Cells that lie
        beside the picture, or below the tilted support as seen from the beam, have no pixels.

    Raises
    ------
    ValueError
        If the support would be seen from its edge or from below.
    """
    normal = stage[:, 0]
    if normal[0] < 0.05:
        raise ValueError("The support is seen from its edge or from below; tilt the stage less.")
    y, x = ((np.arange(n) - 0.5 * (n - 1)) * pixel_size_nm for n in shape)
    ground = -(normal[1] * y[:, None] + normal[2] * x[None]) / normal[0]
    canvas = Canvas(ground.astype(np.float32), [float(v) for v in normal])
    reliefs = []
    for number, one in enumerate(placed, start=1):
        z, *at = stage @ one.centre_nm
        exact = [v / pixel_size_nm + 0.5 * (n - 1) for v, n in zip(at, shape, strict=True)]
        pixel = [round(float(v)) for v in exact]
        offset = (float(exact[0] - pixel[0]) * pixel_size_nm, float(exact[1] - pixel[1]) * pixel_size_nm)
        relief = trace_relief(one.cell, stage @ one.rotation, one.shrink, pixel_size_nm, offset)
        reliefs.append(relief)
        canvas.put(relief, (pixel[0], pixel[1]), float(z), number)
    level = normal[0] * canvas.height_nm + (normal[1] * y[:, None] + normal[2] * x[None]).astype(np.float32)
    return Pile(
        canvas.height_nm, canvas.normals, canvas.owner, visible_shares(canvas.owner, reliefs),
        canvas.half_thickness_nm, (level.max() - level).astype(np.float32),
        np.array([stage @ one.centre_nm for one in placed]).reshape(-1, 3),
    )  # fmt: skip


def triplet(
    placed: Sequence[Placed], shape: tuple[int, int], pixel_size_nm: float, tilt_deg: float = 45.0
) -> tuple[Pile, Pile, Pile]:
    """The three views recommended for shape: 0°, +45°, and +45° after turning the stage by 180°.

    Parameters
    ----------
    placed : sequence of Placed
        The pile.
    shape : tuple of int
        (y, x) pixels of each picture.
    pixel_size_nm : float
        Pixel side.
    tilt_deg : float
        Of the second and third view.

    Returns
    -------
    tuple of Pile
        The three views.
    """
    stages = (np.eye(3), stage_rotation(tilt_deg), stage_rotation(tilt_deg, 180.0))
    first, second, third = (view(placed, stage, shape, pixel_size_nm) for stage in stages)
    return first, second, third
