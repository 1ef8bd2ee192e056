"""One cell against one tomogram, and which cells meet which tomograms.

Belongs here: the order of the steps of a pair, and the plan of pairs. Does not belong here: each step
(`pose`, `degrade`, `controls`, `interior`), and anything over many pairs (`statistics`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from em2cryo_assets.compare.controls import homogeneous_interior, label_permuted, phase_randomised
from em2cryo_assets.compare.degrade import averaged, common_blur_nm, cut_wide, degrade_slabs, field_of, noise_of
from em2cryo_assets.compare.interior import (
    below_skirt,
    contrast_order,
    depth_nm,
    interior_vectors,
    label_medians,
    normalised,
)
from em2cryo_assets.compare.pose import body_frame, slab_pose, wall_anchor
from em2cryo_assets.compare.record import (
    MIN_CYTOPLASM,
    MIN_SUPPORT,
    WHOLE_CELL_MODALITIES,
    TomogramRecord,
    why_not_comparable,
)
from em2cryo_assets.vocabulary import LABELS

__all__ = ["PAIR_COLUMNS", "VARIANTS", "compare_pair", "plan_pairs"]

PAIR_COLUMNS: Final = (
    "cell",
    "tomogram",
    "unit_cell",
    "unit_tomogram",
    "variant",
    "characteristic",
    "bin",
    "x",
    "value",
    "weight",
)

VARIANTS: Final = ("model", "homogeneous", "label_permuted", "phase_randomised", "reference")

_FINE_SHARE: Final = 6
"""Noise is made at a voxel of at most this share of the model's: finer noise is all blurred away, and would
cost minutes in a tomogram of 1 nm voxels."""

_SNR_RANGE: Final = (1e-2, 1e4)
"""Estimates of a single volume may be 0 or infinite; noise of neither strength can be made."""

Labels = NDArray[np.integer]


def compare_pair(
    density: ArrayLike,
    labels: ArrayLike,
    voxel_nm: float,
    tomogram_density: ArrayLike,
    tomogram_labels: ArrayLike,
    record: TomogramRecord,
    *,
    cell: str,
    tomogram: str,
    seed: int,
    unit_cell: str | None = None,
    device: str = "cpu",
) -> tuple[pd.DataFrame, dict[str, NDArray[np.float32]]]:
    """Describe a fused cell, its fakes and a tomogram after bringing all to one resolution and degradation.

    The tomogram is averaged to the coarsest whole multiple of its voxel that still samples the cell's twice,
    and blurred by what the cell's voxels blur. A slab posed like the tomogram is cut from the cell, fakes
    are made of it, and all pass through the tomogram's missing wedge and noise at once. Organelles that
    the tomogram's labelling does not tell apart count as cytoplasm on both sides.

    Parameters
    ----------
    density, labels : array_like, shape (z, y, x)
        The fused cell; NumPy or dask.
    voxel_nm : float
        Its voxel side, nm.
    tomogram_density, tomogram_labels : array_like, shape ``record.shape``
        The tomogram, density high where matter is dense.
    record : TomogramRecord
        Of the tomogram; `TomogramRecord.fallbacks` says what had to be assumed.
    cell, tomogram : str
        Keys.
    seed : int
        Of the study; pose and noise depend on it and both keys.
    unit_cell : str, optional
        Independent identity of the cell, its key if absent.
    device : str
        Torch device.

    Returns
    -------
    vectors : pandas.DataFrame
        `PAIR_COLUMNS`, by variant in `VARIANTS`: those of `interior_vectors`, and contrast_order (value
        Kendall's τ against the tomogram, x labels shared, weight pairs of them). A variant that the slab
        cannot show (label_permuted with one compartment, say) has no rows. Empty where
        `why_not_comparable` gives a reason.
    slabs : dict of str to numpy.ndarray, float32
        "tomogram", "before", "after": densities (z, y, x) on one grid, and "voxel_nm" (3,), its sides.
        Without a comparison only "tomogram" and "voxel_nm".

    Raises
    ------
    ValueError
        If arrays and record disagree in shape or the fused volume holds no cell.
    """
    reference = np.asarray(tomogram_density, dtype=np.float32)
    seen = np.asarray(tomogram_labels)
    if reference.shape != record.shape or seen.shape != record.shape:
        raise ValueError(f"Tomogram {reference.shape} and labels {seen.shape} are not the record's {record.shape}.")
    if why_not_comparable(seen, record.modality):
        slabs = {"tomogram": reference, "voxel_nm": np.asarray(record.voxel_nm, dtype=np.float32)}
        return _no_rows(), slabs
    model, model_labels = np.asarray(density), np.asarray(labels)
    pose_seed, noise_seed, fake_seed = _seeds(seed, cell, tomogram)
    reference, seen, record, noise = _at_common_resolution(
        reference, seen, record, voxel_nm, seed=noise_seed, device=device
    )
    anchor, axes = None, None
    if record.modality in WHOLE_CELL_MODALITIES:
        axes = body_frame(seen != 0, record.voxel_nm)[1]
    else:
        anchor = wall_anchor(seen, record.voxel_nm)
    pose = slab_pose(model_labels, voxel_nm, record, anchor, seed=pose_seed, body_axes=axes)
    wide, wide_labels = cut_wide(model, model_labels, voxel_nm, pose, record, device=device)
    fakes = {
        "model": (wide, wide_labels),
        "homogeneous": homogeneous_interior(wide, wide_labels),
        "label_permuted": label_permuted(wide, wide_labels, fake_seed),
        "phase_randomised": phase_randomised(wide, wide_labels, fake_seed),
    }
    made = {name: fake for name, fake in fakes.items() if fake is not None}
    after = degrade_slabs(
        {name: fake[0] for name, fake in made.items()},
        field_of(wide_labels, record),
        record,
        noise,
        first="model",
        device=device,
    )

    shown = np.unique(seen)
    medians = _core_medians(reference, seen, record, voxel_nm)
    frames = [_vectors("reference", reference, seen, record, voxel_nm, medians)]
    for name, (_, fake_labels) in made.items():
        told = _as_told(field_of(fake_labels, record), shown)
        if np.count_nonzero(told == LABELS["cytoplasm"]) >= MIN_SUPPORT:
            frames.append(_vectors(name, after[name], told, record, voxel_nm, medians))
    vectors = pd.concat(frames, ignore_index=True)
    vectors.insert(0, "cell", cell)
    vectors.insert(1, "tomogram", tomogram)
    vectors.insert(2, "unit_cell", unit_cell or cell)
    vectors.insert(3, "unit_tomogram", record.unit or tomogram)
    slabs = {
        "tomogram": reference,
        "before": np.ascontiguousarray(field_of(wide, record)),
        "after": np.ascontiguousarray(after["model"]),
        "voxel_nm": np.asarray(record.voxel_nm, dtype=np.float32),
    }
    return vectors[list(PAIR_COLUMNS)], slabs


def plan_pairs(
    cells: Iterable[str], tomograms: Iterable[str], *, per_tomogram: int = 5, seed: int
) -> list[tuple[str, str]]:
    """Choose the cells that each tomogram is compared with, by the smallest hashes of the pair.

    A choice depends on its own pair only (rendezvous hashing, Thaler and Ravishankar 1998): another
    tomogram changes no other's pairs, and another cell replaces at most one pair a tomogram.

    Parameters
    ----------
    cells, tomograms : iterable of str
        Keys, in any order.
    per_tomogram : int
        Cells a tomogram, fewer where there are fewer.
    seed : int
        Of the choice.

    Returns
    -------
    list of (cell, tomogram)
        Sorted by tomogram, then cell.

    Raises
    ------
    ValueError
        If per_tomogram < 1.
    """
    if per_tomogram < 1:
        raise ValueError(f"At least one cell a tomogram is needed, got {per_tomogram}.")
    names = sorted(set(cells))
    pairs = []
    for tomogram in sorted(set(tomograms)):
        ranked = sorted(names, key=lambda cell, t=tomogram: _digest(seed, cell, t))  # type: ignore[misc]
        pairs += [(cell, tomogram) for cell in sorted(ranked[:per_tomogram])]
    return pairs


def _vectors(
    variant: str,
    density: NDArray[np.float32],
    labels: Labels,
    record: TomogramRecord,
    model_voxel_nm: float,
    medians: dict[int, float],
) -> pd.DataFrame:
    frame = interior_vectors(density, labels, record.voxel_nm, finest_nm=model_voxel_nm, contrast=medians)
    if variant != "reference":
        tau, shared = contrast_order(_core_medians(density, labels, record, model_voxel_nm), medians)
        if np.isfinite(tau):
            frame.loc[len(frame)] = ("contrast_order", 0, float(shared), tau, shared * (shared - 1) / 2)
    frame.insert(0, "variant", variant)
    return frame


def _core_medians(
    density: NDArray[np.float32], labels: Labels, record: TomogramRecord, model_voxel_nm: float
) -> dict[int, float]:
    """Medians of the labels, the wall's blurred skirt counted with none of them."""
    core = below_skirt(labels, depth_nm(labels, record.voxel_nm), model_voxel_nm)
    medians = label_medians(normalised(density, core), core)
    medians.pop(LABELS["membrane"], None)
    return medians


def _no_rows() -> pd.DataFrame:
    """Give the columns with their types, as Parquet has to store them."""
    kinds = {"bin": np.int64, "x": np.float64, "value": np.float64, "weight": np.float64}
    return pd.DataFrame({c: pd.Series(dtype=kinds.get(c, str)) for c in PAIR_COLUMNS})


def _as_told(labels: Labels, shown: Labels) -> Labels:
    """Name what the tomogram's labelling never shows cytoplasm, as that labelling would."""
    table = np.arange(len(LABELS), dtype=labels.dtype)
    for code in range(LABELS["membrane"], len(LABELS)):
        if code not in shown:
            table[code] = LABELS["cytoplasm"]
    return table[labels]


def _at_common_resolution(
    density: NDArray[np.float32],
    labels: Labels,
    record: TomogramRecord,
    model_voxel_nm: float,
    *,
    seed: int,
    device: str,
) -> tuple[NDArray[np.float32], Labels, TomogramRecord, NDArray[np.float32]]:
    """Average and blur the tomogram to the model's resolution; noise of unit variance goes the same way.

    The record that returns holds the signal-to-noise ratio after all that: the noise's variance at the
    tomogram's voxel is known from its ratio, what is left of it from the noise's own passage, and the
    signal's variance is the rest of the tomogram's.
    """
    from em2cryo_assets.cryoet.noise import spatial_snr

    fine = _whole_factor(labels, record, model_voxel_nm / _FINE_SHARE)
    snr = record.snr if fine == 1 else None
    density, labels, record = _coarser(density, labels, record, fine)
    if snr is None or not np.isfinite(snr):
        snr = float(spatial_snr(density, labels))
    noise_variance = float(density[labels != 0].var()) / (1 + float(np.clip(snr, *_SNR_RANGE)))
    factor = _whole_factor(labels, record, model_voxel_nm / 2)
    blur_nm = common_blur_nm(model_voxel_nm, float(np.mean(record.voxel_nm)) * factor)
    noise = noise_of(record, factor=factor, blur_nm=blur_nm, seed=seed, device=device)
    density, labels, record = _coarser(density, labels, record, factor)
    density = ndimage.gaussian_filter(density, [blur_nm / side for side in record.voxel_nm], mode="reflect")
    left = noise_variance * float(noise.var())
    snr = (float(density[labels != 0].var()) - left) / max(left, 1e-30)
    noise = noise / max(float(noise.std()), 1e-12)
    return density, labels, replace(record, snr=float(np.clip(snr, *_SNR_RANGE))), noise


def _whole_factor(labels: Labels, record: TomogramRecord, largest_nm: float) -> int:
    """Largest whole factor that keeps the voxel at most ``largest_nm`` and enough of the cell to describe."""
    factor = max(1, int(largest_nm / max(record.voxel_nm) + 1e-6))
    cell = np.count_nonzero(labels)
    while factor > 1 and (min(record.shape) // factor < 8 or cell / factor**3 < MIN_CYTOPLASM):
        factor -= 1
    return factor


def _coarser(
    density: NDArray[np.float32], labels: Labels, record: TomogramRecord, factor: int
) -> tuple[NDArray[np.float32], Labels, TomogramRecord]:
    nz, ny, nx = (side // factor for side in record.shape)
    middle = slice(factor // 2, None, factor)
    dz, dy, dx = (side * factor for side in record.voxel_nm)
    picked = np.ascontiguousarray(labels[middle, middle, middle][:nz, :ny, :nx])
    return averaged(density, factor), picked, replace(record, shape=(nz, ny, nx), voxel_nm=(dz, dy, dx))


def _digest(seed: int, cell: str, tomogram: str) -> bytes:
    return hashlib.sha256(f"{seed}|{cell}|{tomogram}".encode()).digest()


def _seeds(seed: int, cell: str, tomogram: str) -> Sequence[int]:
    words = np.frombuffer(_digest(seed, cell, tomogram), dtype="<u8")
    return [int(w >> np.uint64(1)) for w in words[:3]]
