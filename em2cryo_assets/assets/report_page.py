"""The asset `report`: gathers what the study's page shows.

Belongs here: reading artifacts into `report.data` records and putting the page where users look for it.
Does not belong here: how anything is drawn (`report`).
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.assets.comparison import arc_numbers, read_wall_arc, tomogram_record
from em2cryo_assets.assets.exports import TABLES
from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.methods import methods
from em2cryo_assets.assets.pictures import as_tall, pictures, table, windowed
from em2cryo_assets.assets.raw_pictures import raw_entries
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.trust import trust
from em2cryo_assets.partitions import field_of_cell, split_pair_key
from em2cryo_assets.report.data import LeftOut, ProvenanceRow, ReportData, TextBlock
from em2cryo_assets.report.entries import (
    ArcCircle,
    CellEntry,
    Cutaway,
    FusedSlice,
    PairEntry,
    SectionEntry,
    TomogramEntry,
)
from em2cryo_assets.report.figures import still_of_mesh
from em2cryo_assets.report.page import write_report
from em2cryo_assets.report.raster import grey
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table, write_csv

__all__ = ["report"]

_LEFT_OUT = {"asset": "the asset it did not pass", "key": "which", "reason": "why"}
_MOST_CELLS = 20
_MOST_PAIRS = 8


@stage_asset("report")
def report(work: Work) -> None:
    """Write the page as an artifact, then set a copy where the README says it is."""
    data = ReportData(
        title=work.study.root.name,
        simulated=work.simulated,
        verdicts=read_table(work.one("verdicts").path / "verdicts.parquet"),
        cells=_cells(work),
        tomograms=tuple(_tomogram(work, key) for key in work.all("tomogram_features")),
        pairs=_pairs(work),
        sections=tuple(_section(work, key) for key in work.all("section_labels")),
        raw=tuple(raw_entries(work)),
        rests_on=read_table(work.one("comparison_table").path / "rests_on.parquet"),
        trust=_trust(work),
        calibration=_rates(work),
        bounds=_bounds(work),
        virtual=_virtual(work),
        paragraph=_paragraph(work),
        atlas=_atlas(work),
        provenance=_provenance(work),
        left_out=tuple(_left_out(work)),
    )
    write_report(work.folder / "page", data)
    _tables(work)
    target, incoming = work.study.report, work.study.root / f".report-{uuid.uuid4().hex}"
    shutil.copytree(work.folder / "page", incoming)
    if target.exists():
        shutil.rmtree(target)
    os.replace(incoming, target)
    work.metadata |= {
        "page": dg.MetadataValue.path(str(target / "index.html")),
        "cells": len(data.cells),
        "tomograms": len(data.tomograms),
        "pairs": len(data.pairs),
        "size_mb": sum(one.stat().st_size for one in target.rglob("*") if one.is_file()) / 1e6,
        **_thumbnail(data),
    }


def _thumbnail(data: ReportData) -> dict[str, dg.MetadataValue[Any]]:
    """A cell as imaged and as a mesh beside a pair of slabs; where there is neither, why."""
    panels = [still_of_mesh(one.mesh)[0] for one in data.cells if one.mesh is not None][:1]
    panels += [one.crop for one in data.cells][:1]
    panels += [grey(slab) for one in data.pairs[:1] for slab in (one.after, one.tomogram_slab)]
    if panels:
        return pictures(
            [as_tall(panel) for panel in panels],
            "mesh; SEM; model slab degraded; tomogram. Not one scale, not one cell.",
            simulated=data.simulated,
        )
    left_out = pd.DataFrame([vars(one) for one in data.left_out], columns=list(_LEFT_OUT))
    return {"left_out": table(left_out, meaning=_LEFT_OUT)}


def _tables(work: Work) -> None:
    """Set the CSV of every table beside the page; those of many keys joined to one."""
    folder = work.folder / "page" / "tables"
    folder.mkdir()
    for one in TABLES:
        found = [artifact.path / f"{one.file}.csv" for artifact in work.all(one.asset).values()]
        target = folder / f"{one.asset}-{one.file}.csv"
        if len(found) == 1:
            shutil.copyfile(found[0], target)
        elif found:
            frames = [read_table(path.with_suffix(".parquet")) for path in found]
            write_csv(target, pd.concat(frames, ignore_index=True))


def _rates(work: Work) -> pd.DataFrame:
    artifact = work.maybe("verdict_calibration")
    return pd.DataFrame() if artifact is None else read_table(artifact.path / "rates.parquet")


def _virtual(work: Work) -> pd.DataFrame:
    artifact = work.maybe("virtual_tem")
    return pd.DataFrame() if artifact is None else read_table(artifact.path / "virtual_tem.parquet")


def _paragraph(work: Work) -> TextBlock:
    said = methods(work.study.settings, work.all, simulated=work.simulated)
    return TextBlock("", said.en, "", said.ko)


def _bounds(work: Work) -> pd.DataFrame:
    artifact = work.maybe("limitations")
    return pd.DataFrame() if artifact is None else read_table(artifact.path / "limitations.parquet")


def _trust(work: Work) -> dict[str, TextBlock]:
    rates = _rates(work)
    return {name: TextBlock("", said.en, "", said.ko) for name, said in trust(rates).items()} if len(rates) else {}


def _cells(work: Work) -> tuple[CellEntry, ...]:
    """Comparable cells first, in key order: they are what the verdicts rest on."""
    features = work.all("cell_features")
    order = sorted(features, key=lambda key: (not features[key].provenance.parameters["comparable"], key))
    return tuple(_cell(work, key) for key in order[:_MOST_CELLS])


def _cell(work: Work, key: str) -> CellEntry:
    from skimage.measure import find_contours

    view, mesh, fused = (work.all(a)[key] for a in ("cell_view", "cell_mesh", "fused_volume"))
    record = read_record(view)
    mask = np.asarray(read_labels(view.path / "view.ome.zarr", "mask")) > 0
    outlines = find_contours(np.pad(mask, 1).astype(float), 0.5)
    return CellEntry(
        key,
        windowed(np.asarray(read_image(view.path / "view.ome.zarr").data)),
        float(record["pixel_size_nm"]),
        tuple(outline - 1 for outline in outlines),
        read_mesh(mesh.path / "mesh.zarr"),
        read_table(work.all("cell_features")[key].path / "features.parquet"),
        imposed=tuple(read_record(mesh)["imposed"]),
        cutaway=_cutaway(fused),
        slices=_slices(fused),
        notes=fused.provenance.fallbacks,
        field=field_of_cell(key),
        why_not=record["why_not_comparable"],
    )


def _cutaway(fused: Artifact) -> Cutaway | None:
    record = read_record(fused).get("cutaway")
    if record is None:
        return None
    path = fused.path / "cutaway.ome.zarr"
    density = np.asarray(read_image(path).data)
    mask = np.asarray(read_labels(path, "mask")) > 0
    z, y, x = record["origin_nm"]
    return Cutaway(density, mask, float(record["pixel_nm"]), (z, y, x), record["caption"])


def _slices(fused: Artifact) -> tuple[FusedSlice, ...]:
    path, record = fused.path / "fused.ome.zarr", read_record(fused)
    parts = [read_image(path).data, read_labels(path, "interior"), read_labels(path, "source")]
    parts.append(read_image(fused.path / "uncertainty.ome.zarr").data)
    slices = []
    for axis, name in enumerate("zyx"):
        middle = parts[0].shape[axis] // 2
        planes: list[NDArray[np.generic]] = [np.asarray(part[(slice(None),) * axis + (middle,)]) for part in parts]
        origin = [record["origin_nm"][other] for other in range(3) if other != axis]
        slices.append(
            FusedSlice(
                name,
                planes[0].astype(np.float32),
                planes[1].astype(np.uint8),
                planes[2].astype(np.uint8),
                planes[3].astype(np.float32),
                float(record["voxel_nm"][0]),
                (origin[0], origin[1]),
                float(record["origin_nm"][axis] + middle * record["voxel_nm"][axis]),
            )
        )
    return tuple(slices)


def _tomogram(work: Work, key: str) -> TomogramEntry:
    source, measured = work.all("tomogram")[key], work.all("tomogram_features")[key]
    record, kept = tomogram_record(source, measured)
    middle = (kept.start + kept.stop) // 2
    density = np.asarray(measured_image(source)[0].data[middle])
    labels = np.asarray(read_labels(work.all("tomogram_labels")[key].path / "labels.ome.zarr", "interior")[middle])
    arc, side = read_wall_arc(measured), float(record.voxel_nm[1])
    circle = None
    if arc is not None:
        centre = (arc.centre_nm[0] / side, arc.centre_nm[1] / side)
        text = arc_numbers(arc) if arc.usable else f"{arc_numbers(arc)}; not used: {arc.reason}"
        circle = ArcCircle(centre, arc.radius_nm, text, arc.usable)
    notes = (*source.provenance.fallbacks, *measured.provenance.fallbacks)
    features = read_table(measured.path / "features.parquet")
    return TomogramEntry(key, record.modality, density, labels, side, features, circle, notes)


def _section(work: Work, key: str) -> SectionEntry:
    labelled = work.all("section_labels")[key]
    image = read_image(work.all("tem_section")[key].path / "image.ome.zarr")
    labels = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "interior"))
    density = np.asarray(image.data, dtype=np.float32)
    return SectionEntry(key, density, labels, float(image.voxel_nm[-1]), labelled.provenance.fallbacks)


def _pairs(work: Work) -> tuple[PairEntry, ...]:
    entries = []
    found = work.all("comparison")
    for key in _in_turn(list(found))[:_MOST_PAIRS]:
        artifact = found[key]
        slabs = {}
        for part in ("tomogram", "before", "after"):
            image = read_image(artifact.path / f"{part}.ome.zarr")
            slabs[part] = np.asarray(image.data[image.data.shape[0] // 2])
        cell, tomogram = split_pair_key(key)
        entries.append(
            PairEntry(
                cell,
                tomogram,
                slabs["tomogram"],
                slabs["before"],
                slabs["after"],
                float(image.voxel_nm[1]),
                artifact.provenance.fallbacks,
            )
        )
    return tuple(entries)


def _in_turn(pairs: list[str]) -> list[str]:
    """The first pair of each tomogram, then the second of each: a few show as many tomograms as there are."""
    seen: dict[str, int] = {}
    turns = []
    for pair in pairs:
        tomogram = split_pair_key(pair)[1]
        seen[tomogram] = seen.get(tomogram, 0) + 1
        turns.append((seen[tomogram], tomogram, pair))
    return [pair for _, _, pair in sorted(turns)]


def _atlas(work: Work) -> dict[str, pd.DataFrame]:
    atlas = work.maybe("interior_atlas")
    if atlas is None:
        return {}
    return {name: read_table(atlas.path / f"{name}.parquet") for name in ("fractions", "wall", "depth")}


def _left_out(work: Work) -> Iterator[LeftOut]:
    """Every key that is in the study and did not get through, with the first stage that it did not pass."""
    last = {
        "fields": "cell_masks",
        "sections": "section_labels",
        "tomograms": "tomogram_features",
        "cells": "cell_features",
        "pairs": "comparison",
    }
    for key_set, end in last.items():
        chain = [stage for stage in STAGES.values() if stage.key_set == key_set]
        for key in work.snapshot.keys(key_set):
            if work.snapshot.usable(end, key) is not None:
                continue
            stage = next(stage for stage in chain if work.snapshot.usable(stage.name, key) is None)
            artifact, failure = work.snapshot.artifact(stage.name, key), work.study.store.failure(stage.name, key)
            why = "it was not made; type: em2cryo status"
            if artifact is not None:
                why = str(artifact.provenance.parameters["blocked"])
            elif failure:
                why = str(failure["message"])
            yield LeftOut(stage.name, key, why)


def _provenance(work: Work) -> tuple[ProvenanceRow, ...]:
    rows = []
    for ref in work.refs:
        artifact = work.study.store.get(ref.asset, ref.key, ref.digest)
        run = "" if artifact is None else artifact.provenance.run_id
        rows.append(ProvenanceRow(ref.asset, ref.key or "", ref.digest, run))
    return tuple(rows)
