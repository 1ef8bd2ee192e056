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

__all__ = ["VALID_CONTROLS", "Excess", "distance_excess", "expected_excess"]

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
_EXPECTED_DRAWS: Final = 2000
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


def expected_excess(
    real: Floats, model: Floats, n: int, groups: NDArray[np.int64], *, absolute: bool, seed: int
) -> float:
    """Excess that studies of n units expect of a population.

    Parameters
    ----------
    real, model : numpy.ndarray, float64, shape (u, b)
        Vectors of the units of the population, and of its model.
    n : int
        Units of a study; the averages compared are over (n - 1) // 2 of them.
    groups : numpy.ndarray, int64, shape (b,)
        Bins whose distances are averaged (labels), for Wasserstein-1.
    absolute : bool
        Whether it is that distance; else the root mean square.
    seed : int
        Of the draws, 2,000 of which are made.

    Returns
    -------
    float
    """
    rng = np.random.default_rng(seed)
    kept = (np.isfinite(real).mean(axis=0) >= 0.5) & np.isfinite(model).any(axis=0)
    real, model, groups = real[:, kept], model[:, kept], groups[kept]
    a, b, c = rng.integers(len(real), size=(3, _EXPECTED_DRAWS, max(1, (n - 1) // 2)))
    units, other = _Summable.of(real), _Summable.of(real).mean(b)
    gap = _metric(_Summable.of(model).mean(c) - other, groups, absolute)
    gap -= _metric(units.mean(a) - other, groups, absolute)
    return float(np.nanmean(gap))


def _cube(pairs: pd.DataFrame, characteristic: str, variant: str) -> tuple[Floats, Floats] | None:
    """Arrange the reference (units, bins) and the variant (units, cells, bins); NaN where there is none."""
    variants = pairs["variant"].to_numpy()
    value = pairs["value"].to_numpy(float)
    real = variants == "reference"
    chosen = (
        (pairs["characteristic"].to_numpy() == characteristic) & (real | (variants == variant)) & np.isfinite(value)
    )
    if characteristic == "autocorrelation_length":
        chosen &= value > 0
    rows, real, value = pairs[chosen], real[chosen], value[chosen]
    if characteristic == "autocorrelation_length":
        value = np.log(value)
    weight = np.maximum(rows["weight"].to_numpy(float), 1e-9)
    bin_codes, bins = pd.factorize(rows["bin"].to_numpy(), sort=True)
    unit_codes, units = pd.factorize(rows["unit_tomogram"].to_numpy(), sort=True)
    in_both = (
        _on_both_sides(unit_codes, len(units), real)[unit_codes] & _on_both_sides(bin_codes, len(bins), real)[bin_codes]
    )
    # The reference is repeated in every pair of its tomogram: all go to place 0, and averaging undoes that.
    cell_codes, cells = pd.factorize(rows["unit_cell"].to_numpy()[~real], sort=True)
    place = np.zeros(len(rows), dtype=np.int64)
    place[~real] = cell_codes + 1
    shape = (len(units), len(cells) + 1, len(bins))
    at = np.ravel_multi_index((unit_codes[in_both], place[in_both], bin_codes[in_both]), shape)
    total, size = (np.bincount(at, w, int(np.prod(shape))) for w in ((value * weight)[in_both], weight[in_both]))
    cube = np.full(shape, np.nan)
    np.divide(total.reshape(shape), size.reshape(shape), out=cube, where=size.reshape(shape) > 0)
    cube = cube[_on_both_sides(unit_codes, len(units), real)][:, :, _on_both_sides(bin_codes, len(bins), real)]
    if cube.shape[0] < MIN_UNITS or not cube.shape[2]:
        return None
    return cube[:, 0], cube[:, 1:]


def _on_both_sides(codes: NDArray[np.int64], count: int, real: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which codes occur in the reference and in the variant, shape (count,)."""
    return (np.bincount(codes[real], minlength=count) > 0) & (np.bincount(codes[~real], minlength=count) > 0)


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
    cells = model.shape[1]
    present = np.isfinite(model).any(axis=2)
    count = present.sum(axis=1)
    ranked = np.argsort(~present, axis=1, kind="stable")
    pick = np.minimum((halves.order[..., 0] * count).astype(int), np.maximum(count - 1, 0))
    chosen = np.arange(n)[None, :] * cells + ranked[np.arange(n)[None, :], pick]
    observed, positive = np.full((n, splits), np.nan), np.full((n, splits), np.nan)
    rows = np.arange(splits)[:, None]
    # A tomogram has pairs with some five of all cells: rows without one would be most of every product.
    there = np.flatnonzero(present)
    flat = _Summable.of(np.concatenate([model.reshape(n * cells, -1)[there], np.full((1, model.shape[2]), np.nan)]))
    place = np.full(n * cells, len(there))
    place[there] = np.arange(len(there))
    chosen = place[chosen]
    units = _Summable.of(real)
    for i in range(n):
        a, b = halves.first[i], halves.second[i]
        other = units.mean(b)
        observed[i] = _metric(flat.mean(chosen[rows, a]) - other, groups, absolute)
        positive[i] = _metric(units.mean(a) - other, groups, absolute)
    return observed, positive


@dataclass(frozen=True)
class _Summable:
    """Vectors ready to be averaged over many choices of rows by products of matrices: a tenth of the time."""

    filled: Floats
    there: Floats

    @classmethod
    def of(cls, values: Floats) -> "_Summable":
        ok = np.isfinite(values)
        return cls(np.where(ok, values, 0.0), ok.astype(np.float64))

    def mean(self, chosen: NDArray[np.int64]) -> Floats:
        """Mean of the rows chosen, (S, h) to (S, bins), of those that have the bin."""
        # Rows may be chosen twice, which plain assignment would miss.
        shape = (len(chosen), len(self.filled))
        at = np.arange(shape[0])[:, None] * shape[1] + chosen
        counts = np.bincount(at.ravel(), minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        total, count = counts @ self.filled, counts @ self.there
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


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
