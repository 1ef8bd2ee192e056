"""Every verdict from constructed studies, and how often the rules err."""

import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.compare.characteristics import CHARACTERISTICS
from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.statistics import binomial_interval
from em2cryo_assets.compare.table import comparison_table
from em2cryo_assets.compare.verdicts import VERDICT_COLUMNS, VERDICTS, controls_out_of_order, verdicts
from em2cryo_assets_tests.compare.made_up_study import EMPTY, exact, measured, paired


def judge(sem: pd.DataFrame, cryo: pd.DataFrame, tem: pd.DataFrame, pairs: pd.DataFrame, name: str) -> pd.Series:
    shown = verdicts(comparison_table(sem, cryo, tem, pairs), seed=1, simulated=True)
    return shown.set_index("characteristic").loc[name]


def axis(model: tuple[float, float, int], reference: tuple[float, float, int], **kwargs: object) -> pd.Series:
    sem = measured("sem", "axis_ratio", exact(*model), **kwargs)
    return judge(sem, measured("cryo", "axis_ratio", exact(*reference)), EMPTY, EMPTY, "axis_ratio")


REAL = (1.17, 0.03, 12)


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ((1.17, 0.03, 12), "captured"),
        ((1.235, 0.03, 12), "approximated"),
        ((1.40, 0.03, 12), "missed"),
        ((1.17, 0.15, 12), "inconclusive"),
        ((1.17, 0.01, 3), "inconclusive"),
    ],
)
def test_every_verdict_on_a_scalar(model: tuple[float, float, int], verdict: str) -> None:
    found = axis(model, REAL)
    assert found["verdict"] == verdict, found["reason"]
    assert found["sentence_en"]
    assert found["sentence_ko"]


def test_a_sphere_is_among_the_fakes_of_an_elongated_cell() -> None:
    found = axis((1.17, 0.03, 12), REAL)
    assert found["control"] == "sphere of the same volume"
    assert "failed the same test" in found["control_result"]
    assert "a fake (" in found["sentence_en"]


def test_a_difference_between_the_margins_of_two_claims_stays_open() -> None:
    found = axis((1.095, 0.04, 12), (1.17, 0.04, 12))
    assert found["verdict"] == "inconclusive"
    assert found["power"] > 0.8
    assert "straddles" in found["reason"]


def test_no_claim_where_a_sphere_would_do_as_well() -> None:
    found = axis((1.03, 0.02, 12), (1.03, 0.02, 12))
    assert found["verdict"] == "inconclusive"
    assert "so does a fake (sphere" in found["sentence_en"]


def test_a_fake_that_passes_at_twice_the_tolerance_is_said_to_pass_there() -> None:
    found = axis((1.125, 0.03, 12), (1.06, 0.03, 12))
    assert found["verdict"] == "inconclusive"
    assert "within twice the tolerance, but so does a fake (sphere" in found["sentence_en"]
    assert "passed the same test" in found["control_result"]


def test_without_a_fake_to_try_the_test_on_nothing_is_claimed() -> None:
    table = comparison_table(
        measured("sem", "axis_ratio", exact(*REAL)), measured("cryo", "axis_ratio", exact(*REAL)), EMPTY, EMPTY
    )
    found = verdicts(table.assign(controls="[]"), seed=1, simulated=True).set_index("characteristic").loc["axis_ratio"]
    assert found["verdict"] == "inconclusive"
    assert "no fake is known" in found["sentence_en"]
    assert "()" not in found["sentence_en"] + found["sentence_ko"]


@pytest.mark.parametrize("shift", np.linspace(0, 0.06, 7))
def test_what_is_captured_has_its_interval_within_the_margin_and_nothing_else_has(shift: float) -> None:
    """The interval shown is the one that was looked at, so that a drawing never contradicts its verdict."""
    found = axis((1.17 + shift, 0.04, 14), (1.17, 0.04, 14))
    within = max(-found["low"], found["high"]) <= found["margin"]
    assert within == (found["verdict"] == "captured"), found["interval"]
    assert found["level"] == pytest.approx(0.90 if found["verdict"] in VERDICTS[:2] else 0.95)


def test_sizes_and_shares_have_intervals_in_per_cent() -> None:
    sem, cryo = (measured(side, "log_volume", exact(4.0, 0.1, 12)) for side in ("sem", "cryo"))
    found = judge(sem, cryo, EMPTY, EMPTY, "log_volume")
    assert found["interval"] == f"{100 * np.expm1(found['low']):+.1f} % to +".replace("-", "−") + (
        f"{100 * np.expm1(found['high']):.1f} % (90 % interval)"
    )
    tem = measured("tem", "fraction_vacuole", [0.0] * 11 + [0.2])
    volumes = measured("cryo", "fraction_vacuole", exact(0.1, 0.02, 12))
    none = judge(EMPTY, volumes, tem, EMPTY, "fraction_vacuole")
    assert none["low"] == -np.inf
    assert none["interval"].startswith("−100 % to ")


