"""Tables as Parquet for programs, and as CSV for people.

Belongs here: writing a table, checked, in bytes that depend on its content only; reading it.
Does not belong here: which columns a table has (its schema is given by whoever makes it).
"""

from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet

__all__ = ["read_table", "write_csv", "write_table"]


def write_table(path: Path, table: pd.DataFrame, schema: pa.DataFrameSchema | None = None) -> None:
    """Write a table as Parquet.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    table : pandas.DataFrame
        Rows in the order to be kept. Its index is not written: what matters belongs into a column.
    schema : pandera.pandas.DataFrameSchema, optional
        Checked before anything is written; all violations are reported together.

    Raises
    ------
    pandera.errors.SchemaErrors
        If the table violates the schema.
    ValueError
        If the index is named, and so would be lost.
    """
    if any(name is not None for name in table.index.names):
        raise ValueError(f"The index {list(table.index.names)} would be lost; make it a column.")
    plain = table.reset_index(drop=True)
    if schema is not None:
        plain = schema.validate(plain, lazy=True)
    arrow = pyarrow.Table.from_pandas(plain, preserve_index=False)
    pyarrow.parquet.write_table(arrow, str(path), compression="zstd", compression_level=1)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: decimal points, all digits, nothing where a number is missing.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    table : pandas.DataFrame
        Rows and columns in the order to be kept; the index is not written.
    """
    # Spreadsheet programs read UTF-8 (the Korean sentences) only with a byte-order mark.
    path.write_bytes(table.to_csv(index=False, lineterminator="\n").encode("utf-8-sig"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table written by `write_table`, with the dtypes it was written with."""
    return pyarrow.parquet.read_table(str(path)).to_pandas()
