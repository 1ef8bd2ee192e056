"""Tomograms measured, pairs compared, verdicts given: the last column of the lineage.

Belongs here: `tomogram_features`, `comparison`, `comparison_table`, `verdicts`.
Does not belong here: descriptors, degradation, statistics and rules (`compare`), or the page (`assets.report_page`).
"""

from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.exports import describe, export, meanings
from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.overviews import measure_overview
from em2cryo_assets.assets.pictures import pictures, table
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.assets.tracing import BY_ASSET, by_asset, traced
from em2cryo_assets.compare.descriptors import tomogram_measurements
from em2cryo_assets.compare.inner_tables import PAIR_VECTORS
from em2cryo_assets.compare.pairs import compare_pair
from em2cryo_assets.compare.record import SLAB_MODALITIES, WHOLE_CELL_MODALITIES, TomogramRecord, why_not_comparable
from em2cryo_assets.compare.rests_on import rests_on
from em2cryo_assets.compare.table import comparison_table as tabulate
from em2cryo_assets.compare.tables import COMPARISON_TABLE, MEASUREMENTS, RESTS_ON, VERDICTS
from em2cryo_assets.compare.verdicts import VERDICTS as KINDS
from em2cryo_assets.compare.verdicts import controls_out_of_order
from em2cryo_assets.compare.verdicts import verdicts as judge
from em2cryo_assets.cryoet.arcs import WallArc, fit_wall_arc, wall_thickness
from em2cryo_assets.cryoet.labels import damaged_planes
from em2cryo_assets.cryoet.noise import halves_snr, spatial_snr
from em2cryo_assets.cryoet.slab_extent import slab_planes
from em2cryo_assets.geometry.isosurface import mesh_of_volume
from em2cryo_assets.partitions import split_pair_key
from em2cryo_assets.report.raster import grey
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table, write_csv, write_table

__all__ = [
    "arc_numbers",
    "comparison",
    "comparison_table",
    "read_wall_arc",
    "tomogram_features",
    "tomogram_record",
    "verdicts",
]


@stage_asset("tomogram_features")
def tomogram_features(work: Work) -> None:
    """Measure what one volume shows; for all else it gives the reason why not."""
    source = work.one("tomogram")
    record = read_record(source)
    if record["modality"] == "overview":
        measure_overview(work)
        return
    image, _ = measured_image(source)
    voxel_nm = (image.voxel_nm[0], image.voxel_nm[1], image.voxel_nm[2])
    density = np.asarray(image.data)
    labelled = work.one("tomogram_labels")
    labels = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "interior"))
    modality = record["modality"]
    # A slab may have been reconstructed deeper than it is.
    filled = slab_planes(labels) if modality in SLAB_MODALITIES else slice(0, density.shape[0])
    intact = damaged_planes(filled.stop - filled.start, voxel_nm[0], modality)
    kept = slice(filled.start + intact.start, filled.start + intact.stop)
    # `wall_thickness` leaves the damaged planes out itself.
    whole_density, whole_labels = density[filled], labels[filled]
    density, labels = density[kept], labels[kept]
    arc, snr, mesh = None, None, None
    if modality in SLAB_MODALITIES:
        # Uncorrected for the missing wedge: the correction simulates a body, at about 5 CPU s a tomogram.
        arc = fit_wall_arc(whole_labels, voxel_nm, tilts_deg=None)
        if labels.any():
            snr = _snr(work, source, kept, density, labels)
    elif modality in WHOLE_CELL_MODALITIES and labels.any():
        try:
            mesh = mesh_of_volume(labels > 0, voxel_nm)
        except ValueError as error:
            work.fallbacks.append(f"No surface: {error}")
    info = TomogramRecord(
        labels.shape,  # type: ignore[arg-type]
        voxel_nm,
        modality,
        tilts_deg=None if record["tilts_deg"] is None else tuple(record["tilts_deg"]),
        snr=snr if snr is not None and np.isfinite(snr) and snr > 0 else None,
        arc=arc,
        unit=record["unit"],
        denoised=bool(record["denoised"]),
        compression=record.get("compression"),
    )
    if labels.any():  # without a cell nothing is compared, and nothing has to be assumed for it
        work.fallbacks += info.fallbacks()
    frame: pd.DataFrame = tomogram_measurements(
        density,
        labels,
        voxel_nm,
        info,  # type: ignore[arg-type]
        key=work.slug,
        unit=record["unit"],
        mesh=mesh,
        wall_thickness=wall_thickness(whole_labels, whole_density, voxel_nm) if arc is not None else None,
        seed=work.study.settings.seed,
    )
    why_not = why_not_comparable(labels, modality)
    if not labels.any() and (said := read_record(labelled)["warnings"]):
        # Why the labeller found no cell says more than that it found none.
        frame["reason"] = why_not = said[0].rstrip(".")
    write_table(work.folder / "features.parquet", frame, MEASUREMENTS)
    export(work, "features", frame, MEASUREMENTS)
    pairable = not why_not and modality in SLAB_MODALITIES
    content = {
        "arc": None if arc is None else asdict(arc),
        "snr": info.snr,
        "slices": [kept.start, kept.stop],
        "thickness_nm": (filled.stop - filled.start) * voxel_nm[0],
        "unit": record["unit"],
        "why_not_comparable": why_not,
    }
    write_record(work.folder, content)
    work.parameters["pairable"] = pairable
    work.metadata |= {
        "features": table(
            frame[["characteristic", "value", "sd", "unit_of_measure", "assessable", "reason"]],
            meaning=meanings(MEASUREMENTS),
        ),
        "pairable": pairable,
    }
    if modality in SLAB_MODALITIES and labels.any():
        work.metadata["thickness_nm"] = content["thickness_nm"]
    if why_not:
        work.metadata["why_not_comparable"] = why_not
    if info.snr is not None:
        work.metadata["snr"] = info.snr
    if arc is not None:
        said = "" if arc.usable else f" (not used: {arc.reason})"
        work.metadata["wall_arc"] = f"{arc_numbers(arc)}{said}"


