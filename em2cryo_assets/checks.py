"""The asset checks: what each stage promises about its result.

Belongs here: names, sentences and whether a failure blocks what follows, made by one factory.
Does not belong here: the measurement itself, which the stage's function makes while it still holds
the data (reading a volume again only to check it would double the I/O).
"""

import warnings

import dagster as dg

from em2cryo_assets.partitions import CELLS, FIELDS, SECTIONS, TOMOGRAMS

__all__ = [
    "CELL_MASKS",
    "CELL_MESH",
    "COMPARISON_TABLE",
    "FUSED_VOLUME",
    "INTERIOR_ATLAS",
    "LIMITATIONS",
    "PHANTOM_CELLS",
    "SECTION_LABELS",
    "SECTION_MODEL",
    "SEM_FIELD",
    "SEM_MASK_MODEL",
    "TEM_SECTION",
    "TOMOGRAM",
    "TOMOGRAM_LABELS",
    "TOMOGRAM_MODEL",
    "VERDICTS",
    "VERDICT_CALIBRATION",
    "VIRTUAL_TEM",
]

_Partitions = dg.PartitionsDefinition[str] | None


def _spec(asset: str, name: str, sentence: str, partitions: _Partitions, *, blocking: bool) -> dg.AssetCheckSpec:
    # Partitioned like its asset: one unpartitioned blocking failure would stop every partition.
    with warnings.catch_warnings():  # a preview in Dagster 1.13
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, description=sentence, blocking=blocking, partitions_def=partitions)


def _pixel_size(asset: str, low_nm: float, high_nm: float, partitions: _Partitions) -> dg.AssetCheckSpec:
    return _spec(
        asset,
        "pixel_size_plausible",
        f"The pixel or voxel side is between {low_nm:g} and {high_nm:g} nm.",
        partitions,
        blocking=True,
    )


def _not_empty(asset: str, what: str, partitions: _Partitions, *, blocking: bool) -> dg.AssetCheckSpec:
    return _spec(asset, "not_empty", f"At least one {what} was found.", partitions, blocking=blocking)


def _schema(asset: str) -> dg.AssetCheckSpec:
    return _spec(asset, "table_schema", "Columns, types and ranges are as declared.", None, blocking=True)


PHANTOM_CELLS = (
    _spec(
        "phantom_cells", "volumes_agree", "Voxels fill each simulated cell's volume within 1 %.", None, blocking=True
    ),
)
SEM_MASK_MODEL = (
    _spec(
        "sem_mask_model",
        "beats_the_baseline",
        "Better than without a network, on simulated piles.",
        None,
        blocking=False,
    ),
    _spec("sem_mask_model", "finds_simulated_cells", "Outlines this study's simulated cells.", None, blocking=False),
)
SECTION_MODEL = (
    _spec(
        "section_model",
        "beats_the_baseline",
        "Better than without a network, on held-out simulated sections.",
        None,
        blocking=False,
    ),
    _spec("section_model", "labels_simulated_cells", "Labels this study's simulated sections.", None, blocking=False),
)
TOMOGRAM_MODEL = (
    _spec(
        "tomogram_model",
        "beats_the_baseline",
        "Better than without a network, on held-out simulated tomograms.",
        None,
        blocking=False,
    ),
    _spec("tomogram_model", "labels_simulated_cells", "Labels this study's simulated lamellae.", None, blocking=False),
)
SEM_FIELD = (_pixel_size("sem_field", 1, 200, FIELDS),)
TEM_SECTION = (_pixel_size("tem_section", 0.1, 50, SECTIONS),)
TOMOGRAM = (_pixel_size("tomogram", 0.02, 200, TOMOGRAMS),)
CELL_MASKS = (_not_empty("cell_masks", "cell", FIELDS, blocking=True),)
SECTION_LABELS = (_not_empty("section_labels", "cell profile", SECTIONS, blocking=True),)
# A microtubule or a purified complex has no cell: worth a row that says so, not a stop.
TOMOGRAM_LABELS = (_not_empty("tomogram_labels", "cell", TOMOGRAMS, blocking=False),)
CELL_MESH = (
    _spec("cell_mesh", "watertight", "The mesh is closed: every edge has two triangles.", CELLS, blocking=True),
    _spec("cell_mesh", "oriented", "All triangles face outward.", CELLS, blocking=True),
)
INTERIOR_ATLAS = (
    _spec("interior_atlas", "fractions_sum_to_one", "Volume fractions add up to one.", None, blocking=True),
)
FUSED_VOLUME = (
    _spec(
        "fused_volume",
        "volume_matches_mesh",
        "Labelled voxels fill the mesh's volume within 1 %.",
        CELLS,
        blocking=True,
    ),
)
COMPARISON_TABLE = (_schema("comparison_table"),)
VERDICTS = (
    _schema("verdicts"),
    _spec(
        "verdicts",
        "controls_in_order",
        "Every valid negative control scores worse than real against real. A control in the wrong order is an "
        "honest outcome: it is shown and makes its row not assessable.",
        None,
        blocking=False,
    ),
)
VIRTUAL_TEM = (
    _spec(
        "virtual_tem",
        "order_is_no_accident",
        "With depths in random order at most a twentieth of the images show outside, wall and inside in order.",
        None,
        blocking=False,
    ),
)
VERDICT_CALIBRATION = (
    _spec(
        "verdict_calibration",
        "errors_as_promised",
        "In simulated studies of this size, differences of the tolerance and fakes are called captured in at most 5 %, "
        "and what does not differ is called captured in at least 80 % where there are units enough.",
        None,
        blocking=False,
    ),
)
LIMITATIONS = (
    _spec(
        "limitations", "every_bound_has_a_way_out", "Each bound names the acquisition that would move it.", None,
        blocking=False,
    ),
)  # fmt: skip
