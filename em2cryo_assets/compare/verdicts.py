"""The verdict on each characteristic, by rules whose order was fixed beforehand.

Belongs here: the order of the rules, error levels within families, and the row that a reader sees.
Does not belong here: the tests (`statistics`), simulated studies (`gates`), margins or words.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from em2cryo_assets.compare.case import Case, needed_words, scarce_side, side_names, units_that_decide
from em2cryo_assets.compare.estimate import estimate_of
from em2cryo_assets.compare.gates import MIN_AUC, STUDIES, simulate_studies
from em2cryo_assets.compare.margins import MARGINS, Margin
from em2cryo_assets.compare.power import MIN_POWER, equivalence_power
from em2cryo_assets.compare.sentences import CAUSES, Sentence, control_name, remedy, sentence
from em2cryo_assets.compare.statistics import (
    MIN_UNITS,
    StudentT,
    benjamini_hochberg,
    compare_means,
    holm,
)
from em2cryo_assets.compare.verdict_row import VERDICT_COLUMNS, verdict_row
from em2cryo_assets.vocabulary import VERDICT_NAMES

__all__ = ["VERDICTS", "VERDICT_COLUMNS", "controls_out_of_order", "verdicts"]

VERDICTS: Final = tuple(VERDICT_NAMES)

_ALPHA: Final = 0.05
_CONTROL_RATE: Final = 0.05
"""Share of simulated studies in which a scalar's fake may pass by chance."""


def verdicts(
    table: pd.DataFrame,
    margins: Mapping[str, Margin] = MARGINS,
    *,
    seed: int,
    simulated: bool,
    input_versions: str = "",
) -> pd.DataFrame:
    """Judge every characteristic.

    In this order: *not assessable* (undefined, imposed, a measurement less certain than δ/2, or a fake
    that simulated studies at this n do not tell from the real thing); fewer than four units a side:
    *inconclusive*; *captured* (equivalence within δ, and the hardest valid fake fails the same test);
    *approximated* (the same at 2 δ); *missed* (interval wholly beyond δ); else, and wherever the power is
    below .8, *inconclusive*. Error levels: Holm within a family, Benjamini-Hochberg for exploratory rows.

    Parameters
    ----------
    table : pandas.DataFrame
        From `comparison_table`.
    margins : mapping of str to Margin
        Tolerances; the project's own unless a test brings others.
    seed : int
        Of the simulated studies and resamples.
    simulated : bool
        Whether the study holds simulated files; carried into every row.
    input_versions : str
        Data versions of the inputs, for the record.

    Returns
    -------
    pandas.DataFrame
        `VERDICT_COLUMNS`, the rows of ``table`` in order. Differences, intervals and margins of ratios are
        natural logarithms; ``interval`` is in per cent. The printed interval has the level at which the row
        was judged: of what is captured or approximated the one that two one-sided tests look at (90 % for tests
        at 5 %), of all else the two-sided one. ``quality`` is (D_fake - D_model)/(D_fake - D_real): a description,
        never a gate.

    Raises
    ------
    ValueError
        If a characteristic has no margin.
    """
    cases = []
    rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    for i, row in enumerate(rows):
        name = row["characteristic"]
        if name not in margins and row["scale"] != "order":
            raise ValueError(f"No margin was fixed for {name}: write one, with its reason, before looking.")
        case = Case(row, margins.get(name, Margin(float("nan"), "", "reported, never judged")))
        _gate(case, seed + i)
        cases.append(case)
    _share_levels([c for c in cases if not c.out])
    for i, case in enumerate(cases):
        if not case.out:
            _decide(case, seed + i)
    shown = [verdict_row(c, simulated, input_versions) for c in cases]
    return pd.DataFrame(shown, columns=list(VERDICT_COLUMNS))


def controls_out_of_order(table: pd.DataFrame) -> list[str]:
    """Fakes of distances that lie nearer to the real thing than real ones do to each other.

    Parameters
    ----------
    table : pandas.DataFrame
        From `comparison_table`.

    Returns
    -------
    list of str
        Characteristic, fake and AUC of each, as they are shown to people.
    """
    return [
        f"{row['characteristic']} ({control_name(control['name']).en}, AUC {control['auc']:.2f})"
        for row in table.to_dict("records")
        if row["scale"] == "distance"
        for control in json.loads(row["controls"])
        if control["auc"] < 0.5
    ]


