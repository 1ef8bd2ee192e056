"""The truth about simulated pictures, as files and records.

Belongs here: compressed TIFFs of what is true in every pixel, and what `study` and `study_more` note of cells and
planes. Does not belong here: raw files (`raw_files`) and where truth comes from (`pile`, `tem`, `cryo`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.pile import Pile
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets.phantom.scene import Truth

__all__ = ["cell_record", "plane_record", "population_record", "write_pile_truth", "write_truth"]


def write_truth(folder: Path, stem: str, **arrays: NDArray[Any]) -> list[Path]:
    """Write ``<stem>.<name>.tif`` for each array, without loss.

    Parameters
    ----------
    folder : pathlib.Path
        Existing folder.
    stem : str
        Name of the picture without its ending.
    **arrays : numpy.ndarray, shape (y, x) or (n, y, x)
        n pages.

    Returns
    -------
    list of pathlib.Path
        Same arrays, same bytes: no time stamp is written.
    """
    import tifffile

    paths = []
    for name, array in arrays.items():
        paths.append(folder / f"{stem}.{name}.tif")
        tifffile.imwrite(
            paths[-1], array, photometric="minisblack", compression="zlib", metadata=None, software=False,
            description=f"simulated: true {name}",
        )  # fmt: skip
    return paths


def write_pile_truth(folder: Path, stem: str, pile: Pile) -> list[Path]:
    """Write masks (int32, the cell's number from 1), depth_nm, half_thickness_nm and normals (pages z, y, x)."""
    return write_truth(
        folder, stem, masks=pile.owner, depth_nm=pile.depth_nm, half_thickness_nm=pile.half_thickness_nm,
        normals=pile.normals,
    )  # fmt: skip


def plane_record(plane: Plane) -> dict[str, Any]:
    """A plane in the frame of its cell: ``centre_nm`` (z, y, x) and ``axes``, rows normal, picture's y, picture's x."""
    return {"centre_nm": plane.centre_nm.tolist(), "axes": plane.axes.tolist()}


def cell_record(truth: Truth) -> dict[str, Any]:
    """What is true of a whole cell, rounded for reading."""
    return {
        "volume_um3": round(truth.volume_um3, 3),
        "wall_thickness_nm": round(truth.wall_thickness_nm, 2),
        "semi_axes_nm": [round(a, 1) for a in truth.semi_axes_nm],
        "axis_ratio": round(truth.semi_axes_nm[0] / truth.semi_axes_nm[2], 4),
        "fractions": {name: round(value, 5) for name, value in truth.fractions.items()},
        "budded": truth.budded,
    }


def population_record(truth: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the population from all cells of a study taken together."""
    cells: Sequence[Mapping[str, Any]] = list(truth.values())
    volumes = np.array([c["volume_um3"] for c in cells])
    names = list(cells[0]["fractions"])
    shares = {name: np.array([c["fractions"][name] for c in cells]) for name in names}
    log_volume = np.log(volumes)
    return {
        "cells": len(cells),
        "budded_share": float(np.mean([c["budded"] for c in cells])),
        "log_volume_mean": float(log_volume.mean()),
        "log_volume_sd": float(log_volume.std(ddof=1)) if len(cells) > 1 else 0.0,
        "wall_thickness_mean_nm": float(np.mean([c["wall_thickness_nm"] for c in cells])),
        "axis_ratio_mean": float(np.mean([c["axis_ratio"] for c in cells])),
        # Volume-weighted, as the ratio estimator of stereology estimates it.
        "volume_fractions": {n: float(np.sum(s * volumes) / volumes.sum()) for n, s in shares.items()},
    }
