"""Tables as people take them away: CSV beside the Parquet, and what each column means, in the UI and in one dictionary.

Belongs here: the list of the tables that are handed on, and how one is shown. Does not belong here: schemas
(`compare.tables`, `tem.tables`).
"""

from types import MappingProxyType
from typing import Final, NamedTuple

import dagster as dg
import pandas as pd
import pandera.pandas as pa

from em2cryo_assets.assets.column_lineage import column_lineage
from em2cryo_assets.assets.stage import Work
from em2cryo_assets.compare.dictionary import type_name
from em2cryo_assets.compare.inner_tables import EDGES, PAIR_VECTORS, RATES
from em2cryo_assets.compare.tables import COMPARISON_TABLE, LIMITATIONS, MEASUREMENTS, RESTS_ON, VERDICTS, VIRTUAL_TEM
from em2cryo_assets.fusion.tables import EXPECTED_DEPTH, EXPECTED_VOLUMES
from em2cryo_assets.sem.tables import FIELD_CELLS
from em2cryo_assets.store.tables import write_csv
from em2cryo_assets.tem.tables import ATLAS_TABLES, SECTION_TABLES

__all__ = ["INNER_TABLES", "TABLES", "HandedOn", "column_schema", "describe", "export", "meanings"]


class HandedOn(NamedTuple):
    """One table: the asset, its file without ending, what a row is, and its schema."""

    asset: str
    file: str
    row: str
    schema: pa.DataFrameSchema


_ATLAS_ROWS: Final = MappingProxyType(
    {
        "fractions": "a part of the cell",
        "wall": "the one wall of the population",
        "sizes": "an organelle",
        "depth": "a part of the cell in a bin of depth",
        "meta": "a section",
    }
)

TABLES: Final = (
    HandedOn("verdicts", "verdicts", "a characteristic", VERDICTS),
    HandedOn("comparison_table", "table", "a characteristic", COMPARISON_TABLE),
    HandedOn("comparison_table", "rests_on", "something that a characteristic rests on", RESTS_ON),
    HandedOn("limitations", "limitations", "a bound", LIMITATIONS),
    HandedOn("virtual_tem", "virtual_tem", "a quantity that sections and tomograms both show", VIRTUAL_TEM),
    HandedOn("cell_features", "features", "a characteristic of one pseudo-3D cell", MEASUREMENTS),
    HandedOn("tomogram_features", "features", "a characteristic of one frozen-hydrated cell", MEASUREMENTS),
    HandedOn("interior_atlas", "measurements", "a characteristic of one cell in TEM sections", MEASUREMENTS),
    *(HandedOn("interior_atlas", name, _ATLAS_ROWS[name], schema) for name, schema in ATLAS_TABLES.items()),
)
"""In the order of the data dictionary."""

_SECTION_ROWS: Final = MappingProxyType(
    {
        "areas": "a part of one cell profile",
        "bodies": "a connected piece of an organelle",
        "wall": "the wall of one cell profile",
        "depth": "a part of the cell in a bin of depth",
    }
)

INNER_TABLES: Final = (
    HandedOn("cell_masks", "cells", "a cell of a field", FIELD_CELLS),
    *(HandedOn("section_labels", name, _SECTION_ROWS[name], schema) for name, schema in SECTION_TABLES.items()),
    HandedOn("cell_features", "expected_volumes", "a part of a cell of this shape", EXPECTED_VOLUMES),
    HandedOn("cell_features", "expected_depth", "a bin of depth in a cell of this shape", EXPECTED_DEPTH),
    HandedOn("comparison", "vectors", "a bin of one characteristic, of one variant of one pair", PAIR_VECTORS),
    HandedOn("virtual_tem", "edges", "the edge of the cell in one section or tomogram", EDGES),
    HandedOn("verdict_calibration", "rates", "a characteristic and a known answer", RATES),
)
"""Tables that stages hand to each other, as Parquet only; in the order of the data dictionary."""


def export(work: Work, file: str, frame: pd.DataFrame, schema: pa.DataFrameSchema) -> None:
    """Write the CSV beside ``<file>.parquet`` and give the UI the columns of the asset."""
    write_csv(work.folder / f"{file}.csv", frame)
    describe(work, schema)


def column_schema(schema: pa.DataFrameSchema) -> dg.TableSchema:
    """Columns with types and descriptions as Dagster shows them on the page of an asset."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(str(name), type_name(column), description=column.description)
            for name, column in schema.columns.items()
        ]
    )


def describe(work: Work, schema: pa.DataFrameSchema) -> None:
    """Give the UI the columns of the asset's table, with types, meaning, and the columns that they are made from."""
    work.metadata["dagster/column_schema"] = column_schema(schema)
    work.metadata |= column_lineage(work.stage.name)


def meanings(schema: pa.DataFrameSchema) -> dict[str, str]:
    """What each column means, by its name."""
    return {str(name): str(column.description) for name, column in schema.columns.items()}
