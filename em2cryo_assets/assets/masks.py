"""What is where in each image: the second column of the lineage.

Belongs here: `cell_masks`, `section_labels`, `tomogram_labels`; labels drawn by a person come first.
Does not belong here: how masks are found (`sem.masks`, `tem.section_decoding`, `cryoet.labels`), or the records
of single cells (`assets.cell_views`).
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.cell_views import number_cells, publish_views
from em2cryo_assets.assets.exports import describe, meanings
from em2cryo_assets.assets.learned import MASK_WEIGHTS, SECTION_WEIGHTS, TOMOGRAM_WEIGHTS
from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.overviews import label_overview
from em2cryo_assets.assets.pictures import outlined, pictures, table
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.cryoet.drawn_labels import read_drawn_labels
from em2cryo_assets.cryoet.labels import SlabLabeller, TomogramLabels, label_tomogram
from em2cryo_assets.formats.image import read_label_image
from em2cryo_assets.report.raster import colour_codes, grey
from em2cryo_assets.resources.inbox import Kind
from em2cryo_assets.sem.masks import cell_records
from em2cryo_assets.sem.tables import FIELD_CELLS
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.store.tables import write_table
from em2cryo_assets.tem.measure import measure_section
from em2cryo_assets.tem.profiles import SectionLabels
from em2cryo_assets.tem.tables import SECTION_TABLES
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS, SLAB_MODALITIES

__all__ = ["cell_masks", "section_labels", "tomogram_labels"]

_JUDGED = "judged on held-out simulated sections"
_JUDGED_TOMOGRAMS = "judged on held-out simulated tomograms"
_UNVALIDATED = "unvalidated here"

_SHOWN_OF_CELLS = ["label", "area_um2", "comparable", "why_not_comparable", "occluded_fraction", "edge_support"]

_SECTION_NM = 80.0
"""Thickness assumed, and recorded as a fallback by `tem_section`, where the sidecar is silent."""


@stage_asset("cell_masks", checks.CELL_MASKS)
def cell_masks(work: Work) -> None:
    """Find the visible outline of every cell and give each cell a key that it keeps."""
    field = work.one("sem_field")
    image = np.asarray(read_image(field.path / "image.ome.zarr").data)
    excluded = np.asarray(read_labels(field.path / "image.ome.zarr", "excluded")) > 0
    side = float(read_record(field)["pixel_size_nm"])
    drawn = _human_labels(work, "sem", image.shape)
    found = _segmented(work, image, side, excluded) if drawn is None else drawn.astype(np.int32)
    numbers, next_number = number_cells(work, found)
    numbered = _renumber(found, numbers)
    records = cell_records(numbered, image, side, excluded)
    write_image(
        work.folder / "masks.ome.zarr", image, voxel_nm=(side, side), name=work.slug, labels={"cells": numbered},
        chunk=512,
    )  # fmt: skip
    write_table(work.folder / "cells.parquet", records, FIELD_CELLS)
    describe(work, FIELD_CELLS)
    write_record(work.folder, {"human": drawn is not None, "next_number": next_number, "pixel_size_nm": side})
    cells = publish_views(work, image, numbered, records, read_record(field))
    work.parameters |= {"cells": cells, "human": drawn is not None}
    comparable = int(records["comparable"].sum()) if len(records) else 0
    work.metadata |= {
        **pictures([outlined(image, numbered)], f"outlines of {len(cells)} cells", simulated=work.simulated),
        "cells_found": len(cells),
        "cells_comparable": comparable,
        "drawn_by": "a person" if drawn is not None else work.study.settings.segmenter,
        "cells": table(records[_SHOWN_OF_CELLS], meaning=meanings(FIELD_CELLS)),
    }
    said = f"{len(cells)} cells, {comparable} of them whole enough to be compared."
    if not cells:
        name = work.study.inbox.require("sem", work.slug).path.name
        said = (
            f"{name}: no cell was found in it. Remedy: check its pixel size ({side:.4g} nm), or draw labels "
            f"(0 = background, 1 … n = cells) as {name}.labels.tif beside it; if it shows no cell, remove it."
        )
    work.check("not_empty", len(cells) > 0, said, cells=len(cells))


def _segmented(work: Work, image: NDArray[np.float32], side: float, excluded: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Masks by the study's network, or by the segmenter that its settings name."""
    from em2cryo_assets.sem.mask_decoding import network_labels
    from em2cryo_assets.sem.mask_network import WEIGHTS, mask_net
    from em2cryo_assets.sem.segmenters import segmenter

    chosen = work.study.settings.segmenter
    if chosen != "network":
        return segmenter(chosen)(image, side, excluded)
    model = work.maybe("sem_mask_model")
    if model is None:
        work.fallbacks.append("The study has no sem_mask_model yet; the released weights were used.")
    net = mask_net(WEIGHTS if model is None else model.path / MASK_WEIGHTS)
    return network_labels(image, side, excluded, net)


