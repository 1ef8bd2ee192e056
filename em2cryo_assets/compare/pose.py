"""Where a tomogram's slab could have been cut from another cell, and the cut itself.

Belongs here: the wall a labelled volume shows, poses that show a model's wall the same way, and sampling of
a model on a slab's grid. Does not belong here: what a microscope does to the slab (`degrade`), fitting arcs
(`cryoet.arcs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.compare.record import (
    CRYO_SECTION_COMPRESSION,
    SLAB_MODALITIES,
    WHOLE_CELL_MODALITIES,
    TomogramRecord,
)
from em2cryo_assets.vocabulary import LABELS

__all__ = ["SlabPose", "WallAnchor", "cut_slab", "slab_pose", "wall_anchor"]

_TRIES: Final = 24
"""Random poses tried for a slab that must lie inside; a cell five times as thick as the slab is wide
accepts one in two, so that all fail with probability below 1e-6."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class WallAnchor:
    """One point of the outer surface seen in a slab.

    Parameters
    ----------
    offset_nm : numpy.ndarray, float64, shape (3,)
        From the centre of the volume, (z, y, x).
    outward : numpy.ndarray, float64, shape (3,)
        Unit normal out of the cell, mean over the surface in view.
    """

    offset_nm: NDArray[np.float64]
    outward: NDArray[np.float64]


@dataclass(frozen=True)
class SlabPose:
    """Placement of a slab in a model cell.

    Parameters
    ----------
    centre_nm : numpy.ndarray, float64, shape (3,)
        Position in the model's volume (voxel index times side) of the slab's centre, (z, y, x).
    to_model : numpy.ndarray, float64, shape (3, 3)
        Takes offsets from the slab's centre to offsets in the model: a rotation, for a cryo-section times
        the inverse of its compression.
    wall_in_view : bool
        Whether the pose was anchored on the wall.
    """

    centre_nm: NDArray[np.float64]
    to_model: NDArray[np.float64]
    wall_in_view: bool


def wall_anchor(labels: NDArray[np.integer], voxel_nm: Triple) -> WallAnchor | None:
    """Find the outer surface in a slab; None where no outside or no cell is in view.

    The normal is the mean over the surface of the gradient of the smoothed mask, the point the one
    surface voxel nearest to the surface's mean position.
    """
    cell = labels != LABELS["outside"]
    if cell.all() or not cell.any():
        return None
    # Stained edges of a lamella aside, only in-plane neighbours make a wall: its faces are no surface.
    surface = cell & ~ndimage.binary_erosion(cell, _cross_in_plane(), border_value=1)
    places = np.argwhere(surface)
    if len(places) < 8:
        return None
    smooth = ndimage.gaussian_filter(cell.astype(np.float32), 2.0, mode="nearest")
    slope = np.stack([np.gradient(smooth, side, axis=a)[surface] for a, side in enumerate(voxel_nm)])
    outward = -slope.mean(axis=1, dtype=np.float64)
    length = float(np.linalg.norm(outward))
    if length < 1e-3 * float(np.linalg.norm(slope, axis=0).mean()):
        return None
    outward = outward / length
    sides = np.asarray(voxel_nm)
    nearest = places[np.argmin((((places - places.mean(axis=0)) * sides) ** 2).sum(axis=1))]
    offset = (nearest - (np.array(labels.shape) - 1) / 2) * sides
    return WallAnchor(offset + 0.5 * float(sides[1:].mean()) * outward, outward)


