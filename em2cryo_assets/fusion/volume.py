"""Fuse one mesh with the interior atlas into a labelled pseudo-volume, block by block.

Belongs here: the plan of one fused cell, and dask volumes computed from it: density, labels, source,
uncertainty. Does not belong here: placing organelles (`fusion.organelles`), the plan's parts taken from the
atlas (`fusion.recipe`), the warped section (`fusion.cutaway`), writing volumes.

Every block is a pure function of the plan and its place, so any scheduler gives the same bytes.
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr, xlogy

from em2cryo_assets.fusion.grids import box_grid, interpolated
from em2cryo_assets.fusion.organelles import Body, body_distance, place_bodies
from em2cryo_assets.fusion.recipe import MEMBRANE_NM, Recipe, recipe_from
from em2cryo_assets.geometry.distance import signed_distance
from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.geometry.mesh import Mesh, volume_um3
from em2cryo_assets.tem.atlas import Atlas
from em2cryo_assets.vocabulary import LABELS

__all__ = ["FusedVolume", "FusionPlan", "fuse", "homogeneous_interior", "plan_fusion"]

_CHUNK = 128
_MARGIN_VOXELS = 3
_PLACEMENT_VOXELS = 40_000
_TILE = 96
_CORRELATION_NM = 40.0
_KEPT_BLOCKS = 4


@dataclass(frozen=True)
class FusionPlan:
    """All that decides a fused volume; small, and sent to every block.

    Parameters
    ----------
    mesh : Mesh
        Outer surface of the wall, nm, shrinkage corrected.
    grid : Grid
        Voxels of the fused volume.
    recipe : Recipe
        What the interior is made of.
    bodies : tuple of Body
        Organelles in order of placement.
    coarse : Grid
        Grid of ``distance_nm``.
    distance_nm : numpy.ndarray, float32
        Signed distance of the mesh on the coarse grid, negative inside; voxels interpolate it linearly
        (error h²/8R, below a nanometre at a coarse voxel of 80 nm and a radius of 1 µm).
    doubt : Grid
        Grid of ``entropy_bits``.
    entropy_bits : numpy.ndarray, float32
        Entropy of the label over arrangements of organelles.
    tile : numpy.ndarray, float32, shape (96, 96, 96)
        Periodic texture, unit variance.
    inradius_nm : float
        Greatest depth below the plasma membrane.
    fallbacks : tuple of str
        What was assumed.
    digest : str
        Of everything above.
    """

    mesh: Mesh
    grid: Grid
    recipe: Recipe
    bodies: tuple[Body, ...]
    coarse: Grid
    distance_nm: NDArray[np.float32]
    doubt: Grid
    entropy_bits: NDArray[np.float32]
    tile: NDArray[np.float32]
    inradius_nm: float
    fallbacks: tuple[str, ...]
    digest: str = field(default="")


@dataclass(frozen=True)
class FusedVolume:
    """Lazy volumes on one grid.

    Parameters
    ----------
    grid : Grid
        Voxels.
    density : dask.array.Array, float32, (z, y, x)
        z of cytoplasm as in the atlas: 0 cytoplasm, higher is denser.
    labels : dask.array.Array, uint8
        Codes of `vocabulary.LABELS`.
    source : dask.array.Array, uint8
        Codes of `vocabulary.SOURCES`: what decided a voxel's label.
    uncertainty : dask.array.Array, float32
        Entropy of the label over seeded arrangements of organelles and over wall thicknesses, bits.
    fallbacks : list of str
        What was assumed.
    """

    grid: Grid
    density: da.Array
    labels: da.Array
    source: da.Array
    uncertainty: da.Array
    fallbacks: list[str]


def plan_fusion(
    mesh: Mesh,
    atlas: Atlas | None,
    *,
    voxel_nm: float,
    seed: int,
    shrink_correction: float = 1.0,
    realisations: int = 20,
) -> FusionPlan:
    """Decide shells, organelles and their doubt for one mesh.

    Parameters
    ----------
    mesh : Mesh
        Closed, outward outer surface, nm.
    atlas : Atlas, optional
        Population interior; without one the shells are priors and the inside is plain cytoplasm.
    voxel_nm : float
        Voxel side of the fused volume.
    seed : int
        Of positions and texture. The mesh enters too: equal seeds give different cells different interiors.
    shrink_correction : float
        Linear factor applied to the mesh about its origin (1 / 0.85 undoes a drying shrinkage to 0.85).
    realisations : int
        Arrangements summarised in the uncertainty; below 20 its entropy is capped low.

    Returns
    -------
    FusionPlan

    Raises
    ------
    ValueError
        Sizes that are not positive.
    """
    if not (voxel_nm > 0 and shrink_correction > 0 and realisations >= 1):
        raise ValueError("Voxel size and shrink correction must be positive, realisations at least 1.")
    if shrink_correction != 1.0:
        mesh = Mesh(mesh.vertices_nm * shrink_correction, mesh.faces)
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    grid = box_grid(low, high, voxel_nm, _MARGIN_VOXELS * voxel_nm)
    # Twice the voxel, in a thin body less (at h = R/10 the error h²/8R takes 0.4 % off a sphere), but never
    # so fine that a plan outgrows its blocks.
    coarse_nm = max(min(2 * voxel_nm, float((high - low).min()) / 20), float(np.prod(high - low) / 2e6) ** (1 / 3))
    coarse = box_grid(low, high, coarse_nm, _MARGIN_VOXELS * voxel_nm + coarse_nm)
    distance = signed_distance(mesh, coarse)
    place_nm = max(voxel_nm, float(np.prod(high - low) / _PLACEMENT_VOXELS) ** (1 / 3))
    doubt = box_grid(low, high, place_nm, place_nm)
    place_distance = interpolated(distance, coarse, doubt, (0, 0, 0), doubt.shape)

    recipe, fallbacks = recipe_from(atlas, volume_um3(mesh) * 1e9, voxel_nm)
    shape_key = hashlib.sha256(np.ascontiguousarray(mesh.vertices_nm).tobytes()).digest()
    root = np.random.SeedSequence([seed, int.from_bytes(shape_key[:8], "little")])
    place_seed, texture_seed, *others = root.spawn(2 + realisations)
    shell_nm = recipe.wall_nm + recipe.membrane_nm
    axes = [doubt.axis_nm(i) for i in range(3)]
    bodies, problems = place_bodies(
        -place_distance - shell_nm, axes, recipe.demands, recipe.preference, np.random.default_rng(place_seed)
    )
    fallbacks += problems
    entropy = _entropy(place_distance, doubt, axes, recipe, others)
    plan = FusionPlan(
        mesh,
        grid,
        recipe,
        tuple(bodies),
        coarse,
        distance,
        doubt,
        entropy,
        _texture_tile(voxel_nm, np.random.default_rng(texture_seed)),
        max(float((-distance).max()) - shell_nm, 1.0),
        tuple(fallbacks),
    )
    return _sealed(plan)


def fuse(plan: FusionPlan) -> FusedVolume:
    """Volumes of a plan, computed block by block when asked for.

    Parameters
    ----------
    plan : FusionPlan
        From `plan_fusion`.

    Returns
    -------
    FusedVolume
        Chunks of at most 128³; no block needs its neighbours.
    """
    chunks = tuple(_even_chunks(n) for n in plan.grid.shape)

    def array(part: int, dtype: Any) -> da.Array:
        # The name carries the plan's digest: dask may then share blocks and never mixes two plans.
        return da.map_blocks(
            _part,
            plan=plan,
            part=part,
            chunks=chunks,
            dtype=dtype,
            meta=np.empty((0, 0, 0), dtype),
            name=f"fused-{plan.digest}-{part}",
        )

    return FusedVolume(
        plan.grid,
        array(0, np.float32),
        array(1, np.uint8),
        array(2, np.uint8),
        array(3, np.float32),
        list(plan.fallbacks),
    )


def homogeneous_interior(plan: FusionPlan) -> FusedVolume:
    """Make the control: same shape, wall, membrane and texture, nothing but cytoplasm inside.

    Parameters
    ----------
    plan : FusionPlan
        Of the cell it is the control of.

    Returns
    -------
    FusedVolume
    """
    recipe = replace(plan.recipe, demands=())
    note = "Control: organelles removed, the inside is cytoplasm throughout."
    return fuse(_sealed(replace(plan, recipe=recipe, bodies=(), fallbacks=(*plan.fallbacks, note))))


def _sealed(plan: FusionPlan) -> FusionPlan:
    """Give the plan the digest of its content."""
    digest = hashlib.sha256()
    for array in (plan.distance_nm, plan.entropy_bits, plan.tile):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((plan.grid, plan.coarse, plan.doubt, plan.bodies, plan.inradius_nm)).encode())
    digest.update(plan.recipe.digest_bytes())
    return replace(plan, digest=digest.hexdigest()[:24])


def _even_chunks(length: int) -> tuple[int, ...]:
    """Pieces of equal length, at most 128: no slivers at the far end."""
    count = -(-length // _CHUNK)
    base, extra = divmod(length, count)
    return tuple(base + (i < extra) for i in range(count))


def _texture_tile(voxel_nm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Periodic correlated noise of unit variance; sections carry nothing finer than half their thickness."""
    noise = rng.standard_normal((_TILE,) * 3, dtype=np.float32)
    if voxel_nm < 2 * _CORRELATION_NM:
        noise = ndimage.gaussian_filter(noise, 0.5 * _CORRELATION_NM / voxel_nm, mode="wrap")
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def _label(
    depth_nm: NDArray[np.float32],
    recipe: Recipe,
    bodies: tuple[Body, ...] | list[Body],
    axes_nm: list[NDArray[np.float64]],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Label by depth below the outer surface and by bodies; also the distance to the nearest body."""
    labels = np.full(depth_nm.shape, LABELS["outside"], np.uint8)
    labels[depth_nm >= 0] = LABELS["wall"]
    labels[depth_nm > recipe.wall_nm] = LABELS["membrane"]
    below = depth_nm - np.float32(recipe.wall_nm + recipe.membrane_nm)
    labels[below > 0] = LABELS["cytoplasm"]
    clearance = below.astype(np.float32)
    rim = np.full(depth_nm.shape, np.float32(np.inf))
    for body in bodies:
        # Bodies act inside their box only; beyond a gap's width outside of it they change nothing.
        reach = body.radius_nm + 400.0
        box = []
        for axis, a, b in zip(axes_nm, body.start_nm, body.stop_nm, strict=True):
            first, last = np.searchsorted(axis, [min(a, b) - reach, max(a, b) + reach])
            box.append(slice(int(first), int(last)))
        window = tuple(box)
        if any(s.start >= s.stop for s in window):
            continue
        z, y, x = (
            c[s].astype(np.float32).reshape(shape)
            for c, s, shape in zip(axes_nm, window, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
        )
        distance = body_distance(body, clearance[window], z, y, x)
        labels[window][distance < 0] = LABELS[body.label]
        clearance[window] = np.minimum(clearance[window], distance)
        rim[window] = np.minimum(rim[window], np.abs(distance))
    return labels, rim


def _entropy(
    distance_nm: NDArray[np.float32],
    grid: Grid,
    axes_nm: list[NDArray[np.float64]],
    recipe: Recipe,
    seeds: list[np.random.SeedSequence],
) -> NDArray[np.float32]:
    """Entropy of the label over arrangements drawn from the population, bits."""
    counts = np.zeros((len(LABELS), *grid.shape), np.uint16)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        drawn = recipe.drawn(rng)
        depth = -distance_nm
        shell = drawn.wall_nm + drawn.membrane_nm
        bodies, _ = place_bodies(depth - shell, axes_nm, drawn.demands, drawn.preference, rng)
        labels, _ = _label(depth, drawn, bodies, axes_nm)
        for code in LABELS.values():
            counts[code] += labels == code
    entropy = np.zeros(grid.shape, np.float32)
    for count in counts:
        share = count.astype(np.float32) / len(seeds)
        entropy -= np.where(count > 0, share * np.log2(np.maximum(share, 1e-9)), 0)
    return np.maximum(entropy, 0).astype(np.float32)


_blocks: "OrderedDict[tuple[Any, ...], tuple[NDArray[Any], ...]]" = OrderedDict()
_lock = threading.Lock()


def _part(plan: FusionPlan, part: int, block_info: Any = None) -> NDArray[Any]:
    """One of a block's four arrays; the last few blocks are kept, as writers ask for all in turn."""
    where = tuple((int(a), int(b)) for a, b in block_info[None]["array-location"])
    key = (plan.digest, where)
    with _lock:
        if key in _blocks:
            _blocks.move_to_end(key)
            return _blocks[key][part]
    start, stop = tuple(a for a, _ in where), tuple(b for _, b in where)
    result = _block(plan, start, stop)
    with _lock:
        _blocks[key] = result
        while len(_blocks) > _KEPT_BLOCKS:
            _blocks.popitem(last=False)
    return result[part]


def _block(plan: FusionPlan, start: tuple[int, ...], stop: tuple[int, ...]) -> tuple[NDArray[Any], ...]:
    """Density, labels, source and uncertainty of one block."""
    depth = -interpolated(plan.distance_nm, plan.coarse, plan.grid, start, stop)
    axes = [plan.grid.axis_nm(i, start[i], stop[i]) for i in range(3)]
    recipe = plan.recipe
    labels, rim = _label(depth, recipe, plan.bodies, axes)
    below = (depth - np.float32(recipe.wall_nm + recipe.membrane_nm)) / np.float32(plan.inradius_nm)
    bins = recipe.means.shape[1]
    at = np.clip((below * bins).astype(np.int16), 0, bins - 1)
    index = labels.astype(np.int32) * bins + at
    tile = np.ix_(*(np.arange(a, b) % _TILE for a, b in zip(start, stop, strict=True)))
    density = recipe.means.ravel()[index] + recipe.sds.ravel()[index] * plan.tile[tile]
    # Envelopes are thinner than a voxel: they enter with their share of it.
    share = np.clip(1 - rim / np.float32(plan.grid.voxel_nm[0]), 0, 1) * np.float32(
        min(1.0, MEMBRANE_NM / plan.grid.voxel_nm[0])
    )
    enveloped = np.isin(labels, (LABELS["nucleus"], LABELS["vacuole"], LABELS["mitochondrion"]))
    density += np.where(enveloped, share * (np.float32(recipe.envelope) - density), 0)
    source = recipe.sources[labels]
    # The wall is thinner than a voxel of the realisations: its doubt is a closed form of its spread.
    beyond = ndtr((depth - np.float32(recipe.wall_nm)) / np.float32(max(recipe.wall_sd_nm, 1.0)))
    shell = -(xlogy(beyond, beyond) + xlogy(1 - beyond, 1 - beyond)) / np.float32(np.log(2.0))
    uncertainty = np.maximum(interpolated(plan.entropy_bits, plan.doubt, plan.grid, start, stop), shell)
    return (
        density.astype(np.float32),
        labels,
        source,
        np.where(labels == 0, np.float32(0), uncertainty).astype(np.float32),
    )
