"""Declared schemas of what is measured in a section, and of the interior atlas's tables.

Belongs here: columns, types and what each column means. Does not belong here: how the numbers come about
(`tem.measure`, `tem.atlas`) or the measurement table, which all sides share (`compare.tables`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandera.pandas as pa

from em2cryo_assets.store.columns import count, flag, number, text

__all__ = ["ATLAS_TABLES", "SECTION_TABLES"]


_SAMPLES: Final[Mapping[str, Any]] = {
    "n_sections": count("sections"),
    "n_units": count("independent cells"),
    "n_blocks": count("resin blocks"),
    "n_needed": count("cells at which the interval's half-width would be 20 % of the value; 0 where it cannot be said"),
}

ATLAS_TABLES: Final[Mapping[str, pa.DataFrameSchema]] = MappingProxyType(
    {
        "fractions": pa.DataFrameSchema(
            {
                "label": text("part of the cell, wall included"),
                "v_v": number("volume fraction of the cell, by the ratio of areas over all profiles"),
                "low": number("lower end of the 90 % interval, by a bootstrap over blocks or cells"),
                "high": number("upper end"),
                "s_v_per_um": number("surface per volume of the cell, 1/µm"),
                "thickness_bias": number("what the section's thickness would add to opaque outlines"),
                **_SAMPLES,
                "assessable": flag("whether the sections may stand for volume fractions"),
                "reason": text("why not, if not"),
            },
            strict=True,
        ),
        "wall": pa.DataFrameSchema(
            {
                "mean_nm": number("mean thickness of the wall, nm: (π/4) ΣA/ΣB"),
                "sd_nm": number("SD between cells with obliquity removed, nm"),
                "low": number("lower end of the 90 % interval, nm"),
                "high": number("upper end, nm"),
                "median_nm": number("thickness by a fit of apparent widths under random planes, nm"),
                **_SAMPLES,
                "compression": number("mean compression by the knife that was taken out, as a share"),
            },
            strict=True,
        ),
        "sizes": pa.DataFrameSchema(
            {
                "label": text("organelle"),
                "n_profiles": count("profiles seen"),
                "mean_area_um2": number("their mean area, µm²"),
                "diameter_nm": number("mean diameter of the bodies, unfolded as spheres (Keiding), nm"),
                "diameter_sd_nm": number("its SD, nm"),
                "cap_deg": number("angle below which caps are lost, degrees"),
                "n_per_um3": number("bodies in a µm³ of cell"),
                "width_nm": number("median width of the profiles, nm"),
            },
            strict=True,
        ),
        "depth": pa.DataFrameSchema(
            {
                "s_bin": count("bin of the depth below the wall over the inradius"),
                "label": text("part of the cell"),
                "p": number("share of the bin that is this label"),
                "density_mean": number("mean density, in SD of the cytoplasm"),
                "density_sd": number("SD of the density within sections"),
                "n_px": number("pixels"),
            },
            strict=True,
        ),
        "meta": pa.DataFrameSchema(
            {
                "section": text("key of the section"),
                "unit": text("the cell it shows"),
                "block": text("resin block; empty where not recorded"),
                "sampling": text("random or selected"),
                "thickness_nm": number("thickness of the section, nm"),
                "outline": text("half-density or opaque: what outlines enclose"),
            },
            strict=True,
        ),
    }
)
"""By the name of the file in the artifact; ``s_bin`` may be negative, outside the wall."""

_PROFILE: Final[Mapping[str, Any]] = {"profile": count("number of the cell profile in the section")}

SECTION_TABLES: Final[Mapping[str, pa.DataFrameSchema]] = MappingProxyType(
    {
        "areas": pa.DataFrameSchema(
            {
                **_PROFILE,
                "label": text("part of the cell"),
                "area_um2": number("its area, µm²"),
                "boundary_um": number("length of its outline, µm"),
                "cell_um2": number("area of the whole profile, µm²"),
                "touches_border": flag("whether the border of the image cuts the profile"),
                "section_thickness_nm": number("thickness of the section, nm"),
            },
            strict=True,
        ),
        "bodies": pa.DataFrameSchema(
            {
                **_PROFILE,
                "label": text("organelle"),
                "area_um2": number("area of one connected piece, µm²"),
                "width_nm": number("its greatest inscribed diameter, nm"),
            },
            strict=True,
        ),
        "wall": pa.DataFrameSchema(
            {
                **_PROFILE,
                "area_um2": number("area of the wall, µm²"),
                "middle_um": number("length of its middle line, µm"),
                "outline_um": number("length of its outer outline, µm"),
                "apparent_nm": number("median width as cut, nm; 0 where nothing but wall was cut"),
                "n_outline_px": count("pixels of the outline"),
                "touches_border": flag("whether the border of the image cuts the profile"),
            },
            strict=True,
        ),
        "depth": pa.DataFrameSchema(
            {
                "s_bin": count("bin of the depth below the wall over the inradius; -1: wall or outside"),
                "label": text("part of the cell"),
                "n_px": count("pixels"),
                "z_sum": number("sum of their densities, in SD of the cytoplasm"),
                "z_sum2": number("sum of the squares"),
            },
            strict=True,
        ),
    }
)
"""By the name of the file in the artifact of `section_labels`."""
