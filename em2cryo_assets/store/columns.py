"""Columns of declared tables, said in one word each.

Belongs here: kinds of columns with their meaning. Does not belong here: any table (schemas stand beside what makes them).
"""

import pandera.pandas as pa

__all__ = ["count", "flag", "number", "text"]


def text(description: str, *checks: pa.Check, unique: bool = False) -> pa.Column:
    """Words; empty where there are none."""
    return pa.Column(str, list(checks), coerce=True, unique=unique, description=description)


def number(description: str) -> pa.Column:
    """A number that may be missing."""
    return pa.Column(float, nullable=True, coerce=True, description=description)


def count(description: str, *checks: pa.Check) -> pa.Column:
    """A whole number."""
    return pa.Column(int, list(checks), coerce=True, description=description)


def flag(description: str) -> pa.Column:
    """True or false."""
    return pa.Column(bool, description=description)
