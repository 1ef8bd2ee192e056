"""Power and numbers needed, against studies that were simulated."""

import numpy as np
import pytest

from em2cryo_assets.compare.gates import simulate_studies
from em2cryo_assets.compare.power import MIN_POWER, equivalence_power, units_needed
from em2cryo_assets.compare.statistics import Sample, compare_means


@pytest.mark.parametrize(("n", "m", "sd"), [(10, 12, 0.03), (20, 8, 0.05), (40, 30, 0.09)])
def test_power_is_the_share_of_simulated_studies_that_succeed(n: int, m: int, sd: float) -> None:
    a, b = Sample(1.0, sd**2, n), Sample(1.0, sd**2, m)
    gate = simulate_studies(a, b, (1.0, sd), ratio=False, delta=0.05, alpha=0.05, seed=1, studies=4000)
    estimate = compare_means(a, b, ratio=False)
    assert equivalence_power(estimate.se, estimate.df, 0.05, 0.05) == pytest.approx(gate.passed, abs=0.05)
    assert gate.auc == pytest.approx(0.5, abs=0.03)


def test_the_number_needed_is_just_enough() -> None:
    needed = units_needed((0.10, 0.06), (10, 12), 0.05, 0.05)
    assert needed is not None
    m, r = needed
    assert m > 10
    assert r > 12

    def power(m: int, r: int) -> float:
        estimate = compare_means(Sample(1, 0.1**2, m), Sample(1, 0.06**2, r), ratio=False)
        return equivalence_power(estimate.se, estimate.df, 0.05, 0.05)

    assert power(m, r) >= MIN_POWER
    assert power(m - 3, r - 3) < MIN_POWER


def test_units_are_asked_for_where_they_help() -> None:
    needed = units_needed((0.01, 0.2), (6, 6), 0.05, 0.05)
    assert needed is not None
    assert needed[0] <= 10
    assert needed[1] > 100


def test_what_no_number_mends_is_said() -> None:
    assert units_needed((100.0, 100.0), (5, 5), 0.001, 0.05) is None


def test_one_margin_needs_less_than_two() -> None:
    assert equivalence_power(0.05, 9, 0.15, 0.05, one_sided=True) > equivalence_power(0.05, 9, 0.15, 0.05)
    assert equivalence_power(0.0, 9, 0.15, 0.05) == 1.0
    assert equivalence_power(np.inf, 9, 0.15, 0.05) == 0.0
