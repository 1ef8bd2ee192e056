"""What bounds each answer of this study, and what would move it.

Belongs here: `limitations`. Does not belong here: the bounds (`compare.limits`, `compare.bounds`).
"""

import numpy as np
import pandas as pd

from em2cryo_assets import checks
from em2cryo_assets.assets.exports import export, meanings
from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.pictures import table
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.limits import StudyNumbers
from em2cryo_assets.compare.limits import limitations as bounds_of
from em2cryo_assets.compare.record import SLAB_MODALITIES, WHOLE_CELL_MODALITIES
from em2cryo_assets.compare.shape import equivalent_diameter_um
from em2cryo_assets.compare.tables import LIMITATIONS
from em2cryo_assets.store.tables import read_table, write_table

__all__ = ["limitations"]


@stage_asset("limitations", checks.LIMITATIONS)
def limitations(work: Work) -> None:
    """List coverage, wedge, compression, drying, the hidden side, thickness, noise, resolution and n, in numbers."""
    frame = bounds_of(_numbers(work))
    write_table(work.folder / "limitations.parquet", frame, LIMITATIONS)
    export(work, "limitations", frame, LIMITATIONS)
    work.metadata |= {
        "limitations": table(
            frame[["bound", "concerns", "quantity", "value", "unit", "would_move_it", "value_then"]],
            meaning=meanings(LIMITATIONS),
        ),
        "n_bounds": len(frame),
        "bounds": ", ".join(dict.fromkeys(frame["bound"])) or "none: nothing has been measured",
    }
    work.check("every_bound_has_a_way_out", bool((frame["would_move_it"] != "").all()), f"{len(frame)} bounds.")


def _numbers(work: Work) -> StudyNumbers:
    """Collect what the bounds are made of from the artifacts."""
    features = {key: artifact for key, artifact in work.all("cell_features").items()}
    comparable = [key for key, a in features.items() if a.provenance.parameters["comparable"]]
    volumes = [_value(read_table(features[key].path / "features.parquet"), "log_volume") for key in comparable]
    cell_um3 = [float(np.exp(v)) for v in volumes if np.isfinite(v)]
    meshes, views = work.all("cell_mesh"), work.all("cell_view")
    pixels = [float(read_record(views[key])["pixel_size_nm"]) for key in comparable if key in views]
    imposed = sorted({text for key in comparable if key in meshes for text in read_record(meshes[key])["imposed"]})
    tomograms = {key: read_record(artifact) for key, artifact in work.all("tomogram").items()}
    measured = work.all("tomogram_features")
    slabs = {key: r for key, r in tomograms.items() if r["modality"] in SLAB_MODALITIES and key in measured}
    slab_um3 = [
        n * float(np.prod(measured_image(work.all("tomogram")[key])[0].voxel_nm)) / 1e9
        for key in slabs
        if (n := _support(read_table(measured[key].path / "features.parquet"), "fraction_nucleus"))
    ]
    atlas = work.maybe("interior_atlas")
    wall = float("nan") if atlas is None else float(read_table(atlas.path / "wall.parquet")["mean_nm"].iloc[0])
    thickness = float("nan")
    if atlas is not None:
        thickness = float(read_table(atlas.path / "meta.parquet")["thickness_nm"].median())
    verdicts = work.maybe("verdicts")
    return StudyNumbers(
        cell_um3=cell_um3,
        slab_um3=slab_um3,
        tilts_deg=[tuple(r["tilts_deg"]) for r in slabs.values() if r["tilts_deg"]],
        slabs=len(slabs),
        cryo_sections=sum(r["modality"] == "cryo-section" for r in slabs.values()),
        with_halves=sum((work.all("tomogram")[key].path / "even.ome.zarr").is_dir() for key in slabs),
        whole_cells=sum(r["modality"] in WHOLE_CELL_MODALITIES for r in tomograms.values()),
        live_diameters=any(read_record(features[key])["live_cell_diameter_um"] for key in comparable),
        imposed=imposed,
        axis_error=_axis_error(pixels, cell_um3),
        section_nm=thickness,
        wall_nm=wall,
        fused_voxel_nm=work.study.settings.fused_voxel_nm,
        verdicts=pd.DataFrame() if verdicts is None else read_table(verdicts.path / "verdicts.parquet"),
    )


def _axis_error(pixels_nm: list[float], cell_um3: list[float]) -> float:
    """One pixel over the diameter of the median cell."""
    if not pixels_nm or not cell_um3:
        return float("nan")
    return float(np.median(pixels_nm)) / (1000.0 * equivalent_diameter_um(float(np.median(cell_um3))))


def _value(frame: pd.DataFrame, characteristic: str) -> float:
    rows = frame.loc[frame["characteristic"] == characteristic, "value"]
    return float(rows.iloc[0]) if len(rows) else float("nan")


def _support(frame: pd.DataFrame, characteristic: str) -> int:
    rows = frame.loc[frame["characteristic"] == characteristic, "n_support"]
    return int(rows.iloc[0]) if len(rows) else 0
