"""Cells whose truth is known: what estimators are tried on. Simulated throughout, and marked so.

Belongs here: `phantom_cells`, and `simulated_study`, which is made on request only.
Does not belong here: how a simulated cell or its pictures come about (`phantom`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from em2cryo_assets import checks
from em2cryo_assets.assets.pictures import as_tall, pictures, table, windowed
from em2cryo_assets.assets.records import write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.phantom.portraits import SCENE_VOXEL_NM, SEM_PIXEL_NM, SLAB_VOXEL_NM, Portrait, portrait
from em2cryo_assets.phantom.truth_files import plane_record
from em2cryo_assets.report.raster import colour_codes, grey
from em2cryo_assets.store.images import write_image
from em2cryo_assets.store.tables import write_table
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS

__all__ = ["phantom_cells", "simulated_study"]

_PANEL_PX, _SHOWN = 106, 6


@stage_asset("phantom_cells", checks.PHANTOM_CELLS)
def phantom_cells(work: Work) -> None:
    """Draw cells of the simulated population and look at each by SEM, TEM and cryo-ET."""
    import pandas as pd

    work.simulated = True
    seeds = np.random.SeedSequence(work.study.settings.seed).generate_state(work.study.settings.simulated_cells)
    rows, panels, planes = [], [], {}
    for number, seed in enumerate(seeds.tolist(), start=1):
        one = portrait(seed)
        labels = _write_portrait(work, f"cell-{number:02d}", one)
        rows.append({"cell": number, **_truth_row(one), "voxel_volume_um3": _volume_um3(labels, SCENE_VOXEL_NM)})
        panels.append(_row_of_panels(one, labels))
        planes[f"cell-{number:02d}"] = {
            "section": plane_record(one.section_plane),
            "lamella": plane_record(one.slab_plane),
        }
        work.context.log.info(f"simulated cell {number} of {len(seeds)}")
    frame = pd.DataFrame(rows)
    write_table(work.folder / "cells.parquet", frame)
    write_record(
        work.folder,
        {
            "sem_pixel_nm": SEM_PIXEL_NM,
            "scene_voxel_nm": SCENE_VOXEL_NM,
            "slab_voxel_nm": SLAB_VOXEL_NM,
            "planes": planes,
        },
    )
    caption = "each cell: its labels, SEM, TEM section, slice of a lamella; no two at one scale"
    work.metadata |= {
        **pictures([_sheet(panels[:_SHOWN])], caption, simulated=True),
        "cells": len(frame),
        "truth": table(frame, meaning=_TRUTH),
    }
    off = float((frame["voxel_volume_um3"] / frame["volume_um3"] - 1.0).abs().max())
    said = f"The voxels of each cell fill the volume of its scene within {off:.2%} (at most 1 % is allowed)."
    work.check("volumes_agree", off <= 0.01, said, largest_difference=off)


_STUDY = {
    "sem_cells": dg.Field(int, default_value=26, description="Cells in SEM fields of 13, filled in turn; 0 to 1287."),
    "tem_sections": dg.Field(int, default_value=20, description="TEM sections, two to a block; 0 to 99."),
    "lamellae": dg.Field(int, default_value=8, description="Tomograms of a lamella; 0 to 99."),
    "whole_cells": dg.Field(int, default_value=12, description="Soft X-ray-like volumes of whole cells; 0 to 99."),
    "seed": dg.Field(int, default_value=20_260, description="The same seed gives the same files; 0 to 4294967295."),
}


@stage_asset("simulated_study", config=_STUDY)
def simulated_study(work: Work) -> None:
    """Write all raw files of a simulated study and their truth, as `em2cryo simulate` does."""
    import mrcfile

    from em2cryo_assets.phantom.study import write_whole_study

    work.simulated = True
    asked = work.config
    paths = write_whole_study(work.folder, **asked)
    work.parameters |= asked
    first = [p for kind in ("sem", "tem") for p in paths if p.parent.name == kind and p.stem.endswith("-01")]
    shown = [np.asarray(Image.open(path).convert("L")) for path in (*first, work.folder / "more" / "crowd.png")]
    stack = mrcfile.read(work.folder / "more" / "tilt-series.mrc")
    caption = "first field and section, a crowded pile, the first view of a tilt series; no two at one scale"
    panels = [as_tall(panel) for panel in (*shown, windowed(stack[0]))]
    work.metadata |= pictures(panels, caption, simulated=True)
    work.metadata |= {
        "raw_files": len(paths),
        "open_it": dg.MetadataValue.md(
            "Copy this folder to a place of its own, then there: `EM2CRYO_DATA=<copy> em2cryo run`. "
            "Beside the inbox `truth.json` and `truth/` hold the true answers, and `more/` holds files of further views "
            "and instruments; nothing in the platform reads them there."
        ),
    }


def _write_portrait(work: Work, name: str, one: Portrait) -> NDArray[np.uint8]:
    """Write volumes and pictures of one cell; give its labels back."""
    import dask

    labels, density = dask.compute(one.labels, one.density)
    voxel = (SCENE_VOXEL_NM,) * 3
    codes = {"interior": LABEL_NAMES}
    write_image(
        work.folder / f"{name}-scene.ome.zarr", density, voxel_nm=voxel, name=f"{name}, simulated, scene",
        labels={"interior": labels}, label_names=codes,
    )  # fmt: skip
    write_image(
        work.folder / f"{name}-sem.ome.zarr", one.sem, voxel_nm=(SEM_PIXEL_NM,) * 2, name=f"{name}, simulated, SEM",
        labels={"cell": one.sem_mask},
    )  # fmt: skip
    write_image(
        work.folder / f"{name}-sem-half-thickness.ome.zarr", one.half_thickness_nm, voxel_nm=(SEM_PIXEL_NM,) * 2,
        name=f"{name}, simulated, half-thickness in nm",
    )  # fmt: skip
    write_image(
        work.folder / f"{name}-sem-depth.ome.zarr", one.depth_nm, voxel_nm=(SEM_PIXEL_NM,) * 2,
        name=f"{name}, simulated, depth in nm",
    )  # fmt: skip
    for axis, normal in zip("zyx", one.normals, strict=True):
        write_image(
            work.folder / f"{name}-sem-normal_{axis}.ome.zarr", normal, voxel_nm=(SEM_PIXEL_NM,) * 2,
            name=f"{name}, simulated, normal {axis}",
        )  # fmt: skip
    write_image(
        work.folder / f"{name}-section.ome.zarr", one.section, voxel_nm=(one.section_pixel_nm,) * 2,
        name=f"{name}, simulated, TEM section", labels={"interior": one.section_labels}, label_names=codes,
    )  # fmt: skip
    write_image(
        work.folder / f"{name}-section-wall-angle.ome.zarr", one.section_wall_angle_deg,
        voxel_nm=(one.section_pixel_nm,) * 2, name=f"{name}, simulated, wall against section in degrees",
    )  # fmt: skip
    write_image(
        work.folder / f"{name}-lamella.ome.zarr", one.slab, voxel_nm=(SLAB_VOXEL_NM,) * 3,
        name=f"{name}, simulated, lamella", labels={"interior": one.slab_labels}, label_names=codes,
    )  # fmt: skip
    return np.asarray(labels)


_TRUTH: Mapping[str, str] = MappingProxyType(
    {
        "cell": "number of the simulated cell",
        "seed": "the same seed gives the same cell",
        "volume_um3": "its volume, µm³",
        "wall_thickness_nm": "thickness of its wall, nm",
        "longest_over_shortest_axis": "length of its longest semi-axis over that of the shortest",
        "budded": "whether it carries a bud",
        "shrink": "share of every length that drying left in its SEM image",
        **{f"share_{name}": f"share of the volume that is {name.replace('_', ' ')}" for name in LABELS},
        "voxel_volume_um3": "volume of its voxels, µm³",
    }
)
"""What is known of a simulated cell, by column."""


def _truth_row(one: Portrait) -> dict[str, Any]:
    truth = one.truth
    return {
        "seed": str(one.seed),
        "volume_um3": truth.volume_um3,
        "wall_thickness_nm": truth.wall_thickness_nm,
        "longest_over_shortest_axis": truth.semi_axes_nm[0] / truth.semi_axes_nm[2],
        "budded": truth.budded,
        "shrink": one.shrink,
        **{f"share_{name}": share for name, share in truth.fractions.items()},
    }


def _volume_um3(labels: NDArray[np.uint8], voxel_nm: float) -> float:
    return float((labels != LABELS["outside"]).sum()) * (voxel_nm / 1000.0) ** 3


def _sheet(rows: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Rows of panels in two columns, as tall as the UI shows without shrinking."""
    blank = [np.zeros_like(rows[0])] * (len(rows) % 2)
    padded = [*rows, *blank] if len(rows) > 1 else rows
    half = -(-len(padded) // 2)
    columns = [np.concatenate(part) for part in (padded[:half], padded[half:]) if part]
    return np.concatenate(columns, axis=1)


def _row_of_panels(one: Portrait, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of the middle slice, SEM, section and lamella side by side, shape (106, 432, 3)."""
    panels = [
        colour_codes(labels[labels.shape[0] // 2]),
        one.sem,
        255 - grey(one.section),  # dense is dark, as microscopes show it
        255 - windowed(one.slab[one.slab.shape[0] // 2 - 1 : one.slab.shape[0] // 2 + 2].mean(axis=0)),
    ]
    side = (_PANEL_PX, _PANEL_PX)
    squares = [np.asarray(Image.fromarray(panel).convert("RGB").resize(side)) for panel in panels]
    gap = np.zeros((_PANEL_PX, 2, 3), np.uint8)
    return np.concatenate([part for square in squares for part in (square, gap)], axis=1)
