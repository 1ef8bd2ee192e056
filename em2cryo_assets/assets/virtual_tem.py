"""Tomograms as sections would have shown them, beside TEM sections.

Belongs here: `virtual_tem`. Does not belong here: projection, layers and statistics (`compare.virtual_tem`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.exports import export, meanings
from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.pictures import pictures, table
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.inner_tables import EDGES
from em2cryo_assets.compare.tables import VIRTUAL_TEM
from em2cryo_assets.compare.virtual_tem import (
    EDGE_COLUMNS,
    SECTION,
    SINGLE,
    VIRTUAL,
    VirtualSection,
    edge_row,
    random_plane_row,
    virtual_section,
    virtual_sections,
    virtual_tem_table,
)
from em2cryo_assets.report.raster import grey
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table, write_table
from em2cryo_assets.tem.compression import known_compression, wall_stretch
from em2cryo_assets.vocabulary import SLAB_MODALITIES

__all__ = ["virtual_tem"]

_SHOWN = 3
_THIN = 0.9


@stage_asset("virtual_tem", checks.VIRTUAL_TEM)
def virtual_tem(work: Work) -> None:
    """Measure the edge of the cell in all sections, real and virtual, by the same code."""
    sections, shown = _sections(work)
    thickness = float(np.median([row["thickness_nm"] for row in sections])) if sections else float("nan")
    virtual, projected = _tomograms(work, thickness) if sections else ([], [])
    edges = pd.DataFrame([*sections, *virtual], columns=list(EDGE_COLUMNS))
    write_table(work.folder / "edges.parquet", edges, EDGES)
    frame = virtual_tem_table(edges)
    write_table(work.folder / "virtual_tem.parquet", frame, VIRTUAL_TEM)
    export(work, "virtual_tem", frame, VIRTUAL_TEM)
    panels = [*shown, *projected]
    caption = f"TEM sections; tomograms projected through {thickness:.0f} nm"
    work.metadata |= {
        **(pictures(panels, caption, simulated=work.simulated) if panels else {}),
        "rows": table(frame[["sentence", "control", "n_tem", "n_cryo", "low", "high"]], meaning=meanings(VIRTUAL_TEM)),
        "edges": table(edges, meaning=meanings(EDGES)),
        **{f"n_{kind.replace(' ', '_')}": int((edges["kind"] == kind).sum()) for kind in (SECTION, VIRTUAL)},
    }
    permuted = edges["permuted_in_order"].dropna().astype(bool)
    fakes, tried = int(permuted.sum()), len(permuted)
    work.check(
        "order_is_no_accident", fakes <= 0.05 * tried,
        f"With depths in random order {fakes} of {tried} images show layers in order.", fakes=fakes,
    )  # fmt: skip


def _sections(work: Work) -> tuple[list[dict[str, object]], list[NDArray[np.uint8]]]:
    """Edges of the TEM sections, and the first few of them to look at."""
    rows: list[dict[str, object]] = []
    shown: list[NDArray[np.uint8]] = []
    images = work.all("tem_section")
    chosen, unknown = 0, 0
    for key, labelled in work.all("section_labels").items():
        if key not in images:
            continue
        record = read_record(labelled)
        density = np.asarray(read_image(images[key].path / "image.ome.zarr").data)
        labels = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "interior"))
        thickness, side = float(record["section_thickness_nm"]), float(record["pixel_size_nm"])
        knife = known_compression(record["compression"], record["resin"])
        chosen += record["sampling"] != "random"
        unknown += knife is None
        stretch = 1.0 if knife is None else float(wall_stretch(knife.mean))
        unit, block = record["unit"], record["block"]
        rows.append(edge_row(SECTION, key, unit, block, thickness, density, labels, side, stretch=stretch))
        if len(shown) < _SHOWN and not rows[-1]["reason"]:
            shown.append(grey(density))
    if chosen:
        work.fallbacks.append(f"{chosen} section(s) are not said to be random: their walls may be cut less obliquely.")
    if unknown:
        work.fallbacks.append(f"{unknown} section(s) name neither compression nor resin: taken as not compressed.")
    return rows, shown


def _tomograms(work: Work, thickness_nm: float) -> tuple[list[dict[str, object]], list[NDArray[np.uint8]]]:
    """Edges of slabs, and the first few of them projected, to look at."""
    rows: list[dict[str, object]] = []
    shown: list[NDArray[np.uint8]] = []
    for key, measured in work.all("tomogram_features").items():
        source = work.all("tomogram").get(key)
        labelled = work.all("tomogram_labels").get(key)
        if source is None or labelled is None or read_record(source)["modality"] not in SLAB_MODALITIES:
            continue
        mine, sections = _slab(key, source, labelled, measured, thickness_nm)
        rows += mine
        used = sections[0].thickness_nm
        if used < _THIN * thickness_nm:
            work.fallbacks.append(f"{key} is {used:.0f} nm thick, not {thickness_nm:.0f} nm.")
        if len(shown) < _SHOWN and not mine[0]["reason"]:
            shown.append(grey(sections[0].density))
    return rows, shown


def _slab(
    key: str, source: Artifact, labelled: Artifact, measured: Artifact, thickness_nm: float
) -> tuple[list[dict[str, object]], tuple[VirtualSection, ...]]:
    """Edges of one slab and the sections that it was cut into."""
    record = read_record(source)
    image, _ = measured_image(source)
    kept = slice(*read_record(measured)["slices"])
    density = np.asarray(image.data[kept])
    labels = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "interior")[kept])
    unit, voxel_z_nm, side = record["unit"], float(image.voxel_nm[0]), float(image.voxel_nm[1])
    squeezed = record["modality"] == "cryo-section"
    stretch = float("nan") if squeezed else 1.0
    sections = virtual_sections(density, labels, voxel_z_nm, thickness_nm)
    single = virtual_section(density, labels, voxel_z_nm, voxel_z_nm)
    rows = [
        edge_row(kind, key, unit, "", seen.thickness_nm, seen.density, seen.labels, side, stretch=stretch)
        for kind, seen in (*((VIRTUAL, seen) for seen in sections), (SINGLE, single))
    ]
    normal_nm = float("nan") if squeezed else _normal_nm(measured)
    return [*rows, random_plane_row(key, unit, sections[0].thickness_nm, normal_nm)], sections


def _normal_nm(measured: Artifact) -> float:
    """Thickness of a tomogram's wall along its normal, where it may be compared."""
    frame = read_table(measured.path / "features.parquet")
    mine = frame[(frame["characteristic"] == "wall_thickness") & frame["assessable"].astype(bool)]
    return float(mine["value"].iloc[0]) if len(mine) else float("nan")
