"""Simulated studies: error rates at the margin, and fakes of known distance."""

import pytest

from em2cryo_assets.compare.gates import MIN_AUC, simulate_studies
from em2cryo_assets.compare.statistics import Sample, binomial_interval

DELTA = 0.05


@pytest.mark.parametrize("ratio", [False, True])
def test_a_model_at_exactly_delta_passes_in_one_of_twenty_studies(ratio: bool) -> None:
    import numpy as np

    sample = Sample(1.0, 0.03**2, 12)
    truth = np.exp(DELTA) if ratio else 1 + DELTA
    gate = simulate_studies(sample, sample, (truth, 0.03), ratio=ratio, delta=DELTA, alpha=0.05, seed=2, studies=6000)
    low, high = binomial_interval(round(6000 * gate.passed), 6000, 0.001)
    assert low <= 0.05 <= high


def test_a_far_fake_fails_and_a_near_one_does_not() -> None:
    model, reference = Sample(1.17, 0.05**2, 20), Sample(1.17, 0.04**2, 12)
    kwargs = {"ratio": False, "delta": DELTA, "alpha": 0.05, "seed": 3}
    far = simulate_studies(model, reference, (1.0, 0.0), **kwargs)
    near = simulate_studies(model, reference, (1.171, 0.01), **kwargs)
    assert far.auc > 0.99
    assert far.passed == 0
    assert near.auc < MIN_AUC
    assert near.passed > 0.5
    assert near == simulate_studies(model, reference, (1.171, 0.01), **kwargs)


def test_a_fake_without_the_organelle_never_passes() -> None:
    reference = Sample(0.07, 0.02**2, 12)
    gate = simulate_studies(reference, reference, (0.0, 0.0), ratio=True, delta=0.18, alpha=0.05, seed=4)
    assert gate.auc == pytest.approx(1.0)
    assert gate.passed_twice == 0