@stage_asset("section_labels", checks.SECTION_LABELS)
def section_labels(work: Work) -> None:
    """Label one section, then measure areas, wall and depth profile while the pixels are at hand."""
    from scipy import ndimage

    section = work.one("tem_section")
    density = np.asarray(read_image(section.path / "image.ome.zarr").data)
    excluded = np.asarray(read_labels(section.path / "image.ome.zarr", "excluded")) > 0
    record = read_record(section)
    side = float(record["pixel_size_nm"])
    thickness = float(record["sidecar"].get("section_thickness_nm", _SECTION_NM))
    drawn = _human_labels(work, "tem", density.shape)
    if drawn is None:
        result = _labelled(work, density, side, excluded)
        labels, profiles, warnings = result.labels, result.profiles, list(result.warnings)
        known = work.simulated and work.study.settings.section_labeller in ("network", "levels")
        validation = _JUDGED if known else _UNVALIDATED
        if not known:
            warnings.append("Labelled by what is unvalidated on real sections; draw labels to replace it.")
    else:
        labels = drawn.astype(np.uint8)
        profiles, warnings = ndimage.label(labels != LABELS["outside"])[0].astype(np.int32), []
        validation = "drawn by a person"
    write_image(
        work.folder / "labels.ome.zarr",
        density,
        voxel_nm=(side, side),
        name=work.slug,
        labels={"interior": labels, "profiles": profiles},
        label_names={"interior": LABEL_NAMES},
        chunk=512,
    )
    count = int(profiles.max(initial=0))
    if count:
        for name, frame in measure_section(labels, profiles, density, side, thickness).items():
            write_table(work.folder / f"{name}.parquet", frame, SECTION_TABLES[name])
            if name == "areas":
                describe(work, SECTION_TABLES[name])
                work.metadata["areas"] = table(frame, meaning=meanings(SECTION_TABLES[name]))
    sidecar = record["sidecar"]
    write_record(
        work.folder,
        {
            "human": drawn is not None,
            "validation": validation,
            "profiles": count,
            "warnings": warnings,
            "pixel_size_nm": side,
            "unit": record["unit"],
            "block": sidecar.get("block", ""),
            "sampling": sidecar.get("sampling", ""),
            "resin": sidecar.get("resin", ""),
            "compression": sidecar.get("compression"),
            "strain": sidecar.get("strain", ""),
            "section_thickness_nm": thickness,
        },
    )
    work.parameters["human"] = drawn is not None
    work.metadata |= {
        **pictures([grey(density), colour_codes(labels)], "section; its labels", simulated=work.simulated, labels=True),
        "profiles": count,
        "drawn_by": "a person" if drawn is not None else work.study.settings.section_labeller,
        "validation": validation,
    }
    if warnings:
        work.metadata["warnings"] = "; ".join(warnings)
    said = f"{count} cell profiles found."
    if not count:
        name = work.study.inbox.require("tem", work.slug).path.name
        said = (
            f"{name}: {warnings[0] if warnings else 'the labels drawn beside it hold no cell.'} Remedy: check its pixel "
            f"size ({side:.4g} nm) and `contrast` in {name}.toml, or draw labels as {name}.labels.tif beside it; if it "
            "shows no cell, remove it."
        )
    work.check("not_empty", count > 0, said, profiles=count)


