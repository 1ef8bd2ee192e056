"""The row of the verdict table that a reader sees.

Belongs here: its columns, and numbers turned into what is printed. Does not belong here: deciding
(`verdicts`).
"""

import json
from typing import Any, Final

import numpy as np

from em2cryo_assets.compare.case import Case
from em2cryo_assets.compare.drying import ABSOLUTE
from em2cryo_assets.compare.sentences import control_name
from em2cryo_assets.compare.statistics import MIN_UNITS

__all__ = ["VERDICT_COLUMNS", "verdict_row"]

VERDICT_COLUMNS: Final = (
    "characteristic",
    "family",
    "unit",
    "estimate_model",
    "estimate_reference",
    "difference",
    "low",
    "high",
    "level",
    "interval",
    "margin",
    "margin_reason",
    "n",
    "n_sem",
    "n_tem",
    "n_cryo",
    "n_units",
    "power",
    "quality",
    "control",
    "control_result",
    "verdict",
    "reason",
    "limiting_cause",
    "would_change",
    "sentence_en",
    "sentence_ko",
    "exploratory",
    "simulated",
    "input_versions",
)

_ALPHA: Final = 0.05


def verdict_row(case: Case, simulated: bool, input_versions: str) -> dict[str, Any]:
    """Fill the columns of `VERDICT_COLUMNS` for one decided case."""
    row, out = case.row, dict(case.out)
    given = out.pop("alpha", None)
    low = high = level = float("nan")
    difference = float(row["excess"]) if case.distance else float("nan")
    interval = "none: not assessable" if out["verdict"] == "not assessable" else "none: too few independent units"
    if case.estimate is not None:
        difference = case.estimate.value
        if min(case.n) >= MIN_UNITS:
            # Without a claim of its own a row is shown at the strictest level of its family.
            alpha = given if given is not None else min(case.levels.values(), default=_ALPHA)
            low, high = case.estimate.interval(alpha)
            level = 1 - alpha
            interval = _printed(case, low, high, level)
    elif not case.distance and np.isfinite([row["estimate_model"], row["estimate_reference"]]).all():
        a, b = float(row["estimate_model"]), float(row["estimate_reference"])
        difference = (float(np.log(a / b)) if a > 0 and b > 0 else float("nan")) if case.ratio else a - b
    counts = {k: int(row[k]) for k in ("n_sem", "n_tem", "n_cryo")}
    return {
        **{k: row[k] for k in ("characteristic", "family", "unit", "estimate_model", "estimate_reference")},
        "difference": difference,
        "low": low,
        "high": high,
        "level": level,
        "interval": interval,
        "margin": case.margin.delta,
        "margin_reason": f"{case.margin.text}: {case.margin.reason}".lstrip(": "),
        "n": "SEM {n_sem} / TEM {n_tem} / cryo {n_cryo}".format(**counts),
        **counts,
        "n_units": min(case.n),
        "power": case.power,
        "quality": _quality(case),
        "control": control_name(case.control).en if case.control else "",
        "control_result": "",
        "exploratory": bool(row["exploratory"]),
        "simulated": simulated,
        "input_versions": input_versions,
    } | out


def _printed(case: Case, low: float, high: float, level: float) -> str:
    if case.ratio or case.row["characteristic"] in ABSOLUTE:
        # The logarithm of nothing is -inf: a share has its own bound there.
        digits = 0 if case.ratio else 1
        with np.errstate(over="ignore"):
            ends = [f"{100 * float(np.expm1(v)):+.{digits}f} %" if v < np.inf else "unbounded" for v in (low, high)]
    else:
        digits = max(0, 2 - int(np.floor(np.log10(max(case.margin.delta, 1e-6)))))
        ends = [f"{v:+.{digits}f}" for v in (low, high)]
    return f"{ends[0]} to {ends[1]} ({100 * level:.3g} % interval)".replace("-", "−")


def _quality(case: Case) -> float:
    if not case.distance:
        return float("nan")
    mine = [c["distance"] for c in json.loads(case.row["controls"]) if c["name"] == case.control]
    if not mine or not mine[0] > case.row["estimate_reference"]:
        return float("nan")
    return float((mine[0] - case.row["estimate_model"]) / (mine[0] - case.row["estimate_reference"]))
