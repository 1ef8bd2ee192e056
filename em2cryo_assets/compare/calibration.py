"""How often verdicts are right: the whole protocol on studies whose answers are known.

Belongs here: judging drawn studies, counting, and what the counts must be. Does not belong here: drawing
(`known_studies`), the protocol itself (`table`, `verdicts`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from em2cryo_assets.compare.calibration_pool import Pool
from em2cryo_assets.compare.case import Case
from em2cryo_assets.compare.estimate import estimate_of
from em2cryo_assets.compare.known_answers import (
    A_FAKE,
    HALF,
    NO_DIFFERENCE,
    WHOLE,
    Answers,
    Population,
    Sizes,
    known_answers,
)
from em2cryo_assets.compare.known_studies import draw_tables, sign_of
from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.power import MIN_POWER
from em2cryo_assets.compare.statistics import MIN_UNITS, binomial_interval
from em2cryo_assets.compare.table import comparison_table
from em2cryo_assets.compare.verdicts import VERDICTS, verdicts

__all__ = ["CALIBRATION_COLUMNS", "judged_studies", "rates"]

_MOST_WRONG: Final = 0.05
_LEAST_RIGHT: Final = 0.80
_AT_ONCE: Final = 5

CALIBRATION_COLUMNS: Final = (
    "characteristic",
    "answer",
    "fake",
    "studies",
    *(f"n_{verdict.replace(' ', '_')}" for verdict in VERDICTS),
    "power",
    "asked",
    "rate",
    "rate_low",
    "rate_high",
    "kept",
    "coverage",
    "coverage_low",
    "coverage_high",
    "n_intervals",
)
"""``asked`` is what the rate must be, empty where nothing is asked; ``kept`` whether it is ("yes", "no", or
"undecided" where the interval of the rate holds the limit)."""


@dataclass(frozen=True)
class _Task:
    """Studies of one answer, with seeds of their own."""

    answer: Answers
    seeds: range


def judged_studies(
    pool: Pool,
    sizes: Sizes,
    studies: int,
    *,
    seed: int,
    spread: Callable[[Callable[[Any], pd.DataFrame], Iterable[Any]], Iterator[pd.DataFrame]] = map,  # type: ignore[assignment]
) -> pd.DataFrame:
    """Draw studies of every known answer and judge them by the protocol.

    Parameters
    ----------
    pool : Pool
        Where units are drawn from.
    sizes : Sizes
        Of each study.
    studies : int
        For each answer.
    seed : int
        Of all draws.
    spread : callable
        Like `map`; one that works in several processes gives the same rows.

    Returns
    -------
    pandas.DataFrame
        One row a study and characteristic: answer, fake, study, characteristic, verdict, power, difference, and the
        ends of the 95 % interval where there is one.
    """
    population = Population(pool)
    tasks = [
        _Task(answer, range(first, min(first + _AT_ONCE, count)))
        for answer in known_answers(population, sizes, seed=seed)
        # Most characteristics have two fakes, which take turns.
        for count in (2 * studies if answer.fake else studies,)
        for first in range(0, count, _AT_ONCE)
    ]
    return pd.concat(spread(_Judge(population, sizes, seed), tasks), ignore_index=True)


@dataclass(frozen=True)
class _Judge:
    """A function that other processes can be sent."""

    population: Population
    sizes: Sizes
    seed: int

    def __call__(self, task: _Task) -> pd.DataFrame:
        rows: list[dict[str, Any]] = []
        for study in task.seeds:
            rows += self._judged(task.answer, study)
        return pd.DataFrame(rows)

    def _judged(self, answer: Answers, study: int) -> Iterator[dict[str, Any]]:
        number = int(np.random.SeedSequence([self.seed, study]).generate_state(1)[0])
        drawn = draw_tables(self.population, self.sizes, answer, number, study)
        table = comparison_table(
            drawn.cells, drawn.tomograms, drawn.sections, drawn.pairs, live_um=drawn.live_um, seed=number
        )
        shown = verdicts(table, seed=number, simulated=True)
        for row, verdict in zip(table.to_dict("records"), shown.to_dict("records"), strict=True):
            name = str(row["characteristic"])
            if row["scale"] == "order":
                continue
            fake = self.population.fake(name, study) if answer.fake else None
            # The mean excess of a distance is known from all studies together only.
            known = not answer.fake and row["scale"] != "distance"
            yield {
                "answer": answer.name,
                "fake": fake.name if fake else "",
                "meant": answer.fake == (fake is not None) and name not in answer.unreached,
                "study": study,
                "characteristic": name,
                "verdict": verdict["verdict"],
                "power": verdict["power"],
                "undefined": row["cause"] == "not_in_slab",
                "truth": sign_of(study) * answer.factor * MARGINS[name].delta if known else np.nan,
                **_interval({str(k): v for k, v in row.items()}, number),
            }


def _interval(row: dict[str, Any], seed: int) -> dict[str, float]:
    case = Case(row, MARGINS[row["characteristic"]])
    enough = min(case.n) >= MIN_UNITS and not (case.distance and not np.isfinite(row["excess_se"]))
    if row["cause"] or not enough:
        return {"difference": np.nan, "low": np.nan, "high": np.nan}
    estimate = estimate_of(case, seed)
    low, high = estimate.interval(0.05)
    return {"difference": estimate.value, "low": low, "high": high}


def rates(judged: pd.DataFrame) -> pd.DataFrame:
    """Count verdicts and what intervals cover.

    Parameters
    ----------
    judged : pandas.DataFrame
        From `judged_studies`.

    Returns
    -------
    pandas.DataFrame
        `CALIBRATION_COLUMNS`: one row a characteristic and answer. Asked of a real difference of the tolerance and of
        each fake: *captured* in at most 5 % of studies. Of no difference: *captured* in at least 80 %, of half the
        tolerance: *captured* or *approximated* in at least 80 %, both where the median power is .8 or more. Of what a
        slab cannot show: *not assessable* always. All rates with intervals after Clopper and Pearson.
    """
    # A study that was not judged had no power: the median counts it.
    same = judged[judged["answer"] == NO_DIFFERENCE]
    powers = same.assign(power=same["power"].fillna(0.0)).groupby("characteristic")["power"].median()
    rows = []
    for (name, answer, fake), group in judged[judged["meant"]].groupby(
        ["characteristic", "answer", "fake"], sort=False
    ):
        counts = {f"n_{v.replace(' ', '_')}": int((group["verdict"] == v).sum()) for v in VERDICTS}
        power = float(powers.get(name, np.nan))
        power = power if np.isfinite(power) else 0.0
        asked, hits = _asked(str(answer), group, counts, power)
        row: dict[str, Any] = {
            "characteristic": name,
            "answer": answer,
            "fake": fake,
            "studies": len(group),
            **counts,
            "power": power,
            "asked": asked,
        }
        rows.append(row | _rate(asked, hits, len(group)) | _coverage(group))
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def _asked(answer: str, group: pd.DataFrame, counts: dict[str, int], power: float) -> tuple[str, int]:
    captured = counts["n_captured"]
    if group["undefined"].all():
        return "not assessable: always", counts["n_not_assessable"]
    if answer in (WHOLE, A_FAKE):
        return "captured: at most 5 %", captured
    if answer == NO_DIFFERENCE and power >= MIN_POWER:
        return "captured: at least 80 %", captured
    if answer == HALF and power >= MIN_POWER:
        return "captured or approximated: at least 80 %", captured + counts["n_approximated"]
    return "", captured


def _rate(asked: str, hits: int, studies: int) -> dict[str, Any]:
    low, high = binomial_interval(hits, studies)
    kept = ""
    if asked.endswith("always"):
        kept = "yes" if hits == studies else "no"
    elif "at most" in asked:
        kept = "yes" if high <= _MOST_WRONG else "no" if low > _MOST_WRONG else "undecided"
    elif "at least" in asked:
        kept = "yes" if low >= _LEAST_RIGHT else "no" if high < _LEAST_RIGHT else "undecided"
    return {"rate": hits / studies, "rate_low": low, "rate_high": high, "kept": kept}


def _coverage(group: pd.DataFrame) -> dict[str, Any]:
    """Share of 95 % intervals that hold the truth; of a distance the truth is the mean over all studies."""
    known = group[np.isfinite(group["low"]) & np.isfinite(group["high"])]
    truth = known["truth"].fillna(known["difference"].mean())
    if not len(known) or known["answer"].iloc[0] == A_FAKE:
        return {"coverage": np.nan, "coverage_low": np.nan, "coverage_high": np.nan, "n_intervals": 0}
    held = int(((known["low"] <= truth) & (truth <= known["high"])).sum())
    low, high = binomial_interval(held, len(known))
    return {"coverage": held / len(known), "coverage_low": low, "coverage_high": high, "n_intervals": len(known)}