def _labelled(work: Work, density: NDArray[np.float32], side: float, excluded: NDArray[np.bool_]) -> SectionLabels:
    """Labels by the study's network, or by the labeller that its settings name."""
    from em2cryo_assets.tem.section_decoding import network_section
    from em2cryo_assets.tem.section_labellers import section_labeller
    from em2cryo_assets.tem.section_network import WEIGHTS, section_net

    chosen = work.study.settings.section_labeller
    if chosen != "network":
        return section_labeller(chosen)(density, side, excluded)
    model = work.maybe("section_model")
    if model is None:
        work.fallbacks.append("The study has no section_model yet; the released weights were used.")
    net = section_net(WEIGHTS if model is None else model.path / SECTION_WEIGHTS)
    return network_section(density, side, excluded, net)


@stage_asset("tomogram_labels", checks.TOMOGRAM_LABELS)
def tomogram_labels(work: Work) -> None:
    """Label one tomogram; a volume without a cell is labelled outside throughout and says so."""
    source = work.one("tomogram")
    record = read_record(source)
    if record["modality"] == "overview":
        label_overview(work)
        return
    image, origin_nm = measured_image(source)
    density = np.asarray(image.data)
    voxel_nm = (image.voxel_nm[0], image.voxel_nm[1], image.voxel_nm[2])
    drawn = work.study.inbox.require("tomogram", work.slug).labels
    if drawn is None:
        slab = _slab_labeller(work) if record["modality"] in SLAB_MODALITIES else None
        result = label_tomogram(density, voxel_nm, record["modality"], slab=slab)
        known = work.simulated and (slab is None or work.study.settings.tomogram_labeller in ("network", "layers"))
        validation = _JUDGED_TOMOGRAMS if known else _UNVALIDATED
        if not known and result.labels.any():
            result.warnings.append("Labelled by what is unvalidated on real tomograms; draw labels to replace it.")
    else:
        depth, high, wide = read_image(source.path / "image.ome.zarr").data.shape
        result = TomogramLabels(read_drawn_labels(drawn, (depth, high, wide), density.shape))
        validation = "drawn by a person"
    work.parameters["human"] = drawn is not None
    write_image(
        work.folder / "labels.ome.zarr", result.labels, voxel_nm=voxel_nm, origin_nm=origin_nm, name=work.slug,
        labels={"interior": result.labels}, label_names={"interior": LABEL_NAMES},
    )  # fmt: skip
    write_record(work.folder, {"human": drawn is not None, "validation": validation, "warnings": list(result.warnings)})
    middle = density.shape[0] // 2
    share = float((result.labels != LABELS["outside"]).mean())
    work.metadata |= {
        **pictures(
            [grey(density[middle]), colour_codes(result.labels[middle])],
            "middle slice; its labels",
            simulated=work.simulated,
            labels=True,
        ),
        "share_inside_cell": share,
        "drawn_by": "a person" if drawn is not None else work.study.settings.tomogram_labeller,
        "validation": validation,
    }
    if result.warnings:
        work.metadata["warnings"] = "; ".join(result.warnings)
    sentence = f"{share:.0%} of the volume is cell." if share else "; ".join(result.warnings) or "No cell was found."
    work.check("not_empty", share > 0, sentence, share=share)


def _slab_labeller(work: Work) -> SlabLabeller:
    """The study's network, or the labeller that its settings name."""
    from em2cryo_assets.cryoet.label_decoding import network_slab
    from em2cryo_assets.cryoet.label_network import WEIGHTS, slab_net
    from em2cryo_assets.cryoet.tomogram_labellers import tomogram_labeller

    chosen = work.study.settings.tomogram_labeller
    if chosen != "network":
        return tomogram_labeller(chosen)
    model = work.maybe("tomogram_model")
    if model is None:
        work.fallbacks.append("The study has no tomogram_model yet; the released weights were used.")
    net = slab_net(WEIGHTS if model is None else model.path / TOMOGRAM_WEIGHTS)
    return partial(network_slab, net=net)


def _human_labels(work: Work, kind: Kind, shape: tuple[int, ...]) -> NDArray[np.int32] | None:
    """Labels beside the raw file, if a person drew some."""
    raw = work.study.inbox.require(kind, work.slug)
    if raw.labels is None:
        return None
    return read_label_image(raw.labels, shape, codes=None if kind == "sem" else LABEL_NAMES)


def _renumber(labels: NDArray[np.int32], numbers: dict[int, int]) -> NDArray[np.int32]:
    lookup = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
    for label, number in numbers.items():
        lookup[label] = number
    return lookup[labels]
