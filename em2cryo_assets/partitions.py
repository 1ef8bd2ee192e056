"""The partition sets of the lineage and the rules for their keys.

Belongs here: the four dynamic sets, the cell × tomogram grid, slug rules and the size limit.
Does not belong here: which keys exist (`resources.study` finds raw files, `automation.register`
writes keys) or which are out of date (`automation.plan`).
"""

import re

import dagster as dg

__all__ = [
    "CELLS",
    "FIELDS",
    "MAX_PAIRS",
    "PAIRS",
    "SECTIONS",
    "TOMOGRAMS",
    "cell_key",
    "check_slug",
    "field_of_cell",
    "pair_key",
    "slugify",
    "split_pair_key",
]

FIELDS = dg.DynamicPartitionsDefinition(name="fields")
CELLS = dg.DynamicPartitionsDefinition(name="cells")
SECTIONS = dg.DynamicPartitionsDefinition(name="sections")
TOMOGRAMS = dg.DynamicPartitionsDefinition(name="tomograms")
PAIRS = dg.MultiPartitionsDefinition({"cell": CELLS, "tomogram": TOMOGRAMS})

MAX_PAIRS = 10_000
"""Beyond this many cell × tomogram combinations the grid gets too slow to show and to evaluate."""

# Short enough for a cell's number behind it and for the names of folders, which end at 100 characters.
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,89}")


def check_slug(slug: str) -> str:
    """Return ``slug`` unchanged if it may be a partition key.

    Raises
    ------
    ValueError
        If it is not a letter or digit followed by letters, digits, ``_`` or ``-``, 90 characters at most.
    """
    if not _SLUG.fullmatch(slug):
        raise ValueError(
            f"{slug!r} cannot be a key: use at most 90 letters, digits, '_' and '-', starting with a letter or digit."
        )
    return slug


def slugify(name: str) -> str:
    """Turn a file name without its extension into a key.

    Every run of other characters becomes one ``-``; a name with nothing usable is refused.

    Raises
    ------
    ValueError
        If no letter or digit is left, or more than 90 characters are.
    """
    return check_slug(re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_"))


def cell_key(field: str, number: int) -> str:
    """Key of the cell with this number in a field, such as ``plate-1-c007``."""
    return f"{field}-c{number:03d}"


def field_of_cell(cell: str) -> str:
    """Field that a cell key belongs to."""
    return cell.rpartition("-c")[0]


def pair_key(cell: str, tomogram: str) -> str:
    """Key of one cell × tomogram, the way Dagster spells it."""
    return str(dg.MultiPartitionKey({"cell": cell, "tomogram": tomogram}))


def split_pair_key(key: str) -> tuple[str, str]:
    """Cell and tomogram of a pair key."""
    cell, tomogram = key.split("|")
    return cell, tomogram
