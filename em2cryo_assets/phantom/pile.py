"""A pile of dried cells under a scanning electron microscope.

Belongs here: relief of single cells, cells dropped on one another, and the shading of the pile.
Does not belong here: the shape of a cell (`scene`), bars burnt into the picture (`annotate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.counting import poisson_counts
from em2cryo_assets.phantom.scene import Cell

__all__ = ["Pile", "Relief", "drop_cells", "resting_rotation", "sem_image", "trace_relief"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Relief:
    """One dried cell seen from above, about its own centre.

    Parameters
    ----------
    top_nm, bottom_nm : numpy.ndarray, float32, shape (n, n)
        Height of its upper and lower surface; NaN beside the cell.
    normals : numpy.ndarray, float32, shape (3, n, n)
        Outward unit normals (z, y, x) of the upper surface; 0 beside the cell.
    """

    top_nm: Float32Array
    bottom_nm: Float32Array
    normals: Float32Array


@dataclass(frozen=True)
class Pile:
    """Cells lying on a support and on each other.

    Parameters
    ----------
    height_nm : numpy.ndarray, float32, shape (y, x)
        Of the visible surface above the support.
    normals : numpy.ndarray, float32, shape (3, y, x)
        Of the visible surface.
    owner : numpy.ndarray, int32, shape (y, x)
        Number of the visible cell from 1, 0 where the support is visible.
    visible : tuple of float
        Share of each cell's silhouette that is visible in the picture.
    """

    height_nm: Float32Array
    normals: Float32Array
    owner: NDArray[np.int32]
    visible: tuple[float, ...]


def resting_rotation(rng: np.random.Generator, tilt_sd_deg: float = 25.0) -> FloatArray:
    """Rotation (3, 3), cell frame to stage frame, of a cell that has settled.

    The long axis lies near the plane of the support, in any direction; the roll is free.
    """
    tilt = np.deg2rad(np.clip(rng.normal(0.0, tilt_sd_deg), -80.0, 80.0))
    azimuth = rng.uniform(0, 2 * np.pi)
    long_axis = np.array([np.sin(tilt), np.cos(tilt) * np.sin(azimuth), np.cos(tilt) * np.cos(azimuth)])
    side = np.cross(long_axis, rng.normal(size=3))
    side /= np.linalg.norm(side)
    return np.stack([np.cross(side, long_axis), side, long_axis], axis=1)


def _march(
    cell: Cell, rotation: FloatArray, shrink: float, y: FloatArray, x: FloatArray, reach: float, sign: float
) -> Float32Array:
    """Height at which vertical rays from above (sign +1) or below (-1) meet the cell; NaN where none."""
    z = np.full(y.shape, sign * reach)
    found = np.full(y.shape, np.nan)
    active = np.arange(y.size)
    for _ in range(90):
        p = np.stack([z[active], y[active], x[active]], axis=1) @ rotation / shrink
        distance = shrink * cell.outer_distance(p, exact=False)
        hit = np.abs(distance) < 1.0
        found[active[hit]] = z[active[hit]]
        z[active] -= sign * 0.85 * distance
        active = active[~hit & (sign * z[active] > -reach)]
        if not active.size:
            break
    return found.astype(np.float32)


def trace_relief(cell: Cell, rotation: FloatArray, shrink: float, pixel_size_nm: float) -> Relief:
    """Upper and lower surface of a cell on the pixels of a picture, by sphere tracing (Hart 1996).

    Parameters
    ----------
    cell : Cell
        The scene.
    rotation : numpy.ndarray, shape (3, 3)
        Cell frame to stage frame.
    shrink : float
        Linear shrinkage by drying.
    pixel_size_nm : float
        Pixel side.

    Returns
    -------
    Relief
        Square arrays with an odd side, the cell's centre in the middle pixel.
    """
    reach = shrink * (cell.body.half_extent_nm() + 150.0)
    half = int(np.ceil(reach / pixel_size_nm))
    axis = np.arange(-half, half + 1) * pixel_size_nm
    y, x = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    top = _march(cell, rotation, shrink, y, x, reach, 1.0)
    # Rays that missed from above miss from below too.
    bottom = np.full_like(top, np.nan)
    hit = np.flatnonzero(np.isfinite(top))
    bottom[hit] = _march(cell, rotation, shrink, y[hit], x[hit], reach, -1.0)
    bottom = np.where(np.isnan(bottom), top, bottom)
    p = np.stack([top[hit].astype(float), y[hit], x[hit]], axis=1) @ rotation / shrink
    steps = 6.0 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
    slope = np.zeros_like(p)
    for step in steps:
        slope += step * cell.outer_distance(p + step, exact=False)[:, None]
    slope = slope @ rotation.T
    slope /= np.linalg.norm(slope, axis=1, keepdims=True)
    normals = np.zeros((3, top.size), dtype=np.float32)
    normals[:, hit] = slope.T
    side = axis.size
    return Relief(top.reshape(side, side), bottom.reshape(side, side), normals.reshape(3, side, side))


def _window(
    shape: tuple[int, int], centre: tuple[int, int], side: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the picture and of a patch centred at a pixel, cut at the picture's border."""
    half = side // 2
    outer, inner = [], []
    for n, c in zip(shape, centre, strict=True):
        low, high = max(c - half, 0), min(c + half + 1, n)
        outer.append(slice(low, max(high, low)))
        inner.append(slice(low - c + half, max(high, low) - c + half))
    return (outer[0], outer[1]), (inner[0], inner[1])


