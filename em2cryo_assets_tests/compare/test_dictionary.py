"""The data dictionary says what the schemas say, and the schemas are those of the tables."""

import runpy
from pathlib import Path

import pandera.pandas as pa
import pytest

from em2cryo_assets.assets.exports import TABLES, column_schema
from em2cryo_assets.compare.dictionary import dictionary_of
from em2cryo_assets.compare.table import TABLE_COLUMNS
from em2cryo_assets.compare.tables import COMPARISON_TABLE, VERDICTS
from em2cryo_assets.compare.verdicts import VERDICT_COLUMNS
from em2cryo_assets.compare.verdicts import VERDICTS as KINDS

ROOT = Path(__file__).parents[2]


def test_the_dictionary_is_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "data_dictionary.py"))["dictionary"]()
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == made, "type: python tools/data_dictionary.py"


def test_schemas_declare_the_columns_that_are_written() -> None:
    assert tuple(COMPARISON_TABLE.columns) == TABLE_COLUMNS
    assert tuple(VERDICTS.columns) == VERDICT_COLUMNS
    for kind in KINDS:
        assert kind in str(VERDICTS.columns["verdict"].description)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: f"{t.asset}-{t.file}")
def test_every_column_is_explained_to_the_ui(table) -> None:
    for column in column_schema(table.schema).columns:
        assert column.description


def test_a_column_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        dictionary_of("x", "a thing", pa.DataFrameSchema({"size": pa.Column(float)}))
