"""Raw files of further views and instruments that lie beside a simulated study's inbox, with their truth.

Belongs here: which pictures of which further kinds a whole study holds: tilted views, detector quadrants, a crowd, a
tilt series as its microscope leaves it, a cryo-section, a map. One of each.
Does not belong here: how they come about (`views`, `pile`, `fields`, `tilt_series`, `overview`) and what lies in
the inbox (`study`).
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.charging import CROWDED
from em2cryo_assets.phantom.cryo import Slab, slab_labels
from em2cryo_assets.phantom.fields import arrange, crowd, dried_stranger
from em2cryo_assets.phantom.overview import overview
from em2cryo_assets.phantom.pile import bse_images, drop_cells, resting_rotation, sem_image, trace_relief
from em2cryo_assets.phantom.planes import Plane, wall_plane
from em2cryo_assets.phantom.priors import draw
from em2cryo_assets.phantom.raw_files import write_mrc, write_png, write_stack
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.study_plan import COMMON, SEM_COMMON, Seeds
from em2cryo_assets.phantom.tilt_files import write_tilt_series
from em2cryo_assets.phantom.tilt_series import Camera, reconstruct, tilt_series
from em2cryo_assets.phantom.truth_files import cell_record, plane_record, write_pile_truth, write_truth
from em2cryo_assets.phantom.views import place, triplet

__all__ = ["write_more"]

_VIEWS: Final = (("tilt-0", 0.0, None), ("tilt-45", 45.0, None), ("tilt-45-turned", 45.0, "stage turned by 180°"))
_QUADRANTS: Final = ("+x", "+y", "-x", "-y")
_SEM_PIXEL_NM, _VIEW_SHAPE, _VIEW_CELLS = 22.0, (640, 704), 6
_VIEW_BAND_PX: Final = 384  # rows that cells fall into: tilted by 45° either way, most stay in the picture
_CROWD_PIXEL_NM, _CROWD_SHAPE, _CROWD_CELLS = 21.4, (576, 768), 24
_TILTS_DEG: Final = tuple(np.arange(-60.0, 61.0, 3.0).tolist())
_SERIES_SHAPE, _SERIES_PIXEL_NM = (40, 192, 192), 4.0
_MISALIGNED: Final = Camera(shift_px=1.5, rotation_deg=0.3)
_CRYO_SHAPE, _CRYO_VOXEL_NM = (28, 160, 160), 5.0
_CRYO_SLAB: Final = Slab("cryo-section", compression=0.4, cutting_deg=30.0)
_MAP_SHAPE, _MAP_PIXEL_NM, _MAP_CENTRES = (384, 512), 40.0, ((100, 120), (110, 370), (285, 130), (270, 390))


def write_more(folder: Path, truth_folder: Path, seeds: Seeds) -> list[Path]:
    """Write one of each kind of raw file that lies beside the inbox, marked as simulated.

    Parameters
    ----------
    folder : pathlib.Path
        Made where it is missing: a pile at 0°, 45° and 45° after half a turn (``tilt-*.png``), the four quadrants of
        a backscatter detector above it (``quadrant-*.png``), ``crowd.png``, a misaligned tilt series of a lamella
        with its halves (``tilt-series.mrc``, ``.rawtlt``, ``.mrc.mdoc``, ``_even.mrc``, ``_odd.mrc``), the tomogram
        of a compressed cryo-section, and a map of vitrified cells (``overview.mrc``).
    truth_folder : pathlib.Path
        Existing; TIFFs named after the files, and ``more.json`` with cells, planes and misalignments.
    seeds : Seeds
        Of the study.

    Returns
    -------
    list of pathlib.Path
        The raw files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {}
    paths = [
        *_write_views(folder, truth_folder, seeds, truth),
        _write_crowd(folder, truth_folder, seeds),
        *_write_series(folder, truth_folder, seeds, truth),
        _write_cryo_section(folder, truth_folder, seeds, truth),
        _write_map(folder, truth_folder, seeds, truth),
    ]
    (truth_folder / "more.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return paths


def _write_views(folder: Path, truth_folder: Path, seeds: Seeds, truth: dict[str, Any]) -> list[Path]:
    rng = np.random.default_rng(seeds("more", 0))
    shrink = draw("drying_linear", rng)
    cells = [draw_cell(seeds("more", 0, i)) for i in range(_VIEW_CELLS)]
    rotations = [resting_rotation(rng) for _ in cells]
    reliefs = [trace_relief(c, r, shrink, _SEM_PIXEL_NM) for c, r in zip(cells, rotations, strict=True)]
    band = arrange(reliefs, (_VIEW_BAND_PX, _VIEW_SHAPE[1]), (8, 8), clear=3, seed=seeds("more", 0, 100))
    centres = [(y + (_VIEW_SHAPE[0] - _VIEW_BAND_PX) // 2, x) for y, x in band]
    pile = drop_cells(reliefs, centres, _VIEW_SHAPE, _SEM_PIXEL_NM)
    placed = place(cells, rotations, [shrink] * len(cells), pile)
    piles = triplet(placed, _VIEW_SHAPE, _SEM_PIXEL_NM)
    scale = {"pixel_size_nm": _SEM_PIXEL_NM}
    paths = []
    for number, ((stem, tilt, note), seen) in enumerate(zip(_VIEWS, piles, strict=True)):
        pixels = sem_image(seen, _SEM_PIXEL_NM, seed=seeds("more", 1, number))
        paths.append(write_png(folder / f"{stem}.png", pixels))
        write_sidecar(paths[-1], {**SEM_COMMON, **scale, "tilt_deg": tilt, "notes": note})
        write_pile_truth(truth_folder, stem, seen)
    for side, pixels in zip(_QUADRANTS, bse_images(piles[0], _SEM_PIXEL_NM, seed=seeds("more", 2)), strict=True):
        number = _QUADRANTS.index(side) + 1
        paths.append(write_png(folder / f"quadrant-{number}.png", pixels))
        detector = f"backscattered electrons, quadrant at {side} of the picture"
        write_sidecar(paths[-1], {**SEM_COMMON, **scale, "detector": detector, "notes": "the pile of tilt-0.png"})
    truth["tilt-*.png"] = {
        "shrink": shrink,
        "cells": [
            {**cell_record(one.cell.truth()), "rotation": one.rotation.tolist(), "centre_nm": one.centre_nm.tolist()}
            for one in placed
        ],
    }
    return paths


def _write_crowd(folder: Path, truth_folder: Path, seeds: Seeds) -> Path:
    """Small cells of another strain, several layers deep, as the spectrum of simulated fields was measured on."""
    rng = np.random.default_rng(seeds("more", 3))
    cells = [dried_stranger(draw_cell(seeds("more", 3, i)), rng) for i in range(_CROWD_CELLS)]
    reliefs = [trace_relief(cell, random_rotation(rng), rng.uniform(0.56, 0.76), _CROWD_PIXEL_NM) for cell in cells]
    heap = crowd(reliefs, _CROWD_SHAPE, seed=seeds("more", 3, 100))
    pile = drop_cells(heap.reliefs, heap.centres, _CROWD_SHAPE, _CROWD_PIXEL_NM)
    pixels = sem_image(pile, _CROWD_PIXEL_NM, seed=seeds("more", 3, 101), look=CROWDED)
    path = write_png(folder / "crowd.png", pixels)
    strain = "simulated yeast of another strain"
    write_sidecar(path, {**SEM_COMMON, "strain": strain, "pixel_size_nm": _CROWD_PIXEL_NM})
    write_pile_truth(truth_folder, "crowd", pile)
    return path


def _write_series(folder: Path, truth_folder: Path, seeds: Seeds, truth: dict[str, Any]) -> list[Path]:
    cell = draw_cell(seeds("more", 4))
    plane = wall_plane(cell.body, np.random.default_rng(seeds("more", 4, 0)), 350.0)
    series = tilt_series(
        cell, plane, _SERIES_SHAPE, _SERIES_PIXEL_NM, _TILTS_DEG, _MISALIGNED, seed=seeds("more", 4, 1)
    )
    paths = write_tilt_series(folder, "tilt-series", series, halves=True)
    order = np.argsort(series.ranks)
    for path in paths:
        if path.suffix == ".mrc":
            write_sidecar(
                path,
                {
                    **COMMON,
                    "modality": "lamella",
                    "pixel_size_nm": _SERIES_PIXEL_NM,
                    "contrast": "dark-is-dense",
                    "denoised": False,
                    "tilts_deg": [series.tilts_deg[i] for i in order],
                    "halves": "tilt-series_even.mrc, tilt-series_odd.mrc",
                    "notes": f"tilt series, not aligned; {series.note}",
                },
            )
    write_truth(truth_folder, "tilt-series", labels=slab_labels(cell, plane, _SERIES_SHAPE, _SERIES_PIXEL_NM))
    truth["tilt-series.mrc"] = {
        **cell_record(cell.truth()),
        "plane": plane_record(plane),
        # In the order of the stack.
        "shifts_px": series.shifts_px[order].tolist(),
        "rotations_deg": series.rotations_deg[order].tolist(),
    }
    return paths


def _write_cryo_section(folder: Path, truth_folder: Path, seeds: Seeds, truth: dict[str, Any]) -> Path:
    cell = draw_cell(seeds("more", 5))
    plane = wall_plane(cell.body, np.random.default_rng(seeds("more", 5, 0)), 350.0)
    series = tilt_series(
        cell, plane, _CRYO_SHAPE, _CRYO_VOXEL_NM, _TILTS_DEG, slab=_CRYO_SLAB, seed=seeds("more", 5, 1)
    )
    path = write_mrc(
        folder / "cryo-section.mrc", _dark_is_dense(reconstruct(series)), voxel_nm=_CRYO_VOXEL_NM, label="simulated"
    )
    shrunk, along = 100.0 * _CRYO_SLAB.compression, _CRYO_SLAB.cutting_deg
    write_sidecar(
        path,
        {
            **COMMON,
            "modality": "cryo-section",
            "contrast": "dark-is-dense",
            "denoised": False,
            "tilts_deg": list(_TILTS_DEG),
            "notes": f"shortened by {shrunk:.0f} % along {along:.0f}° from x towards y by the knife",
        },
    )
    labels = slab_labels(cell, plane, _CRYO_SHAPE, _CRYO_VOXEL_NM, _CRYO_SLAB)
    write_truth(truth_folder, "cryo-section", labels=labels)
    truth[path.name] = {
        **cell_record(cell.truth()),
        "plane": plane_record(plane),
        "compression": _CRYO_SLAB.compression,
        "cutting_deg": _CRYO_SLAB.cutting_deg,
    }
    return path


def _dark_is_dense(volume: NDArray[np.float32]) -> NDArray[np.int8]:
    low, high = np.percentile(volume, [0.1, 99.9])
    return np.clip(np.round(120.0 - 240.0 * (volume - low) / (high - low)), -127, 127).astype(np.int8)


def _write_map(folder: Path, truth_folder: Path, seeds: Seeds, truth: dict[str, Any]) -> Path:
    rng = np.random.default_rng(seeds("more", 6))
    cells = [draw_cell(seeds("more", 6, i)) for i in range(len(_MAP_CENTRES))]
    planes = [Plane(np.zeros(3), random_rotation(rng)) for _ in cells]
    seen = overview(cells, planes, _MAP_CENTRES, _MAP_SHAPE, _MAP_PIXEL_NM, seed=seeds("more", 6, 100))
    path = write_stack(
        folder / "overview.mrc", seen.counts[None].astype(np.int16), pixel_nm=_MAP_PIXEL_NM, label="simulated"
    )
    write_sidecar(
        path,
        {
            **COMMON,
            "modality": "overview",
            "pixel_size_nm": _MAP_PIXEL_NM,
            "contrast": "dark-is-dense",
            "notes": "whole vitrified cells in ice",
        },
    )
    write_truth(truth_folder, "overview", outlines=seen.outlines)
    truth[path.name] = [
        {**cell_record(cell.truth()), "plane": plane_record(plane), "centre_px": list(centre)}
        for cell, plane, centre in zip(cells, planes, _MAP_CENTRES, strict=True)
    ]
    return path
