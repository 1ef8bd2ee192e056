"""Which columns of which tables a column is made from, as Dagster shows it beside the schema of a table.

Belongs here: columns by name. Does not belong here: what a column means (the schemas) or which keys a row rests on
(`assets.tracing`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import dagster as dg

__all__ = ["COLUMN_SOURCES", "column_lineage"]

_Source = tuple[str, str]

_MEASURED: Final[tuple[_Source, ...]] = (
    ("cell_features", "value"),
    ("interior_atlas", "value"),
    ("comparison", "value"),
)
_SEEN: Final[tuple[_Source, ...]] = (("tomogram_features", "value"), ("comparison", "value"))
_UNITS: Final[tuple[_Source, ...]] = (
    ("cell_features", "unit"),
    ("interior_atlas", "unit"),
    ("tomogram_features", "unit"),
    ("comparison", "unit_cell"),
    ("comparison", "unit_tomogram"),
)
_SIZES: Final[tuple[_Source, ...]] = tuple(("comparison_table", f"n_{side}") for side in ("model", "reference"))


def _taken_over(asset: str, *columns: str) -> dict[str, tuple[_Source, ...]]:
    return {column: ((asset, column),) for column in columns}


COLUMN_SOURCES: Final[Mapping[str, Mapping[str, tuple[_Source, ...]]]] = MappingProxyType(
    {
        "cell_features": {
            "assessable": (("cell_masks", "comparable"),),
            "reason": (("cell_masks", "why_not_comparable"),),
        },
        "interior_atlas": {
            "label": (("section_labels", "label"),),
            "v_v": (("section_labels", "area_um2"), ("section_labels", "cell_um2")),
            "low": (("section_labels", "area_um2"), ("section_labels", "cell_um2")),
            "high": (("section_labels", "area_um2"), ("section_labels", "cell_um2")),
            "s_v_per_um": (("section_labels", "boundary_um"), ("section_labels", "cell_um2")),
            "thickness_bias": (("section_labels", "boundary_um"), ("section_labels", "section_thickness_nm")),
        },
        "comparison_table": {
            "estimate_model": _MEASURED,
            "sd_model": _MEASURED,
            "units_model": _MEASURED,
            "estimate_reference": _SEEN,
            "sd_reference": _SEEN,
            "units_reference": _SEEN,
            "excess": (("comparison", "value"), ("comparison", "weight")),
            "excess_se": (("comparison", "value"), ("comparison", "unit_tomogram")),
            "auc": (("comparison", "value"),),
            "controls": (("comparison", "variant"), ("comparison", "value")),
            "measurement_sd": (("cell_features", "sd"), ("interior_atlas", "sd"), ("tomogram_features", "sd")),
            **{name: _UNITS for name in ("n_model", "n_reference", "n_sem", "n_tem", "n_cryo")},
            "reason": tuple((asset, "reason") for asset in ("cell_features", "interior_atlas", "tomogram_features")),
        },
        "verdicts": {
            **_taken_over(
                "comparison_table", "characteristic", "family", "unit", "estimate_model", "estimate_reference",
                "n_sem", "n_tem", "n_cryo", "exploratory",
            ),
            "difference": tuple(("comparison_table", c) for c in ("estimate_model", "estimate_reference", "excess")),
            **{
                end: tuple(("comparison_table", c) for c in ("units_model", "units_reference", "excess_se"))
                for end in ("low", "high", "power")
            },
            "quality": (("comparison_table", "controls"),),
            "control": (("comparison_table", "controls"),),
            "control_result": (("comparison_table", "controls"),),
            "reason": (("comparison_table", "reason"), ("comparison_table", "cause")),
        },
        "verdict_calibration": {
            "characteristic": (("comparison_table", "characteristic"),),
            "rate": _SIZES,
            "coverage": _SIZES,
            "power": _SIZES,
        },
        "limitations": {
            "concerns": (("verdicts", "characteristic"),),
            "value": (
                ("verdicts", "power"),
                ("interior_atlas", "mean_nm"),
                ("interior_atlas", "thickness_nm"),
                ("cell_features", "value"),
                ("tomogram_features", "n_support"),
            ),
        },
    }
)  # fmt: skip
"""By asset and column. Columns that are measured in images, or are words of the code, have no source."""


def column_lineage(asset: str) -> dict[str, dg.TableColumnLineage]:
    """The lineage as metadata of a materialization; empty where no column has a source.

    Parameters
    ----------
    asset : str
        A stage.
    """
    sources = COLUMN_SOURCES.get(asset)
    if sources is None:
        return {}
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(name), origin) for name, origin in found]
        for column, found in sources.items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}
