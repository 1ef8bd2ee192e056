"""Declared schemas of the interior atlas's tables.

Belongs here: columns, types and what each column means. Does not belong here: how the numbers come about (`tem.atlas`)
or the measurement table, which all sides share (`compare.tables`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandera.pandas as pa

__all__ = ["ATLAS_TABLES"]


def _text(description: str) -> pa.Column:
    return pa.Column(str, coerce=True, description=description)


def _number(description: str) -> pa.Column:
    return pa.Column(float, nullable=True, coerce=True, description=description)


def _count(description: str) -> pa.Column:
    return pa.Column(int, coerce=True, description=description)


_SAMPLES: Final[Mapping[str, Any]] = {
    "n_sections": _count("sections"),
    "n_units": _count("independent cells"),
    "n_blocks": _count("resin blocks"),
    "n_needed": _count(
        "cells at which the interval's half-width would be 20 % of the value; 0 where it cannot be said"
    ),
}

ATLAS_TABLES: Final[Mapping[str, pa.DataFrameSchema]] = MappingProxyType(
    {
        "fractions": pa.DataFrameSchema(
            {
                "label": _text("part of the cell, wall included"),
                "v_v": _number("volume fraction of the cell, by the ratio of areas over all profiles"),
                "low": _number("lower end of the 90 % interval, by a bootstrap over blocks or cells"),
                "high": _number("upper end"),
                "s_v_per_um": _number("surface per volume of the cell, 1/µm"),
                "thickness_bias": _number("what the section's thickness would add to opaque outlines"),
                **_SAMPLES,
                "assessable": pa.Column(bool, description="whether the sections may stand for volume fractions"),
                "reason": _text("why not, if not"),
            },
            strict=True,
        ),
        "wall": pa.DataFrameSchema(
            {
                "mean_nm": _number("mean thickness of the wall, nm: (π/4) ΣA/ΣB"),
                "sd_nm": _number("SD between cells with obliquity removed, nm"),
                "low": _number("lower end of the 90 % interval, nm"),
                "high": _number("upper end, nm"),
                "median_nm": _number("thickness by a fit of apparent widths under random planes, nm"),
                **_SAMPLES,
                "compression": _number("mean compression by the knife that was taken out, as a share"),
            },
            strict=True,
        ),
        "sizes": pa.DataFrameSchema(
            {
                "label": _text("organelle"),
                "n_profiles": _count("profiles seen"),
                "mean_area_um2": _number("their mean area, µm²"),
                "diameter_nm": _number("mean diameter of the bodies, unfolded as spheres (Keiding), nm"),
                "diameter_sd_nm": _number("its SD, nm"),
                "cap_deg": _number("angle below which caps are lost, degrees"),
                "n_per_um3": _number("bodies in a µm³ of cell"),
                "width_nm": _number("median width of the profiles, nm"),
            },
            strict=True,
        ),
        "depth": pa.DataFrameSchema(
            {
                "s_bin": _count("bin of the depth below the wall over the inradius"),
                "label": _text("part of the cell"),
                "p": _number("share of the bin that is this label"),
                "density_mean": _number("mean density, in SD of the cytoplasm"),
                "density_sd": _number("SD of the density within sections"),
                "n_px": _number("pixels"),
            },
            strict=True,
        ),
        "meta": pa.DataFrameSchema(
            {
                "section": _text("key of the section"),
                "unit": _text("the cell it shows"),
                "block": _text("resin block; empty where not recorded"),
                "sampling": _text("random or selected"),
                "thickness_nm": _number("thickness of the section, nm"),
                "outline": _text("half-density or opaque: what outlines enclose"),
            },
            strict=True,
        ),
    }
)
"""By the name of the file in the artifact; ``s_bin`` may be negative, outside the wall."""
