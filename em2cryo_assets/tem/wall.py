"""Thickness of the wall of a population from sections in random planes.

Belongs here: the wall's mean thickness, its spread between cells and its interval, compression marginalised.
Does not belong here: closed forms (`tem.stereology`, `tem.compression`), areas of other labels (`tem.fractions`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from em2cryo_assets.tem.compression import Compression, wall_stretch
from em2cryo_assets.tem.resampling import Design, bootstrap_weights, interval, units_needed
from em2cryo_assets.tem.stereology import holmes_area, linearised_units, mean_shell_thickness, oblique_shell_fit

__all__ = ["wall_table"]

_UNCOMPRESSED = Compression(0.0, 0.0, "")


def wall_table(
    walls: pd.DataFrame, design: Design, compression: Mapping[str, Compression | None], seed: int
) -> tuple[pd.DataFrame, list[tuple]]:
    """Mean wall thickness with its interval, and the unit rows of the measurement table.

    Compression is one unknown a resin, not one a section: what the knife does to one section of a resin it does
    to the next, so that more sections do not average it away.

    Parameters
    ----------
    walls : pandas.DataFrame
        Table ``wall`` of `measure_section` with columns section, unit, block, outline, thickness_nm.
    design : Design
        Of ``walls``.
    compression : mapping of str to Compression
        By section; None counts as none.
    seed : int
        Of the bootstrap and the compression.

    Returns
    -------
    table : pandas.DataFrame
        One row, as `build_atlas` says.
    rows : list of tuple
    """
    walls = _undone(walls)
    prior = [compression.get(key) or _UNCOMPRESSED for key in walls["section"]]
    groups = sorted(set(prior), key=lambda c: (c.mean, c.sd, c.source))
    weights = bootstrap_weights(design, seed) if design.units else np.zeros((0, 0))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 77]))
    whole = walls.groupby("unit")["middle_um"].sum().reindex(design.units).to_numpy(float)
    part, resampled = np.zeros(len(design.units)), np.zeros(len(weights))
    for group in groups:
        mine = walls[[one == group for one in prior]]
        area = mine.groupby("unit")["area_um2"].sum().reindex(design.units, fill_value=0.0).to_numpy(float)
        part += area * float(wall_stretch(group.mean))
        resampled += weights @ area * wall_stretch(group.drawn(rng.normal(size=len(weights))))
    total = weights @ whole
    low, high = interval(
        np.pi / 4 * 1000.0 * resampled[total > 0] / total[total > 0] if len(total) else total,
        len(set(design.clusters)),
    )
    thickness = mean_shell_thickness(float(part.sum()), float(whole.sum()))
    stretch = np.array([float(wall_stretch(one.mean)) for one in prior])
    whole_profiles = (~walls["touches_border"].astype(bool) & (walls["apparent_nm"] > 0)).to_numpy(bool)
    median_nm, sd_log = oblique_shell_fit((walls["apparent_nm"].to_numpy(float) * stretch)[whole_profiles])
    record = {
        "mean_nm": thickness,
        "sd_nm": sd_log * thickness,
        "low": low,
        "high": high,
        "median_nm": median_nm,
        "n_sections": walls["section"].nunique(),
        "n_units": len(design.units),
        "n_blocks": len(set(design.blocks)),
        "n_needed": units_needed(thickness, low, high, len(design.units)),
        "compression": float(np.mean([one.mean for one in prior])) if prior else float("nan"),
    }
    values = linearised_units(part * np.pi / 4 * 1000.0, whole) if len(part) else np.array([])
    support = walls.groupby("unit")["n_outline_px"].sum().reindex(design.units).to_numpy()
    rows = [
        (key, unit, block, "wall_thickness", value, "nm", True, "", int(n))
        for unit, block, key, value, n in zip(
            design.units, design.blocks, design.first_section, values, support, strict=True
        )
    ]
    return pd.DataFrame([record]), rows


def _undone(walls: pd.DataFrame) -> pd.DataFrame:
    """Walls between opaque outlines brought back to what a plane would cut: see `fractions.undone_areas`."""
    opaque = (walls["outline"] == "opaque").to_numpy(bool)
    if not opaque.any():
        return walls
    t = walls["thickness_nm"].to_numpy(float)
    outer = walls["outline_um"].to_numpy(float)
    inner = 2 * walls["middle_um"].to_numpy(float) - outer
    # Faces are shifted alike: what is left is the difference of two curved ones.
    area = walls["area_um2"].to_numpy(float) + (
        holmes_area(0.0, outer, 1, t, darker=True) - holmes_area(0.0, inner, 1, t, darker=True)
    )
    middle = np.maximum(walls["middle_um"].to_numpy(float) - np.pi * t / 1000.0, 0.0)
    return walls.assign(
        area_um2=np.where(opaque, area, walls["area_um2"]), middle_um=np.where(opaque, middle, walls["middle_um"])
    )
