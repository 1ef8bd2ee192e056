"""Two-dimensional overviews in the stages of tomograms: outlines in place of labels, axis ratios in place of features.

Belongs here: what `tomogram_labels` and `tomogram_features` do with modality "overview". Does not belong here: finding
outlines (`cryoet.overview`) or measuring them (`compare.overviews`).
"""

from typing import Any, Final

import numpy as np

from em2cryo_assets.assets.exports import export, meanings
from em2cryo_assets.assets.pictures import outlined, pictures, table
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work
from em2cryo_assets.compare.overviews import LIMITS, overview_measurements
from em2cryo_assets.compare.record import why_not_comparable
from em2cryo_assets.compare.tables import MEASUREMENTS
from em2cryo_assets.cryoet.overview import OverviewLabels, outline_cells
from em2cryo_assets.formats.image import read_label_image
from em2cryo_assets.report.raster import grey
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.store.tables import write_table
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS

__all__ = ["label_overview", "measure_overview"]

_WHOLE: Final = (
    "The sidecar gives no section_thickness_nm: the overview was taken for whole cells in ice. If it shows a lamella, "
    "write its thickness there."
)


def label_overview(work: Work) -> None:
    """Outline the cells of an overview; outlines drawn by a person take the place of computed ones."""
    source = work.one("tomogram")
    record = read_record(source)
    image = read_image(source.path / "image.ome.zarr")
    density = np.asarray(image.data)
    _, y_nm, x_nm = image.voxel_nm
    raw = work.study.inbox.require("tomogram", work.slug)
    if raw.labels is not None:
        drawn = read_label_image(raw.labels, density.shape[1:], codes=None)
        found = OverviewLabels(drawn.astype(np.uint16))
    else:
        found = outline_cells(density[0], (y_nm, x_nm), lamella=_is_lamella(work, record))
    work.parameters["human"] = raw.labels is not None
    inside = np.where(found.outlines > 0, LABELS["cytoplasm"], LABELS["outside"]).astype(np.uint8)[None]
    write_image(
        work.folder / "labels.ome.zarr", inside, voxel_nm=image.voxel_nm, name=work.slug,
        labels={"interior": inside, "outlines": found.outlines[None]}, label_names={"interior": LABEL_NAMES},
    )  # fmt: skip
    write_record(work.folder, {"warnings": list(found.warnings)})
    count = int(np.unique(found.outlines[found.outlines > 0]).size)
    work.metadata |= {
        **pictures(
            [grey(density[0]), outlined(-density[0], found.outlines)], "overview; outlines", simulated=work.simulated
        ),
        "outlines": count,
        "drawn_by": "a person" if raw.labels is not None else "outline_cells",
        "share_inside_cell": float((inside > 0).mean()),
    }
    if found.warnings:
        work.metadata["warnings"] = "; ".join(found.warnings)
    said = (
        f"{count} outlines found." if count else "; ".join(found.warnings) or "The labels drawn beside it hold no cell."
    )
    work.check("not_empty", count > 0, said, share=float((inside > 0).mean()))


def measure_overview(work: Work) -> None:
    """Measure the axis ratio of each whole outline of one body; all else an overview cannot show."""
    record = read_record(work.one("tomogram"))
    labelled = work.one("tomogram_labels")
    image = read_image(labelled.path / "labels.ome.zarr")
    outlines = np.asarray(read_labels(labelled.path / "labels.ome.zarr", "outlines"))[0]
    lamella = _is_lamella(work, record)
    _, y_nm, x_nm = image.voxel_nm
    frame, left_out = overview_measurements(outlines, (y_nm, x_nm), lamella=lamella, key=work.slug, unit=record["unit"])
    if not outlines.any() and (said := read_record(labelled)["warnings"]):
        # Why the labeller found no cell says more than that it found none.
        frame["reason"] = said[0].rstrip(".")
    write_table(work.folder / "features.parquet", frame, MEASUREMENTS)
    export(work, "features", frame, MEASUREMENTS)
    why_not = why_not_comparable(outlines[None], "overview")
    content: dict[str, Any] = {
        "arc": None,
        "snr": None,
        "slices": [0, 1],
        "unit": record["unit"],
        "why_not_comparable": why_not,
        "left_out": left_out,
    }
    write_record(work.folder, content)
    if outlines.any():
        work.fallbacks.append(LIMITS["outline_axis_ratio" if lamella else "silhouette_axis_ratio"])
    shown = frame[frame["assessable"]] if frame["assessable"].any() else frame
    work.parameters["pairable"] = False
    work.metadata |= {
        "features": table(
            shown[["characteristic", "unit", "value", "assessable", "reason"]], meaning=meanings(MEASUREMENTS)
        ),
        "pairable": False,
        "why_not_comparable": why_not,
    }
    if left_out:
        work.metadata["left_out"] = " ".join(left_out)


def _is_lamella(work: Work, record: dict[str, Any]) -> bool:
    """Whether outlines are cuts: the owner gives a lamella's thickness; without one whole cells are assumed, and said."""
    if record["sidecar"].get("section_thickness_nm") is not None:
        return True
    if _WHOLE not in work.fallbacks:
        work.fallbacks.append(_WHOLE)
    return False
