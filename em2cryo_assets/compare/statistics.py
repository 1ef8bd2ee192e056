"""Estimates with intervals, and the tests that the verdicts are made of.

Belongs here: closed statistics of numbers; every function could serve another study.
Does not belong here: margins, controls, tables, or distances between vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "BOOTSTRAP_UNITS",
    "MIN_UNITS",
    "Estimate",
    "MeanRatio",
    "Sample",
    "StudentT",
    "Studentised",
    "auc",
    "benjamini_hochberg",
    "binomial_interval",
    "bootstrap_t",
    "compare_means",
    "holm",
    "jackknife",
    "linearised",
]

MIN_UNITS: Final = 4
"""Independent units a side below which no interval is given."""

BOOTSTRAP_UNITS: Final = 20
"""Units a side from which resampling is preferred to the t distribution."""

_RESAMPLES: Final = 4000

Floats = NDArray[np.float64]


class Estimate(Protocol):
    """A difference on which one-sided hypotheses can be tested."""

    @property
    def value(self) -> float:
        """The difference."""

    @property
    def se(self) -> float:
        """Its standard error."""

    def p_below(self, bound: float) -> float:
        """One-sided p of the hypothesis that the true difference is at least ``bound``."""

    def p_above(self, bound: float) -> float:
        """One-sided p of the hypothesis that the true difference is at most ``bound``."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two-sided interval of level 1 - ``alpha``; infinite where the data set no bound."""


@dataclass(frozen=True)
class Sample:
    """Mean, variance and number of independent units.

    Parameters
    ----------
    mean : float
        Of the unit values.
    variance : float
        Unbiased variance of the unit values; NaN for one unit.
    n : int
        Units.
    """

    mean: float
    variance: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | Floats) -> "Sample":
        """Summarise unit values, shape (n,); empty gives NaN.

        Raises
        ------
        ValueError
            If a value is not finite.
        """
        v = np.asarray(values, dtype=np.float64)
        if not np.isfinite(v).all():
            raise ValueError("Unit values must be finite; leave undefined ones out and say why.")
        if v.size == 0:
            return cls(float("nan"), float("nan"), 0)
        return cls(float(v.mean()), float(v.var(ddof=1)) if v.size > 1 else float("nan"), int(v.size))


@dataclass(frozen=True)
class StudentT:
    """An estimate with a standard error and degrees of freedom."""

    value: float
    se: float
    df: float

    def _t(self, bound: float) -> float:
        return _ratio(self.value - bound, self.se)

    def p_below(self, bound: float) -> float:
        """One-sided p that the true difference is at least ``bound``."""
        return float(stats.t.cdf(self._t(bound), self.df))

    def p_above(self, bound: float) -> float:
        """One-sided p that the true difference is at most ``bound``."""
        return float(stats.t.sf(self._t(bound), self.df))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two-sided interval of level 1 - ``alpha``."""
        half = self.se * float(stats.t.ppf(1 - alpha / 2, self.df))
        return self.value - half, self.value + half


@dataclass(frozen=True)
class MeanRatio:
    """ln of the ratio of two means, tested after Fieller (1954) with Welch's degrees of freedom.

    Shares of organelles are zero in some sections, so that logarithms of unit values do not exist; the
    ratio of the means does. A bound ρ on it is tested as mean(model) - ρ mean(reference), which needs no
    delta method (Sasabuchi; Hauschke et al. 1999, Pharm. Res. 16:1322).
    """

    model: Sample
    reference: Sample

    @property
    def value(self) -> float:
        """ln(mean(model) / mean(reference)); -inf where the model has none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.log(np.float64(self.model.mean) / self.reference.mean))

    @property
    def se(self) -> float:
        """Standard error of the logarithm by the delta method, for power only."""
        a = _ratio(np.sqrt(self.model.variance / self.model.n), self.model.mean)
        b = _ratio(np.sqrt(self.reference.variance / self.reference.n), self.reference.mean)
        return float(np.hypot(a, b))

    @property
    def df(self) -> float:
        """Welch-Satterthwaite degrees of freedom at the observed ratio."""
        rho = self.model.mean / self.reference.mean if self.reference.mean > 0 else 1.0
        return _welch_df(self.model, self.reference, rho)

    def _t(self, bound: float) -> float:
        rho = np.exp(bound)
        se = np.sqrt(self.model.variance / self.model.n + rho**2 * self.reference.variance / self.reference.n)
        return _ratio(self.model.mean - rho * self.reference.mean, se)

    def p_below(self, bound: float) -> float:
        """One-sided p that the true ln ratio is at least ``bound``."""
        return float(stats.t.cdf(self._t(bound), self.df))

    def p_above(self, bound: float) -> float:
        """One-sided p that the true ln ratio is at most ``bound``."""
        return float(stats.t.sf(self._t(bound), self.df))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Fieller's interval of the ln ratio; (-inf, inf) where the reference mean may be zero."""
        t2 = float(stats.t.ppf(1 - alpha / 2, self.df)) ** 2
        m, r = self.model.mean, self.reference.mean
        vm, vr = self.model.variance / self.model.n, self.reference.variance / self.reference.n
        a, c = r**2 - t2 * vr, m**2 - t2 * vm
        if a <= 0 or r <= 0:
            return float("-inf"), float("inf")
        root = np.sqrt(max((m * r) ** 2 - a * c, 0.0))
        with np.errstate(divide="ignore"):
            low, high = np.log(np.maximum([(m * r - root) / a, (m * r + root) / a], 0.0))
        return float(low), float(high)


