"""One record for each cell of a field, logged by the run of `cell_masks` that found it.

Belongs here: keys that cells keep, their crops, and the events that make them partitions of `cell_view`.
Does not belong here: finding cells (`sem.masks`).

Partition mappings from field to cell that work in-process are dropped by the daemon, so there is none:
`cell_view` is an asset without a function, and its records are written here.
"""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.assets.lineage import GROUPS
from em2cryo_assets.assets.pictures import pictures, windowed
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.partitions import CELLS, MAX_PAIRS, cell_key, field_of_cell
from em2cryo_assets.sem.identity import carry_numbers
from em2cryo_assets.sem.view import crop_cell
from em2cryo_assets.store.images import read_labels, write_image
from em2cryo_assets.store.provenance import Provenance

__all__ = ["cell_view", "number_cells", "publish_views"]

_MARGIN_PX = 8

cell_view = dg.AssetSpec(
    "cell_view",
    group_name=GROUPS["masks"],
    partitions_def=CELLS,
    description="One cell of a field: crop, visible mask, occluded fraction. Recorded by the run of cell_masks "
    "that found it, and only when the cell changed.",
    kinds={"image", "zarr"},
    tags={"em2cryo/microscopy": "sem"},
    owners=["team:em2cryo"],
    # No dependency on cell_masks is declared: the daemon would ask for all cells of all fields.
    metadata={"made_by": "cell_masks"},
)


def number_cells(work: Work, found: NDArray[np.int32]) -> tuple[dict[int, int], int]:
    """Numbers for the labels of a field, kept from its last version where cells overlap.

    Returns
    -------
    numbers : dict of int to int
        Label to number.
    next_number : int
        First number never used in this field.
    """
    last = work.study.store.current("cell_masks", work.key)
    old, known, next_number = None, {}, 1
    if last is not None:
        next_number = int(read_record(last)["next_number"])
        labels = np.asarray(read_labels(last.path / "masks.ome.zarr", "cells"))
        if labels.shape == found.shape:  # else another image under the same key: nothing to carry over
            old, known = labels, {int(number): int(number) for number in np.unique(labels[labels > 0])}
    numbers, next_number, _ = carry_numbers(old, known, found, next_number)
    return numbers, next_number


def publish_views(
    work: Work, image: NDArray[np.float32], labels: NDArray[np.int32], records: pd.DataFrame, field: dict[str, Any]
) -> list[str]:
    """Publish each cell's view, register new cells, retire vanished ones, log those that changed.

    Returns
    -------
    list of str
        Keys of the field's cells.

    Raises
    ------
    InputError
        If the study would exceed the number of pairs it can hold.
    """
    instance = work.context.instance
    cells = {cell_key(work.slug, int(number)): int(number) for number in records["label"]}
    known = set(instance.get_dynamic_partitions("cells"))
    mine = {cell for cell in known if field_of_cell(cell) == work.slug}
    tomograms = max(1, len(instance.get_dynamic_partitions("tomograms")))
    if len(known | set(cells)) * tomograms > MAX_PAIRS:
        raise InputError(
            work.slug,
            f"{len(known | set(cells))} cells × {tomograms} tomograms are more than {MAX_PAIRS:,} pairs.",
            "split the study: move some fields to another EM2CRYO_DATA.",
        )
    changed: list[tuple[str, str, dict[str, Any]]] = []
    for (key, number), (_, row) in zip(cells.items(), records.iterrows(), strict=True):
        view = crop_cell(image, labels, number, _MARGIN_PX)
        before = work.study.store.current("cell_view", key)
        provenance = Provenance(
            "cell_view",
            key,
            inputs=tuple(work.refs),
            code_version=work.stage.code_version,
            run_id=work.context.run.run_id,
            simulated=work.simulated,
        )
        side = float(field["pixel_size_nm"])
        with work.study.store.publish("cell_view", key, provenance) as staging:
            write_image(
                staging / "view.ome.zarr", view.image, voxel_nm=(side, side), name=key,
                labels={"mask": view.mask.astype(np.uint8)}, label_names={1: "this cell"}, chunk=512,
            )  # fmt: skip
            sidecar = field["sidecar"]
            write_record(
                staging.path,
                {
                    "pixel_size_nm": side,
                    "offset_yx_px": [int(v) for v in view.offset_yx],
                    "field": work.slug,
                    "occluded_fraction": round(float(row["occluded_fraction"]), 6),
                    "touches_border": bool(row["touches_border"]),
                    "why_not_comparable": str(row["why_not_comparable"]),
                    "live_cell_diameter_um": sidecar.get("live_cell_diameter_um"),
                },
            )
        assert staging.artifact is not None
        if before is None or before.digest != staging.artifact.digest or key not in known:
            shown: dict[str, Any] = {
                **pictures(
                    [windowed(view.image), view.mask.astype(np.uint8) * 255], "crop; mask", simulated=work.simulated
                ),
                "occluded_fraction": float(row["occluded_fraction"]),
                "comparable": bool(row["comparable"]),
                "why_not_comparable": str(row["why_not_comparable"]) or "it is",
            }
            changed.append((key, staging.artifact.digest, shown))
    new = [key for key in cells if key not in known]
    if new:
        instance.add_dynamic_partitions("cells", new)
    for gone in sorted(mine - set(cells)):
        instance.delete_dynamic_partition("cells", gone)
        work.context.log.info(f"{gone} is retired: no cell of the field overlaps it any more.")
    for key, digest, shown in changed:
        tags = {"dagster/data_version": digest}
        # The UI compares observations, runs hash materializations; both need the same version.
        work.context.log_event(dg.AssetObservation("cell_view", partition=key, metadata=shown, tags=tags))
        work.context.log_event(dg.AssetMaterialization("cell_view", partition=key, metadata=shown, tags=tags))
    return list(cells)