def slab_pose(
    labels: NDArray[np.integer],
    voxel_nm: float,
    record: TomogramRecord,
    anchor: WallAnchor | None,
    *,
    seed: int,
    body_axes: NDArray[np.float64] | None = None,
) -> SlabPose:
    """Draw a pose of the record's slab in a model, given what the tomogram shows of its wall.

    With a wall in view, a point of the model's surface is drawn (uniformly over surface voxels) and brought
    to the anchor, normals together, turned about the normal at random; a usable arc corrects the normal's
    inclination β to the fitted one. Without, a random pose inside the cell. Whole cells are laid centre on
    centre with principal axes together, their unknown senses at random.

    Parameters
    ----------
    labels : numpy.ndarray, integer, shape (z, y, x)
        The model's labels.
    voxel_nm : float
        The model's voxel side, nm.
    record : TomogramRecord
        Shape, voxel, modality and arc of the slab.
    anchor : WallAnchor or None
        From `wall_anchor` on the tomogram.
    seed : int
        Same seed, same pose.
    body_axes : numpy.ndarray, shape (3, 3), optional
        Principal axes of the imaged body as rows, for whole cells.

    Returns
    -------
    SlabPose

    Raises
    ------
    ValueError
        If the model holds no cell, or the modality has no slab or body.
    """
    cell = labels != LABELS["outside"]
    if not cell.any():
        raise ValueError("The model volume holds no cell: every label is outside.")
    rng = np.random.default_rng(seed)
    if record.modality in WHOLE_CELL_MODALITIES:
        centre, model_axes = body_frame(cell, (voxel_nm,) * 3)
        signs = rng.choice((-1.0, 1.0), size=3)
        signs[2] = signs[0] * signs[1]
        target = np.eye(3) if body_axes is None else body_axes
        return SlabPose(centre, (model_axes * signs[:, None]).T @ target, wall_in_view=True)
    if record.modality not in SLAB_MODALITIES:
        raise ValueError(f"A volume of modality {record.modality!r} is no slab of a cell.")
    stretch = _decompression(record, rng)
    if anchor is None:
        return _inside(labels, voxel_nm, record, stretch, rng)
    surface = np.argwhere(cell & ~ndimage.binary_erosion(cell))
    place = surface[rng.integers(len(surface))]
    normal = _outward_at(cell, place, radius=int(np.clip(round(250 / voxel_nm), 2, 8)))
    rotation = _completed(normal, rng) @ _completed(_with_inclination(anchor.outward, record), None).T
    to_model = rotation @ stretch
    point = (place + 0.5 * normal) * voxel_nm
    return SlabPose(point - to_model @ anchor.offset_nm, to_model, wall_in_view=True)


def body_frame(cell: NDArray[np.bool_], voxel_nm: Triple) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre (3,) in nm from voxel (0, 0, 0) and principal axes (rows, longest first, right-handed)."""
    points = np.argwhere(cell) * np.asarray(voxel_nm)
    centre = points.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((points - centre).T))
    axes = vectors.T[::-1].copy()
    axes[2] = np.cross(axes[0], axes[1])
    return centre, axes


def cut_slab(
    density: NDArray[np.floating],
    labels: NDArray[np.integer],
    voxel_nm: float,
    pose: SlabPose,
    shape: tuple[int, int, int],
    slab_voxel_nm: Triple,
    *,
    device: str = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Sample a model on a slab's grid: trilinear density, and the label of largest trilinear weight.

    Where the slab's voxel is larger than the model's, the model is smoothed first so that nothing aliases.
    Beyond the model everything is outside, at the median density of outside.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        The model.
    voxel_nm : float
        Its voxel side, nm.
    pose : SlabPose
        Of the slab's centre.
    shape : tuple of int
        Of the slab, (z, y, x).
    slab_voxel_nm : tuple of float
        Its voxel sides, nm.
    device : str
        Torch device.

    Returns
    -------
    density : numpy.ndarray, float32, shape ``shape``
    labels : numpy.ndarray, uint8, same shape
    """
    import torch

    steps = [np.arange(n, dtype=np.float32) * s - 0.5 * (n - 1) * s for n, s in zip(shape, slab_voxel_nm, strict=True)]
    turn = (pose.to_model / voxel_nm).astype(np.float32)
    # Index coordinates in the model, first only of the corners: the block they span is all that is read.
    ends = np.stack(np.meshgrid(*[s[[0, -1]] for s in steps], indexing="ij"), axis=-1).reshape(-1, 3)
    corners = ends @ turn.T + pose.centre_nm / voxel_nm
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, np.array(labels.shape) - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, low + 1, labels.shape)
    block = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    codes = np.ascontiguousarray(labels[block])
    values = np.asarray(density[block], dtype=np.float32)
    ratio = float(np.mean(slab_voxel_nm)) / voxel_nm
    if ratio > 1:
        values = ndimage.gaussian_filter(values, np.sqrt((ratio**2 - 1) / 12), mode="nearest")
    empty = float(np.median(density[labels == 0])) if (labels == 0).any() else float(values.min())

    present = np.flatnonzero(np.bincount(codes.ravel(), minlength=1))
    channels = np.empty((1 + len(present), *codes.shape), dtype=np.float32)
    channels[0] = values - empty
    for i, code in enumerate(present):
        channels[i + 1] = codes == code
    size = np.array(codes.shape, dtype=np.float32)
    position = sum(s.reshape([-1 if a == b else 1 for b in range(3)] + [1]) * turn[:, a] for a, s in enumerate(steps))
    position = position + (pose.centre_nm / voxel_nm - low).astype(np.float32)
    # grid_sample wants (x, y, z) in [-1, 1] with the outer faces of the block at ±1.
    grid = torch.from_numpy(np.ascontiguousarray(((2 * position + 1) / size - 1)[..., ::-1]))
    sampled = torch.nn.functional.grid_sample(
        torch.from_numpy(channels)[None].to(device),
        grid[None].to(device, torch.float32),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )[0]
    weight = sampled[1:].cpu().numpy()
    label = present[np.argmax(weight, axis=0)].astype(np.uint8)
    label[weight.sum(axis=0) < 0.5] = LABELS["outside"]
    return sampled[0].cpu().numpy() + np.float32(empty), label