def drop_cells(reliefs: Sequence[Relief], centres: Sequence[tuple[int, int]], shape: tuple[int, int]) -> Pile:
    """Drop cells one after another; each comes to rest where it first touches what lies below.

    Parameters
    ----------
    reliefs : sequence of Relief
        In order of falling.
    centres : sequence of tuple of int
        (y, x) pixel of each cell's centre, which may lie outside the picture.
    shape : tuple of int
        (y, x) pixels of the picture.

    Returns
    -------
    Pile
        Nothing interpenetrates: every cell's lower surface is at or above what lay there before.
    """
    # Cells also rest on what lies beside the picture.
    pad = max(r.top_nm.shape[0] for r in reliefs) // 2
    full = (shape[0] + 2 * pad, shape[1] + 2 * pad)
    height = np.zeros(full, dtype=np.float32)
    normals = np.zeros((3, *full), dtype=np.float32)
    normals[0] = 1.0
    owner = np.zeros(full, dtype=np.int32)
    for number, (relief, centre) in enumerate(zip(reliefs, centres, strict=True), start=1):
        outer, inner = _window(full, (centre[0] + pad, centre[1] + pad), relief.top_nm.shape[0])
        top, bottom = relief.top_nm[inner], relief.bottom_nm[inner]
        here = np.isfinite(top)
        rest = float(np.max(height[outer][here] - bottom[here]))
        shown = here & (np.where(here, top, -np.inf) + rest > height[outer])
        height[outer][shown] = (top + rest)[shown]
        owner[outer][shown] = number
        for axis in range(3):
            normals[axis][outer][shown] = relief.normals[axis][inner][shown]
    crop = (slice(pad, pad + shape[0]), slice(pad, pad + shape[1]))
    seen = np.bincount(owner[crop].ravel(), minlength=len(reliefs) + 1)[1:]
    visible = tuple(float(n) / float(np.isfinite(r.top_nm).sum()) for n, r in zip(seen, reliefs, strict=True))
    return Pile(height[crop], normals[:, crop[0], crop[1]], owner[crop], visible)


def sem_image(pile: Pile, pixel_size_nm: float, *, seed: int) -> NDArray[np.uint8]:
    """Secondary-electron picture of a pile.

    The yield rises with tilt as a power of the secant (Reimer 1998), the detector stands at one side,
    crevices lose electrons, edges gain some; then spot, shot noise and line-to-line drift.

    Parameters
    ----------
    pile : Pile
        What is visible.
    pixel_size_nm : float
        Pixel side.
    seed : int
        Of charging, texture and noise.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x)
        The picture without any bar.
    """
    rng = np.random.default_rng(seed)
    shape = pile.height_nm.shape
    bright = 1.0 + 0.10 * np.clip(rng.normal(size=int(pile.owner.max()) + 1), -2, 2)
    nz, ny, nx = pile.normals
    rough = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2) + 1.5 * ndimage.gaussian_filter(
        rng.standard_normal(shape), 5.0
    )
    light = (-0.8 * ny - 0.6 * nx) * 0.30
    signal = (1.30 / (np.clip(nz, 0.0, 1.0) + 0.30)) ** 0.85 * (1.0 + light)
    signal *= bright[pile.owner] * (1.0 + 0.06 * rough)
    support = pile.owner == 0
    film = ndimage.gaussian_filter(rng.standard_normal(shape), 30.0)
    signal[support] = (0.55 * (1.0 + 0.05 * rough + 3.0 * film))[support]
    # Crevices: compare each point with the mean height around it, at three distances.
    closed = np.zeros(shape)
    for reach_nm in (300.0, 900.0, 2200.0):
        around = ndimage.gaussian_filter(pile.height_nm.astype(float), reach_nm / pixel_size_nm)
        closed += np.clip((around - pile.height_nm) / reach_nm, 0.0, 1.2) / 3.0
    signal *= 1.0 - 0.62 * np.clip(closed, 0.0, 1.0)
    # What lies deep lies in the shadow of the pile; what stands out charges a little.
    level = pile.height_nm / max(float(np.percentile(pile.height_nm, 99.5)), 1.0)
    signal *= 0.72 + 0.42 * np.clip(level, 0.0, 1.0)
    signal = ndimage.gaussian_filter(signal, 0.7)
    signal *= 1.0 + 0.008 * rng.standard_normal((shape[0], 1))
    dose = 160.0
    signal = poisson_counts(np.clip(signal, 0.0, None) * dose, rng) / dose
    signal = ndimage.gaussian_filter(signal, 0.5)
    grey = np.clip(0.34 * signal, 0.0, None) ** 0.9
    return np.clip(255.0 * grey + 6.0, 0, 255).astype(np.uint8)