def _gate(case: Case, seed: int) -> None:
    """Rules that look at what could be measured, never at the difference that was."""
    row, (n_model, n_reference) = case.row, case.n
    if row["cause"]:
        _finish(
            case,
            "not assessable",
            sentence("not_assessable", cause=row["cause"]),
            reason=row["reason"],
            cause=CAUSES[row["cause"]].en,
            change=remedy(row["cause"]),
        )
        return
    if min(n_model, n_reference) < MIN_UNITS or (case.distance and not np.isfinite(row["excess_se"])):
        _too_few_for_interval(case)
        return
    case.estimate = estimate_of(case, seed)
    sd = row["measurement_sd"]
    if np.isfinite(sd) and sd > case.margin.delta / 2:
        reason = f"one measurement has an SD of {sd:.2g}, above half of the tolerance ({case.margin.delta:.2g})"
        _finish(
            case,
            "not assessable",
            sentence("not_assessable", cause="measurement_sd"),
            reason=reason,
            cause=CAUSES["measurement_sd"].en,
            change=remedy("measurement_sd"),
        )
        return
    _choose_control(case, seed)
    if case.control and case.control_auc < MIN_AUC:
        fake = control_name(case.control).en
        reason = f"simulated studies of this size do not tell a fake ({fake}) apart (AUC {case.control_auc:.2f})"
        _finish(
            case,
            "not assessable",
            sentence("fake_like", control=case.control),
            reason=reason,
            cause="too little contrast between the real thing and a fake at this n",
            change="more independent units, or cells that differ more from the fake",
        )


def _choose_control(case: Case, seed: int) -> None:
    """Take the fake that is hardest to tell from the real thing in simulated studies."""
    ranked = []
    for control in json.loads(case.row["controls"]):
        found = control["auc"] if case.distance else _simulated(case, control, _ALPHA, seed).auc
        # Where all are told apart without fail, the one that lies nearest is the hardest.
        gap = control["excess"] if case.distance else abs(control["mean"] - case.row["estimate_reference"])
        ranked.append((found, gap, control["name"]))
    if ranked:
        case.control_auc, _, case.control = min(ranked)


def _simulated(case: Case, control: Mapping[str, Any], alpha: float, seed: int) -> Any:
    fake = (control["mean"], control["sd"])
    delta = case.margin.delta
    return simulate_studies(*case.samples(), fake, ratio=case.ratio, delta=delta, alpha=alpha, seed=seed)


