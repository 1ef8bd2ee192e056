"""Sampling units of a population of sections and what their number says about precision.

Belongs here: units and blocks, the cluster bootstrap, how many units would be needed.
Does not belong here: what is estimated (`tem.atlas`, `tem.stereology`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["FEWEST_UNITS", "Design", "bootstrap_weights", "design_of", "interval", "units_needed"]

FEWEST_UNITS = 4
"""With fewer units a resampled interval is an artefact of their number: none is given."""

_REPLICATES = 2000
_WANTED_HALF_WIDTH = 0.20


@dataclass(frozen=True)
class Design:
    """Independent units in a fixed order.

    Parameters
    ----------
    units : list of str
        Cells.
    blocks : list of str
        Resin block of each.
    first_section : list of str
        First section of each, by name.
    """

    units: list[str]
    blocks: list[str]
    first_section: list[str]


def design_of(table: pd.DataFrame) -> Design:
    """List the sampling units of a table, sorted, so that row order never matters.

    Parameters
    ----------
    table : pandas.DataFrame
        With columns unit, block, section.

    Returns
    -------
    Design
    """
    first = table.groupby("unit")[["block", "section"]].min().sort_index() if len(table) else pd.DataFrame()
    if not len(first):
        return Design([], [], [])
    return Design(list(first.index), list(first["block"]), list(first["section"]))


def bootstrap_weights(design: Design, seed: int) -> NDArray[np.float64]:
    """Draw units: blocks with replacement, then units with replacement within each drawn block.

    Parameters
    ----------
    design : Design
        At least one unit.
    seed : int
        Of the draws.

    Returns
    -------
    numpy.ndarray, float64, shape (2000, units)
        How often each unit enters each replicate.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(design.units)]))
    names = sorted(set(design.blocks))
    members = [np.flatnonzero(np.array(design.blocks) == name) for name in names]
    weights = np.zeros((_REPLICATES, len(design.units)))
    for replicate in weights:
        for block in rng.integers(0, len(names), len(names)):
            inside = members[block]
            np.add.at(replicate, inside[rng.integers(0, len(inside), len(inside))], 1.0)
    return weights


def interval(
    part: NDArray[np.float64], whole: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float, NDArray[np.float64]]:
    """95 % percentile interval of Σ part / Σ whole.

    Parameters
    ----------
    part, whole : numpy.ndarray, float64, shape (units,)
        Sums by unit.
    weights : numpy.ndarray, float64, shape (replicates, units)
        From `bootstrap_weights`.

    Returns
    -------
    low, high : float
        NaN with fewer than four units.
    replicates : numpy.ndarray, float64
        All resampled ratios.
    """
    if len(part) < FEWEST_UNITS:
        return float("nan"), float("nan"), np.array([])
    total = weights @ whole
    replicates = (weights @ part)[total > 0] / total[total > 0]
    low, high = np.percentile(replicates, [2.5, 97.5])
    return float(low), float(high), replicates


def units_needed(values: NDArray[np.float64]) -> int:
    """Count the units at which 1.96 standard errors would be 20 % of the mean; 0 where it cannot be said.

    Parameters
    ----------
    values : numpy.ndarray, float64, shape (units,)
        Unit values whose mean is the estimate (`stereology.linearised_units`).
    """
    mean = float(np.mean(values)) if len(values) else 0.0
    if len(values) < FEWEST_UNITS or mean <= 0:
        return 0
    return int(np.ceil((1.96 * float(np.std(values, ddof=1)) / (_WANTED_HALF_WIDTH * mean)) ** 2))
