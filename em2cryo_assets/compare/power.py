"""How many units a test needs, and whether it has them.

Belongs here: power of the equivalence test at zero difference and the numbers that would decide.
Does not belong here: the tests (`statistics`) or what happens when power is short (`verdicts`).
"""

from typing import Final

import numpy as np
from scipy.special import stdtr, stdtrit

__all__ = ["MAX_UNITS", "MIN_POWER", "equivalence_power", "units_needed"]

MIN_POWER: Final = 0.8
"""Power below which no verdict but *inconclusive* is given."""

MAX_UNITS: Final = 100_000
"""Where a search for the number needed stops: beyond, collecting more is no advice."""


def equivalence_power(se: float, df: float, delta: float, alpha: float, *, one_sided: bool = False) -> float:
    """Probability to show a difference within ±δ when there is none.

    Parameters
    ----------
    se : float
        Standard error of the difference.
    df : float
        Its degrees of freedom.
    delta : float
        Margin.
    alpha : float
        One-sided level of each test.
    one_sided : bool
        Only the upper margin counts (distances).

    Returns
    -------
    float
        2 F(δ/se - t) - 1 for the two one-sided tests, F(δ/se - t) for one, with F and t of Student's
        distribution (Chow, Shao and Wang 2008, section 3.2).
    """
    if not se > 0:
        return 1.0
    df = max(df, 1.0)
    # Not `stats.t`, which takes 100 µs a call: a search for the units needed makes hundreds.
    reach = float(stdtr(df, delta / se - stdtrit(df, 1 - alpha)))
    return reach if one_sided else max(0.0, 2 * reach - 1)


def units_needed(
    spread: tuple[float, float],
    n: tuple[int, int],
    delta: float,
    alpha: float,
    *,
    one_sided: bool = False,
    minimum: int = 4,
) -> tuple[int, int] | None:
    """Units a side that give the equivalence test its power, adding where they help most.

    Parameters
    ----------
    spread : tuple of float
        SD between units of the model's and of the reference's side, on the scale of the difference; a side
        of SD 0 is never asked for more.
    n : tuple of int
        Units at hand; never reduced.
    delta, alpha, one_sided
        As in `equivalence_power`.
    minimum : int
        Units that either side needs at least.

    Returns
    -------
    tuple of int or None
        (model, reference); None where `MAX_UNITS` would not do.
    """
    m, r = max(n[0], minimum), max(n[1], minimum)
    variance = (spread[0] ** 2, spread[1] ** 2)
    while True:
        a, b = variance[0] / m, variance[1] / r
        down = a**2 / (m - 1) + b**2 / (r - 1)
        df = (a + b) ** 2 / down if down > 0 else m + r - 2
        if equivalence_power(float(np.sqrt(a + b)), df, delta, alpha, one_sided=one_sided) >= MIN_POWER:
            return m, r
        # A unit lowers the squared error by variance / n²: spend it where that is larger.
        if a / m >= b / r:
            m += max(1, m // 50)
        else:
            r += max(1, r // 50)
        if max(m, r) > MAX_UNITS:
            return None
