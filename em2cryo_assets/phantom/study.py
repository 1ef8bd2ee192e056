"""A whole simulated study as raw files with sidecars.

Belongs here: how many pictures of which kind, from which cells, with which settings; what an electron
microscopist would have written beside them; and the truth, outside the inbox.
Does not belong here: how a picture comes about (`tem`, `cryo`, `soft_x_ray`, `pile`), counts, names and the folder
(`study_plan`), files beyond the inbox (`study_more`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.phantom.annotate import burn_scale_bar, data_bar
from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.cryo import cryo_slab, slab_labels
from em2cryo_assets.phantom.fields import arrange
from em2cryo_assets.phantom.pile import drop_cells, resting_rotation, sem_image, trace_relief
from em2cryo_assets.phantom.planes import Plane, deep_plane, profile_extent_nm, random_plane, wall_plane
from em2cryo_assets.phantom.priors import draw
from em2cryo_assets.phantom.raw_files import write_fei_tiff, write_mrc, write_png
from em2cryo_assets.phantom.scene import Cell, body_of, draw_cell
from em2cryo_assets.phantom.soft_x_ray import soft_x_ray
from em2cryo_assets.phantom.study_more import write_more
from em2cryo_assets.phantom.study_plan import (
    COMMON,
    SEM_COMMON,
    Seeds,
    check_count,
    check_folder,
    field_name,
    lamella_name,
    picture_names,
    section_name,
    spread_over_fields,
    whole_cell_name,
)  # fmt: skip
from em2cryo_assets.phantom.tem import Settings, cut_section
from em2cryo_assets.phantom.truth_files import (
    cell_record,
    plane_record,
    population_record,
    write_pile_truth,
    write_truth,
)  # fmt: skip
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

__all__ = ["DEMO_SEED", "spread_over_fields", "write_study", "write_whole_study"]

DEMO_SEED: Final = 20260
"""Seed of the committed demo study."""

_SEM_SHAPE, _SEM_PIXEL_NM, _DATA_BAR_ROWS = (768, 1024), 22.0, 60
_TEM_PIXELS, _TEM_PIXEL_STEPS_NM, _SECTION_NM = 416, (10.5, 11.8, 13.9, 16.4, 20.0, 25.0), 80.0
_SLAB_SHAPE, _SLAB_VOXEL_NM = (30, 120, 120), 8.0
_WHOLE_SIDE, _WHOLE_VOXEL_STEPS_NM = 72, (76.0, 84.0, 95.0, 110.0, 130.0, 150.0)


def write_study(
    folder: Path,
    *,
    seed: int = DEMO_SEED,
    cells_of_fields: Sequence[int] = (13, 13),
    sections: int = 20,
    lamellae: int = 8,
    whole_cells: int = 12,
) -> list[Path]:
    """Write raw files and sidecars of a simulated study.

    Every picture shows other cells of one population. A file depends on the seed and on its own number only, an SEM
    field also on how many cells it holds.

    Parameters
    ----------
    folder : pathlib.Path
        Study folder; ``inbox/sem``, ``inbox/tem`` and ``inbox/tomogram`` are made where they are missing,
        and ``truth.json`` is written beside the inbox, for tests.
    seed : int
        The same seed gives the same bytes.
    cells_of_fields : sequence of int
        Number of cells in each SEM picture, 1 to 13; pictures are alternately PNG with a burnt-in scale bar and TIFF
        with tags and data bar.
    sections : int
        TEM sections, two to a block.
    lamellae : int
        Tomograms of a lamella; of every eight the last two show no wall. The second has fewer tilts, and the fourth
        has lost them.
    whole_cells : int
        Soft X-ray volumes.

    Returns
    -------
    list of pathlib.Path
        Raw files in the order of writing (sidecars lie beside them).

    Raises
    ------
    InputError
        If a count or the seed is impossible, or the folder holds anything but what this very call writes
        (`study_plan.check_folder`).
    """
    counts = (cells_of_fields, sections, lamellae, whole_cells)
    check_folder(folder, check_count("seed", seed), picture_names(*counts))
    return _write(folder, Seeds(seed), *counts, None)


def write_whole_study(
    folder: Path,
    *,
    seed: int = DEMO_SEED,
    sem_cells: int = 26,
    tem_sections: int = 20,
    lamellae: int = 8,
    whole_cells: int = 12,
) -> list[Path]:
    """Write what `write_study` writes, the truth of every picture, and the other instruments' files.

    Parameters
    ----------
    folder : pathlib.Path
        Study folder. Beside the inbox come to lie ``truth/``, in which TIFFs named after the pictures hold masks,
        depth, half-thickness and normals of SEM fields, labels and wall angles of sections and labels of lamellae,
        and ``more/`` (`study_more`), which the demo does without.
    seed : int
        The same seed gives the same bytes.
    sem_cells : int
        Cells in SEM fields; fields of 13 are filled in turn.
    tem_sections, lamellae, whole_cells : int
        As for `write_study`.

    Returns
    -------
    list of pathlib.Path
        Raw files in the inbox, in the order of writing.

    Raises
    ------
    InputError
        As for `write_study`.
    """
    counts = (spread_over_fields(sem_cells), tem_sections, lamellae, whole_cells)
    check_folder(folder, check_count("seed", seed), picture_names(*counts))
    seeds, truth = Seeds(seed), folder / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    paths = _write(folder, seeds, *counts, truth)
    write_more(folder / "more", truth, seeds)
    return paths


def _write(
    folder: Path, seeds: Seeds, cells: Sequence[int], sections: int, lamellae: int, whole: int, pixels: Path | None
) -> list[Path]:
    """Write inbox and ``truth.json``; the truth of every pixel into a folder of its own where there is one."""
    for kind in ("sem", "tem", "tomogram"):
        (folder / "inbox" / kind).mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {}
    paths = [
        *_write_fields(folder / "inbox" / "sem", seeds, cells, truth, pixels),
        *_write_sections(folder / "inbox" / "tem", seeds, sections, truth, pixels),
        *_write_lamellae(folder / "inbox" / "tomogram", seeds, lamellae, truth, pixels),
        *_write_whole_cells(folder / "inbox" / "tomogram", seeds, whole, truth),
    ]
    report = {"seed": seeds.seed, "population": population_record(truth), "pictures": truth}
    (folder / "truth.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return paths


def _live_diameter_um(seeds: Seeds) -> float:
    """Mean diameter of 40 more living cells, as a light microscopist would report it.

    The diameter of the sphere that holds as much as the whole cell, bud and all.
    """
    diameters = []
    for index in range(40):
        body = body_of(seeds("live", index))
        axis = np.arange(-body.half_extent_nm(), body.half_extent_nm(), 160.0)
        points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        inside = np.clip(0.5 - body.distance(points, exact=False) / 160.0, 0.0, 1.0).sum()
        diameters.append((6.0 / np.pi * inside * 0.160**3) ** (1.0 / 3.0))
    return round(float(np.mean(diameters)), 2)


def _write_fields(
    folder: Path, seeds: Seeds, counts: Sequence[int], truth: dict[str, Any], pixel_truth: Path | None
) -> list[Path]:
    live_um = _live_diameter_um(seeds) if counts else 0.0
    paths = []
    for field, cells in enumerate(counts):
        rng = np.random.default_rng(seeds("layout", field))
        shrink = draw("drying_linear", rng)
        members = [draw_cell(seeds("sem", field, i)) for i in range(cells)]
        reliefs = [trace_relief(c, resting_rotation(rng), shrink, _SEM_PIXEL_NM) for c in members]
        clear = max(1, round(0.6 * cells))
        centres = arrange(reliefs, _SEM_SHAPE, (50, 300), clear=clear, seed=seeds("layout", field, 1))
        pile = drop_cells(reliefs, centres, _SEM_SHAPE)
        pixels = sem_image(pile, _SEM_PIXEL_NM, seed=seeds("picture", 0, field))
        sidecar = {**SEM_COMMON, "live_cell_diameter_um": live_um}
        path = folder / field_name(field)
        if field % 2:
            bar = data_bar(
                _SEM_SHAPE[1], _DATA_BAR_ROWS, _SEM_PIXEL_NM, 5,
                ["HV 5.00 kV", "WD 5.0 mm", f"HFW {_SEM_SHAPE[1] * _SEM_PIXEL_NM / 1000:.1f} µm", "ETD"],
            )  # fmt: skip
            write_fei_tiff(
                path, np.concatenate([pixels, bar]),
                pixel_size_nm=_SEM_PIXEL_NM, data_bar_rows=_DATA_BAR_ROWS, stage_tilt_deg=0.0,
            )  # fmt: skip
        else:
            write_png(path, burn_scale_bar(pixels, _SEM_PIXEL_NM, 5))
            sidecar["scale_bar"] = "5 um"
        write_sidecar(path, sidecar)
        paths.append(path)
        if pixel_truth is not None:
            write_pile_truth(pixel_truth, path.stem, pile)
        for i, (cell, visible, centre) in enumerate(zip(members, pile.visible, centres, strict=True)):
            truth[f"{path.name}/{i + 1}"] = {
                **cell_record(cell.truth()),
                "shrink": shrink,
                "visible": round(visible, 4),
                "centre_px": list(centre),
            }
    return paths


def _write_sections(
    folder: Path, seeds: Seeds, count: int, truth: dict[str, Any], pixel_truth: Path | None
) -> list[Path]:
    paths: list[Path] = []
    for number in range(count):
        candidate = 0
        while True:
            rng = np.random.default_rng(seeds("tem", number, candidate, 1))
            plane = random_plane(body_of(seeds("tem", number, candidate)), rng)
            if plane is not None:
                break
            candidate += 1
        cell = draw_cell(seeds("tem", number, candidate))
        # Magnifications come in steps; the one that shows the whole profile is chosen.
        extent = profile_extent_nm(cell.body, plane)
        fitting = [step for step in _TEM_PIXEL_STEPS_NM if extent < 0.92 * _TEM_PIXELS * step]
        pixel_nm = fitting[0] if fitting else _TEM_PIXEL_STEPS_NM[-1]
        section = cut_section(
            cell, plane, (_TEM_PIXELS, _TEM_PIXELS), pixel_nm,
            Settings(thickness_nm=_SECTION_NM), seed=seeds("picture", 1, number),
        )  # fmt: skip
        grey = np.clip(np.round(255.0 * (0.93 - 0.80 * section.image)), 0, 255).astype(np.uint8)
        path = write_png(folder / section_name(number), grey)
        write_sidecar(
            path,
            {
                **COMMON,
                "modality": "tem",
                "pixel_size_nm": pixel_nm,
                "section_thickness_nm": _SECTION_NM,
                "contrast": "dark-is-dense",
                "sampling": "random",
                "block": f"block-{number // 2 + 1}",
                "cell": f"tem-cell-{number + 1:02d}",
                "fixation": "high-pressure freezing, freeze substitution",
                "resin": "Epon",
                "compression": 0.0,
                "notes": "not compressed by the knife",
            },
        )
        paths.append(path)
        if pixel_truth is not None:
            write_truth(pixel_truth, path.stem, labels=section.labels, wall_angle_deg=section.wall_angle_deg)
        upright = section.wall_angle_deg[section.labels == LABELS["wall"]]
        truth[path.name] = {
            **cell_record(cell.truth()),
            **_profile(cell, plane, pixel_nm),
            "plane": plane_record(plane),
            "wall_angle_mean_deg": round(float(upright.mean(dtype=np.float64)), 2) if upright.size else None,
        }
    return paths


def _profile(cell: Cell, plane: Plane, pixel_nm: float) -> dict[str, Any]:
    """Measure what the middle plane of a section really cuts."""
    axis = (np.arange(_TEM_PIXELS // 2, dtype=np.float64) - 0.25 * (_TEM_PIXELS - 2)) * 2.0 * pixel_nm
    labels = cell.labels(plane.points_nm(np.zeros(1), axis, axis))
    areas = np.bincount(labels.ravel(), minlength=len(LABELS))[: len(LABELS)] * (2e-3 * pixel_nm) ** 2
    total = float(areas.sum() - areas[LABELS["outside"]])
    shares = {name: round(float(areas[LABELS[name]]) / total, 5) for name in ("wall", *ORGANELLES)}
    return {"profile_area_um2": round(total, 4), "area_fractions": shares}


def _write_lamellae(
    folder: Path, seeds: Seeds, count: int, truth: dict[str, Any], pixel_truth: Path | None
) -> list[Path]:
    paths: list[Path] = []
    for number in range(count):
        cell = draw_cell(seeds("lamella", number))
        rng = np.random.default_rng(seeds("lamella", number, 1))
        without_wall = number % 8 in (6, 7)
        plane = deep_plane(cell.body, rng, 1000.0) if without_wall else wall_plane(cell.body, rng, 350.0)
        tilts = np.arange(-60.0, 61.0, 3.0) if number != 1 else np.arange(-54.0, 55.0, 3.0)
        volume = cryo_slab(
            cell, plane, _SLAB_SHAPE, _SLAB_VOXEL_NM, tilts.tolist(),
            snr=rng.uniform(8.0, 16.0), seed=seeds("picture", 2, number),
        )  # fmt: skip
        low, high = np.percentile(volume, [0.1, 99.9])
        # Dark = dense, as IMOD writes it.
        stored = np.clip(np.round(120.0 - 240.0 * (volume - low) / (high - low)), -127, 127).astype(np.int8)
        path = write_mrc(folder / lamella_name(number), stored, voxel_nm=_SLAB_VOXEL_NM, label="simulated")
        sidecar: dict[str, Any] = {
            **COMMON,
            "modality": "lamella",
            "contrast": "dark-is-dense",
            "denoised": False,
            "cell": f"cryo-cell-{number + 1:02d}",
        }
        if number == 3:
            sidecar["notes"] = "the record of the tilts was lost"
        else:
            sidecar["tilts_deg"] = tilts.tolist()
        write_sidecar(path, sidecar)
        paths.append(path)
        if pixel_truth is not None:
            labels = slab_labels(cell, plane, _SLAB_SHAPE, _SLAB_VOXEL_NM)
            write_truth(pixel_truth, path.name.split(".")[0], labels=labels)
        truth[path.name] = {
            **cell_record(cell.truth()),
            "wall_in_view": not without_wall,
            "plane": plane_record(plane),
        }
    return paths


def _write_whole_cells(folder: Path, seeds: Seeds, count: int, truth: dict[str, Any]) -> list[Path]:
    paths: list[Path] = []
    for number in range(count):
        cell = draw_cell(seeds("whole-cell", number))
        axes = random_rotation(np.random.default_rng(seeds("whole-cell", number, 1)))
        extent = _largest_extent_nm(cell, axes)
        fitting = [step for step in _WHOLE_VOXEL_STEPS_NM if extent < (_WHOLE_SIDE - 8) * step]
        voxel_nm = fitting[0] if fitting else _WHOLE_VOXEL_STEPS_NM[-1]
        volume = soft_x_ray(cell, axes, (_WHOLE_SIDE,) * 3, voxel_nm, seed=seeds("picture", 3, number))
        stored = np.clip(np.round(110.0 * volume), 0, 127).astype(np.int8)
        path = write_mrc(folder / whole_cell_name(number), stored, voxel_nm=voxel_nm, label="simulated")
        write_sidecar(
            path,
            {
                **COMMON,
                "modality": "soft-x-ray",
                "contrast": "bright-is-dense",
                "denoised": False,
                "cell": f"xray-cell-{number + 1:02d}",
            },
        )
        paths.append(path)
        truth[path.name] = cell_record(cell.truth())
    return paths


def _largest_extent_nm(cell: Cell, axes: NDArray[np.float64]) -> float:
    """Largest side of the cell's bounding box along given axes, nm."""
    reach = cell.body.half_extent_nm()
    axis = np.arange(-reach, reach + 1, 150.0)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = points[cell.outer_distance(points, exact=False) < 0] @ axes.T
    return float(np.ptp(inside, axis=0).max()) + 150.0
