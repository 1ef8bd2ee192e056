"""Declared schemas of the tables that stages hand on.

Belongs here: columns, types and ranges, checked whenever such a table is written.
Does not belong here: how the numbers come about.
"""

import pandera.pandas as pa

__all__ = ["COMPARISON_TABLE", "MEASUREMENTS", "VERDICTS"]

MEASUREMENTS = pa.DataFrameSchema(
    {
        "side": pa.Column(str, pa.Check.isin(["sem", "tem", "cryo"])),
        "key": pa.Column(str),
        "unit": pa.Column(str),
        "block": pa.Column(str),
        "modality": pa.Column(str),
        "characteristic": pa.Column(str),
        "value": pa.Column(float, nullable=True),
        "sd": pa.Column(float, nullable=True),
        "unit_of_measure": pa.Column(str),
        "assessable": pa.Column(bool),
        "reason": pa.Column(str),
        "n_support": pa.Column(int, pa.Check.ge(0), coerce=True),
    },
    checks=pa.Check(
        lambda rows: rows["assessable"] | (rows["reason"] != ""), error="what is not assessable needs a reason"
    ),
    strict=True,
)

COMPARISON_TABLE = pa.DataFrameSchema(
    {
        "characteristic": pa.Column(str, unique=True),
        "estimate_model": pa.Column(float, nullable=True),
        "estimate_reference": pa.Column(float, nullable=True),
        "n_sem": pa.Column(int, pa.Check.ge(0), coerce=True),
        "n_tem": pa.Column(int, pa.Check.ge(0), coerce=True),
        "n_cryo": pa.Column(int, pa.Check.ge(0), coerce=True),
    }
)

VERDICTS = pa.DataFrameSchema(
    {
        "characteristic": pa.Column(str, unique=True),
        "verdict": pa.Column(
            str, pa.Check.isin(["captured", "approximated", "missed", "inconclusive", "not assessable"])
        ),
        "n": pa.Column(str),
        "interval": pa.Column(str),
        "reason": pa.Column(str, pa.Check.str_length(min_value=1)),
        "sentence_en": pa.Column(str, pa.Check.str_length(min_value=1)),
        "sentence_ko": pa.Column(str, pa.Check.str_length(min_value=1)),
    }
)
