"""Excess of distances: no bias at equal truth, honest errors, and fakes that lie further off."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.compare.distances import distance_excess
from em2cryo_assets.compare.statistics import StudentT, binomial_interval
from em2cryo_assets_tests.compare.made_up_study import paired


def test_a_perfect_model_has_no_excess_although_its_distance_is_not_zero() -> None:
    found = [
        distance_excess(paired("depth_profile", n=8, shifts={"model": 0.0}, seed=s), "depth_profile", "model", seed=1)
        for s in range(40)
    ]
    excess = np.array([f.excess for f in found])
    assert abs(excess.mean()) < 3 * excess.std(ddof=1) / np.sqrt(40)
    assert all(f.observed > 0.1 and f.n_half == 3 for f in found)


def test_intervals_cover_the_excess_of_a_wrong_model() -> None:
    trials, hits, gaps = 60, 0, []
    results = []
    for s in range(trials):
        pairs = paired("depth_profile", n=9, shifts={"model": 0.3}, cells=9, seed=s)
        result = distance_excess(pairs, "depth_profile", "model", seed=1)
        results.append(result)
        gaps.append(result.excess)
    truth = np.mean(gaps)
    for r in results:
        low, high = StudentT(r.excess, r.se, r.n_units - 1).interval(0.05)
        hits += low <= truth <= high
    # Leaving out cells adds variance that is also among the tomograms: on the safe side, never below.
    assert binomial_interval(hits, trials, 0.01)[1] >= 0.95
    assert hits / trials >= 0.92


def test_averages_of_many_tell_what_one_does_not() -> None:
    pairs = {n: paired("depth_profile", n=n, shifts={"model": 0.05, "homogeneous": 0.25}, noise=0.5) for n in (4, 25)}
    auc = {n: distance_excess(p, "depth_profile", "homogeneous", seed=1).auc for n, p in pairs.items()}
    assert auc[4] < 0.8 < auc[25]


def test_repeats_of_a_pair_add_no_units() -> None:
    pairs = paired("power_spectrum", n=6, shifts={"model": 0.1})
    twice = pd.concat([pairs, pairs], ignore_index=True)
    ours, theirs = (distance_excess(frame, "power_spectrum", "model", seed=2) for frame in (twice, pairs))
    assert ours is not None
    assert theirs is not None
    assert astuple(ours) == pytest.approx(astuple(theirs), rel=1e-12)


def test_quantiles_are_compared_as_wasserstein_distances_within_labels() -> None:
    pairs = paired("density_distribution", n=12, shifts={"model": 0.0}, noise=1e-6, bins=8)
    shifted = pairs["value"] + 0.4 * ((pairs["variant"] == "model") & (pairs["bin"] >= 4))
    # Two labels of four levels each; the second lies .4 off, so the mean over labels is .2.
    pairs = pairs.assign(value=shifted, bin=300 + 100 * (pairs["bin"] // 4) + pairs["bin"] % 4)
    result = distance_excess(pairs, "density_distribution", "model", seed=1)
    assert result.excess == pytest.approx(0.2, abs=1e-4)


def test_autocorrelation_lengths_are_compared_by_their_ratio() -> None:
    pairs = paired("autocorrelation_length", n=6, shifts={"model": 0.0}, noise=0.0, bins=3)
    pairs["value"] = np.where(pairs["variant"] == "model", 60.0, 40.0)
    result = distance_excess(pairs, "autocorrelation_length", "model", seed=1)
    assert result.excess == pytest.approx(np.log(1.5))


def test_bins_that_few_tomograms_reach_do_not_count() -> None:
    pairs = paired("depth_profile", n=8, shifts={"model": 0.0}, noise=0.05)
    deep = pairs["bin"] == 11
    wild = pairs.assign(value=pairs["value"] + 50.0 * deep * (pairs["variant"] == "model"))
    rare = wild[~deep | pairs["tomogram"].isin(["cryo000", "cryo001"])]
    assert abs(distance_excess(rare, "depth_profile", "model", seed=1).excess) < 0.05
    assert distance_excess(wild, "depth_profile", "model", seed=1).excess > 5


def test_too_few_units_or_nothing_shared_gives_none() -> None:
    pairs = paired("depth_profile", n=3, shifts={"model": 0.0})
    assert distance_excess(pairs, "depth_profile", "model", seed=1) is None
    assert distance_excess(pairs, "depth_profile", "homogeneous", seed=1) is None
    assert distance_excess(pairs.iloc[:0], "depth_profile", "model", seed=1) is None
    broken = paired("depth_profile", n=6, shifts={"model": 0.0}).assign(value=np.nan)
    assert distance_excess(broken, "depth_profile", "model", seed=1) is None
