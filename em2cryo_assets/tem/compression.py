"""What the knife does to lengths in a section, and what a resin lets one expect of it.

Belongs here: the prior of compression by resin, and how areas and lengths of random outlines change.
Does not belong here: estimates from sections (`tem.atlas`), pictures of compressed sections (`phantom.tem`).

A section is compressed along the knife's path by a share c: one affine a section, which takes all areas to
(1 − c) of what they were. Volume fractions, ratios of areas, do not notice; thicknesses and sizes do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ellipe

__all__ = ["Compression", "known_compression", "length_kept", "prior_by_resin", "wall_stretch"]


@dataclass(frozen=True)
class Compression:
    """Prior of the share by which lengths along the knife's path shrank.

    Parameters
    ----------
    mean, sd : float
        Of a normal distribution, cut off below 0 and above 0.6.
    source : str
        Where it comes from.
    """

    mean: float
    sd: float
    source: str

    def drawn(self, deviate: ArrayLike) -> NDArray[np.float64]:
        """Shares for standard normal deviates."""
        return np.clip(self.mean + self.sd * np.asarray(deviate, float), 0.0, 0.6)


_SOFT = Compression(0.275, 0.045, "20 to 35 % measured on Lowicryl and polystyrene, Studer and Gnaegi 2000")
_EPOXY = Compression(0.10, 0.05, "epoxy sections of a 45° knife, spread and relaxed on water; assumed")
_RESINS = {
    **dict.fromkeys(("lowicryl", "hm20", "hm-20", "hm23", "k4m", "k11m", "lr white", "lr-white", "lr gold"), _SOFT),
    **dict.fromkeys(("epon", "embed", "araldite", "spurr", "durcupan", "epoxy", "agar 100", "poly/bed"), _EPOXY),
}


def prior_by_resin(resin: str) -> Compression | None:
    """Prior of a resin by its usual names; None where it is not recorded or not known.

    Parameters
    ----------
    resin : str
        As written in the sidecar, such as ``Epon 812``; the case of letters does not matter.
    """
    name = resin.casefold()
    return next((prior for word, prior in _RESINS.items() if word in name), None)


def known_compression(recorded: float | None, resin: str) -> Compression | None:
    """What is known of the knife: the number that was recorded, else the prior of the resin.

    Parameters
    ----------
    recorded : float or None
        Share by which a section was shortened.
    resin : str
        As for `prior_by_resin`.
    """
    return prior_by_resin(resin) if recorded is None else Compression(float(recorded), 0.0, "recorded")


def length_kept(compression: ArrayLike) -> NDArray[np.float64]:
    """Mean factor of the length of lines in all directions under a compression c along one.

    The mean of √((1−c)² cos² + sin²) over directions, (2/π) E(1 − (1−c)²) with the complete elliptic integral of
    the second kind; 1 − c/2 to first order.
    """
    kept = 1.0 - np.asarray(compression, float)
    return np.asarray(2.0 / np.pi * ellipe(1.0 - kept**2))


def wall_stretch(compression: ArrayLike) -> NDArray[np.float64]:
    """Factor that undoes compression in an area over a length, such as a wall's thickness; 1 or more."""
    c = np.asarray(compression, float)
    return np.asarray(length_kept(c) / (1.0 - c))
