"""The data dictionary: what every column of a table means, made of its schema.

Belongs here: schemas, and the list of characteristics, turned into Markdown. Does not belong here: which tables there
are (`assets.exports`).
"""

import pandera.pandas as pa

from em2cryo_assets.compare.characteristics import CHARACTERISTICS, MEANINGS
from em2cryo_assets.compare.margins import MARGINS

__all__ = ["characteristics_list", "dictionary_of", "type_name"]


def characteristics_list() -> str:
    """Say what each characteristic is, who measures it, and how far it may be off, as a Markdown section."""
    lines = [
        "## Characteristics",
        "",
        "| characteristic | what it is | unit | model | tolerance δ, and why |",
        "| --- | --- | --- | --- | --- |",
    ]
    for spec in CHARACTERISTICS.values():
        margin = MARGINS.get(spec.name)
        tolerance = f"{margin.text}: {margin.reason}" if margin else "reported, never judged"
        name = f"`{spec.name}`" + (" (exploratory)" if spec.exploratory else "")
        meaning = MEANINGS[spec.name].replace("|", "\\|")
        lines.append(f"| {name} | {meaning} | {spec.unit} | {_SIDES[spec.model_side]} | {tolerance} |")
    return "\n".join(lines) + "\n"


_SIDES = {"sem": "SEM", "tem": "TEM", "pairs": "pseudo-3D cell"}


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
