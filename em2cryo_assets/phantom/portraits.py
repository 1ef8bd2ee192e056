"""One simulated cell as each microscope would show it, beside the truth.

Belongs here: the few pictures by which a person, or a test of an estimator, sees one cell under all three
microscopes at once; no one has that of a real cell.
Does not belong here: raw files of a study, which show other cells by each microscope (`study`), and how a
picture comes about (`pile`, `tem`, `cryo`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.cryo import cryo_slab, slab_labels
from em2cryo_assets.phantom.pile import Pile, drop_cells, sem_image, trace_relief
from em2cryo_assets.phantom.planes import Plane, profile_extent_nm, random_plane, wall_plane
from em2cryo_assets.phantom.priors import draw
from em2cryo_assets.phantom.raster import rasterize
from em2cryo_assets.phantom.scene import Cell, Truth, draw_cell
from em2cryo_assets.phantom.tem import Section, Settings, cut_section

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["SCENE_VOXEL_NM", "SEM_PIXEL_NM", "SLAB_VOXEL_NM", "Portrait", "portrait"]

SCENE_VOXEL_NM: Final = 50.0
SEM_PIXEL_NM: Final = 22.0
SLAB_VOXEL_NM: Final = 8.0
_SECTION_PIXELS: Final = 320
_SLAB_SHAPE: Final = (24, 112, 112)
_TILTS_DEG: Final = tuple(np.arange(-60.0, 61.0, 3.0).tolist())


@dataclass(frozen=True)
class Portrait:
    """One cell, its truth, and what three microscopes show of it. Simulated throughout.

    Parameters
    ----------
    seed : int
        Of the cell and of its pictures.
    truth : Truth
        Measured on the scene.
    labels : dask.array.Array, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS`, voxels of `SCENE_VOXEL_NM`; the living cell.
    density : dask.array.Array, float32, shape (z, y, x)
        As TEM stains it, high = dense, without texture or noise.
    sem : numpy.ndarray, uint8, shape (y, x)
        The dried cell alone on a support, pixels of `SEM_PIXEL_NM`.
    sem_mask : numpy.ndarray, uint8, shape (y, x)
        1 on the cell.
    half_thickness_nm : numpy.ndarray, float32, shape (y, x)
        Of the dried cell along the beam, 0 beside it.
    depth_nm : numpy.ndarray, float32, shape (y, x)
        Of the visible surface below the cell's highest point; on the support its height.
    normals : numpy.ndarray, float32, shape (3, y, x)
        Of the visible surface, (z, y, x), z towards the beam.
    shrink : float
        Linear shrinkage by drying.
    section : numpy.ndarray, float32, shape (y, x)
        A thin section in a random plane, high = dense.
    section_labels : numpy.ndarray, uint8, shape (y, x)
        Codes of `vocabulary.LABELS` in the middle of that section.
    section_pixel_nm : float
        Its pixel side, chosen so that the profile fits.
    section_plane : Plane
        Middle of that section in the cell.
    section_wall_angle_deg : numpy.ndarray, float32, shape (y, x)
        Angle between the wall's normal and the section, 0 where the wall stands upright; NaN where there is none.
    slab : numpy.ndarray, float32, shape (z, y, x)
        Reconstruction of a lamella that holds wall, voxels of `SLAB_VOXEL_NM`, high = dense.
    slab_labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS` in the lamella.
    slab_plane : Plane
        Middle of the lamella in the cell.
    """

    seed: int
    truth: Truth
    labels: "da.Array"
    density: "da.Array"
    sem: NDArray[np.uint8]
    sem_mask: NDArray[np.uint8]
    half_thickness_nm: NDArray[np.float32]
    depth_nm: NDArray[np.float32]
    normals: NDArray[np.float32]
    shrink: float
    section: NDArray[np.float32]
    section_labels: NDArray[np.uint8]
    section_pixel_nm: float
    section_plane: Plane
    section_wall_angle_deg: NDArray[np.float32]
    slab: NDArray[np.float32]
    slab_labels: NDArray[np.uint8]
    slab_plane: Plane


def portrait(seed: int) -> Portrait:
    """Draw one cell of the simulated population and look at it by SEM, TEM and cryo-ET.

    Parameters
    ----------
    seed : int
        The same seed gives the same cell and the same pictures.

    Returns
    -------
    Portrait
        The volumes are lazy (`rasterize`); everything else is computed.
    """
    cell = draw_cell(seed)
    streams = np.random.SeedSequence(seed).spawn(3)
    reach = cell.body.half_extent_nm() + SCENE_VOXEL_NM
    side = 2 * int(np.ceil(reach / SCENE_VOXEL_NM)) + 1
    corner = -0.5 * (side - 1) * SCENE_VOXEL_NM
    raster = rasterize(cell, Grid((side,) * 3, (SCENE_VOXEL_NM,) * 3, (corner,) * 3), chunk=64)
    sem, pile, shrink = _by_sem(cell, np.random.default_rng(streams[0]))
    section, pixel_nm = _by_tem(cell, np.random.default_rng(streams[1]))
    rng = np.random.default_rng(streams[2])
    plane = wall_plane(cell.body, rng, 350.0)
    slab = cryo_slab(cell, plane, _SLAB_SHAPE, SLAB_VOXEL_NM, list(_TILTS_DEG), snr=10.0, seed=int(rng.integers(2**32)))
    return Portrait(
        seed=seed,
        truth=cell.truth(),
        labels=raster.labels,
        density=raster.density,
        sem=sem,
        sem_mask=(pile.owner > 0).astype(np.uint8),
        half_thickness_nm=pile.half_thickness_nm,
        depth_nm=pile.depth_nm,
        normals=pile.normals,
        shrink=shrink,
        section=section.image,
        section_labels=section.labels,
        section_pixel_nm=pixel_nm,
        section_plane=section.plane,
        section_wall_angle_deg=section.wall_angle_deg,
        slab=slab,
        slab_labels=slab_labels(cell, plane, _SLAB_SHAPE, SLAB_VOXEL_NM),
        slab_plane=plane,
    )


def _by_sem(cell: Cell, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Pile, float]:
    """Picture, what it shows, and shrinkage of the dried cell, alone in random orientation."""
    shrink = draw("drying_linear", rng)
    relief = trace_relief(cell, random_rotation(rng), shrink, SEM_PIXEL_NM)
    side = relief.top_nm.shape[0] + 24
    pile = drop_cells([relief], [(side // 2, side // 2)], (side, side), SEM_PIXEL_NM)
    return sem_image(pile, SEM_PIXEL_NM, seed=int(rng.integers(2**32))), pile, shrink


def _by_tem(cell: Cell, rng: np.random.Generator) -> tuple[Section, float]:
    """A section in a random plane through the cell, and its pixel side."""
    # `random_plane` draws planes through any part of space about the cell and gives None beside it.
    while (plane := random_plane(cell.body, rng)) is None:
        pass
    pixel_nm = float(np.ceil(10.0 * profile_extent_nm(cell.body, plane) / (0.92 * _SECTION_PIXELS)) / 10.0)
    shape, seed = (_SECTION_PIXELS, _SECTION_PIXELS), int(rng.integers(2**32))
    return cut_section(cell, plane, shape, pixel_nm, Settings(), seed=seed), pixel_nm
