"""A real section of another cell, warped onto a mesh's mid-plane: for the eye only.

Belongs here: the warp and its caption. Does not belong here: anything measured on the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.fusion.budding import compartments
from em2cryo_assets.geometry.distance import signed_distance
from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.geometry.mesh import Mesh

__all__ = ["CutawayImage", "cutaway"]

_ANGLES = 720
_CAPTION = (
    "TEM profile of another cell, warped onto the mid-plane of this cell's SEM shape. "
    "Not this cell's interior: for orientation only."
)
_BUD = "The bud is left grey: stretched through the neck, a round profile would show what no cell looks like."


@dataclass(frozen=True)
class CutawayImage:
    """The warped section.

    Parameters
    ----------
    density : numpy.ndarray, float32, shape (y, x)
        Warped density, NaN outside the cell.
    mask : numpy.ndarray of bool, shape (y, x)
        The mesh's mid-plane.
    caption : str
        Must go wherever the picture goes.
    pixel_nm : float
        Pixel side.
    origin_nm : tuple of float
        (z, y, x) of the centre of pixel (0, 0) in the mesh's frame.
    """

    density: NDArray[np.float32]
    mask: NDArray[np.bool_]
    caption: str
    pixel_nm: float
    origin_nm: tuple[float, float, float]


def cutaway(
    mesh: Mesh,
    section_density: NDArray[np.floating],
    profile: NDArray[np.bool_],
    *,
    pixel_size_nm: float,
    grid_pixel_nm: float,
) -> CutawayImage:
    """Warp one profile onto the plane through the middle of a mesh, normal to z.

    Long axes are aligned; then every ray from the centroid is stretched so that outline falls on outline. A bud
    stays grey: the profile is of an unbudded cell.

    Parameters
    ----------
    mesh : Mesh
        Closed mesh, nm.
    section_density : numpy.ndarray, shape (y, x)
        Section, high where dense.
    profile : numpy.ndarray of bool, shape (y, x)
        One whole cell profile of it, wall included.
    pixel_size_nm : float
        Pixel side of the section.
    grid_pixel_nm : float
        Pixel side of the result.

    Returns
    -------
    CutawayImage

    Raises
    ------
    ValueError
        An empty profile, or a mesh without area in its middle plane.
    """
    if not profile.any():
        raise ValueError("The section's profile is empty: nothing to warp.")
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    shape = np.ceil((high - low)[1:] / grid_pixel_nm).astype(int) + 5
    origin = (low + high)[1:] / 2 - (shape - 1) / 2 * grid_pixel_nm
    middle = float((low[0] + high[0]) / 2)
    grid = Grid((1, int(shape[0]), int(shape[1])), (grid_pixel_nm,) * 3, (middle, float(origin[0]), float(origin[1])))
    distance = signed_distance(mesh, grid)[0]
    mask = distance < 0
    if not mask.any():
        raise ValueError("The mesh has no area in its middle plane.")
    parts = compartments(-distance)
    mother = parts == 1 if parts.max() > 1 else mask
    centre, angle, outline = _frame(mother, grid_pixel_nm)
    their_centre, their_angle, their_outline = _frame(profile, pixel_size_nm)
    y, x = np.indices(mask.shape, dtype=np.float64) - centre[:, None, None]
    radius = np.hypot(y, x) * grid_pixel_nm
    turn = np.arctan2(y, x) - angle
    share = radius / _at(outline, turn)
    reach = share * _at(their_outline, turn) / pixel_size_nm
    rows = their_centre[0] + reach * np.sin(turn + their_angle)
    columns = their_centre[1] + reach * np.cos(turn + their_angle)
    warped = ndimage.map_coordinates(np.asarray(section_density, np.float32), [rows, columns], order=1, mode="nearest")
    density = np.where(mother, warped, np.float32(np.median(section_density[profile])))
    density = np.where(mask, density, np.float32(np.nan)).astype(np.float32)
    caption = _CAPTION if parts.max() <= 1 else f"{_CAPTION} {_BUD}"
    return CutawayImage(density, mask, caption, grid_pixel_nm, (middle, float(origin[0]), float(origin[1])))


def _frame(mask: NDArray[np.bool_], pixel_nm: float) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Centroid (pixels), direction of the long axis, and outline radius (nm) by angle from that axis."""
    points = np.argwhere(mask).astype(np.float64)
    centre = points.mean(axis=0)
    y, x = (points - centre).T
    angle = 0.5 * np.arctan2(2 * np.mean(x * y), np.mean(x * x) - np.mean(y * y))
    turns = np.arange(_ANGLES) * 2 * np.pi / _ANGLES + angle
    steps = np.arange(0.0, np.hypot(*mask.shape), 0.5)
    rows = centre[0] + steps[None] * np.sin(turns)[:, None]
    columns = centre[1] + steps[None] * np.cos(turns)[:, None]
    along = ndimage.map_coordinates(mask.astype(np.float32), [rows, columns], order=1, mode="constant")
    # The outermost crossing: a neck seen from the centroid hides nothing of the bud behind it.
    last = along.shape[1] - 1 - np.argmax(along[:, ::-1] >= 0.5, axis=1)
    radius = np.maximum(steps[last], 1.0) * pixel_nm
    return centre, float(angle), ndimage.gaussian_filter1d(radius, 3.0, mode="wrap")


def _at(outline: NDArray[np.float64], turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline radius at an angle, interpolated."""
    position = np.mod(turn, 2 * np.pi) / (2 * np.pi) * _ANGLES
    below = np.floor(position).astype(int) % _ANGLES
    weight = position - np.floor(position)
    return outline[below] * (1 - weight) + outline[(below + 1) % _ANGLES] * weight
