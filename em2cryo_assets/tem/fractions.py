"""Volume fractions of a population from the areas that its sections show.

Belongs here: thick-section corrections of areas, the ratio estimator for every label, what each number rests on.
Does not belong here: the wall's thickness (`tem.wall`), closed forms (`tem.stereology`), resampling (`tem.resampling`).
"""

import numpy as np
import pandas as pd

from em2cryo_assets.tem.resampling import Design, bootstrap_weights, interval, units_needed
from em2cryo_assets.tem.stereology import holmes_area, ratio_estimate
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

__all__ = ["fraction_rows", "fractions_table", "undone_areas"]

_DARKER = {"nucleus": True, "vacuole": False, "mitochondrion": True, "lipid_droplet": False}
"""Whether an outline around all that is visible follows the union of what lies in the section (a nucleus is drawn
along its stained envelope) or only what is clear throughout."""
_SUPPORT_UM2 = 1.0e-4
"""Unit of n_support of fractions: (10 nm)², whatever the pixel size of a unit's sections."""


def undone_areas(areas: pd.DataFrame, walls: pd.DataFrame, bodies: pd.DataFrame, opaque: bool | None) -> pd.DataFrame:
    """Areas by section and label, with the section's thickness taken out of opaque outlines.

    The cell's own outline and the inner face of its wall are both drawn too far out by opaque outlines: resin is
    paler than wall, wall paler than the stained body. Their shifts nearly cancel in the wall and leave a cell that
    is too large; cytoplasm is what remains.

    Parameters
    ----------
    areas, walls, bodies : pandas.DataFrame
        Tables of `measure_section` with columns section, unit, block, outline and thickness_nm in ``areas``.
    opaque : bool or None
        Treat all outlines as opaque or as drawn at half density; None leaves it to the column ``outline``.

    Returns
    -------
    pandas.DataFrame
        section, unit, block, label, area_um2, boundary_um, cell_um2, thickness_nm: one row a section and label.
    """
    by = ["section", "unit", "block", "outline", "thickness_nm", "label"]
    sums = areas.groupby(by, as_index=False)[["area_um2", "boundary_um", "cell_um2"]].sum()
    if opaque is False or not len(sums):
        return sums
    drawn = sums["outline"].to_numpy() == "opaque" if opaque is None else np.ones(len(sums), bool)
    if not drawn.any():
        return sums
    counts = bodies.groupby(["section", "label"]).size().rename("bodies")
    sums = sums.join(counts, on=["section", "label"]).fillna({"bodies": 0})
    faces = walls.groupby("section")[["area_um2", "middle_um", "outline_um"]].sum()
    faces["profiles"] = walls.groupby("section").size()
    faces = faces.reindex(sums["section"])
    t, n = sums["thickness_nm"].to_numpy(float), faces["profiles"].to_numpy(float)
    outer, inner = faces["outline_um"].to_numpy(float), (2 * faces["middle_um"] - faces["outline_um"]).to_numpy(float)
    cell = holmes_area(sums["cell_um2"], outer, n, t, darker=True)
    body = holmes_area(sums["cell_um2"].to_numpy(float) - faces["area_um2"].to_numpy(float), inner, n, t, darker=True)
    area = sums["area_um2"].to_numpy(float).copy()
    for label, darker in _DARKER.items():
        mine = (sums["label"] == label).to_numpy()
        seen = sums[mine]
        area[mine] = holmes_area(seen["area_um2"], seen["boundary_um"], seen["bodies"], t[mine], darker=darker)
    wall = (sums["label"] == "wall").to_numpy()
    area[wall] = (cell - body)[wall]
    rest = (sums["label"] == "cytoplasm").to_numpy()
    filled = pd.Series(np.where(wall | rest, 0.0, area)).groupby(sums["section"].to_numpy()).transform("sum")
    area[rest] = (body - filled.to_numpy())[rest]
    sums["area_um2"] = np.where(drawn, area, sums["area_um2"])
    sums["cell_um2"] = np.where(drawn, cell, sums["cell_um2"])
    return sums.drop(columns="bodies")


def fractions_table(
    areas: pd.DataFrame, as_opaque: pd.DataFrame, design: Design, reason: str, seed: int, stretch: float
) -> pd.DataFrame:
    """Volume fraction of every label with its interval.

    Parameters
    ----------
    areas : pandas.DataFrame
        From `undone_areas`, of the sections that count.
    as_opaque : pandas.DataFrame
        The same, all outlines treated as opaque: shows what the section's thickness would do.
    design : Design
        Of ``areas``.
    reason : str
        Why fractions are not assessable; empty where they are.
    seed : int
        Of the bootstrap.
    stretch : float
        Factor by which compression raised lengths per area (`compression.wall_stretch`).

    Returns
    -------
    pandas.DataFrame
        As `build_atlas` says.
    """
    rows = []
    weights = bootstrap_weights(design, seed) if design.units else np.zeros((0, 0))
    clusters = len(set(design.clusters))
    for label in [name for name in LABELS if name != "outside"]:
        mine, opaque = areas[areas["label"] == label], as_opaque[as_opaque["label"] == label]
        sums = mine.groupby("unit")[["area_um2", "boundary_um", "cell_um2"]].sum().reindex(design.units)
        part, whole = sums["area_um2"].to_numpy(float), sums["cell_um2"].to_numpy(float)
        v_v = ratio_estimate(part, whole)
        low, high = float("nan"), float("nan")
        if len(part):
            total = weights @ whole
            low, high = interval((weights @ part)[total > 0] / total[total > 0], clusters)
        without = ratio_estimate(opaque["area_um2"].to_numpy(float), opaque["cell_um2"].to_numpy(float))
        rows.append(
            {
                "label": label,
                "v_v": max(v_v, 0.0) if np.isfinite(v_v) else v_v,
                "low": low if np.isnan(low) else max(0.0, low),
                "high": high,
                "s_v_per_um": 4 / np.pi * ratio_estimate(sums["boundary_um"].to_numpy(float), whole) / stretch,
                "thickness_bias": v_v - without,
                "n_sections": areas["section"].nunique(),
                "n_units": len(design.units),
                "n_blocks": len(set(design.blocks)),
                "n_needed": units_needed(v_v, low, high, len(design.units)),
                "assessable": not reason and bool(len(part)),
                "reason": reason if len(part) else "No section shows a cell.",
            }
        )
    return pd.DataFrame(rows)


def fraction_rows(areas: pd.DataFrame, design: Design, reason: str) -> list[tuple]:
    """Rows of the measurement table: each organelle's share in each unit, weighted by the area of its cell."""
    rows = []
    for label in ORGANELLES:
        sums = areas[areas["label"] == label].groupby("unit")[["area_um2", "cell_um2"]].sum().reindex(design.units)
        part, whole = sums["area_um2"].to_numpy(float), sums["cell_um2"].to_numpy(float)
        shares = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        support = np.rint(np.maximum(whole, 0.0) / _SUPPORT_UM2)
        for unit, block, key, value, n in zip(
            design.units, design.blocks, design.first_section, shares, support, strict=True
        ):
            rows.append((key, unit, block, f"fraction_{label}", value, "", not reason, reason, int(n)))
    return rows
