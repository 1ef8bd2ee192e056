"""Write ``docs/tables.md`` from the declared schemas of the tables: `python tools/data_dictionary.py`."""

from pathlib import Path

from em2cryo_assets.assets.exports import INNER_TABLES, TABLES
from em2cryo_assets.compare.dictionary import characteristics_list, dictionary_of

PATH = Path(__file__).parents[1] / "docs" / "tables.md"
_INTRODUCTION = """# Tables

Made from the declared schemas by `tools/data_dictionary.py`; change it there.

Each table lies in the artifact of its asset (`store/<asset>/<key>/<digest>/`) as Parquet and, with the same rows, as CSV:
UTF-8 with a byte-order mark, commas, decimal points, all digits, nothing where a number is missing. Those of the whole
study are copied to `report/tables/` as `<asset>-<file>.csv`. Lengths are nm, volumes µm³, where a column does not say
otherwise.
"""
_BETWEEN = """# Tables between stages

These are handed from stage to stage as Parquet only; the Dagster UI shows them with their columns. `em2cryo export` writes
them, too, as both, with the rows of all keys in one table and their key in the first column.
"""


def dictionary() -> str:
    """The whole file."""
    parts = [dictionary_of(f"{t.asset}: `{t.file}.csv`", t.row, t.schema) for t in TABLES]
    inner = [dictionary_of(f"{t.asset}: `{t.file}.parquet`", t.row, t.schema) for t in INNER_TABLES]
    return "\n".join([_INTRODUCTION, characteristics_list(), *parts, _BETWEEN, *inner])


if __name__ == "__main__":
    PATH.write_text(dictionary(), encoding="utf-8")
