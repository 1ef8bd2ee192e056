"""What a two-dimensional overview of frozen cells shows: axis ratios of outlines, a cell each.

Belongs here: the rows of the measurement table for maps of lamellae (random plane cuts) and of whole cells in ice
(silhouettes), and what limits them. Does not belong here: finding outlines (`cryoet.overview`), their geometry
(`outlines`), the side of the meshes (`shape`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.descriptors import UNITS, Row, measurement_row, measurement_table
from em2cryo_assets.compare.outlines import seen_outlines

__all__ = ["LIMITS", "overview_measurements"]

_CUTS: Final = "outline_axis_ratio"
_SILHOUETTES: Final = "silhouette_axis_ratio"

LIMITS: Final = {
    _CUTS: (
        "A lamella cuts each cell in an unknown plane: only the mean over many cells says anything of their shape, and a "
        "large cell is met more often than a small one."
    ),
    _SILHOUETTES: (
        "The directions were taken as random; cells in a film of ice lie flat and may be flattened by it, which makes "
        "silhouettes longer or rounder than those of free cells."
    ),
}
"""By characteristic, what no number of outlines mends; shown with every overview."""


def overview_measurements(
    outlines: NDArray[np.integer], pixel_nm: tuple[float, float], *, lamella: bool, key: str, unit: str
) -> tuple[pd.DataFrame, list[str]]:
    """Measure one overview; each whole outline of one body is an independent cell.

    Parameters
    ----------
    outlines : numpy.ndarray, integer, shape (y, x)
        Number of the cell, 0 outside.
    pixel_nm : tuple of float
        (y, x), nm.
    lamella : bool
        Whether outlines are cuts through cells, else whole cells in ice.
    key, unit : str
        The overview's key; identity that its cells' numbers are added to.

    Returns
    -------
    table : pandas.DataFrame
        `descriptors.MEASUREMENT_COLUMNS`, side "cryo": a row for every usable outline, and one for every other
        characteristic with the reason.
    left_out : list of str
        One sentence a kind of outline that could not be used.
    """
    seen = seen_outlines(outlines, pixel_nm)
    measured, other = (_CUTS, _SILHOUETTES) if lamella else (_SILHOUETTES, _CUTS)
    base: Row = {"side": "cryo", "key": key, "unit": unit, "block": "", "modality": "overview"}
    rows = [
        measurement_row({**base, "unit": f"{unit}-{number}"}, measured, ratio, "", n_support=1)
        for number, (ratio, why) in seen.items()
        if not why
    ]
    whys = [why for _, why in seen.values() if why]
    left_out = [f"{whys.count(why)} of {len(seen)} outlines left out: {why}." for why in dict.fromkeys(whys)]
    if not rows:
        none = (
            "no cell was found in this overview" if not seen else "no whole outline of one body lies in this overview"
        )
        rows.append(measurement_row(base, measured, float("nan"), none, n_support=0))
    reasons = dict.fromkeys(UNITS, "a two-dimensional overview shows outlines only")
    reasons[other] = "a lamella shows cuts, not silhouettes" if lamella else "whole cells in ice show no cuts"
    rows += [
        measurement_row(base, name, float("nan"), reason, n_support=0)
        for name, reason in reasons.items()
        if name != measured
    ]
    return measurement_table(rows), left_out
