"""Give a model the same degradation as the tomogram it is compared with.

Belongs here: missing wedge, noise and loss of resolution, applied to slabs cut from a model (`pose`).
Does not belong here: the projector (`cryoet.reconstruct`, which is called), choosing poses, descriptors.

No contrast transfer is applied: at the voxels compared (about 16 nm) the first zero of a usual defocus
lies far beyond the band.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.compare.pose import SlabPose, WallAnchor, cut_slab, slab_pose
from em2cryo_assets.compare.record import ASSUMED_TILTS_DEG, SLAB_MODALITIES, TomogramRecord

__all__ = [
    "DegradedSlab",
    "averaged",
    "common_blur_nm",
    "cut_wide",
    "degrade_slabs",
    "degrade_to_match",
    "field_of",
    "noise_of",
    "wedge_margin",
]


@dataclass(frozen=True)
class DegradedSlab:
    """A slab of a model before and after what the microscope would have done to it.

    Parameters
    ----------
    density : numpy.ndarray, float32, shape (z, y, x)
        After degradation.
    labels : numpy.ndarray, uint8, same shape
        Vocabulary codes, undegraded.
    pristine : numpy.ndarray, float32, same shape
        Before.
    pose : SlabPose
        Where the slab was cut.
    """

    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    pristine: NDArray[np.float32]
    pose: SlabPose


def common_blur_nm(model_voxel_nm: float, voxel_nm: float) -> float:
    """Give the blur (standard deviation, nm) that a model's voxels carry beyond the tomogram's own.

    A voxel is a box of variance h²/12 and trilinear sampling a triangle of variance h²/6. The tomogram and
    the noise of the model get this much, so that both sides end at one resolution.
    """
    return float(np.sqrt(max(model_voxel_nm**2 / 4 - voxel_nm**2 / 12, 0.0)))


def wedge_margin(record: TomogramRecord) -> int:
    """Voxels beside the field, across the tilt axis, that the steepest view sees behind it."""
    if record.modality not in SLAB_MODALITIES:
        return 0
    steepest = np.deg2rad(min(float(np.abs(_tilts(record) or (0.0,)).max()), 70.0))
    return int(np.ceil(0.5 * record.shape[0] * np.tan(steepest)))


def noise_of(
    record: TomogramRecord, *, factor: int = 1, blur_nm: float = 0.0, seed: int, device: str = "cpu"
) -> NDArray[np.float32]:
    """Reconstruct pure noise as the record's tomogram would hold it, then average and blur it like that one.

    White noise in every view, of equal strength since views get equal dose, takes on the ramp's colour and
    the wedge's gaps in the reconstruction; without tilts it stays white. That is why it is made at the
    record's own voxel and averaged after: noise made at the coarser voxel has another spectrum.

    Parameters
    ----------
    record : TomogramRecord
        Of the tomogram.
    factor : int
        Voxels averaged along each axis.
    blur_nm : float
        Standard deviation of the blur that follows, nm.
    seed : int
        Of the noise.
    device : str
        Torch device.

    Returns
    -------
    numpy.ndarray, float32, shape ``record.shape`` // factor
        Of variance 1 before averaging and blur.
    """
    rng = np.random.default_rng(seed)
    tilts = _tilts(record)
    if tilts is None:
        noise = rng.standard_normal(record.shape, dtype=np.float32)
    else:
        from em2cryo_assets.cryoet.reconstruct import back_project

        nz, ny, nx = record.shape
        grain = rng.standard_normal((len(tilts), ny, nx + 2 * wedge_margin(record)), dtype=np.float32)
        noise = field_of(back_project(grain, tilts, nz, device=device), record)
    noise = averaged(noise / max(float(noise.std()), 1e-12), factor)
    sigma = [blur_nm / (side * factor) for side in record.voxel_nm]
    return ndimage.gaussian_filter(noise, sigma, mode="reflect")


def averaged(volume: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Mean over cubes of ``factor`` voxels a side; an incomplete rim is dropped."""
    if factor == 1:
        return volume
    nz, ny, nx = (side // factor for side in volume.shape)
    cut = volume[: nz * factor, : ny * factor, : nx * factor]
    return cut.reshape(nz, factor, ny, factor, nx, factor).mean(axis=(1, 3, 5))


def degrade_slabs(
    slabs: Mapping[str, NDArray[np.float32]],
    labels: NDArray[np.integer],
    record: TomogramRecord,
    noise: NDArray[np.float32],
    *,
    first: str,
    device: str = "cpu",
) -> dict[str, NDArray[np.float32]]:
    """Project at the record's tilts, reconstruct, and add noise; several slabs of one grid at once.

    The operator is linear and every row along the tilt axis is independent of the others, so the slabs are
    laid end to end along y and pass through it once, and the noise is added after it. All slabs get the
    *same* noise, scaled so that the slab named ``first`` has the record's signal-to-noise ratio within the
    cell: a fake interior would have been imaged at the same dose.

    Parameters
    ----------
    slabs : mapping of str to numpy.ndarray, float32, shape (z, y, x + 2 margin)
        Pristine densities with `wedge_margin` voxels on either side along x.
    labels : numpy.ndarray, integer, shape (z, y, x)
        Of the slab named ``first``, without margins; tells where the cell is.
    record : TomogramRecord
        At the voxel of the slabs; its snr must be known.
    noise : numpy.ndarray, float32, shape (z, y, x)
        From `noise_of`; its unit is the strength that the record's snr is about.
    first : str
        The slab that sets the noise.
    device : str
        Torch device.

    Returns
    -------
    dict of str to numpy.ndarray, float32, shape (z, y, x)
        In the densities' own unit, offset excepted.

    Raises
    ------
    ValueError
        If the record has no positive snr or shapes disagree.
    """
    if record.snr is None or not record.snr > 0:
        raise ValueError(f"Degradation needs a positive signal-to-noise ratio, got {record.snr}.")
    nz, ny, nx = record.shape
    wide = (nz, ny, nx + 2 * wedge_margin(record))
    if any(s.shape != wide for s in slabs.values()) or labels.shape != record.shape:
        raise ValueError(f"Slabs must have shape {wide} and labels {record.shape}.")
    cell = labels != 0
    is_slab = record.modality in SLAB_MODALITIES
    # What surrounds the volume counts as zero: the cell's median around a slab, whose faces would ring
    # else; the medium around a whole cell.
    around = field_of(slabs[first], record)[cell if is_slab else ~cell]
    level = np.float32(np.median(around)) if around.size else np.float32(0)
    stack = np.concatenate([s - level for s in slabs.values()], axis=1)
    tilts = _tilts(record)
    if tilts is not None:
        from em2cryo_assets.cryoet.reconstruct import back_project, project

        views = project(stack, tilts, edges="continued" if is_slab else "empty", device=device)
        stack = back_project(views, tilts, nz, device=device)
    signals = {name: field_of(stack[:, i * ny : (i + 1) * ny], record) + level for i, name in enumerate(slabs)}
    inside = cell if cell.any() else np.ones_like(cell)
    strength = np.float32(np.sqrt(signals[first][inside].var() / record.snr))
    return {name: signal + strength * noise for name, signal in signals.items()}


def degrade_to_match(
    density: NDArray[np.floating],
    labels: NDArray[np.integer],
    voxel_nm: float,
    *,
    reference: TomogramRecord,
    anchor: WallAnchor | None,
    seed: int,
    device: str = "cpu",
) -> DegradedSlab:
    """Cut one slab from a model where the reference could have been, and degrade it like the reference.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        The model; density high where matter is dense.
    voxel_nm : float
        Its voxel side, nm.
    reference : TomogramRecord
        What is matched; its snr must be known and is that of the unblurred tomogram. The noise is blurred
        by `common_blur_nm`, as the tomogram has to be before the two are compared.
    anchor : WallAnchor or None
        The wall in the reference (`pose.wall_anchor`), None for a slab of the interior.
    seed : int
        Of pose and noise.
    device : str
        Torch device.

    Returns
    -------
    DegradedSlab

    Raises
    ------
    ValueError
        As `slab_pose` and `degrade_slabs`.
    """
    pose_seed, noise_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
    pose = slab_pose(labels, voxel_nm, reference, anchor, seed=pose_seed)
    wide, wide_labels = cut_wide(density, labels, voxel_nm, pose, reference, device=device)
    cut_labels = field_of(wide_labels, reference)
    blur_nm = common_blur_nm(voxel_nm, float(np.mean(reference.voxel_nm)))
    noise = noise_of(reference, blur_nm=blur_nm, seed=noise_seed, device=device)
    after = degrade_slabs({"model": wide}, cut_labels, reference, noise, first="model", device=device)
    return DegradedSlab(after["model"], cut_labels, field_of(wide, reference), pose)


def cut_wide(
    density: NDArray[np.floating],
    labels: NDArray[np.integer],
    voxel_nm: float,
    pose: SlabPose,
    record: TomogramRecord,
    *,
    device: str = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Density and labels of a model on the record's grid, with the margins that `degrade_slabs` wants."""
    nz, ny, nx = record.shape
    wide = (nz, ny, nx + 2 * wedge_margin(record))
    return cut_slab(density, labels, voxel_nm, pose, wide, record.voxel_nm, device=device)


def field_of(wide: NDArray[Any], record: TomogramRecord) -> NDArray[Any]:
    """Take the margins off again (a view)."""
    margin = wedge_margin(record)
    return wide[:, :, margin : margin + record.shape[2]]


def _tilts(record: TomogramRecord) -> tuple[float, ...] | None:
    """Tilts to project at; None means complete coverage, where there is nothing to do."""
    if record.tilts_deg is not None:
        return record.tilts_deg
    return ASSUMED_TILTS_DEG if record.modality in SLAB_MODALITIES else None
