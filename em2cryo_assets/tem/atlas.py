"""Add measured sections up to the interior atlas of a population.

Belongs here: population estimates from many sections, each with the units it rests on and would need.
Does not belong here: measuring one section (`tem.measure`), closed forms (`tem.stereology`), placing
organelles (`fusion`).

Sections are slices of other cells in random planes: everything here is a statement about the population,
nothing about one cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from em2cryo_assets.tem.measure import DEPTH_BINS, measure_section
from em2cryo_assets.tem.resampling import (
    FEWEST_UNITS,
    Design,
    bootstrap_weights,
    design_of,
    interval,
    units_needed,
)
from em2cryo_assets.tem.stereology import (
    holmes_correction,
    linearised_units,
    mean_shell_thickness,
    oblique_shell_fit,
    ratio_estimate,
    unfolded_diameter,
)
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

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
_SUPPORT_UM2 = 1.0e-4
"""Unit of n_support of fractions: (10 nm)², whatever the pixel size of a unit's sections."""
_DARKER = frozenset({"wall", "membrane", "mitochondrion"})
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
    compression : tuple of float, optional
        Mean and SD of the relative shortening along the knife's path, from the resin; None where not known.
    outline : str
        ``half-density`` for outlines at the midpoint of two levels (`tem.labels`), ``opaque`` for outlines
        drawn around all that is visible, which Holmes' effect enlarges.
    """

    unit: str
    block: str
    sampling: str
    thickness_nm: float
    compression: tuple[float, float] | None = None
    outline: Literal["half-density", "opaque"] = "half-density"


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

    Volume fractions are ratio estimates over random sections; intervals are 95 % percentile intervals of a
    two-stage cluster bootstrap (blocks, then cells within blocks). The wall is T = (π/4) ΣA/ΣB, exact under
    random planes.
    ``n_needed`` is the number of cells at which the interval's half-width would be 20 % of the value.

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
        ``fractions``: label, v_v, low, high, s_v_per_um, thickness_bias (the Holmes term ± t·S_V/4: what
        opaque outlines would add), n_sections, n_units, n_blocks, n_needed, assessable, reason;
        ``wall``: mean_nm, sd_nm (between cells, obliquity removed), low, high, median_nm (oblique fit),
        n_sections, n_units, n_blocks, n_needed;
        ``sizes``: label, n_profiles, mean_area_um2, diameter_nm, width_nm;
        ``depth``: s_bin, label, p, density_mean, density_sd (z of cytoplasm), n_px;
        ``measurements``: measurement table, one row a unit: its area fractions, with n_support = cell area
        in (10 nm)², the weight under which their mean is the ratio estimate; wall_thickness linearised
        (unweighted mean = estimate);
        ``meta``: one row a section.

    Raises
    ------
    ValueError
        A section without meta.
    """
    keys = sorted(sections)
    missing = [k for k in keys if k not in meta]
    if missing:
        raise ValueError(f"No meta for section(s) {', '.join(missing)}.")
    warnings: list[str] = []
    rows = pd.DataFrame(
        [
            (k, m.unit or k, m.block or f"unit:{m.unit or k}", m.sampling, m.thickness_nm, m.outline)
            for k, m in ((k, meta[k]) for k in keys)
        ],
        columns=["section", "unit", "block", "sampling", "thickness_nm", "outline"],
    )
    if not keys:
        warnings.append("No sections: the atlas is empty.")
    areas = _stack(sections, "areas", keys).merge(rows, on="section")
    # A section without any profile samples nothing, but its meta row stays.
    random = areas[areas["sampling"] == "random"]
    reason = ""
    if len(random) == 0 and len(areas):
        random, reason = areas, _SELECTED
        warnings.append(_SELECTED)
    elif len(random) < len(areas):
        left = areas.loc[areas["sampling"] != "random", "section"].nunique()
        warnings.append(f"{left} section(s) not sampled at random are left out of volume fractions.")
    if len(areas) and any(meta[k].compression is None for k in keys):
        warnings.append(
            "Knife compression is not recorded for all sections: taken as zero there, so the wall may be too thick."
        )
    design = design_of(random)
    fractions, measured = _fractions(random, design, reason, seed)
    wall, wall_measured = _wall(sections, keys, rows, meta, seed, warnings)
    tables = {
        "fractions": fractions,
        "wall": wall,
        "sizes": _sizes(_stack(sections, "bodies", keys)),
        "depth": _depth(_stack(sections, "depth", keys)),
        "measurements": _measurements(measured + wall_measured),
        "meta": rows,
    }
    return Atlas(tables, warnings)


