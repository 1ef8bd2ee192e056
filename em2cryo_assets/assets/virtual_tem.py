"""Tomograms as sections would have shown them, beside TEM sections.

Belongs here: `virtual_tem`. Does not belong here: projection, layers and statistics (`compare.virtual_tem`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.exports import export
from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.pictures import pictures, table
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.tables import VIRTUAL_TEM
from em2cryo_assets.compare.virtual_tem import (
    EDGE_COLUMNS,
    SECTION,
    SINGLE,
    VIRTUAL,
    edge_row,
    virtual_section,
    virtual_tem_table,
)
from em2cryo_assets.report.raster import grey
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.tables import write_table
from em2cryo_assets.vocabulary import SLAB_MODALITIES

__all__ = ["virtual_tem"]

_SHOWN = 3


@stage_asset("virtual_tem", checks.VIRTUAL_TEM)
def virtual_tem(work: Work) -> None:
    """Measure the edge of the cell in all sections, real and virtual, by the same code."""
    sections, shown = _sections(work)
    thickness = float(np.median([row["thickness_nm"] for row in sections])) if sections else float("nan")
    virtual, projected = _tomograms(work, thickness) if sections else ([], [])
    edges = pd.DataFrame([*sections, *virtual], columns=list(EDGE_COLUMNS))
    write_table(work.folder / "edges.parquet", edges)
    frame = virtual_tem_table(edges)
    write_table(work.folder / "virtual_tem.parquet", frame, VIRTUAL_TEM)
    export(work, "virtual_tem", frame, VIRTUAL_TEM)
    panels = [*shown, *projected]
    caption = f"TEM sections; tomograms projected through {thickness:.0f} nm"
    work.metadata |= {
        **(pictures(panels, caption, simulated=work.simulated) if panels else {}),
        "rows": table(frame[["sentence", "control", "n_tem", "n_cryo", "low", "high"]]),
        "edges": table(edges),
    }
    fakes = int(edges["permuted_in_order"].astype(bool).sum())
    work.check(
        "order_is_no_accident", fakes <= 0.05 * len(edges),
        f"With depths in random order {fakes} of {len(edges)} images show layers in order.", fakes=fakes,
    )  # fmt: skip


def _sections(work: Work) -> tuple[list[dict[str, object]], list[NDArray[np.uint8]]]:
    """Edges of the TEM sections, and the first few of them to look at."""
    rows: list[dict[str, object]] = []
    shown: list[NDArray[np.uint8]] = []
    images = work.all("tem_section")
    for key, labelled in work.all("section_labels").items():
        if key not in images:
            continue
        record = read_record(labelled)
        density = np.asarray(read_image(images[key].path / "image.ome.zarr").data)
        labels = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "interior"))
        thickness, side = float(record["section_thickness_nm"]), float(record["pixel_size_nm"])
        row = edge_row(SECTION, key, record["unit"], record["block"], thickness, density, labels, side)
        if row is None:
            continue
        rows.append(row)
        if len(shown) < _SHOWN:
            shown.append(grey(density))
    return rows, shown


def _tomograms(work: Work, thickness_nm: float) -> tuple[list[dict[str, object]], list[NDArray[np.uint8]]]:
    """Edges of slabs, projected through a section's thickness and as single planes."""
    rows: list[dict[str, object]] = []
    shown: list[NDArray[np.uint8]] = []
    for key, measured in work.all("tomogram_features").items():
        source = work.all("tomogram").get(key)
        labelled = work.all("tomogram_labels").get(key)
        if source is None or labelled is None or read_record(source)["modality"] not in SLAB_MODALITIES:
            continue
        image, _ = measured_image(source)
        kept = slice(*read_record(measured)["slices"])
        density = np.asarray(image.data[kept])
        labels = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "interior")[kept])
        unit = read_record(source)["unit"]
        for kind, through in ((VIRTUAL, thickness_nm), (SINGLE, float(image.voxel_nm[0]))):
            seen = virtual_section(density, labels, float(image.voxel_nm[0]), through)
            row = edge_row(kind, key, unit, "", seen.thickness_nm, seen.density, seen.labels, float(image.voxel_nm[1]))
            if row is None:
                continue
            rows.append(row)
            if kind == VIRTUAL:
                if seen.thickness_nm < 0.9 * thickness_nm:
                    work.fallbacks.append(f"{key} is {seen.thickness_nm:.0f} nm thick, not {thickness_nm:.0f} nm.")
                if len(shown) < _SHOWN:
                    shown.append(grey(seen.density))
    return rows, shown
