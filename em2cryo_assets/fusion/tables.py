"""Declared schemas of what the atlas expects in a cell of a given shape.

Belongs here: columns, types and what each means. Does not belong here: how the numbers come about (`fusion.features`).
"""

import pandera.pandas as pa

from em2cryo_assets.store.columns import count, number, text
from em2cryo_assets.vocabulary import LABELS

__all__ = ["EXPECTED_DEPTH", "EXPECTED_VOLUMES"]

EXPECTED_VOLUMES = pa.DataFrameSchema(
    {
        "label": text("part of the cell, wall included"),
        "v_v": number("volume fraction in the population of the sections"),
        "dried_um3": number("its volume in this cell as it was imaged, µm³"),
        "dried_low": number("lower end of the atlas's 90 % interval, µm³"),
        "dried_high": number("upper end, µm³"),
        "living_um3": number("its volume before drying, median over the prior of drying, µm³"),
        "living_low": number("lower end of the 90 % interval, µm³"),
        "living_high": number("upper end, µm³"),
        "independent_cells": count("sectioned cells behind it, however many SEM cells there are"),
        "reason": text("why an interval is missing; empty where it is there"),
    },
    strict=True,
)

EXPECTED_DEPTH = pa.DataFrameSchema(
    {
        "s_bin": count("bin of the depth below the plasma membrane over the greatest depth"),
        "depth_nm": number("middle of the bin below the plasma membrane, nm"),
        **{
            name: number(f"share of the bin that is {name.replace('_', ' ')}; the shares add up to 1")
            for name, code in LABELS.items()
            if code > LABELS["wall"]
        },
        "density": number("mean density over labels, in SD of the cytoplasm"),
    },
    strict=True,
)
