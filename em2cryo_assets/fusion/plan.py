"""All that decides one fused cell, small enough to be sent to every block.

Belongs here: the plan of a mesh filled from the atlas: distances, organelles, texture, the doubt about them.
Does not belong here: voxels (`fusion.blocks`, `fusion.volume`), the parts taken from the atlas (`fusion.recipe`).
"""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.fusion.blocks import TILE, label_block
from em2cryo_assets.fusion.budding import compartments, shared
from em2cryo_assets.fusion.grids import box_grid, interpolated
from em2cryo_assets.fusion.organelles import Body, place_bodies
from em2cryo_assets.fusion.recipe import Recipe, recipe_from
from em2cryo_assets.geometry.distance import signed_distance
from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.geometry.mesh import Mesh, volume_um3
from em2cryo_assets.tem.atlas import Atlas
from em2cryo_assets.vocabulary import LABELS

__all__ = ["FusionPlan", "fused_grid", "homogeneous_plan", "plan_fusion"]

_MARGIN_VOXELS = 3
_PLACEMENT_VOXELS = 250_000
"""Voxels on which organelles are placed; on 40,000 the vacuoles of six cells were off by up to 0.7 %, on these by 0.2 %."""
_DOUBT_VOXELS = 40_000
_CORRELATION_NM = 40.0


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


def fused_grid(mesh: Mesh, voxel_nm: float) -> Grid:
    """Voxels of the fused volume of a mesh: its box and three voxels more on every side."""
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    return box_grid(low, high, voxel_nm, _MARGIN_VOXELS * voxel_nm)


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
        Sizes that are not positive, a mesh that the wall fills, or organelles that fill more than the cell.
    """
    if not (voxel_nm > 0 and shrink_correction > 0 and realisations >= 1):
        raise ValueError("Voxel size and shrink correction must be positive, realisations at least 1.")
    if shrink_correction != 1.0:
        mesh = Mesh(mesh.vertices_nm * shrink_correction, mesh.faces)
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    grid = fused_grid(mesh, voxel_nm)
    # Twice the voxel, in a thin body less (at h = R/10 the error h²/8R takes 0.4 % off a sphere), but never
    # so fine that a plan outgrows its blocks.
    coarse_nm = max(min(2 * voxel_nm, float((high - low).min()) / 20), float(np.prod(high - low) / 2e6) ** (1 / 3))
    coarse = box_grid(low, high, coarse_nm, _MARGIN_VOXELS * voxel_nm + coarse_nm)
    distance = signed_distance(mesh, coarse)
    recipe, fallbacks = recipe_from(atlas, volume_um3(mesh) * 1e9, voxel_nm)
    shell_nm = recipe.wall_nm + recipe.membrane_nm
    inradius = float((-distance).max()) - shell_nm
    if inradius <= voxel_nm / 2:
        raise ValueError(
            f"The mesh is {2 * (inradius + shell_nm):.0f} nm thick and its wall and membrane {2 * shell_nm:.0f} nm: "
            f"not a voxel of {voxel_nm:g} nm is left inside. Is the pixel size of its field right?"
        )
    shape_key = hashlib.sha256(np.ascontiguousarray(mesh.vertices_nm).tobytes()).digest()
    root = np.random.SeedSequence([seed, int.from_bytes(shape_key[:8], "little")])
    place_seed, texture_seed, *others = root.spawn(2 + realisations)
    extent = float(np.prod(high - low))

    def places(voxels: int) -> tuple[Grid, NDArray[np.float32], list[NDArray[np.float64]]]:
        side = max(voxel_nm, (extent / voxels) ** (1 / 3))
        grid = box_grid(low, high, side, side)
        depth = -interpolated(distance, coarse, grid, (0, 0, 0), grid.shape) - np.float32(shell_nm)
        return grid, depth, [grid.axis_nm(i) for i in range(3)]

    _, depth, axes = places(_PLACEMENT_VOXELS)
    parts = compartments(depth)
    bodies, problems = place_bodies(
        depth, axes, shared(recipe.demands, parts, fallbacks), recipe.preference, parts,
        np.random.default_rng(place_seed),
    )  # fmt: skip
    fallbacks += problems
    doubt, depth, axes = places(_DOUBT_VOXELS)
    plan = FusionPlan(
        mesh,
        grid,
        recipe,
        tuple(bodies),
        coarse,
        distance,
        doubt,
        _entropy(depth, axes, recipe, others),
        _texture_tile(voxel_nm, np.random.default_rng(texture_seed)),
        inradius,
        tuple(fallbacks),
    )
    return sealed(plan)


def homogeneous_plan(plan: FusionPlan) -> FusionPlan:
    """Make the control: same shape, wall, membrane and texture, nothing but cytoplasm inside.

    Parameters
    ----------
    plan : FusionPlan
        Of the cell it is the control of.

    Returns
    -------
    FusionPlan
    """
    recipe = replace(plan.recipe, demands=())
    note = "Control: organelles removed, the inside is cytoplasm throughout."
    return sealed(replace(plan, recipe=recipe, bodies=(), fallbacks=(*plan.fallbacks, note)))


def sealed(plan: FusionPlan) -> FusionPlan:
    """Give the plan the digest of its content."""
    digest = hashlib.sha256()
    for array in (plan.distance_nm, plan.entropy_bits, plan.tile):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((plan.grid, plan.coarse, plan.doubt, plan.bodies, plan.inradius_nm)).encode())
    digest.update(plan.recipe.digest_bytes())
    return replace(plan, digest=digest.hexdigest()[:24])


def _texture_tile(voxel_nm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Periodic correlated noise of unit variance; sections carry nothing finer than half their thickness."""
    noise = rng.standard_normal((TILE,) * 3, dtype=np.float32)
    if voxel_nm < 2 * _CORRELATION_NM:
        noise = ndimage.gaussian_filter(noise, 0.5 * _CORRELATION_NM / voxel_nm, mode="wrap")
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def _entropy(
    depth_nm: NDArray[np.float32],
    axes_nm: list[NDArray[np.float64]],
    recipe: Recipe,
    seeds: list[np.random.SeedSequence],
) -> NDArray[np.float32]:
    """Entropy of the label over arrangements drawn from the population, bits."""
    counts = np.zeros((len(LABELS), *depth_nm.shape), np.uint16)
    parts = compartments(depth_nm)
    shell = np.float32(recipe.wall_nm + recipe.membrane_nm)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        drawn = recipe.drawn(rng)
        bodies, _ = place_bodies(depth_nm, axes_nm, shared(drawn.demands, parts, []), drawn.preference, parts, rng)
        labels, _ = label_block(depth_nm + shell, drawn, bodies, axes_nm)
        for code in LABELS.values():
            counts[code] += labels == code
    entropy = np.zeros(depth_nm.shape, np.float32)
    for count in counts:
        share = count.astype(np.float32) / len(seeds)
        entropy -= np.where(count > 0, share * np.log2(np.maximum(share, 1e-9)), 0)
    return np.maximum(entropy, 0).astype(np.float32)
