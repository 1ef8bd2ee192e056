"""The estimate that one row of the comparison table is judged by.

Belongs here: which of the intervals goes with how many units. Does not belong here: the intervals themselves
(`statistics`) or what follows from them (`verdicts`).
"""

import json

import numpy as np

from em2cryo_assets.compare.case import Case
from em2cryo_assets.compare.statistics import BOOTSTRAP_UNITS, Estimate, StudentT, bootstrap_t, compare_means

__all__ = ["estimate_of"]


def estimate_of(case: Case, seed: int) -> Estimate:
    """Difference of a row with its distribution.

    The excess of a distance comes with its jackknife error; scalars are resampled from 20 units a side on, and
    compared by Welch's or Fieller's t below.

    Parameters
    ----------
    case : Case
        At least two units a side.
    seed : int
        Of the resampling.
    """
    if case.distance:
        return StudentT(float(case.row["excess"]), float(case.row["excess_se"]), float(min(case.n) - 1))
    if min(case.n) >= BOOTSTRAP_UNITS:
        model, reference = (
            np.array(list(json.loads(case.row[k]).values())) for k in ("units_model", "units_reference")
        )
        try:
            return bootstrap_t(model, reference, ratio=case.ratio, seed=seed)
        except ValueError:
            pass  # Degenerate resamples (no spread, or a mean of zero): the t distribution still stands.
    return compare_means(*case.samples(), ratio=case.ratio)