def _fractions(table: pd.DataFrame, design: Design, reason: str, seed: int) -> tuple[pd.DataFrame, list[tuple]]:
    """Volume fraction of every label, and the unit rows of the organelles."""
    result, measured = [], []
    n_sections = table["section"].nunique() if len(table) else 0
    n_blocks = len(set(design.blocks))
    weights = bootstrap_weights(design, seed) if design.units else np.zeros((0, 0))
    for label in [name for name in LABELS if name != "outside"]:
        mine = table[table["label"] == label]
        sums = mine.groupby("unit")[["area_um2", "boundary_um", "cell_um2"]].sum().reindex(design.units)
        part, whole = sums["area_um2"].to_numpy(float), sums["cell_um2"].to_numpy(float)
        v_v = ratio_estimate(part, whole)
        s_v = 4 / np.pi * ratio_estimate(sums["boundary_um"].to_numpy(float), whole)
        thickness = float(mine["thickness_nm"].mean()) if len(mine) else float("nan")
        opaque = bool(len(mine)) and bool((mine["outline"] == "opaque").all())
        corrected = holmes_correction(v_v, s_v, thickness, darker=label in _DARKER) if opaque else v_v
        shift = corrected - v_v
        low, high, _ = interval(part, whole, weights)
        values = linearised_units(part, whole) + shift if len(part) else np.array([])
        result.append(
            (
                label,
                corrected,
                low + shift if np.isnan(low) else max(0.0, low + shift),
                high + shift,
                s_v,
                thickness / 1000.0 * s_v / 4.0,
                n_sections,
                len(design.units),
                n_blocks,
                units_needed(values),
                not reason and bool(len(part)),
                reason if len(part) else "No section shows a cell.",
            )
        )
        if label in ORGANELLES:
            shares = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0) + shift
            support = np.rint(whole / _SUPPORT_UM2)
            for unit, block, key, value, n in zip(
                design.units, design.blocks, design.first_section, shares, support, strict=True
            ):
                measured.append((key, unit, block, f"fraction_{label}", value, "", not reason, reason, int(n)))
    columns = [
        "label",
        "v_v",
        "low",
        "high",
        "s_v_per_um",
        "thickness_bias",
        "n_sections",
        "n_units",
        "n_blocks",
    ]
    return pd.DataFrame(result, columns=[*columns, "n_needed", "assessable", "reason"]), measured


def _wall(
    sections: Mapping[str, Mapping[str, pd.DataFrame]],
    keys: list[str],
    rows: pd.DataFrame,
    meta: Mapping[str, SectionMeta],
    seed: int,
    warnings: list[str],
) -> tuple[pd.DataFrame, list[tuple]]:
    """Mean wall thickness with its interval, compression marginalised, and the unit rows."""
    table = _stack(sections, "wall", keys).merge(rows, on="section")
    design = design_of(table)
    sums = table.groupby("unit")[["area_um2", "middle_um"]].sum().reindex(design.units)
    part = sums["area_um2"].to_numpy(float) * np.pi / 4 * 1000.0
    whole = sums["middle_um"].to_numpy(float)
    known = [meta[k].compression for k in keys]
    means = [c[0] if c else 0.0 for c in known] or [0.0]
    sds = [c[1] if c else 0.0 for c in known] or [0.0]
    # One affine a section: areas shrink by (1−c), isotropic lengths by (1−c/2), hence A/B by their ratio.
    mean_c, sd_c = float(np.mean(means)), float(np.mean(sds))
    stretch = (1 - mean_c / 2) / (1 - mean_c)
    thickness = mean_shell_thickness(float(sums["area_um2"].sum()), float(whole.sum())) * stretch
    low = high = float("nan")
    if len(design.units) >= FEWEST_UNITS:
        _, _, replicates = interval(part, whole, bootstrap_weights(design, seed + 1))
        rng = np.random.default_rng(np.random.SeedSequence([seed, 77]))
        drawn = np.clip(rng.normal(mean_c, sd_c, len(replicates)), 0.0, 0.6)
        low, high = np.percentile(replicates * (1 - drawn / 2) / (1 - drawn), [2.5, 97.5])
    elif len(table):
        warnings.append("Fewer than four cells with a wall: its thickness has no interval.")
    values = linearised_units(part, whole) * stretch if len(part) else np.array([])
    whole_profiles = table[~table["touches_border"].astype(bool) & (table["apparent_nm"] > 0)]
    median_nm, sd_log = oblique_shell_fit(whole_profiles["apparent_nm"].to_numpy(float))
    record = {
        "mean_nm": thickness,
        "sd_nm": sd_log * thickness,
        "low": float(low),
        "high": float(high),
        "median_nm": median_nm * stretch,
        "n_sections": table["section"].nunique(),
        "n_units": len(design.units),
        "n_blocks": len(set(design.blocks)),
        "n_needed": units_needed(values),
    }
    support = table.groupby("unit")["n_outline_px"].sum().reindex(design.units).to_numpy()
    measured = [
        (key, unit, block, "wall_thickness", value, "nm", True, "", int(n))
        for unit, block, key, value, n in zip(
            design.units, design.blocks, design.first_section, values, support, strict=True
        )
    ]
    return pd.DataFrame([record]), measured


def _sizes(bodies: pd.DataFrame) -> pd.DataFrame:
    """Unfolded sizes of organelles, as if spheres; NaN where none was seen."""
    result = []
    for label in ORGANELLES:
        mine = bodies[bodies["label"] == label]
        area = float(mine["area_um2"].mean()) if len(mine) else float("nan")
        width = float(mine["width_nm"].median()) if len(mine) else float("nan")
        result.append((label, len(mine), area, unfolded_diameter(area), width))
    return pd.DataFrame(result, columns=["label", "n_profiles", "mean_area_um2", "diameter_nm", "width_nm"])


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
        "apparent_nm": float,
        "n_outline_px": float,
        "touches_border": bool,
    },
    "depth": {"section": str, "s_bin": int, "label": str, "n_px": float, "z_sum": float, "z_sum2": float},
}