def _inside(
    labels: NDArray[np.integer],
    voxel_nm: float,
    record: TomogramRecord,
    stretch: NDArray[np.float64],
    rng: np.random.Generator,
) -> SlabPose:
    """Random pose with as much of the slab inside the membrane as a few tries give."""
    places = np.argwhere(labels >= LABELS["cytoplasm"])
    if len(places) == 0:
        raise ValueError("The model volume has no interior to cut a slab from.")
    extent = np.array(record.shape) * np.array(record.voxel_nm)
    lattice = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, n) for n in (3, 7, 7)], indexing="ij"), axis=-1)
    lattice = lattice.reshape(-1, 3) * extent
    best: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None
    for _ in range(_TRIES):
        to_model = _random_rotation(rng) @ stretch
        centre = places[rng.integers(len(places))] * voxel_nm
        index = np.rint((lattice @ to_model.T + centre) / voxel_nm).astype(int)
        ok = ((index >= 0) & (index < labels.shape)).all(axis=1)
        share = float((labels[tuple(index[ok].T)] >= LABELS["cytoplasm"]).sum()) / len(lattice)
        if best is None or share > best[0]:
            best = (share, centre, to_model)
        if share == 1:
            break
    assert best is not None
    return SlabPose(best[1], best[2], wall_in_view=False)


def _with_inclination(outward: NDArray[np.float64], record: TomogramRecord) -> NDArray[np.float64]:
    """Replace the surface's mean inclination by the fitted arc's, its sense kept."""
    if record.arc is None or not record.arc.usable:
        return outward
    flat = float(np.hypot(outward[1], outward[2]))
    if flat < 1e-6:
        return outward
    beta = np.deg2rad(abs(record.arc.inclination_deg)) * (1.0 if outward[0] >= 0 else -1.0)
    in_plane = outward[1:] / flat * np.cos(beta)
    return np.array([np.sin(beta), in_plane[0], in_plane[1]])


def _outward_at(cell: NDArray[np.bool_], place: NDArray[np.int_], radius: int) -> NDArray[np.float64]:
    """Estimate a mask's normal at a surface voxel: away from the centroid of its part within a ball."""
    low = np.maximum(place - radius, 0)
    patch = cell[tuple(slice(a, b) for a, b in zip(low, place + radius + 1, strict=True))]
    offsets = np.argwhere(patch) + low - place
    offsets = offsets[(offsets**2).sum(axis=1) <= radius**2]
    pull = -offsets.sum(axis=0).astype(np.float64)
    length = float(np.linalg.norm(pull))
    return pull / length if length > 0 else np.array([0.0, 0.0, 1.0])


def _completed(first: NDArray[np.float64], rng: np.random.Generator | None) -> NDArray[np.float64]:
    """Right-handed frame as columns, ``first`` in front, the others turned at random if asked."""
    helper = np.eye(3)[np.argmin(np.abs(first))]
    second = np.cross(first, helper)
    second /= np.linalg.norm(second)
    third = np.cross(first, second)
    if rng is not None:
        angle = rng.uniform(0, 2 * np.pi)
        second, third = (
            np.cos(angle) * second + np.sin(angle) * third,
            np.cos(angle) * third - np.sin(angle) * second,
        )
    return np.stack([first, second, third], axis=1)


def _random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    first = rng.normal(size=3)
    return _completed(first / np.linalg.norm(first), rng)


def _decompression(record: TomogramRecord, rng: np.random.Generator) -> NDArray[np.float64]:
    """From a cut section's offsets to those before the cut: longer along the knife, thinner across.

    The volume is kept, the third direction too, as measured on vitreous sections (Al-Amoudi et al. 2005). By how much is
    recorded or drawn; along which direction nobody records.
    """
    if record.modality != "cryo-section":
        return np.eye(3)
    factor = 1 - (rng.uniform(*CRYO_SECTION_COMPRESSION) if record.compression is None else record.compression)
    angle = rng.uniform(0, np.pi)
    knife = np.array([0.0, np.cos(angle), np.sin(angle)])
    return np.eye(3) + (1 / factor - 1) * np.outer(knife, knife) + (factor - 1) * np.diag([1.0, 0.0, 0.0])


def _cross_in_plane() -> NDArray[np.bool_]:
    cross = np.zeros((3, 3, 3), dtype=bool)
    cross[1, 1, :] = cross[1, :, 1] = True
    return cross