def _share_levels(cases: list[Case]) -> None:
    """Holm within each family, Benjamini-Hochberg over all exploratory rows; each claim in its own right."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault("exploratory" if case.row["exploratory"] else case.row["family"], []).append(case)
    for name, members in groups.items():
        adjust = benjamini_hochberg if name == "exploratory" else holm
        for claim, p in (
            ("captured", [c.p_within(1) for c in members]),
            ("approximated", [c.p_within(2) for c in members]),
            ("missed", [c.p_beyond() for c in members]),
        ):
            rejected, level = adjust(p, _ALPHA)
            for case, holds, at in zip(members, rejected, level, strict=True):
                case.holds[claim], case.levels[claim] = bool(holds), float(at)


def _decide(case: Case, seed: int) -> None:
    assert case.estimate is not None
    alpha = case.levels["captured"]
    delta = case.margin.delta
    case.power = equivalence_power(case.estimate.se, case.df, delta, alpha, one_sided=case.distance)
    passed, tried = _control_outcome(case, alpha, seed)
    # What is not captured was tried at twice the tolerance, where a fake may pass that fails at the tolerance.
    text = tried[2 if case.holds["approximated"] and not case.holds["captured"] else 1]
    case.out["control_result"] = text
    if case.power < MIN_POWER:
        needed = units_that_decide(case, delta, alpha)
        words, count = needed_words(case, needed)
        _finish(
            case,
            "inconclusive",
            sentence("too_few", needed=count),
            reason=f"power {case.power:.2f} to show a difference below the tolerance; {words}",
            cause=scarce_side(case, needed),
            change=words,
        )
        return
    for verdict, factor in (("captured", 1), ("approximated", 2)):
        if case.holds[verdict] and case.control and not passed[factor]:
            within = "the tolerance" if factor == 1 else "twice the tolerance"
            reason = f"the {'excess' if case.distance else 'difference'} lies within {within}; {text}"
            cause = "none within the tolerance" if factor == 1 else "a small difference that the data resolve"
            _finish(
                case,
                verdict,
                sentence(verdict, control=case.control),
                reason=reason,
                cause=cause,
                change="a smaller tolerance would need more units" if factor == 1 else "a better model",
                # Both one-sided tests at this level: what they say is the interval with so much left out on each side.
                level=2 * case.levels[verdict],
            )
            return
    if case.holds["missed"]:
        _finish(
            case,
            "missed",
            sentence("missed_distance" if case.distance else "missed"),
            reason="the interval lies wholly beyond the tolerance",
            cause=_SOURCES[str(case.row["model_side"])],
            change="a better model or reference; more of the same confirms the difference",
            level=case.levels["missed"],
        )
        return
    if (case.holds["captured"] or case.holds["approximated"]) and (not case.control or any(passed.values())):
        _finish(
            case,
            "inconclusive",
            sentence(_open_kind(case), control=case.control),
            reason=text or "no valid fake is known against which the test could be tried",
            cause="the test is too weak to fail a fake" if case.control else "no valid fake is known",
            change="cells that differ more from the fake, or a smaller tolerance",
        )
        return
    gap = abs(case.estimate.value) if not case.distance else case.estimate.value
    reach = min(abs(gap - delta), abs(gap - 2 * delta))
    words, count = needed_words(case, units_that_decide(case, max(reach, 1e-9), alpha))
    _finish(
        case,
        "inconclusive",
        sentence("undecided", needed=count),
        reason=f"the interval straddles the tolerance; {words}",
        cause="the difference lies close to the tolerance",
        change=words,
    )


def _open_kind(case: Case) -> str:
    """Which sentence says why a row within a tolerance is no claim."""
    if not case.control:
        return "no_fake"
    return "fake_passed" if case.holds["captured"] else "fake_passed_twice"


_SOURCES: Final = {
    "sem": "the surface from one SEM view, drying, or another population of cells",
    "tem": "fixation, staining and compression of sections, labelling, or another population of cells",
    "pairs": "the model's interior (one atlas, no texture finer than its voxel), or unmatched degradation",
}


def _control_outcome(case: Case, alpha: float, seed: int) -> tuple[dict[int, bool], dict[int, str]]:
    """Whether the hardest fake passes the same test at δ and 2 δ, and the sentence on each."""
    controls = {c["name"]: c for c in json.loads(case.row["controls"])}
    if case.control not in controls:
        return {1: False, 2: False}, {1: "", 2: ""}
    control, fake = controls[case.control], control_name(case.control).en
    if case.distance:
        estimate = StudentT(control["excess"], control["se"], float(min(case.n[0], control["n"]) - 1))
        passed = {k: estimate.p_below(k * case.margin.delta) <= alpha for k in (1, 2)}
        found = dict.fromkeys((1, 2), f"excess {control['excess']:.2f}, ")
        shares = {1: "", 2: ""}
    else:
        gate = _simulated(case, control, alpha, seed)
        passed = {1: gate.passed > _CONTROL_RATE, 2: gate.passed_twice > _CONTROL_RATE}
        found = {1: "", 2: ""}
        rates = {1: gate.passed, 2: gate.passed_twice}
        shares = {k: f", passing in {rate:.1%} of {STUDIES:,} simulated studies" for k, rate in rates.items()}
    return passed, {
        k: f"{fake}: {found[k]}{'passed' if passed[k] else 'failed'} the same test{shares[k]} (AUC {case.control_auc:.2f})"
        for k in (1, 2)
    }


def _too_few_for_interval(case: Case) -> None:
    sides = " and ".join(f"{n} {what}" for n, what in zip(case.n, side_names(case), strict=True) if n < MIN_UNITS)
    needed = None
    if min(case.n) >= 2 and not case.distance:
        case.estimate = compare_means(*case.samples(), ratio=case.ratio)
        needed = units_that_decide(case, case.margin.delta, _ALPHA)
    count = max(needed) if needed else MIN_UNITS
    words = needed_words(case, needed)[0] if needed else f"at least {MIN_UNITS} independent units a side are needed"
    reason = f"only {sides}; no interval below {MIN_UNITS}" if sides else "too few units share the same vectors"
    _finish(
        case,
        "inconclusive",
        sentence("too_few", needed=count),
        reason=f"{reason}; {words}",
        cause=f"the number of {side_names(case)[int(case.n[1] < case.n[0])]}",
        change=words,
    )


def _finish(
    case: Case,
    verdict: str,
    words: Sentence,
    *,
    reason: str,
    cause: str,
    change: str,
    level: float | None = None,
) -> None:
    note = str(case.row["note"])
    case.out |= {
        "verdict": verdict,
        "sentence_en": words.en,
        "sentence_ko": words.ko,
        "reason": f"{reason} ({note})" if note else reason,
        "limiting_cause": cause,
        "would_change": change,
        "alpha": level,
    }
