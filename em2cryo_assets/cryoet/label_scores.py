"""How good labels of tomograms are, against simulated tomograms whose truth is known.

Belongs here: held-out tomograms, overlap and bias of volumes, the validation table. Does not belong here: making labels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.cryoet.label_network import WORKING_NM
from em2cryo_assets.cryoet.label_pictures import picture
from em2cryo_assets.cryoet.label_trainer import CROP
from em2cryo_assets.cryoet.label_windows import KINDS, THICKNESS_NM, draw_plane, draw_slab, windows_of
from em2cryo_assets.cryoet.labels import label_tomogram
from em2cryo_assets.learning.overlap import counted_pairs, overlap_table
from em2cryo_assets.phantom.cryo import cryo_slab, slab_labels
from em2cryo_assets.phantom.planes import wall_plane
from em2cryo_assets.phantom.scene import Cell, draw_cell
from em2cryo_assets.phantom.tilt_series import Camera, reconstruct, tilt_series
from em2cryo_assets.vocabulary import LABELS

__all__ = ["ASKED", "HELD_OUT_FIRST", "SETS", "Judged", "confusion", "judged_tomograms", "validation_table"]

SETS: Final = ("as trained", "full instrument", "simulated studies")
"""Tomograms drawn as those of the training; by `phantom.tilt_series` at 6 to 10 nm, which training does not use, with
electrons, contrast transfer, fading detail and misalignment; and as simulated studies make them (`phantom.cryo`)."""

HELD_OUT_FIRST: Final = 900_000
"""Added to a training's first seed: no training draws these cells."""

ASKED: Final = ("outside", "wall", "cytoplasm", "nucleus", "vacuole")

_FIELD_NM: Final = 960.0
_VOXELS_NM: Final = (6.0, 8.0, 10.0)
_STUDY_NM: Final = 8.0
_DEEPER: Final = 0.4
"""Share of the second set that is reconstructed deeper than the slab, by 10 to 50 % of its thickness on either side."""

Labeller = Callable[[NDArray[np.float32], tuple[float, float, float], str], NDArray[np.uint8]]


@dataclass(frozen=True)
class Judged:
    """A held-out tomogram.

    Parameters
    ----------
    kind : str
        One of `SETS`.
    cell : int
        Number of the cell; the tomograms of one cell are no independent samples.
    volume : numpy.ndarray, float32, shape (z, y, x)
        Density, high where matter is dense.
    labels : numpy.ndarray, uint8, shape (z, y, x)
        The truth.
    voxel_nm : float
        Voxel side.
    modality : str
        "lamella" or "cryo-section".
    """

    kind: str
    cell: int
    volume: NDArray[np.float32]
    labels: NDArray[np.uint8]
    voxel_nm: float
    modality: str


def judged_tomograms(cells: int, *, seed: int = 0) -> Iterator[Judged]:
    """Draw held-out tomograms of 1 µm, three of each cell: one of each of `SETS`, of slabs of their own.

    Parameters
    ----------
    cells : int
        Simulated cells.
    seed : int
        Of the training that they are held out from, times 100,000.

    Yields
    ------
    Judged
        In the order of cells; a cell takes some 4 s.
    """
    for number in range(cells):
        first = seed + HELD_OUT_FIRST + number
        cell, rng = draw_cell(first), np.random.default_rng([first, 23])
        window = windows_of(first, 1)[0]
        shown = picture(window, CROP, rng)
        modality = "lamella" if window.lamella else "cryo-section"
        yield Judged(SETS[0], number, shown.volume, shown.labels, WORKING_NM, modality)
        yield _by_instrument(cell, number, rng)
        yield _as_in_studies(cell, number, rng)