@dataclass(frozen=True)
class Studentised:
    """An estimate with the resampled distribution of its studentised error.

    Parameters
    ----------
    value, se : float
        Estimate and standard error.
    errors : numpy.ndarray, float64, shape (B,)
        Sorted (estimate* - estimate) / se* of the resamples.
    """

    value: float
    se: float
    errors: Floats

    def p_below(self, bound: float) -> float:
        """One-sided p that the true difference is at least ``bound``."""
        t = _ratio(self.value - bound, self.se)
        return float((1 + np.count_nonzero(self.errors <= t)) / (1 + self.errors.size))

    def p_above(self, bound: float) -> float:
        """One-sided p that the true difference is at most ``bound``."""
        t = _ratio(self.value - bound, self.se)
        return float((1 + np.count_nonzero(self.errors >= t)) / (1 + self.errors.size))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Bootstrap-t interval of level 1 - ``alpha`` (Efron and Tibshirani 1993, section 12.5)."""
        low, high = np.quantile(self.errors, [alpha / 2, 1 - alpha / 2])
        return self.value - float(high) * self.se, self.value - float(low) * self.se


def compare_means(model: Sample, reference: Sample, *, ratio: bool) -> StudentT | MeanRatio:
    """Compare two independent means: Welch's difference, or Fieller's ratio on the log scale.

    Raises
    ------
    ValueError
        If either side has fewer than two units.
    """
    if min(model.n, reference.n) < 2:
        raise ValueError(f"Two units a side are needed for a variance, got {model.n} and {reference.n}.")
    if ratio:
        return MeanRatio(model, reference)
    se = float(np.sqrt(model.variance / model.n + reference.variance / reference.n))
    return StudentT(model.mean - reference.mean, se, _welch_df(model, reference, 1.0))


def bootstrap_t(model: Floats, reference: Floats, *, ratio: bool, seed: int) -> Studentised:
    """Bootstrap-t of the difference (or ln ratio) of means, resampling the units of both sides.

    Parameters
    ----------
    model, reference : numpy.ndarray, float64, shape (n,), (m,)
        Unit values. A unit is already the cluster (cell or block), so that resampling units is
        resampling clusters, on each of the two sides.
    ratio : bool
        ln of the ratio of means in place of their difference.
    seed : int
        Of the resampling.

    Returns
    -------
    Studentised
    """
    rng = np.random.default_rng(seed)
    m, r = np.asarray(model, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    draw_m = m[rng.integers(m.size, size=(_RESAMPLES, m.size))]
    draw_r = r[rng.integers(r.size, size=(_RESAMPLES, r.size))]
    value, se = _mean_difference(m[None], r[None], ratio)
    values, ses = _mean_difference(draw_m, draw_r, ratio)
    usable = np.isfinite(values) & (ses > 0)
    if not np.isfinite(value[0]) or np.count_nonzero(usable) < _RESAMPLES / 2:
        raise ValueError("The resamples are degenerate: use the t distribution.")
    errors = np.sort((values[usable] - value[0]) / ses[usable])
    return Studentised(float(value[0]), float(se[0]), errors)


def linearised(values: Floats, weights: Floats) -> Floats:
    """Turn ratios of units into values of mean Σ w v / Σ w with the spread of that estimator.

    Parameters
    ----------
    values : numpy.ndarray, float64, shape (n,)
        Ratio within each unit, such as the share of a nucleus in the profile of a cell.
    weights : numpy.ndarray, float64, shape (n,)
        Denominator of each unit (area or volume of the cell), any common scale.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        R + w (v - R) / mean(w), with R the ratio estimator (Cochran 1977, chapter 6). Equal weights give
        the values back.
    """
    total = float(np.sum(weights))
    if not total > 0 or not (weights >= 0).all():
        raise ValueError("Weights must not be negative and not all be zero.")
    ratio = float(np.sum(weights * values)) / total
    return ratio + weights * (values - ratio) * values.size / total


def jackknife(leave_one_out: Floats) -> tuple[float, float]:
    """Mean of the leave-one-out values and its standard error (Tukey's jackknife).

    Parameters
    ----------
    leave_one_out : numpy.ndarray, float64, shape (n,)
        The statistic without unit i.
    """
    v = np.asarray(leave_one_out, dtype=np.float64)
    n = v.size
    mean = float(v.mean())
    return mean, float(np.sqrt((n - 1) / n * np.sum((v - mean) ** 2)))


def holm(p: Sequence[float] | Floats, alpha: float = 0.05) -> tuple[NDArray[np.bool_], Floats]:
    """Holm's step-down (1979): which hypotheses fall, and the level each was judged at.

    Hypotheses after the first that stands were not reached; their level is the one at which it stopped.
    """
    values = np.asarray(p, dtype=np.float64)
    rejected, level = np.zeros(values.size, dtype=bool), np.full(values.size, alpha)
    current, open_ = alpha, True
    for rank, i in enumerate(np.argsort(values, kind="stable")):
        if open_:
            current = alpha / (values.size - rank)
            open_ = bool(values[i] <= current)
        rejected[i], level[i] = open_, current
    return rejected, level


def benjamini_hochberg(p: Sequence[float] | Floats, q: float = 0.05) -> tuple[NDArray[np.bool_], Floats]:
    """Benjamini-Hochberg (1995): discoveries at rate q, and the level that all of them share.

    The level q·R/m is also the one at which intervals of the R discoveries keep their false coverage
    rate (Benjamini and Yekutieli 2005); without a discovery it is q/m.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.size == 0:
        return np.zeros(0, dtype=bool), np.zeros(0)
    steps = q * np.arange(1, values.size + 1) / values.size
    passed = np.flatnonzero(np.sort(values) <= steps)
    level = float(steps[passed[-1]]) if passed.size else q / values.size
    return values <= (level if passed.size else -1.0), np.full(values.size, level)


def auc(low: Floats, high: Floats) -> float:
    """Probability that a value of ``high`` exceeds one of ``low``, ties counted half (Mann-Whitney)."""
    ranks = stats.rankdata(np.concatenate([low, high]))
    n, m = len(low), len(high)
    return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def binomial_interval(successes: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """Interval of a rate after Clopper and Pearson (1934)."""
    low = stats.beta.ppf(alpha / 2, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - alpha / 2, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def _ratio(numerator: float, denominator: float) -> float:
    """Quotient with 0/0 = 0 and x/0 = ±inf: without spread, a difference is certain."""
    if denominator > 0:
        return float(numerator / denominator)
    return 0.0 if numerator == 0 else float(np.copysign(np.inf, numerator))


def _welch_df(model: Sample, reference: Sample, rho: float) -> float:
    a, b = model.variance / model.n, rho**2 * reference.variance / reference.n
    spread = a**2 / (model.n - 1) + b**2 / (reference.n - 1)
    return float((a + b) ** 2 / spread) if spread > 0 else float(model.n + reference.n - 2)


def _mean_difference(model: Floats, reference: Floats, ratio: bool) -> tuple[Floats, Floats]:
    """Difference (or ln ratio) of means and its standard error, along the last axis."""
    mm, mr = model.mean(axis=-1), reference.mean(axis=-1)
    vm, vr = (
        model.var(axis=-1, ddof=1) / model.shape[-1],
        reference.var(axis=-1, ddof=1) / reference.shape[-1],
    )
    if not ratio:
        return mm - mr, np.sqrt(vm + vr)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(mm / mr), np.sqrt(vm / mm**2 + vr / mr**2)
