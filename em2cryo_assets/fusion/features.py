"""The population's interior attached to one cell's shape: numbers, where the fused volume is a picture.

Belongs here: expected organelle volumes and depth profile of a cell of this shape, with what is not known of them.
Does not belong here: voxels (`fusion.volume`), what is measured on one cell (`compare.descriptors`).
"""

import numpy as np
import pandas as pd

from em2cryo_assets.tem.atlas import Atlas
from em2cryo_assets.tem.measure import DEPTH_BINS
from em2cryo_assets.tem.resampling import LEVEL
from em2cryo_assets.vocabulary import LABELS

__all__ = ["DRIED_LINEAR", "expected_depth", "expected_volumes"]

DRIED_LINEAR = (0.85, 0.08)
"""Mean and SD of a dried cell's size over the living one's: an assumption, wide on purpose (`docs/interior.md`)."""
_DRAWS = 20_000
_TO_SD = 3.29
"""Width of a 90 % interval of a normal distribution over its SD."""


def expected_volumes(atlas: Atlas, mesh_um3: float, seed: int) -> pd.DataFrame:
    """Volume of each part of a cell of this size, in µm³, as a share of the population.

    Parameters
    ----------
    atlas : Atlas
        Population tables.
    mesh_um3 : float
        Volume of the cell's mesh, as dried.
    seed : int
        Of the draws of the drying prior.

    Returns
    -------
    pandas.DataFrame
        label, v_v; dried_um3, dried_low, dried_high: of the cell as it was imaged, the interval the atlas's;
        living_um3, living_low, living_high: before drying, with the prior of `DRIED_LINEAR` marginalised (median and
        90 % interval); independent_cells: sectioned cells behind it, whatever the number of SEM cells; reason: why an
        interval is missing, else empty.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 53]))
    shrunk = np.clip(rng.normal(*DRIED_LINEAR, _DRAWS), 0.5, 1.0)
    grown = mesh_um3 / shrunk**3
    deviate = rng.normal(size=_DRAWS)
    tail = 100 * (1 - LEVEL) / 2
    rows = []
    for row in atlas.tables["fractions"].to_dict("records"):
        share, low, high = float(row["v_v"]), float(row["low"]), float(row["high"])
        known = bool(np.isfinite(low) and np.isfinite(high))
        reason = str(row["reason"]) or ("" if known else "too few sectioned cells for an interval")
        living = np.clip(share + deviate * (high - low) / _TO_SD, 0.0, 1.0) * grown
        bounds = np.percentile(living, [50, tail, 100 - tail]) if known else (float("nan"),) * 3
        rows.append(
            {
                "label": row["label"],
                "v_v": share,
                "dried_um3": share * mesh_um3,
                "dried_low": low * mesh_um3,
                "dried_high": high * mesh_um3,
                "living_um3": float(bounds[0]) if known else share * float(np.median(grown)),
                "living_low": float(bounds[1]),
                "living_high": float(bounds[2]),
                "independent_cells": int(row["n_units"]),
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


def expected_depth(atlas: Atlas, inradius_nm: float) -> pd.DataFrame:
    """What lies at which depth in a cell of this shape.

    Parameters
    ----------
    atlas : Atlas
        Population tables.
    inradius_nm : float
        Greatest depth below the plasma membrane of the cell.

    Returns
    -------
    pandas.DataFrame
        s_bin, depth_nm (middle of the bin below the plasma membrane), one column of shares a label, which add up to 1,
        and density: mean over labels, z of cytoplasm. Without rows where no section gives a depth.
    """
    table = atlas.tables["depth"]
    table = table[(table["s_bin"] >= 0) & (table["s_bin"] < DEPTH_BINS)]
    inside = [name for name, code in LABELS.items() if code > LABELS["wall"]]
    rows = []
    for number in sorted(set(table["s_bin"].astype(int))):
        mine = table[(table["s_bin"] == number) & table["label"].isin(inside)]
        weight = mine["n_px"].to_numpy(float)
        if weight.sum() == 0:
            continue
        shares = dict(zip(mine["label"], weight / weight.sum(), strict=True))
        rows.append(
            {
                "s_bin": number,
                "depth_nm": (number + 0.5) / DEPTH_BINS * inradius_nm,
                **{name: float(shares.get(name, 0.0)) for name in inside},
                "density": float(np.average(mine["density_mean"].to_numpy(float), weights=weight)),
            }
        )
    return pd.DataFrame(rows, columns=["s_bin", "depth_nm", *inside, "density"])