def test_what_cannot_be_told_from_a_fake_at_this_n_is_not_assessable() -> None:
    found = axis((1.02, 0.10, 5), (1.02, 0.10, 5))
    assert found["verdict"] == "not assessable"
    assert "AUC" in found["reason"]


def test_a_measurement_less_certain_than_half_of_the_margin_is_not_assessable() -> None:
    assert axis((1.17, 0.03, 12), REAL, sd=0.026)["verdict"] == "not assessable"
    assert axis((1.17, 0.03, 12), REAL, sd=0.024)["verdict"] == "captured"


def test_three_units_have_no_interval_and_say_how_many_are_needed() -> None:
    found = axis((1.17, 0.05, 3), (1.17, 0.05, 12))
    assert found["interval"].startswith("none")
    assert np.isnan(found["low"])
    assert "SEM cells in place of 3" in found["would_change"]


def test_short_power_says_how_many_would_decide() -> None:
    found = axis((1.17, 0.10, 10), (1.17, 0.10, 12))
    assert found["verdict"] == "inconclusive"
    assert found["power"] < 0.8
    needed = int(found["sentence_en"].split("about ")[1].split()[0])
    enough = axis((1.17, 0.10, needed), (1.17, 0.10, needed))
    assert enough["verdict"] == "captured"


def test_twenty_a_side_are_resampled() -> None:
    found = axis((1.17, 0.04, 24), (1.165, 0.04, 30))
    assert found["verdict"] == "captured"
    t = axis((1.17, 0.04, 19), (1.165, 0.04, 30))
    assert found["high"] - found["low"] == pytest.approx(t["high"] - t["low"], rel=0.25)


def test_walls_are_compared_by_their_ratio() -> None:
    tem = measured("tem", "wall_thickness", exact(150, 12, 20))
    cryo = measured("cryo", "wall_thickness", exact(147, 12, 12), modality="lamella")
    found = judge(EMPTY, cryo, tem, EMPTY, "wall_thickness")
    assert found["verdict"] == "captured"
    assert found["difference"] == pytest.approx(np.log(150 / 147))
    assert "%" in found["interval"]
    assert "thickness" in found["control"]
    thick = measured("tem", "wall_thickness", exact(190, 12, 20))
    assert judge(EMPTY, cryo, thick, EMPTY, "wall_thickness")["verdict"] == "missed"


def test_a_missing_organelle_is_missed() -> None:
    tem = measured("tem", "fraction_vacuole", np.zeros(20))
    cryo = measured("cryo", "fraction_vacuole", exact(0.12, 0.01, 12))
    found = judge(EMPTY, cryo, tem, EMPTY, "fraction_vacuole")
    assert found["verdict"] in ("missed", "inconclusive")
    assert found["high"] < 0


DISTANCE = {"model": 0.0, "homogeneous": 0.9, "label_permuted": 0.7, "phase_randomised": 0.8}


def texture(n: int, shift: float, noise: float = 0.1, **shifts: float) -> pd.Series:
    sem, tem = (
        measured("sem", "axis_ratio", [1.2] * 6),
        measured("tem", "fraction_nucleus", exact(0.07, 0.02, 12)),
    )
    cryo = measured("cryo", "depth_profile", np.full(n, np.nan), modality="lamella")
    pairs = paired("depth_profile", n=n, noise=noise, shifts={**DISTANCE, "model": shift, **shifts})
    return judge(sem, cryo, tem, pairs, "depth_profile")


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "captured"), (0.26, "approximated"), (0.6, "missed")])
def test_every_verdict_on_a_distance(shift: float, verdict: str) -> None:
    found = texture(12, shift)
    assert found["verdict"] == verdict, found["reason"]
    assert found["control"] == "organelles exchanged"
    assert found["n"] == "SEM 6 / TEM 12 / cryo 12"
    if verdict == "captured":
        assert found["quality"] == pytest.approx(1.0, abs=0.1)


def test_distances_of_few_tomograms_stay_open() -> None:
    assert texture(3, 0.0)["verdict"] == "inconclusive"
    noisy = texture(5, 0.0, noise=0.8)
    assert noisy["verdict"] in ("inconclusive", "not assessable")