def _by_instrument(cell: Cell, number: int, rng: np.random.Generator) -> Judged:
    voxel_nm = float(rng.choice(_VOXELS_NM))
    slab = draw_slab(rng)
    plane = draw_plane(cell, str(rng.choice(list(KINDS), p=list(KINDS.values()))), rng)
    side = round(_FIELD_NM / voxel_nm)
    shape = (round(float(rng.uniform(*THICKNESS_NM)) / voxel_nm), side, side)
    camera = Camera(
        dose_e_per_nm2=float(10.0 ** rng.uniform(3.3, 4.2)), defocus_um=float(rng.uniform(2.0, 8.0)),
        shift_px=float(rng.uniform(0.0, 1.0)), rotation_deg=float(rng.uniform(0.0, 0.3)),
    )  # fmt: skip
    steepest, step = float(rng.uniform(42.0, 66.0)), float(rng.choice((2.0, 3.0, 4.0)))
    tilts = np.arange(-steepest, steepest + 0.01, step).tolist()
    series = tilt_series(cell, plane, shape, voxel_nm, tilts, camera, slab=slab, seed=int(rng.integers(2**31)))
    beyond = round(float(rng.uniform(0.1, 0.5)) * shape[0]) if rng.random() < _DEEPER else 0
    volume = reconstruct(series, shape[0] + 2 * beyond, aligned=bool(rng.random() < 0.5))
    labels = np.pad(slab_labels(cell, plane, shape, voxel_nm, slab), ((beyond, beyond), (0, 0), (0, 0)))
    return Judged(SETS[1], number, volume, labels, voxel_nm, slab.kind)


def _as_in_studies(cell: Cell, number: int, rng: np.random.Generator) -> Judged:
    plane, shape = wall_plane(cell.body, rng, 350.0), (30, 120, 120)
    tilts = np.arange(-60.0, 61.0, 3.0).tolist()
    snr = float(rng.uniform(8.0, 16.0))
    volume = cryo_slab(cell, plane, shape, _STUDY_NM, tilts, snr=snr, seed=int(rng.integers(2**31)))
    return Judged(SETS[2], number, volume, slab_labels(cell, plane, shape, _STUDY_NM), _STUDY_NM, "lamella")


def confusion(truth: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Voxels by true (rows) and given label (columns), shape (8, 8); mitochondria and droplets count as cytoplasm."""
    merged = np.arange(len(LABELS), dtype=np.uint8)
    merged[[LABELS["mitochondrion"], LABELS["lipid_droplet"]]] = LABELS["cytoplasm"]
    return counted_pairs(merged[truth], merged[labels], len(LABELS))


def validation_table(cells: int, weights: Path, *, seed: int = 0) -> pd.DataFrame:
    """Judge the network and the classical labelling on the same held-out tomograms.

    Parameters
    ----------
    cells : int
        Held-out cells.
    weights : Path
        Of the network.
    seed : int
        As for `judged_tomograms`.

    Returns
    -------
    pandas.DataFrame
        set, labeller (network or layers), label, dice, dice_low, dice_high (95 %, bootstrap over cells), volume_bias
        (relative), tomograms (that hold the label).
    """
    from em2cryo_assets.cryoet.label_decoding import network_slab
    from em2cryo_assets.cryoet.label_network import slab_net

    net = slab_net(weights)
    labellers: dict[str, Labeller] = {
        "network": lambda v, sides, kind: label_tomogram(v, sides, kind, slab=partial(network_slab, net=net)).labels,
        "layers": lambda v, sides, kind: label_tomogram(v, sides, kind).labels,
    }
    found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for judged in judged_tomograms(cells, seed=seed):
        sides = (judged.voxel_nm,) * 3
        for name, labeller in labellers.items():
            counts = confusion(judged.labels, labeller(judged.volume, sides, judged.modality))
            found.setdefault((judged.kind, name), []).append(counts.astype(np.float64) * judged.voxel_nm**3)
    tables = []
    for (kind, name), volumes in found.items():
        rows = overlap_table(np.stack(volumes), LABELS)
        rows = rows.rename(columns={"bias": "volume_bias", "images": "tomograms"})
        rows.insert(0, "labeller", name)
        rows.insert(0, "set", kind)
        tables.append(rows)
    return pd.concat(tables, ignore_index=True)
