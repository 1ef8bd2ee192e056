"""What a simulated cell measures, found on the scene itself.

Belongs here: volumes, shares and axes of one cell. Does not belong here: the scene (`scene`), counting pixels of
pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import columns
from em2cryo_assets.phantom.membranes import share_inside
from em2cryo_assets.phantom.planes import centred
from em2cryo_assets.phantom.priors import PRIORS

if TYPE_CHECKING:
    from em2cryo_assets.phantom.scene import Cell

__all__ = ["Truth", "measured"]

FloatArray = NDArray[np.float64]

# Linear shares over a voxel v add v²/12 to a tube's squared radius: 2 % at 90 nm and 0.2 % at 30 for the thinnest
# bodies, and as much to a vacuole's lobe of 500 nm at 45.
_TUBE_VOXEL_NM, _VACUOLE_VOXEL_NM = 30.0, 45.0


@dataclass(frozen=True)
class Truth:
    """Measured on the scene itself: in closed form where there is one, else by counting on fine grids.

    Parameters
    ----------
    volume_um3 : float
        Of the cell with wall and bud.
    fractions : mapping of str to float
        Volume of wall and of each organelle over the volume of the cell.
    semi_axes_nm : tuple of float
        Half axes of the ellipsoid with the same moments, longest first.
    wall_thickness_nm : float
        Mean along the normal, away from scars.
    budded : bool
        Whether it has a bud.
    """

    volume_um3: float
    fractions: Mapping[str, float]
    semi_axes_nm: tuple[float, float, float]
    wall_thickness_nm: float
    budded: bool


def measured(cell: Cell, voxel_nm: float) -> Truth:
    """Volume, fractions and axes of a cell.

    Parameters
    ----------
    cell : Cell
        The scene.
    voxel_nm : float
        Voxel side of the grid that the whole cell and its wall are counted on. Mitochondria and the vacuole have
        finer ones about them; nuclei and droplets, which nothing clips, are ellipsoids and balls.

    Returns
    -------
    Truth
        Each share within 1 % of voxels counted at 25 nm.
    """
    reach = cell.body.half_extent_nm() + 2 * voxel_nm
    points = _lattice(np.full(3, -reach), np.full(3, reach), voxel_nm)
    points = points[cell.body.distance(points, exact=False) < voxel_nm + 150.0]
    zyx = columns(points)
    smooth = cell.body.distance_of_columns(zyx)
    inside = share_inside(smooth - cell.height_nm(zyx, smooth), voxel_nm)
    count = float(inside.sum())
    total_nm3 = count * voxel_nm**3
    offsets = points - np.average(points, axis=0, weights=inside)
    axes = np.sqrt(5.0 * np.linalg.eigvalsh((offsets * inside[:, None]).T @ offsets / count)[::-1])
    nucleus, radii = cell.organelles.nucleus, cell.organelles.droplet_radii_nm
    ball = 4.0 / 3.0 * np.pi
    volumes_nm3 = {
        "nucleus": ball * float(np.prod(nucleus.semi_axes_nm)),
        "vacuole": _vacuole_nm3(cell),
        "mitochondrion": _tubes_nm3(cell),
        "lipid_droplet": ball * float(np.sum(radii**3)),
    }
    fractions = {
        "wall": 1.0 - float(share_inside(smooth + cell.wall_nm, voxel_nm).sum()) / count,
        **{name: volume / total_nm3 for name, volume in volumes_nm3.items()},
    }
    lengths = (float(axes[0]), float(axes[1]), float(axes[2]))
    return Truth(total_nm3 * 1e-9, fractions, lengths, cell.wall_nm, cell.body.bud is not None)


def _lattice(low: FloatArray, high: FloatArray, voxel_nm: float) -> FloatArray:
    """Points (N, 3) of a cubic grid over a box."""
    return _grid([np.arange(a, b + voxel_nm, voxel_nm) for a, b in zip(low, high, strict=True)])


def _grid(axes: list[FloatArray]) -> FloatArray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _vacuole_nm3(cell: Cell) -> float:
    vacuole, side = cell.organelles.vacuole, _VACUOLE_VOXEL_NM
    half = vacuole.radius_nm + side
    zyx = columns(_lattice(vacuole.centre_nm - half, vacuole.centre_nm + half, side))
    cortex = cell.body.distance_of_columns(zyx) + cell.wall_nm + PRIORS["membrane_thickness"].mean
    distance = cell.organelles.vacuole_distance(zyx, cell.organelles.nucleus.distance(zyx), cortex)
    return float(share_inside(distance, side).sum()) * side**3


def _tubes_nm3(cell: Cell) -> float:
    """Volume of the mitochondria, on fine points only in those blocks of a coarse grid that a tube may reach."""
    side, block, count = _TUBE_VOXEL_NM, 4 * _TUBE_VOXEL_NM, 0.0
    fine = _grid(3 * [centred(4, side)])
    reach = 0.5 * np.sqrt(3.0) * block + 0.5 * side
    for tube in cell.organelles.tubes:
        half = tube.radius_nm + reach
        nodes = np.concatenate(tube.chains_nm)
        coarse = _lattice(nodes.min(axis=0) - half, nodes.max(axis=0) + half, block)
        near = coarse[tube.distance(columns(coarse), reach)[0] < reach]
        zyx = columns((near[:, None] + fine[None]).reshape(-1, 3))
        count += float(share_inside(tube.distance(zyx, side)[0], side).sum())
    return count * side**3
