"""Sizes and numbers of bodies from the sizes of their profiles.

Belongs here: Keiding's model of spheres cut by sections, with the caps that are too small to be seen.
Does not belong here: finding profiles (`tem.measure`), areas and thicknesses (`tem.stereology`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["Sizes", "unfold"]

_FEWEST = 8
_NODES = 71
_SMALLEST_SPREAD = 0.02


@dataclass(frozen=True)
class Sizes:
    """Spheres behind a set of profiles.

    Parameters
    ----------
    mean_nm, sd_nm : float
        Of the diameters of the bodies (not of the profiles), lognormal.
    cap_deg : float
        Capping angle φ: cuts smaller than D sin φ are not seen.
    seen_nm : float
        t + E[D] cos φ, less where profiles were left out: profiles per area over bodies per volume.
    """

    mean_nm: float
    sd_nm: float
    cap_deg: float
    seen_nm: float


def unfold(profile_nm: NDArray[np.floating], thickness_nm: float = 0.0, least_nm: float = 0.0) -> Sizes:
    """Fit Keiding's model to the diameters of profiles by maximum likelihood.

    Diameters D are lognormal. A section of effective thickness t shows a sphere's largest cut where its centre lies
    within t, a smaller one beside it down to D sin φ (Keiding, Jensen and Ranek 1972); the density of a profile's
    diameter d is ∫ g(D) [t δ(d − D) + d / √(D² − d²)] dD / (t + E[D] cos φ). Both terms are integrated over the bin
    of a twentieth of a logarithmic unit that a profile falls in.

    Parameters
    ----------
    profile_nm : numpy.ndarray, shape (n,)
        Diameters of the circles of the profiles' areas.
    thickness_nm : float
        Effective thickness: 0 for outlines at half density, the section's for all that is visible.
    least_nm : float
        Smaller profiles are left out and not expected either: crumbs of a rim are no bodies.

    Returns
    -------
    Sizes
        NaN for fewer than eight profiles: they cannot tell size from spread.
    """
    d = np.asarray(profile_nm, float)
    d = d[d > max(least_nm, 0.0)]
    if len(d) < _FEWEST:
        return Sizes(*(float("nan"),) * 4)
    width = 0.05
    low = max(float(d.min()) * np.exp(-width), least_nm)
    edges = low * np.exp(width * np.arange(int(np.ceil(np.log(d.max() * 1.06 / low) / width)) + 1))
    counts = np.histogram(d, edges)[0]
    # Even nodes out to 3.5 SD: with quantiles, which end at 2.4, the SD came out a tenth too large.
    deviates = np.linspace(-3.5, 3.5, _NODES)
    weight = np.exp(-(deviates**2) / 2)
    weight /= weight.sum()
    smallest = float(d.min())

    def expected(log_mean: float, log_sd: float, sine: float) -> tuple[NDArray[np.float64], float]:
        """Chance of each bin, and mean height in which a sphere is seen; bodies weigh as often as they are met."""
        size = np.exp(log_mean + log_sd * deviates)
        lost = np.maximum(sine * size, least_nm)[:, None]
        reach = np.sqrt(np.maximum(size[:, None] ** 2 - np.maximum(edges, lost) ** 2, 0.0))
        beside = weight @ (reach[:, :-1] - reach[:, 1:])
        within = np.histogram(size, edges, weights=weight)[0] * thickness_nm
        return beside + within, float(weight @ np.sqrt(np.maximum(size**2 - lost[:, 0] ** 2, 0.0)))

    def loss(p: NDArray[np.float64]) -> float:
        sine = 0.9 / (1 + np.exp(-p[2]))
        shares, met = expected(p[0], _SMALLEST_SPREAD + np.exp(p[1]), sine)
        chance = shares / (thickness_nm + met)
        return float(-np.sum(counts * np.log(np.maximum(chance, 1e-9))))

    # E[d] = π D / 4 for one size without lost caps: a start that is right where it matters.
    start_size = np.log(float(d.mean()) * 4 / np.pi)
    sine = np.clip(smallest / np.exp(start_size), 0.02, 0.6)
    first = np.array([start_size, np.log(0.15), np.log(sine / (0.9 - sine))])
    best = min(
        (minimize(loss, first + np.array(shift), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3})
         for shift in ((0.0, 0.0, 0.0), (-0.1, 0.7, -1.0))),
        key=lambda found: float(found.fun),
    )  # fmt: skip
    log_sd = _SMALLEST_SPREAD + float(np.exp(best.x[1]))
    sine = 0.9 / (1 + float(np.exp(-best.x[2])))
    mean = float(np.exp(best.x[0] + log_sd**2 / 2))
    return Sizes(
        mean, mean * float(np.sqrt(np.expm1(log_sd**2))), float(np.rad2deg(np.arcsin(sine))),
        thickness_nm + expected(float(best.x[0]), log_sd, sine)[1],
    )  # fmt: skip
