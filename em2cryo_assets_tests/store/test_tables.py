import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from em2cryo_assets.store.tables import read_table, write_csv, write_table

_SCHEMA = pa.DataFrameSchema(
    {
        "unit": pa.Column(str),
        "value": pa.Column(float, pa.Check.ge(0), nullable=True),
        "n": pa.Column("int64"),
    },
    strict=True,
)


def _table() -> pd.DataFrame:
    return pd.DataFrame({"unit": ["a", "", "셀"], "value": [1.5, np.nan, 0.0], "n": [1, 2, 3]}, index=[5, 3, 9])


def test_a_table_comes_back_in_order_with_its_types(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", _table(), _SCHEMA)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), _table().reset_index(drop=True))


def test_an_empty_table_keeps_its_types(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", _table().iloc[:0], _SCHEMA)
    read = read_table(tmp_path / "a.parquet")
    assert len(read) == 0
    assert read.dtypes.to_dict() == _table().dtypes.to_dict()


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, _table())
    write_table(tmp_path / "other", _table().iloc[::-1])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "other").read_bytes()


def test_another_program_can_read_it(tmp_path: Path) -> None:
    import pyarrow.parquet

    write_table(tmp_path / "a.parquet", _table())
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").column_names == ["unit", "value", "n"]


@pytest.mark.parametrize(
    "table",
    [
        _table().assign(value=-1.0),
        _table().drop(columns="n"),
        _table().assign(more=1),
        _table().assign(n=0.5),
    ],
)
def test_tables_that_break_their_schema_are_not_written(tmp_path: Path, table: pd.DataFrame) -> None:
    with pytest.raises(pa.errors.SchemaErrors):
        write_table(tmp_path / "a.parquet", table, _SCHEMA)
    assert not (tmp_path / "a.parquet").exists()


def test_a_named_index_is_not_lost_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unit"):
        write_table(tmp_path / "a.parquet", _table().set_index("unit"))


def test_a_csv_holds_all_digits_and_nothing_for_what_is_missing(tmp_path: Path) -> None:
    frame = _table().assign(value=[0.1 + 0.2, np.nan, 1e-17])
    write_csv(tmp_path / "a.csv", frame)
    assert (tmp_path / "a.csv").read_bytes().splitlines()[2] == b",,2"
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(rows[i]["value"]) for i in (0, 2)] == [0.1 + 0.2, 1e-17]
    assert [row["unit"] for row in rows] == ["a", "", "셀"]
