"""The data dictionary: what every column of a table means, made of its schema.

Belongs here: schemas turned into Markdown. Does not belong here: which tables there are (`assets.exports`).
"""

import pandera.pandas as pa

__all__ = ["dictionary_of", "type_name"]


def dictionary_of(title: str, row: str, schema: pa.DataFrameSchema) -> str:
    """Describe one table.

    Parameters
    ----------
    title : str
        Asset and file.
    row : str
        What a row is.
    schema : pandera.pandas.DataFrameSchema
        Each column with a description.

    Returns
    -------
    str
        Markdown: a heading, a line and a table.

    Raises
    ------
    ValueError
        If a column has no description.
    """
    silent = [str(name) for name, column in schema.columns.items() if not column.description]
    if silent:
        raise ValueError(f"The columns {', '.join(silent)} of {title} have no description.")
    lines = [
        f"## {title}",
        "",
        f"A row is {row}.",
        "",
        "| column | type | may be empty | what it means |",
        "| --- | --- | --- | --- |",
    ]
    for name, column in schema.columns.items():
        meaning = str(column.description).replace("|", "\\|")
        empty = "yes" if column.nullable else ""
        lines.append(f"| `{name}` | {type_name(column)} | {empty} | {meaning} |")
    return "\n".join(lines) + "\n"


def type_name(column: pa.Column) -> str:
    """Type of a column in words; how pandas stores text depends on its version, and is no concern of a reader."""
    stored = str(column.dtype)
    return next((word for start, word in _TYPES.items() if stored.startswith(start)), "text")


_TYPES = {"float": "number", "int": "whole number", "bool": "true or false"}