def arc_numbers(arc: WallArc) -> str:
    """Radius and inclination of an arc as they are shown to people."""
    return f"r = {arc.radius_nm:.0f} ± {arc.radius_se_nm:.0f} nm, β = {arc.inclination_deg:.0f}°"


def read_wall_arc(features: Artifact) -> WallArc | None:
    """The arc stored with a tomogram's features."""
    arc = read_record(features)["arc"]
    return None if arc is None else WallArc(**{**arc, "centre_nm": tuple(arc["centre_nm"])})


def tomogram_record(tomogram: Artifact, features: Artifact) -> tuple[TomogramRecord, slice]:
    """A stored tomogram without its voxels, and the slices that were used."""
    raw, measured = read_record(tomogram), read_record(features)
    image, _ = measured_image(tomogram)
    kept = slice(*measured["slices"])
    record = TomogramRecord(
        (kept.stop - kept.start, image.data.shape[1], image.data.shape[2]),
        (image.voxel_nm[0], image.voxel_nm[1], image.voxel_nm[2]),
        raw["modality"],
        tilts_deg=None if raw["tilts_deg"] is None else tuple(raw["tilts_deg"]),
        snr=measured["snr"],
        arc=read_wall_arc(features),
        unit=raw["unit"],
        denoised=bool(raw["denoised"]),
        compression=raw.get("compression"),
    )
    return record, kept


