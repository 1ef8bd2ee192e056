"""Simulated studies, to learn whether a test of this size tells a fake from the real thing.

Belongs here: studies drawn from the spread that was observed, the positive and a control in each, and
what follows for a scalar. Does not belong here: distances, whose studies are drawn from the pool of
pairs (`distances`), or the consequence for a verdict (`verdicts`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from em2cryo_assets.compare.statistics import Sample, auc

__all__ = ["MIN_AUC", "STUDIES", "Gate", "simulate_studies"]

STUDIES: Final = 1000
MIN_AUC: Final = 0.70
"""Below, the descriptor does not separate the real thing from the control at this n."""

_FLOOR: Final = 1e-6


@dataclass(frozen=True)
class Gate:
    """What the simulated studies said.

    Parameters
    ----------
    auc : float
        Probability that the control lies further from the reference than the real thing does.
    passed, passed_twice : float
        Share of studies in which the control passed the test at δ and at 2 δ.
    """

    auc: float
    passed: float
    passed_twice: float


def simulate_studies(
    model: Sample,
    reference: Sample,
    control: tuple[float, float],
    *,
    ratio: bool,
    delta: float,
    alpha: float,
    seed: int,
    studies: int = STUDIES,
) -> Gate:
    """Run studies in which the truth is known.

    Units are normal with the observed means and SDs. The positive is a model of the reference's own mean
    with the model's spread; the control has its own mean and spread; both are compared with a reference
    of the size at hand.

    Parameters
    ----------
    model, reference : Sample
        As observed, at least two units each.
    control : tuple of float
        Mean and SD of the control's units, in the unit of the characteristic.
    ratio : bool
        Compare the ratio of means on the log scale.
    delta, alpha : float
        Margin and one-sided level of the two one-sided tests.
    seed, studies : int
        Of the simulation; their number.

    Returns
    -------
    Gate
    """
    rng = np.random.default_rng(seed)
    sd_model, sd_reference = np.sqrt(model.variance), np.sqrt(reference.variance)
    real = rng.normal(reference.mean, sd_reference, (studies, reference.n))
    positive = rng.normal(reference.mean, sd_model, (studies, model.n))
    fake = rng.normal(control[0], control[1], (studies, model.n))
    far = auc(_difference(positive, real, ratio), _difference(fake, real, ratio))
    return Gate(
        far,
        float(np.mean(_equivalent(fake, real, ratio, delta, alpha))),
        float(np.mean(_equivalent(fake, real, ratio, 2 * delta, alpha))),
    )


def _difference(model: NDArray[np.float64], reference: NDArray[np.float64], ratio: bool) -> NDArray[np.float64]:
    a, b = model.mean(axis=1), reference.mean(axis=1)
    if not ratio:
        return np.abs(a - b)
    # Normal draws of a small share may turn negative; such a mean is as far off as can be.
    return np.abs(np.log(np.maximum(a, _FLOOR * np.abs(b)) / np.maximum(b, _FLOOR)))


def _equivalent(
    model: NDArray[np.float64], reference: NDArray[np.float64], ratio: bool, delta: float, alpha: float
) -> NDArray[np.bool_]:
    """Outcome of the two one-sided tests in every study, shape (studies,); as `compare_means` tests."""
    n, m = model.shape[1], reference.shape[1]
    a, b = model.mean(axis=1), reference.mean(axis=1)
    va, vb = model.var(axis=1, ddof=1) / n, reference.var(axis=1, ddof=1) / m
    rho = a / np.where(b > 0, b, np.nan) if ratio else np.ones_like(a)
    w = rho**2 * vb
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (va + w) ** 2 / (va**2 / (n - 1) + w**2 / (m - 1))
        critical = stats.t.ppf(1 - alpha, np.where(np.isfinite(df), df, n + m - 2))
        if ratio:
            up, down = np.exp(delta), np.exp(-delta)
            t_up = (a - up * b) / np.sqrt(va + up**2 * vb)
            t_down = (a - down * b) / np.sqrt(va + down**2 * vb)
        else:
            t_up, t_down = (a - b - delta) / np.sqrt(va + vb), (a - b + delta) / np.sqrt(va + vb)
        return (t_up < -critical) & (t_down > critical)
