"""The tests behind the verdicts: against closed forms and at their stated error rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from em2cryo_assets.compare.statistics import (
    MeanRatio,
    Sample,
    StudentT,
    auc,
    benjamini_hochberg,
    binomial_interval,
    bootstrap_t,
    compare_means,
    holm,
    jackknife,
    linearised,
)


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 5), rng.normal(0.4, 3, 9)
    mine = compare_means(Sample.of(a), Sample.of(b), ratio=False)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    ends = theirs.confidence_interval(0.95)
    assert mine.interval(0.05) == pytest.approx((ends.low, ends.high))
    assert 2 * min(mine.p_below(0), mine.p_above(0)) == pytest.approx(theirs.pvalue)


@given(bound=st.floats(-0.5, 0.5), alpha=st.floats(0.01, 0.3))
def test_an_interval_holds_exactly_the_bounds_that_are_not_rejected(bound: float, alpha: float) -> None:
    rng = np.random.default_rng(2)
    a, b = Sample.of(rng.normal(10, 2, 8)), Sample.of(rng.normal(11, 3, 6))
    for estimate in (compare_means(a, b, ratio=True), StudentT(0.1, 0.2, 7.0)):
        low, high = estimate.interval(alpha)
        rejected = min(estimate.p_below(bound), estimate.p_above(bound)) < alpha / 2
        if min(abs(bound - low), abs(bound - high)) > 1e-9:
            assert rejected == (not low < bound < high)


def test_fieller_is_unbounded_where_the_reference_may_be_nothing() -> None:
    ratio = MeanRatio(Sample(1.0, 0.01, 6), Sample(0.1, 1.0, 6))
    assert ratio.interval(0.05) == (-np.inf, np.inf)
    assert ratio.p_below(0.18) > 0.05


def test_a_model_without_the_organelle_is_infinitely_far_below() -> None:
    ratio = MeanRatio(Sample(0.0, 0.0, 8), Sample(0.07, 1e-4, 8))
    assert ratio.value == -np.inf
    assert ratio.p_below(-0.18) < 1e-3


def rate(hits: int, trials: int, target: float) -> bool:
    """Whether a target rate lies in the 99.9 % binomial interval of what was counted."""
    low, high = binomial_interval(hits, trials, 0.001)
    return low <= target <= high


@pytest.mark.parametrize(("n", "m", "spread"), [(4, 4, 1.0), (5, 12, 3.0), (19, 8, 0.5)])
def test_welch_intervals_cover_what_they_say(n: int, m: int, spread: float) -> None:
    rng = np.random.default_rng(3)
    trials, hits = 2000, 0
    for _ in range(trials):
        a, b = Sample.of(rng.normal(0.3, 1, n)), Sample.of(rng.normal(0, spread, m))
        low, high = compare_means(a, b, ratio=False).interval(0.05)
        hits += low <= 0.3 <= high
    assert 0.93 <= hits / trials <= 0.98


def test_ratio_intervals_cover_although_many_units_are_zero() -> None:
    rng = np.random.default_rng(4)
    trials, hits = 2000, 0
    for _ in range(trials):
        # A nucleus is met by about six sections of ten: zero-inflated, as real sections are.
        a = Sample.of(rng.gamma(4, 0.03, 16) * (rng.random(16) < 0.6))
        b = Sample.of(rng.normal(0.06, 0.01, 10))
        low, high = compare_means(a, b, ratio=True).interval(0.05)
        hits += low <= np.log(0.072 / 0.06) <= high
    assert 0.92 <= hits / trials <= 0.98


def test_bootstrap_t_covers_skewed_units() -> None:
    rng = np.random.default_rng(5)
    trials, hits = 300, 0
    for i in range(trials):
        a, b = rng.lognormal(0, 0.6, 25), rng.lognormal(0, 0.6, 22)
        low, high = bootstrap_t(a, b, ratio=True, seed=i).interval(0.05)
        hits += low <= 0 <= high
    assert 0.91 <= hits / trials <= 0.985


def test_bootstrap_t_repeats_itself() -> None:
    a, b = np.arange(20.0), np.arange(25.0)
    assert bootstrap_t(a, b, ratio=False, seed=7).interval(0.05) == bootstrap_t(a, b, ratio=False, seed=7).interval(
        0.05
    )


@pytest.mark.parametrize("ratio", [False, True])
def test_equivalence_errs_in_one_of_twenty_studies_at_exactly_delta(ratio: bool) -> None:
    rng = np.random.default_rng(6)
    trials, delta = 3000, 0.2
    truth = 10 * np.exp(delta) if ratio else 10 + delta
    sd = 1.0 if ratio else 0.1
    hits = 0
    for _ in range(trials):
        estimate = compare_means(Sample.of(rng.normal(truth, sd, 9)), Sample.of(rng.normal(10, sd, 7)), ratio=ratio)
        hits += max(estimate.p_below(delta), estimate.p_above(-delta)) <= 0.05
    assert rate(hits, trials, 0.05)


def test_holm_by_hand() -> None:
    rejected, level = holm([0.01, 0.04, 0.03, 0.005])
    assert rejected.tolist() == [True, False, False, True]
    assert level.tolist() == pytest.approx([0.05 / 3, 0.025, 0.025, 0.0125])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_no_less_than_bonferroni_and_no_more_than_no_correction(p: list[float]) -> None:
    rejected, level = holm(p)
    assert (rejected >= (np.array(p) <= 0.05 / len(p))).all()
    assert (rejected <= (np.array(p) <= 0.05)).all()
    assert (rejected <= (np.array(p) <= level)).all()


def test_benjamini_hochberg_is_scipys() -> None:
    p = np.array([0.001, 0.012, 0.03, 0.035, 0.6])
    assert benjamini_hochberg(p)[0].tolist() == (stats.false_discovery_control(p) <= 0.05).tolist()
    assert not benjamini_hochberg([0.2, 0.9])[0].any()
    assert benjamini_hochberg([])[0].size == 0


def test_auc_counts_pairs() -> None:
    low, high = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    assert auc(low, high) == pytest.approx(np.mean([(h > v) + 0.5 * (h == v) for h in high for v in low]))


def test_linearised_units_carry_the_ratio_estimator_and_its_variance() -> None:
    rng = np.random.default_rng(8)
    area = rng.uniform(1, 20, 4000)
    organelle = area * rng.uniform(0, 0.2, 4000) * (area > 8)
    units = linearised(organelle / area, area)
    assert units.mean() == pytest.approx(organelle.sum() / area.sum())
    assert units.mean() > 1.1 * np.mean(organelle / area)
    resampled = [organelle[i].sum() / area[i].sum() for i in (rng.integers(0, 4000, 4000) for _ in range(400))]
    assert units.std() / np.sqrt(4000) == pytest.approx(np.std(resampled), rel=0.12)
    assert linearised(np.array([1.0, 5.0]), np.ones(2)).tolist() == [1.0, 5.0]


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(9).normal(size=11)
    left_out = (values.sum() - values) / 10
    assert jackknife(left_out) == pytest.approx((values.mean(), values.std(ddof=1) / np.sqrt(11)))


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Sample.of([1.0, np.nan])
    with pytest.raises(ValueError, match="Two units"):
        compare_means(Sample.of([1.0]), Sample.of([1.0, 2.0]), ratio=False)
    with pytest.raises(ValueError, match="Weights"):
        linearised(np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match="degenerate"):
        bootstrap_t(np.zeros(20), np.zeros(20), ratio=True, seed=0)
