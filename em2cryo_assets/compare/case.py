"""A characteristic on its way to a verdict: what was estimated, and how many units would settle it.

Belongs here: the p of each claim and the numbers needed. Does not belong here: the order of the rules
(`verdicts`) or the row that is shown (`verdict_row`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from em2cryo_assets.compare.margins import Margin
from em2cryo_assets.compare.power import units_needed
from em2cryo_assets.compare.statistics import Estimate, Sample

__all__ = ["Case", "needed_words", "scarce_side", "side_names", "units_that_decide"]


@dataclass
class Case:
    """One row of the comparison table and what has been found out about it so far.

    Parameters
    ----------
    row : mapping
        The row, by column.
    margin : Margin
        Its tolerance.
    estimate : Estimate, optional
        None until, or unless, there are units enough.
    control : str
        The hardest valid fake; empty where none is known.
    control_auc : float
        How well simulated studies tell it from the real thing.
    levels, holds : dict
        By claim ("captured", "approximated", "missed"): the level it was judged at; whether it holds.
    power : float
        Of the equivalence test at zero difference.
    out : dict
        Columns of the verdict; filled means decided.
    """

    row: Mapping[str, Any]
    margin: Margin
    estimate: Estimate | None = None
    control: str = ""
    control_auc: float = float("nan")
    levels: dict[str, float] = field(default_factory=dict)
    holds: dict[str, bool] = field(default_factory=dict)
    power: float = float("nan")
    out: dict[str, Any] = field(default_factory=dict)

    @property
    def distance(self) -> bool:
        """Whether only the upper margin counts: an excess of distances."""
        return self.row["scale"] == "distance"

    @property
    def ratio(self) -> bool:
        """Whether means are compared by their ratio, on the log scale."""
        return self.row["scale"] == "ratio"

    @property
    def n(self) -> tuple[int, int]:
        """Independent units of the model's and the reference's side."""
        return int(self.row["n_model"]), int(self.row["n_reference"])

    @property
    def df(self) -> float:
        """Degrees of freedom for power; those of a resampled estimate are many."""
        return float(getattr(self.estimate, "df", sum(self.n) - 2))

    def samples(self) -> tuple[Sample, Sample]:
        """Both sides of a scalar."""
        r = self.row
        return (
            Sample(r["estimate_model"], r["sd_model"] ** 2, self.n[0]),
            Sample(r["estimate_reference"], r["sd_reference"] ** 2, self.n[1]),
        )

    def p_within(self, factor: float) -> float:
        """P of the equivalence test at a multiple of δ (two one-sided tests; one for distances)."""
        assert self.estimate is not None
        above = self.estimate.p_below(factor * self.margin.delta)
        return above if self.distance else max(above, self.estimate.p_above(-factor * self.margin.delta))

    def p_beyond(self) -> float:
        """P that the two-sided interval lies wholly beyond δ."""
        assert self.estimate is not None
        above = self.estimate.p_above(self.margin.delta)
        return min(1.0, 2 * (above if self.distance else min(above, self.estimate.p_below(-self.margin.delta))))


def units_that_decide(case: Case, reach: float, alpha: float) -> tuple[int, int] | None:
    """Units a side at which a difference of ``reach`` is resolved with power .8; None if impracticable."""
    spread = _spread(case)
    if not np.isfinite(spread).all():
        return None
    return units_needed(spread, case.n, reach, alpha, one_sided=case.distance)


def needed_words(case: Case, needed: tuple[int, int] | None) -> tuple[str, int | None]:
    """Say the numbers needed, and give the largest that is lacking."""
    if needed is None:
        return "no practicable number of samples would decide", None
    more = [(w, name, h) for w, h, name in zip(needed, case.n, side_names(case), strict=True) if w > h]
    words = " and ".join(f"about {w} {name} in place of {h}" for w, name, h in more)
    return (words or "as many as there are") + " would decide", max((w for w, _, _ in more), default=max(needed))


def side_names(case: Case) -> tuple[str, str]:
    """Name the units of the two sides."""
    if case.row["model_side"] == "sem":
        return "SEM cells", "frozen-hydrated cells"
    tem = "TEM blocks" if case.n[0] < int(case.row["n_tem"]) else "TEM cells"
    return tem, "tomogram cells" if case.distance else "frozen-hydrated cells"


def scarce_side(case: Case, needed: tuple[int, int] | None) -> str:
    """Name what stands in the way of power."""
    model, reference = side_names(case)
    if needed is None:
        return "spread between cells"
    short = needed[0] / max(case.n[0], 1), needed[1] / max(case.n[1], 1)
    return f"the number of {model if short[0] > short[1] else reference}"


def _spread(case: Case) -> tuple[float, float]:
    """SD between units of both sides, on the scale of the difference."""
    row = case.row
    if case.distance:
        return 0.0, float(row["excess_se"]) * float(np.sqrt(case.n[1]))
    spread = [float(row["sd_model"]), float(row["sd_reference"])]
    if case.ratio:
        means = [abs(float(row["estimate_model"])), abs(float(row["estimate_reference"]))]
        spread = [s / m if m > 0 else float("inf") for s, m in zip(spread, means, strict=True)]
    return spread[0], spread[1]
