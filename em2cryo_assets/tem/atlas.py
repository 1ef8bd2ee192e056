"""Add measured sections up to the interior atlas of a population.

Belongs here: population estimates from many sections, each with the units it rests on and would need.
Does not belong here: measuring one section (`tem.measure`), the estimators (`tem.fractions`, `tem.wall`,
`tem.unfolding`), placing organelles (`fusion`).

Sections are slices of other cells in random planes: everything here is a statement about the population,
nothing about one cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from em2cryo_assets.tem.compression import Compression, length_kept, wall_stretch
from em2cryo_assets.tem.fractions import fraction_rows, fractions_table, undone_areas
from em2cryo_assets.tem.measure import DEPTH_BINS, measure_section
from em2cryo_assets.tem.resampling import FEWEST_UNITS, design_of
from em2cryo_assets.tem.unfolding import unfold
from em2cryo_assets.tem.wall import wall_table
from em2cryo_assets.vocabulary import ORGANELLES

__all__ = ["MEASUREMENT_COLUMNS", "Atlas", "SectionMeta", "build_atlas", "measure_section"]

MEASUREMENT_COLUMNS = (
    "side",
    "key",
    "unit",
    "block",
    "modality",
    "characteristic",
    "value",
    "sd",
    "unit_of_measure",
    "assessable",
    "reason",
    "n_support",
)
_LEAST_PROFILE_NM = 100.0
"""Smaller profiles are crumbs at the rim of others as often as bodies: a section shows nothing finer than its thickness."""
_SELECTED = (
    "All sections were chosen by eye (sampling = selected): their area fractions are not volume fractions, "
    "which takes random ones."
)


@dataclass(frozen=True)
class SectionMeta:
    """What is known about one section besides its image.

    Parameters
    ----------
    unit : str
        Identity of the cell, the independent unit.
    block : str
        Resin block; empty where not recorded.
    sampling : str
        ``random`` or ``selected``; anything else counts as not recorded.
    thickness_nm : float
        Section thickness.
    compression : Compression, optional
        Prior of the shortening along the knife's path, from the resin; None where nothing is known.
    outline : str
        ``half-density`` for outlines at the midpoint of two levels (`tem.labels`), ``opaque`` for outlines
        drawn around all that is visible, which Holmes' effect enlarges.
    strain : str
        As recorded; empty where not.
    """

    unit: str
    block: str
    sampling: str
    thickness_nm: float
    compression: Compression | None = None
    outline: Literal["half-density", "opaque"] = "half-density"
    strain: str = ""


@dataclass(frozen=True)
class Atlas:
    """Population tables.

    Parameters
    ----------
    tables : dict of pandas.DataFrame
        ``fractions``, ``wall``, ``sizes``, ``depth``, ``measurements``, ``meta``.
    warnings : list of str
        What was assumed or is missing.
    """

    tables: dict[str, pd.DataFrame]
    warnings: list[str]


def build_atlas(
    sections: Mapping[str, Mapping[str, pd.DataFrame]], meta: Mapping[str, SectionMeta], seed: int
) -> Atlas:
    """Estimate population tables from measured sections.

    Volume fractions are ratio estimates over random sections; intervals are 90 % intervals of a cluster bootstrap
    over blocks (over cells where there are fewer than four blocks). The wall is T = (π/4) ΣA/ΣB, exact under
    random planes. ``n_needed`` is the number of cells at which the interval's half-width would be 20 % of the value.

    Parameters
    ----------
    sections : mapping of str to tables
        Section key to what `measure_section` returns.
    meta : mapping of str to SectionMeta
        The same keys.
    seed : int
        Of the bootstrap and the compression prior.

    Returns
    -------
    Atlas
        ``fractions``: label, v_v, low, high, s_v_per_um, thickness_bias (what outlines around all that is visible
        show too much), n_sections, n_units, n_blocks, n_needed, assessable, reason;
        ``wall``: mean_nm, sd_nm (between cells, obliquity removed), low, high, median_nm (oblique fit),
        n_sections, n_units, n_blocks, n_needed, compression (mean of the prior that was taken out);
        ``sizes``: label, n_profiles, mean_area_um2, diameter_nm, diameter_sd_nm, cap_deg (Keiding's model),
        n_per_um3 (bodies in a µm³ of cell), width_nm;
        ``depth``: s_bin, label, p, density_mean, density_sd (z of cytoplasm), n_px;
        ``measurements``: measurement table, one row a unit: its area fractions, with n_support = cell area
        in (10 nm)², the weight under which their mean is the ratio estimate; wall_thickness linearised
        (unweighted mean = estimate);
        ``meta``: one row a section.

    Raises
    ------
    ValueError
        A section without meta, or sections of more than one strain.
    """
    keys = sorted(sections)
    missing = [k for k in keys if k not in meta]
    if missing:
        raise ValueError(f"No meta for section(s) {', '.join(missing)}.")
    strains = sorted({meta[k].strain for k in keys} - {""})
    if len(strains) > 1:
        raise ValueError(f"Sections of {len(strains)} strains ({', '.join(strains)}) make no one atlas.")
    warnings: list[str] = []
    rows = pd.DataFrame(
        [
            (k, m.unit or k, m.block or f"unit:{m.unit or k}", m.sampling, m.thickness_nm, m.outline)
            for k, m in ((k, meta[k]) for k in keys)
        ],
        columns=["section", "unit", "block", "sampling", "thickness_nm", "outline"],
    )
    areas = _stack(sections, "areas", keys).merge(rows, on="section")
    walls = _stack(sections, "wall", keys).merge(rows, on="section")
    bodies = _stack(sections, "bodies", keys)
    compression = {k: meta[k].compression for k in keys}
    mean_c = {k: c.mean if c else 0.0 for k, c in compression.items()}
    random, reason = _random(areas, warnings)
    _warn(keys, areas, random, walls, compression, warnings)
    design = design_of(random)
    counted = random["section"].unique()
    used = (random, walls[walls["section"].isin(counted)], bodies[bodies["section"].isin(counted)])
    undone, as_opaque = undone_areas(*used, opaque=None), undone_areas(*used, opaque=True)
    stretch = float(np.mean([wall_stretch(mean_c[k]) for k in counted])) if len(counted) else 1.0
    fractions = fractions_table(undone, as_opaque, design, reason, seed, stretch)
    wall, wall_rows = wall_table(walls, design_of(walls), compression, seed + 1)
    cell_um2 = sum(
        float(area) / (1 - mean_c[str(k)]) for k, area in undone.groupby("section")["cell_um2"].first().items()
    )
    tables = {
        "fractions": fractions,
        "wall": wall,
        "sizes": _sizes(used[2].assign(compression=used[2]["section"].map(mean_c)), cell_um2),
        "depth": _depth(_stack(sections, "depth", keys)),
        "measurements": _measurements(fraction_rows(undone, design, reason) + wall_rows),
        "meta": rows,
    }
    return Atlas(tables, warnings)


def _random(areas: pd.DataFrame, warnings: list[str]) -> tuple[pd.DataFrame, str]:
    """Rows of sections sampled at random; all of them, with the reason against their fractions, if none was."""
    random = areas[areas["sampling"] == "random"]
    if len(random) == 0 and len(areas):
        warnings.append(_SELECTED)
        return areas, _SELECTED
    if len(random) < len(areas):
        left = areas.loc[areas["sampling"] != "random", "section"].nunique()
        warnings.append(f"{left} section(s) not sampled at random are left out of volume fractions.")
    return random, ""


def _warn(
    keys: list[str],
    areas: pd.DataFrame,
    random: pd.DataFrame,
    walls: pd.DataFrame,
    compression: Mapping[str, Compression | None],
    warnings: list[str],
) -> None:
    """Say what the numbers do not rest on."""
    if not keys:
        warnings.append("No sections: the atlas is empty.")
        return
    # A section without any profile samples nothing, but its meta row stays.
    empty = len(keys) - areas["section"].nunique()
    if empty:
        warnings.append(f"{empty} section(s) show no cell and count for nothing.")
    if not len(areas):
        return
    cells, blocks = random["unit"].nunique(), random["block"].nunique()
    if cells < FEWEST_UNITS:
        warnings.append(
            f"Only {cells} cell(s) were sectioned: fractions have no interval, {FEWEST_UNITS} are the least."
        )
    elif blocks < FEWEST_UNITS:
        warnings.append(f"Only {blocks} resin block(s): intervals are those between cells, not between blocks.")
    if walls["unit"].nunique() < FEWEST_UNITS:
        warnings.append("Fewer than four cells with a wall: its thickness has no interval.")
    unknown = [k for k in areas["section"].unique() if compression[k] is None]
    if unknown:
        warnings.append(
            f"Compression by the knife is not known for {len(unknown)} section(s): taken as none, so that the wall may "
            "come out too thin. Remedy: name the resin, or compression = …, in the sidecars."
        )
    assumed = sorted({c.source for c in compression.values() if c is not None and c.sd > 0})
    warnings += [f"Compression by the knife is a prior: {source}." for source in assumed]


def _sizes(bodies: pd.DataFrame, cell_um2: float) -> pd.DataFrame:
    """Unfolded sizes and numbers of organelles, as if spheres; NaN where too few were seen."""
    result = []
    for label in ORGANELLES:
        mine = bodies[bodies["label"] == label]
        area = mine["area_um2"].to_numpy(float) / (1 - mine["compression"].to_numpy(float))
        width = mine["width_nm"].to_numpy(float) / length_kept(mine["compression"].to_numpy(float))
        profile_nm = 2000.0 * np.sqrt(area / np.pi)
        sizes = unfold(profile_nm, least_nm=_LEAST_PROFILE_NM)
        seen = np.count_nonzero(profile_nm > _LEAST_PROFILE_NM)
        result.append(
            {
                "label": label,
                "n_profiles": len(mine),
                "mean_area_um2": float(area.mean()) if len(area) else float("nan"),
                "diameter_nm": sizes.mean_nm,
                "diameter_sd_nm": sizes.sd_nm,
                "cap_deg": sizes.cap_deg,
                "n_per_um3": seen / (sizes.seen_nm / 1000.0) / cell_um2 if cell_um2 > 0 else float("nan"),
                "width_nm": float(np.median(width)) if len(width) else float("nan"),
            }
        )
    return pd.DataFrame(result)


def _depth(depth: pd.DataFrame) -> pd.DataFrame:
    """p(label | s) and density given label and s, pooled over pixels of all sections."""
    columns = ["s_bin", "label", "p", "density_mean", "density_sd", "n_px"]
    if not len(depth):
        return pd.DataFrame({c: pd.Series(dtype=str if c == "label" else float) for c in columns})
    # Texture is what varies within a section; levels differ between sections by stain and focus.
    depth = depth.assign(z_within=depth["z_sum2"] - depth["z_sum"] ** 2 / depth["n_px"])
    names = ["n_px", "z_sum", "z_within"]
    pooled = depth.groupby(["s_bin", "label"], as_index=False)[names].sum()
    pooled[names] = pooled[names].astype(float)
    pooled["p"] = pooled["n_px"] / pooled.groupby("s_bin")["n_px"].transform("sum")
    pooled.loc[(pooled["s_bin"] < 0) | (pooled["s_bin"] >= DEPTH_BINS), "p"] = np.nan
    pooled["density_mean"] = pooled["z_sum"] / pooled["n_px"]
    pooled["density_sd"] = np.sqrt(np.maximum(pooled["z_within"] / pooled["n_px"], 0.0))
    return pooled[columns].astype({"s_bin": int})


def _measurements(rows: list[tuple]) -> pd.DataFrame:
    """Build the measurement table of the TEM side."""
    columns = [
        "key",
        "unit",
        "block",
        "characteristic",
        "value",
        "unit_of_measure",
        "assessable",
        "reason",
        "n_support",
    ]
    table = pd.DataFrame(rows, columns=columns)
    if not rows:  # typed like any other: where no section counts the table is empty, and still as declared
        table = table.astype(dict.fromkeys(columns, str) | {"value": float, "assessable": bool, "n_support": int})
    table["side"], table["modality"], table["sd"] = "tem", "tem", np.nan
    table["block"] = table["block"].where(~table["block"].astype(str).str.startswith("unit:"), "")
    return table[list(MEASUREMENT_COLUMNS)]


def _stack(sections: Mapping[str, Mapping[str, pd.DataFrame]], name: str, keys: list[str]) -> pd.DataFrame:
    """One table of all sections with a ``section`` column first."""
    frames = [sections[k][name].assign(section=k) for k in keys if len(sections[k][name])]
    if frames:
        return pd.concat(frames, ignore_index=True)
    template = _EMPTY[name]
    return pd.DataFrame({c: pd.Series(dtype=t) for c, t in template.items()})


_EMPTY = {
    "areas": {"section": str, "label": str, "area_um2": float, "boundary_um": float, "cell_um2": float},
    "bodies": {"section": str, "label": str, "area_um2": float, "width_nm": float},
    "wall": {
        "section": str,
        "area_um2": float,
        "middle_um": float,
        "outline_um": float,
        "apparent_nm": float,
        "n_outline_px": float,
        "touches_border": bool,
    },
    "depth": {"section": str, "s_bin": int, "label": str, "n_px": float, "z_sum": float, "z_sum2": float},
}