def test_a_control_in_the_wrong_order_is_shown_and_takes_the_verdict_away() -> None:
    found = texture(12, 0.0, homogeneous=0.0)
    assert found["verdict"] == "not assessable"
    assert "homogeneous" in found["reason"]


def test_only_a_fake_nearer_than_real_ones_is_out_of_order() -> None:
    cryo = measured("cryo", "depth_profile", np.full(12, np.nan), modality="lamella")
    sem, tem = measured("sem", "axis_ratio", [1.2] * 6), measured("tem", "fraction_nucleus", exact(0.07, 0.02, 12))
    pairs = paired("depth_profile", n=12, noise=0.1, shifts=DISTANCE)
    assert controls_out_of_order(comparison_table(sem, cryo, tem, pairs)) == []
    fake = pairs["variant"] == "phase_randomised"
    pairs.loc[fake, "value"] = np.sin(pairs.loc[fake, "bin"] / 2)  # the truth itself, without any noise
    (found,) = controls_out_of_order(comparison_table(sem, cryo, tem, pairs))
    assert found.startswith("depth_profile (interior with random phases, AUC 0.")


def test_no_atlas_no_interior() -> None:
    sem = measured("sem", "axis_ratio", [1.2] * 6)
    cryo = measured("cryo", "depth_profile", np.full(8, np.nan), modality="lamella")
    pairs = paired("depth_profile", n=8, shifts=DISTANCE)
    assert judge(sem, cryo, EMPTY, pairs, "depth_profile")["verdict"] == "not assessable"


def test_an_empty_study_has_a_full_table() -> None:
    shown = verdicts(comparison_table(EMPTY, EMPTY, EMPTY, EMPTY), seed=0, simulated=False, input_versions="x@1")
    assert tuple(shown.columns) == VERDICT_COLUMNS
    assert shown["characteristic"].tolist() == list(CHARACTERISTICS)
    assert (shown["verdict"] == "not assessable").all()
    assert (shown[["reason", "interval", "n", "sentence_en", "sentence_ko", "would_change"]] != "").all(axis=None)
    assert (shown["input_versions"] == "x@1").all()
    assert not shown["simulated"].any()


def test_same_seed_same_verdicts() -> None:
    sem, cryo = measured("sem", "axis_ratio", exact(*REAL)), measured("cryo", "axis_ratio", exact(*REAL))
    table = comparison_table(sem, cryo, EMPTY, EMPTY)
    pd.testing.assert_frame_equal(verdicts(table, seed=3, simulated=True), verdicts(table, seed=3, simulated=True))


def test_a_family_shares_its_error_level() -> None:
    names = ("axis_ratio", "log_volume")
    sem = pd.concat([measured("sem", n, exact(1.17, 0.03, 12)) for n in names])
    cryo = pd.concat([measured("cryo", n, exact(1.17, 0.03, 12)) for n in names])
    shown = verdicts(comparison_table(sem, cryo, EMPTY, EMPTY), seed=1, simulated=True)
    both = shown.set_index("characteristic").loc[list(names)]
    assert (both["verdict"] == "captured").all()
    assert sorted(both["level"]) == pytest.approx([0.90, 0.95])


def test_what_is_judged_has_a_margin_with_a_reason() -> None:
    judged = {c.name for c in CHARACTERISTICS.values() if c.scale != "order"}
    assert judged == set(MARGINS)
    assert all(m.delta > 0 and m.reason and m.text for m in MARGINS.values())
    table = comparison_table(EMPTY, EMPTY, EMPTY, EMPTY)
    with pytest.raises(ValueError, match="No margin was fixed"):
        verdicts(table, {}, seed=0, simulated=True)


@pytest.mark.parametrize(
    ("offset", "claims", "most", "least"), [(0.0, 1, 1.0, 0.8), (0.05, 1, 0.05, 0.0), (0.025, 2, 1.0, 0.8)]
)
def test_simulated_studies_err_as_seldom_as_is_claimed(offset: float, claims: int, most: float, least: float) -> None:
    """*captured* in ≤ 5 % at exactly δ, ≥ 80 % at none; with *approximated* ≥ 80 % at half δ."""
    rng, trials, hits = np.random.default_rng(11), 40, 0
    for _ in range(trials):
        sem = measured("sem", "axis_ratio", rng.normal(1.17 + offset, 0.03, 14))
        cryo = measured("cryo", "axis_ratio", rng.normal(1.17, 0.03, 14))
        found = judge(sem, cryo, EMPTY, EMPTY, "axis_ratio")
        hits += found["verdict"] in VERDICTS[:claims]
    low, high = binomial_interval(hits, trials, 0.01)
    assert low <= most
    assert high >= least
