"""What the voxels of one block of a fused volume hold.

Belongs here: label, density and uncertainty of voxels, as pure functions of a plan and a place.
Does not belong here: the plan (`fusion.plan`), dask and what is kept between calls (`fusion.volume`).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, xlogy

from em2cryo_assets.fusion.grids import interpolated
from em2cryo_assets.fusion.organelles import Body, body_distance, body_window
from em2cryo_assets.fusion.recipe import MEMBRANE_NM, Recipe
from em2cryo_assets.vocabulary import LABELS

if TYPE_CHECKING:
    from em2cryo_assets.fusion.plan import FusionPlan

__all__ = ["TILE", "density_block", "label_block", "labels_block", "uncertainty_block"]

TILE = 96
"""Side of the periodic texture, voxels."""
_SLAB = 16
"""Sections worked on at a time: their arrays stay in the cache (all 128 of a block at once take 15 % longer)."""
_REACH_SD = 6.0
"""Beyond so many SDs of its thickness the doubt about the wall is less than 1e-7 bits."""
_ENVELOPED = (LABELS["nucleus"], LABELS["vacuole"], LABELS["mitochondrion"])

Corner = tuple[int, ...]


def labels_block(plan: "FusionPlan", start: Corner, stop: Corner) -> NDArray[np.uint8]:
    """Labels of a block, (z, y, x)."""
    out = np.empty([b - a for a, b in zip(start, stop, strict=True)], np.uint8)
    for slab, depth, axes in _slabs(plan, start, stop):
        out[slab] = label_block(depth, plan.recipe, plan.bodies, axes)[0]
    return out


def density_block(plan: "FusionPlan", start: Corner, stop: Corner) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Density and labels of a block, (z, y, x)."""
    shape = [b - a for a, b in zip(start, stop, strict=True)]
    density, all_labels = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    recipe, voxel = plan.recipe, plan.grid.voxel_nm[0]
    bins = recipe.means.shape[1]
    shell, scale = np.float32(recipe.wall_nm + recipe.membrane_nm), np.float32(bins / plan.inradius_nm)
    texture = plan.tile
    for axis in (2, 1, 0):
        texture = texture.take(np.arange(start[axis], stop[axis]) % TILE, axis=axis)
    # Envelopes are thinner than a voxel: they enter with their share of it.
    thickest = np.float32(min(1.0, MEMBRANE_NM / voxel))
    for slab, depth, axes in _slabs(plan, start, stop):
        labels, rim = label_block(depth, recipe, plan.bodies, axes)
        all_labels[slab] = labels
        out = density[slab]
        np.multiply(recipe.sds[:, 0][labels], texture[slab], out=out)
        out += recipe.means[:, 0][labels]
        inside = np.flatnonzero(labels == LABELS["cytoplasm"])  # the only density that changes with depth
        below = np.clip((depth.reshape(-1)[inside] - shell) * scale, 0, bins - 1).astype(np.intp)
        step = recipe.means[LABELS["cytoplasm"]] - recipe.means[LABELS["cytoplasm"], 0]
        out.reshape(-1)[inside] += step[below]
        if rim is None:
            continue
        enveloped = np.flatnonzero(np.isin(labels, _ENVELOPED))
        share = np.clip(1 - rim.reshape(-1)[enveloped] / np.float32(voxel), 0, 1) * thickest
        flat = out.reshape(-1)
        flat[enveloped] += share * (np.float32(recipe.envelope) - flat[enveloped])
    return density, all_labels


def uncertainty_block(plan: "FusionPlan", start: Corner, stop: Corner) -> NDArray[np.float32]:
    """Entropy of the label in a block, bits, (z, y, x)."""
    out = interpolated(plan.entropy_bits, plan.doubt, plan.grid, start, stop)
    wall_nm, sd_nm = np.float32(plan.recipe.wall_nm), np.float32(max(plan.recipe.wall_sd_nm, 1.0))
    for slab, depth, _ in _slabs(plan, start, stop):
        # The wall is thinner than a voxel of the realisations: its doubt is a closed form of its spread.
        near = np.flatnonzero(np.abs(depth - wall_nm) < _REACH_SD * sd_nm)
        beyond = ndtr((depth.reshape(-1)[near] - wall_nm) / sd_nm)
        bits = -(xlogy(beyond, beyond) + xlogy(1 - beyond, 1 - beyond)) / np.float32(np.log(2.0))
        flat = out[slab].reshape(-1)
        flat[near] = np.maximum(flat[near], bits)
        out[slab][depth < 0] = 0
    return out


def label_block(
    depth_nm: NDArray[np.float32], recipe: Recipe, bodies: Sequence[Body], axes_nm: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Label voxels by their depth below the outer surface and by bodies.

    Parameters
    ----------
    depth_nm : numpy.ndarray, float32, shape (z, y, x)
        Positive inside the cell.
    recipe : Recipe
        Width of the shells.
    bodies : sequence of Body
        In order of placement.
    axes_nm : three arrays
        Voxel centres along z, y, x.

    Returns
    -------
    labels : numpy.ndarray, uint8
    rim_nm : numpy.ndarray, float32, or None
        Distance to the surface of the nearest body where one is near; None where none is.
    """
    below = depth_nm - np.float32(recipe.wall_nm + recipe.membrane_nm)
    # Outside, wall, membrane and cytoplasm have the codes 0 to 3.
    labels = (depth_nm >= 0).astype(np.uint8)
    labels += depth_nm > np.float32(recipe.wall_nm)
    labels += below > 0
    rim = None
    for body in bodies:
        window = body_window(body, axes_nm)
        if any(s.start >= s.stop for s in window):
            continue
        z, y, x = (
            c[s].astype(np.float32).reshape(shape)
            for c, s, shape in zip(axes_nm, window, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
        )
        distance = body_distance(body, below[window], z, y, x)
        labels[window][distance < 0] = LABELS[body.label]
        below[window] = np.minimum(below[window], distance)
        if rim is None:
            rim = np.full(depth_nm.shape, np.float32(np.inf))
        rim[window] = np.minimum(rim[window], np.abs(distance))
    return labels, rim


def _slabs(
    plan: "FusionPlan", start: Corner, stop: Corner
) -> Iterator[tuple[slice, NDArray[np.float32], list[NDArray[np.float64]]]]:
    """Pieces of a block along z: where in the block, depth below the outer surface, and the axes."""
    y, x = (plan.grid.axis_nm(i, start[i], stop[i]) for i in (1, 2))
    for first in range(start[0], stop[0], _SLAB):
        last = min(first + _SLAB, stop[0])
        distance = interpolated(plan.distance_nm, plan.coarse, plan.grid, (first, *start[1:]), (last, *stop[1:]))
        np.negative(distance, out=distance)
        yield slice(first - start[0], last - start[0]), distance, [plan.grid.axis_nm(0, first, last), y, x]
