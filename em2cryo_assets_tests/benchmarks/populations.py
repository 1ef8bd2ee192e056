"""Populations of simulated cells that are cut into sections whose true labels and true volumes are known.

A pool of cells is drawn once. A population gives each of them a weight, so that populations differ in their mean
wall, vacuole, nucleus and size, and so do the resin blocks within one; its truth is a weighted mean over the pool.
Planes are isotropic and meet cells in proportion to their height.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.planes import Plane, centred
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.scene import Cell, draw_cell
from em2cryo_assets.tem.atlas import SectionMeta
from em2cryo_assets.tem.compression import Compression
from em2cryo_assets.tem.measure import measure_section
from em2cryo_assets.vocabulary import LABELS

__all__ = [
    "KINDS",
    "Pool",
    "Population",
    "cut",
    "draw_population",
    "make_pool",
    "measured",
    "outlined",
    "section_meta",
    "seen_stack",
]

KINDS = ("wall", "nucleus", "vacuole", "mitochondrion", "lipid_droplet")
BLOCKS, CELLS_OF_A_BLOCK = 20, 10
THICKNESS_NM, PIXEL_NM, LAYERS = 80.0, 30.0, 3
_PROBE_NM = 60.0
_TRUTH_NM = 70.0
_DIRECTIONS = 64
# How far weights of populations and of their blocks lean, in SDs of each property of the pool.
_LEAN, _BLOCK_LEAN = 0.4, 0.25


@dataclass(frozen=True)
class Pool:
    """Cells and what is true of each.

    Parameters
    ----------
    cells : list of Cell
        The pool.
    volume_um3, height_um : numpy.ndarray, shape (n,)
        Whole cell; mean height over directions, in proportion to which planes meet it.
    part_um3 : dict of numpy.ndarray, shape (n,)
        Volume of each of `KINDS`.
    wall_nm : numpy.ndarray, shape (n,)
        Thickness of the wall.
    surface : numpy.ndarray, shape (n,)
        Relative area of the wall, by which its mean thickness is weighted.
    leaning : numpy.ndarray, shape (n, 4)
        Standardised wall, vacuole, nucleus and size.
    """

    cells: list[Cell]
    volume_um3: NDArray[np.float64]
    height_um: NDArray[np.float64]
    part_um3: dict[str, NDArray[np.float64]]
    wall_nm: NDArray[np.float64]
    surface: NDArray[np.float64]
    leaning: NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """Weights of the pool's cells in each block, and what is true of the population.

    Parameters
    ----------
    weights : numpy.ndarray, shape (blocks, n)
        Chance of a cell to be among those of a block, before planes choose the high ones.
    fractions : dict of str to float
        True volume fractions.
    wall_nm : float
        True mean thickness of the wall, over its area.
    droplet_nm, droplets_per_um3 : float
        True mean diameter and number of lipid droplets in a µm³ of cell.
    """

    weights: NDArray[np.float64]
    fractions: dict[str, float]
    wall_nm: float
    droplet_nm: float
    droplets_per_um3: float


def make_pool(first_seed: int, count: int) -> Pool:
    """Draw cells and count the voxels of each."""
    cells = [draw_cell(first_seed + i) for i in range(count)]
    truths = [cell.truth(_TRUTH_NM) for cell in cells]
    volume = np.array([t.volume_um3 for t in truths])
    part = {kind: volume * [t.fractions[kind] for t in truths] for kind in KINDS}
    rng = np.random.default_rng(first_seed)
    directions = rng.normal(size=(_DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    height = [np.mean([c.body.support_nm(d) + c.body.support_nm(-d) for d in directions]) / 1000 for c in cells]
    wall = np.array([cell.wall_nm for cell in cells])
    traits = np.stack([wall, part["vacuole"] / volume, part["nucleus"] / volume, np.log(volume)], axis=1)
    leaning = np.clip((traits - traits.mean(axis=0)) / traits.std(axis=0), -2, 2)
    return Pool(cells, volume, np.array(height), part, wall, part["wall"] / wall, leaning)


def draw_population(pool: Pool, seed: int) -> Population:
    """Draw one population of the pool and the blocks it was embedded in."""
    rng = np.random.default_rng([seed, 1])
    lean = rng.normal(0, _LEAN, 4)

    def weights(count: int) -> NDArray[np.float64]:
        chance = np.exp((lean + rng.normal(0, _BLOCK_LEAN, (count, 4))) @ pool.leaning.T)
        return np.asarray(chance / chance.sum(axis=1, keepdims=True))

    blocks = weights(BLOCKS)
    # The population is that of all blocks that might have been made, of each as many sections.
    every = weights(4000)
    every = (every / (every @ pool.height_um)[:, None]).mean(axis=0)
    every /= every.sum()
    fractions = {kind: float(every @ part / (every @ pool.volume_um3)) for kind, part in pool.part_um3.items()}
    counts = np.array([len(c.organelles.droplet_radii_nm) for c in pool.cells])
    lengths = np.array([2 * c.organelles.droplet_radii_nm.sum() for c in pool.cells])
    return Population(
        blocks,
        fractions,
        float(every @ (pool.surface * pool.wall_nm) / (every @ pool.surface)),
        float(every @ lengths / (every @ counts)),
        float(every @ counts / (every @ pool.volume_um3)),
    )


def seen_stack(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8] | None:
    """True labels of a section in three layers, (layers, y, x); None where none of them meets the cell.

    The height of the plane is uniform over the cell's height and half a thickness more on both sides.
    """
    axes = random_rotation(rng)
    top, bottom = scene.body.support_nm(axes[0]), -scene.body.support_nm(-axes[0])
    height = rng.uniform(bottom - THICKNESS_NM / 2, top + THICKNESS_NM / 2)
    reach = scene.body.half_extent_nm() + _PROBE_NM
    wide = np.arange(-reach, reach + _PROBE_NM, _PROBE_NM)
    layers = centred(LAYERS, THICKNESS_NM / (LAYERS - 1))  # both faces and the middle
    plane = Plane(axes[0] * height, axes)
    probe = plane.points_nm(np.zeros(1), wide, wide)[0]
    near = scene.body.distance(probe.reshape(-1, 3), exact=False).reshape(probe.shape[:2]) < THICKNESS_NM + _PROBE_NM
    if not near.any():
        return None
    rows, columns = (wide[np.flatnonzero(near.any(axis=axis))[[0, -1]]] for axis in (1, 0))
    # The lattice of pixels lies anywhere over the cell.
    y, x = (np.arange(a - rng.uniform(1, 2) * PIXEL_NM, b + 2 * PIXEL_NM, PIXEL_NM) for a, b in (rows, columns))
    points = plane.points_nm(layers, y, x)
    labels = scene.sharp(np.ascontiguousarray(points.reshape(-1, 3).T, dtype=np.float32))[1].reshape(points.shape[:-1])
    return labels if labels.any() else None


def outlined(stack: NDArray[np.uint8], outline: str) -> NDArray[np.uint8]:
    """Labels that a section shows: the majority through its thickness, or everything that is visible.

    The membrane is thinner than any section and part of the stained body, but for a single plane. Opaque outlines
    follow the union of cell, stained body, nucleus and mitochondria, and what is vacuole or droplet throughout.
    """
    half = outline == "half-density"

    def shown(mask: NDArray[np.bool_], darker: bool) -> NDArray[np.bool_]:
        """Where a mask (layers, y, x) shows through the section."""
        if half:
            return mask.sum(axis=0) * 2 > len(stack)
        return mask.any(axis=0) if darker else mask.all(axis=0)

    # Resin, wall and stained body are nested; whatever else is seen lies in the body.
    out = np.zeros(stack.shape[1:], np.uint8)
    out[shown(stack > 0, True)] = LABELS["wall"]
    body = shown(stack >= LABELS["membrane"], True)
    out[body] = LABELS["cytoplasm"]
    if len(stack) == 1:
        out[stack[0] == LABELS["membrane"]] = LABELS["membrane"]
    for name, darker in (("vacuole", False), ("lipid_droplet", False), ("mitochondrion", True), ("nucleus", True)):
        out[shown(stack == LABELS[name], darker) & body] = LABELS[name]
    return out


def cut(pool: Pool, population: Population, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Cut the sections of a population: stacks of layers by section key, ``block-cell``."""
    rng = np.random.default_rng([seed, 2])
    sections = {}
    for block in range(BLOCKS):
        # A plane meets a cell in proportion to its height, a thick section a little beyond.
        chance = population.weights[block] * (pool.height_um + THICKNESS_NM / 1000)
        for number in range(CELLS_OF_A_BLOCK):
            stack = None
            while stack is None:
                stack = seen_stack(pool.cells[rng.choice(len(pool.cells), p=chance / chance.sum())], rng)
            sections[f"{block:02d}-{number:02d}"] = stack
    return sections


def section_meta(key: str, outline: str, compression: Compression | None = None) -> SectionMeta:
    """What is recorded of a section of `cut`."""
    known = Compression(0.0, 0.0, "") if compression is None else compression
    return SectionMeta(f"cell-{key}", f"block-{key[:2]}", "random", THICKNESS_NM, known, outline)  # type: ignore[arg-type]


def measured(stack: NDArray[np.uint8], outline: str) -> dict[str, pd.DataFrame]:
    """Measure one section of `cut`; without a density there is no depth profile."""
    labels = outlined(stack, outline)
    return measure_section(
        labels, (labels > 0).astype(np.int32), np.zeros(labels.shape, np.float32), PIXEL_NM, THICKNESS_NM
    )