def _snr(work: Work, source: Artifact, kept: slice, density: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Signal-to-noise ratio by the halves of a reconstructed tilt series, else by a spatial split."""
    halves = [source.path / f"{name}.ome.zarr" for name in ("even", "odd")]
    if all(half.is_dir() for half in halves):
        even, odd = (np.asarray(measured_image(source, name)[0].data[kept]) for name in ("even", "odd"))
        return float(halves_snr(even, odd, labels))
    work.fallbacks.append("Without even and odd halves the signal-to-noise ratio comes from a spatial split.")
    return float(spatial_snr(density, labels))


@stage_asset("comparison")
def comparison(work: Work) -> None:
    """Degrade one pseudo-3D cell, and fakes of it, to what one tomogram could have recorded."""
    cell, name = split_pair_key(work.slug)
    fused, source = work.one("fused_volume"), work.one("tomogram")
    record, kept = tomogram_record(source, work.one("tomogram_features"))
    model = read_image(fused.path / "fused.ome.zarr")
    vectors, slabs = compare_pair(
        model.data,
        read_labels(fused.path / "fused.ome.zarr", "interior"),
        float(model.voxel_nm[0]),
        measured_image(source)[0].data[kept],
        read_labels(work.one("tomogram_labels").path / "labels.ome.zarr", "interior")[kept],
        record,
        cell=cell,
        tomogram=name,
        seed=work.study.settings.seed,
        device=work.compute.torch_device(),
    )
    write_table(work.folder / "vectors.parquet", vectors, PAIR_VECTORS)
    describe(work, PAIR_VECTORS)
    voxel_nm = tuple(float(v) for v in slabs.pop("voxel_nm"))
    for part, slab in slabs.items():
        write_image(work.folder / f"{part}.ome.zarr", slab, voxel_nm=voxel_nm, name=f"{work.slug} {part}")
    work.fallbacks += record.fallbacks()
    shown = [grey(np.asarray(slabs[part][slabs[part].shape[0] // 2])) for part in ("before", "after", "tomogram")]
    work.metadata |= {
        **pictures(shown, "pseudo-3D cell; the same degraded; tomogram", simulated=work.simulated),
        "descriptors": ", ".join(sorted(vectors["characteristic"].unique())) if len(vectors) else "none",
        "n_descriptors": int(vectors["characteristic"].nunique()),
    }
    order = vectors[(vectors["characteristic"] == "contrast_order") & (vectors["variant"] == "model")]["value"]
    if len(order):
        work.metadata["kendall_tau_of_contrasts"] = float(order.iloc[0])


_MEASURED_BY = ("comparison_table", "cell_features", "tomogram_features", "interior_atlas", "comparison")
"""What the rows of the verdicts rest on; links in the UI."""


@stage_asset("comparison_table", checks.COMPARISON_TABLE)
def comparison_table(work: Work) -> None:
    """Bring all sides into one row a characteristic; what was left out is listed."""
    cells = _pooled(work, "cell_features", "features")
    live = {key: read_record(artifact)["live_cell_diameter_um"] for key, artifact in work.all("cell_features").items()}
    cryo = _pooled(work, "tomogram_features", "features")
    pairs = _pooled(work, "comparison", "vectors")
    atlas = work.maybe("interior_atlas")
    tem = pd.DataFrame() if atlas is None else read_table(atlas.path / "measurements.parquet")
    live_um = {key: float(diameter) for key, diameter in live.items() if diameter is not None}
    frame = tabulate(cells, cryo, tem, pairs, live_um=live_um, seed=work.study.settings.seed)
    write_table(work.folder / "table.parquet", frame)
    behind = traced(work, rests_on(cells, cryo, pairs, live_um=live_um))
    write_table(work.folder / "rests_on.parquet", behind, RESTS_ON)
    write_csv(work.folder / "rests_on.csv", behind)
    export(work, "table", frame, COMPARISON_TABLE)
    left_out = [
        f"{asset} of {key}"
        for asset, key_set in (("cell_features", "cells"), ("tomogram_features", "tomograms"), ("comparison", "pairs"))
        for key in work.snapshot.keys(key_set)
        if key not in work.all(asset)
    ]
    write_record(work.folder, {"left_out": left_out})
    counts = ["characteristic", "unit", "estimate_model", "estimate_reference", "n_sem", "n_tem", "n_cryo", "reason"]
    work.metadata |= {
        "rows": table(frame[counts], meaning=meanings(COMPARISON_TABLE)),
        "rests_on": table(by_asset(behind), rows=200, meaning=BY_ASSET),
        "left_out": ", ".join(left_out) or "none",
        "n_compared": int((frame["cause"] == "").sum()),
        **{f"{name}_most": int(frame[name].max()) for name in ("n_sem", "n_tem", "n_cryo")},
    }
    work.check("table_schema", *_against(COMPARISON_TABLE, frame))


@stage_asset("verdicts", checks.VERDICTS)
def verdicts(work: Work) -> None:
    """Judge each row by the rules and margins fixed beforehand."""
    source = work.one("comparison_table")
    compared = read_table(source.path / "table.parquet")
    frame = judge(
        compared,
        seed=work.study.settings.seed,
        simulated=work.simulated,
        input_versions=f"comparison_table {source.digest[:12]}",
    )
    write_table(work.folder / "verdicts.parquet", frame)
    export(work, "verdicts", frame, VERDICTS)
    counts = frame["verdict"].value_counts().reindex(list(KINDS), fill_value=0)
    work.metadata |= {
        "verdicts": table(frame[["characteristic", "verdict", "reason", "n", "interval"]], meaning=meanings(VERDICTS)),
        "rests_on": table(by_asset(read_table(source.path / "rests_on.parquet")), rows=200, meaning=BY_ASSET),
        **{f"made_by_{name}": dg.MetadataValue.asset(dg.AssetKey(name)) for name in _MEASURED_BY},
        **{f"n_{str(verdict).replace(' ', '_')}": int(count) for verdict, count in counts.items()},
    }
    work.check("table_schema", *_against(VERDICTS, frame))
    wrong = controls_out_of_order(compared)
    said = f"Nearer to the real thing than real ones to each other: {', '.join(wrong)}." if wrong else "All are."
    work.check("controls_in_order", not wrong, said)


def _pooled(work: Work, asset: str, name: str) -> pd.DataFrame:
    frames = [read_table(artifact.path / f"{name}.parquet") for artifact in work.all(asset).values()]
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _against(schema: Any, frame: pd.DataFrame) -> tuple[bool, str]:
    import pandera.errors

    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return False, f"{len(errors.failure_cases)} violations: {errors.failure_cases.head(3).to_dict('records')}"
    return True, f"{len(frame)} rows as declared."
