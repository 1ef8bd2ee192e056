"""Counts of electrons and of ribosomes.

Belongs here: Poisson counts that depend on a pixel's own draw only. Does not belong here: any other noise.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["poisson_counts"]


def poisson_counts(expected: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float64]:
    """Poisson counts by inversion, one uniform number a pixel.

    `rng.poisson` draws until it accepts: where another processor rounds one expectation the other way, all
    pixels after it change (seen: sections of the demo study with other noise throughout). Here that pixel
    alone can.

    Parameters
    ----------
    expected : numpy.ndarray
        Expected counts, >= 0.
    rng : numpy.random.Generator
        Source of randomness; its state advances by as many numbers as there are pixels.

    Returns
    -------
    numpy.ndarray, float64, shape of `expected`
        Whole numbers.
    """
    from scipy.special import pdtrik

    uniform = rng.random(expected.shape)
    mean = np.asarray(expected, dtype=np.float64)
    some = mean > 0
    counts = np.zeros(mean.shape)
    # pdtrik continues the distribution function to real counts; the count is the next whole number.
    counts[some] = np.maximum(np.ceil(pdtrik(uniform[some], mean[some])), 0.0)
    return counts
