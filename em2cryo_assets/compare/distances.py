"""How far the model's interior lies from the real one, beyond what real ones differ from each other.

Belongs here: vectors of pairs averaged over independent units, their distances at equal n, the excess over
real against real, and its error. Does not belong here: making vectors (`interior`, `pairs`), margins or
verdicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.statistics import MIN_UNITS, auc, jackknife

__all__ = ["VALID_CONTROLS", "Excess", "distance_excess"]

VALID_CONTROLS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "depth_profile": ("homogeneous", "label_permuted", "phase_randomised"),
        "density_distribution": ("homogeneous", "phase_randomised"),
        "power_spectrum": ("homogeneous",),
        "autocorrelation_length": ("homogeneous",),
    }
)
"""Fakes that destroy what is measured. Permuted labels keep each label's own distribution, random phases
the spectrum and with it the autocorrelation: they would pass rightly, and are no control there."""

_SPLITS: Final = 400
_MAX_CELL_GROUPS: Final = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Excess:
    """Distance of one variant to the reference, against the reference's distance to itself.

    Parameters
    ----------
    observed : float
        Mean distance, variant of one half of the units against the reference of the other half.
    positive : float
        The same for the reference against itself: what noise and nature alone make of it.
    excess, se : float
        observed - positive and its jackknife standard error.
    auc : float
        Probability that a random half of the variant lies further off than a random half of the reference.
    n_units, n_cells, n_half : int
        Independent tomogram units, SEM cells, and units in each half.
    """

    observed: float
    positive: float
    excess: float
    se: float
    auc: float
    n_units: int
    n_cells: int
    n_half: int


def distance_excess(pairs: pd.DataFrame, characteristic: str, variant: str, *, seed: int) -> Excess | None:
    """Excess of one variant's distance in one characteristic.

    A distance of averages shrinks with their number, so both distances are taken between averages of the
    same number of units, h = (n - 1) // 2, drawn as disjoint halves: variant (matched to the tomograms of
    half A) against the tomograms of half B, and tomograms A against tomograms B. One random cell stands
    for the model in each unit, as one real cell does on the other side. With h fixed this is a U-statistic;
    its leave-one-unit-out values average to it and give Tukey's jackknife. The SEM cells are left out in
    groups in the same way and their variance is added (an upper bound for crossed factors).

    Parameters
    ----------
    pairs : pandas.DataFrame
        Vectors of pairs (`pairs.PAIR_COLUMNS`), any characteristics and variants.
    characteristic, variant : str
        Which to compare with the variant "reference".
    seed : int
        Of the halves.

    Returns
    -------
    Excess or None
        None where fewer than `MIN_UNITS` units have both, or no bin is shared.
    """
    cube = _cube(pairs, characteristic, variant)
    if cube is None:
        return None
    real, model = cube
    n = real.shape[0]
    labels = characteristic == "density_distribution"
    groups = _bin_groups(pairs, characteristic, variant) if labels else np.zeros(real.shape[1], dtype=int)
    kept = (np.isfinite(real).mean(axis=0) >= 0.5) & (np.isfinite(model).any(axis=1).mean(axis=0) >= 0.5)
    if not kept.any():
        return None
    real, model, groups = real[:, kept], model[:, :, kept], groups[kept]
    halves = _halves(n, seed)
    observed, positive = _distances(real, model, groups, halves, absolute=labels)
    if not np.isfinite(observed).any():
        return None
    gaps = np.nanmean(observed - positive, axis=1)
    excess, se = jackknife(gaps[np.isfinite(gaps)])
    variance = se**2
    if variant == "model":
        variance += _cell_variance(real, model, groups, halves, absolute=labels)
    finite = np.isfinite(observed) & np.isfinite(positive)
    return Excess(
        float(np.nanmean(observed)),
        float(np.nanmean(positive)),
        excess,
        float(np.sqrt(variance)),
        auc(positive[finite], observed[finite]),
        n,
        model.shape[1],
        (n - 1) // 2,
    )


def _cube(pairs: pd.DataFrame, characteristic: str, variant: str) -> tuple[Floats, Floats] | None:
    """Arrange the reference (units, bins) and the variant (units, cells, bins); NaN where there is none."""
    rows = pairs[(pairs["characteristic"] == characteristic) & pairs["variant"].isin([variant, "reference"])]
    rows = rows[np.isfinite(rows["value"].to_numpy(float))].assign(weight=lambda d: d["weight"].clip(lower=1e-9))
    if characteristic == "autocorrelation_length":
        rows = rows[rows["value"] > 0].assign(value=lambda d: np.log(d["value"]))
    real, fake = rows[rows["variant"] == "reference"], rows[rows["variant"] == variant]
    units = sorted(set(real["unit_tomogram"]) & set(fake["unit_tomogram"]))
    bins = sorted(set(real["bin"]) & set(fake["bin"]))
    cells = sorted(set(fake["unit_cell"]))
    if len(units) < MIN_UNITS or not bins:
        return None
    cube = np.full((len(units), len(cells) + 1, len(bins)), np.nan)
    # The reference is repeated in every pair of its tomogram: averaging over the unit undoes that.
    for frame, name in ((real.assign(unit_cell=""), ""), (fake, "unit_cell")):
        frame = frame[frame["unit_tomogram"].isin(units) & frame["bin"].isin(bins)]
        frame = frame.assign(weighted=frame["value"] * frame["weight"])
        sums = frame.groupby(["unit_tomogram", "unit_cell", "bin"])[["weighted", "weight"]].sum().reset_index()
        i = np.searchsorted(units, sums["unit_tomogram"].to_numpy(str))
        j = np.searchsorted(cells, sums["unit_cell"].to_numpy(str)) + 1 if name else np.zeros(len(sums), dtype=int)
        k = np.searchsorted(bins, sums["bin"].to_numpy())
        cube[i, j, k] = sums["weighted"].to_numpy() / sums["weight"].to_numpy()
    return cube[:, 0], cube[:, 1:]


def _bin_groups(pairs: pd.DataFrame, characteristic: str, variant: str) -> NDArray[np.int64]:
    """Label code of every shared bin of the density distribution (bin = 100 · code + level)."""
    rows = pairs[(pairs["characteristic"] == characteristic) & np.isfinite(pairs["value"].to_numpy(float))]
    shared = set(rows.loc[rows["variant"] == "reference", "bin"]) & set(rows.loc[rows["variant"] == variant, "bin"])
    return np.asarray(sorted(shared), dtype=np.int64) // 100


@dataclass(frozen=True)
class _Halves:
    first: NDArray[np.int64]  # (n, S, h): units of half A when unit i is left out
    second: NDArray[np.int64]
    order: Floats  # (S, units, cells) random priorities; cells are drawn later


def _halves(n: int, seed: int) -> _Halves:
    rng = np.random.default_rng(seed)
    h, splits = (n - 1) // 2, max(50, min(_SPLITS, 4000 // n))
    drawn = np.argsort(rng.random((n, splits, n - 1)), axis=-1)
    drawn = drawn + (drawn >= np.arange(n)[:, None, None])
    return _Halves(drawn[..., :h], drawn[..., h : 2 * h], rng.random((splits, n, 1)))


def _distances(
    real: Floats, model: Floats, groups: NDArray[np.int64], halves: _Halves, *, absolute: bool
) -> tuple[Floats, Floats]:
    """Observed and positive distances, each (n, S): by unit left out and split."""
    n, splits, _ = halves.first.shape
    present = np.isfinite(model).any(axis=2)
    count = present.sum(axis=1)
    ranked = np.argsort(~present, axis=1, kind="stable")
    pick = np.minimum((halves.order[..., 0] * count).astype(int), np.maximum(count - 1, 0))
    chosen = ranked[np.arange(n)[None, :], pick]
    observed, positive = np.full((n, splits), np.nan), np.full((n, splits), np.nan)
    rows = np.arange(splits)[:, None]
    for i in range(n):
        a, b = halves.first[i], halves.second[i]
        other = _mean(real[b])
        observed[i] = _metric(_mean(model[a, chosen[rows, a]]) - other, groups, absolute)
        positive[i] = _metric(_mean(real[a]) - other, groups, absolute)
    return observed, positive


def _cell_variance(real: Floats, model: Floats, groups: NDArray[np.int64], halves: _Halves, *, absolute: bool) -> float:
    """Jackknife variance over SEM cells, left out in at most ten groups."""
    cells = model.shape[1]
    parts = min(cells, _MAX_CELL_GROUPS)
    if parts < 2:
        return 0.0
    values = []
    for part in range(parts):
        without = model.copy()
        without[:, part::parts] = np.nan
        # A unit that would lose its only pairs keeps them: it has no other model to be compared by.
        lost = ~np.isfinite(without).any(axis=(1, 2))
        without[lost] = model[lost]
        observed, positive = _distances(real, without, groups, halves, absolute=absolute)
        values.append(float(np.nanmean(observed - positive)))
    return jackknife(np.asarray(values))[1] ** 2


def _mean(values: Floats) -> Floats:
    """Mean over the units of a half, (S, h, bins) to (S, bins), of those that have the bin."""
    ok = np.isfinite(values)
    count = ok.sum(axis=1)
    total = np.where(ok, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _metric(gap: Floats, groups: NDArray[np.int64], absolute: bool) -> Floats:
    """RMS over bins; for quantiles the mean absolute difference (Wasserstein-1) of each label, averaged."""
    ok = np.isfinite(gap)
    if not absolute:
        count = ok.sum(axis=1)
        total = np.where(ok, gap**2, 0.0).sum(axis=1)
        return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.nan)
    per_label = []
    for code in np.unique(groups):
        mine = groups == code
        count = ok[:, mine].sum(axis=1)
        total = np.where(ok[:, mine], np.abs(gap[:, mine]), 0.0).sum(axis=1)
        per_label.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    stack = np.stack(per_label)
    seen = np.isfinite(stack).sum(axis=0)
    return np.where(seen > 0, np.where(np.isfinite(stack), stack, 0.0).sum(axis=0) / np.maximum(seen, 1), np.nan)
