"""How much of a tomogram's variance is signal.

Belongs here: signal-to-noise ratios from one volume or from two halves. Does not belong here: resolution (Fourier
shell correlation) or denoising.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["halves_snr", "spatial_snr"]


def spatial_snr(density: ArrayLike, labels: ArrayLike | None = None) -> float:
    """Signal-to-noise ratio of a single volume, by splitting it in space.

    Neighbours along the tilt axis (y) share their structure but, in a reconstruction from single-axis tilts, not
    their noise: views are independent from row to row. So the covariance c(1) of rows y and y + 1 is signal, and what is
    missing to the variance is noise (the split of Frank and Al-Ali 1975, Nature 256:376, made in space; by
    autocorrelation in single images: Thong et al. 2001, Scanning 23:328). The signal's own loss of correlation over
    one row is put back with c(0) = c(1)^(4/3) / c(2)^(1/3): a smooth structure's correlation is even in distance, so
    its logarithm starts as a parabola. Detail finer than about two rows counts as noise.

    Parameters
    ----------
    density : array_like, shape (z, y, x)
        Density at the voxel at which the ratio is wanted.
    labels : array_like, integer, shape (z, y, x), optional
        Vocabulary codes; only voxels inside the cell (label > 0) are used, if there are any.

    Returns
    -------
    float
        Variance of signal over variance of noise; infinite for a noiseless volume, 0 for pure noise.

    Raises
    ------
    ValueError
        If there are fewer than 1000 pairs of voxels to compare, or shapes disagree.
    """
    volume = np.asarray(density, dtype=np.float32)
    inside = np.ones(volume.shape, dtype=bool)
    if labels is not None:
        cell = np.asarray(labels) > 0
        if cell.shape != volume.shape:
            raise ValueError(f"density has shape {volume.shape}, labels {cell.shape}.")
        inside = cell if cell.any() else inside
    triples = inside[:, :-2] & inside[:, 1:-1] & inside[:, 2:]
    if int(triples.sum()) < 1000:
        raise ValueError(f"{int(triples.sum())} voxels with two neighbours along y are too few; 1000 are needed.")
    first, middle, last = (volume[:, i : volume.shape[1] - 2 + i][triples].astype(np.float64) for i in range(3))
    mean = (first.mean() + middle.mean() + last.mean()) / 3
    first, middle, last = first - mean, middle - mean, last - mean
    variance = float((first**2 + middle**2 + last**2).mean() / 3)
    near = float((first * middle + middle * last).mean() / 2)
    far = float((first * last).mean())
    if near <= 0:
        return 0.0
    # A noisy or vanishing second lag would blow the extrapolation up: at most a factor of two.
    signal = near * float(np.clip(near / far if far > 0 else 8.0, 1.0, 8.0)) ** (1 / 3)
    return signal / (variance - signal) if signal < variance else float("inf")


def halves_snr(first: ArrayLike, second: ArrayLike, labels: ArrayLike | None = None) -> float:
    """Signal-to-noise ratio of the mean of two independent half-reconstructions.

    With Pearson correlation r between the halves each half has r/(1 - r), and their mean twice that
    (Frank and Al-Ali 1975, Nature 256:376).

    Parameters
    ----------
    first, second : array_like, shape (z, y, x)
        Reconstructions from even and odd views or frames.
    labels : array_like, integer, shape (z, y, x), optional
        Vocabulary codes; only voxels inside the cell (label > 0) are used, if there are any.

    Returns
    -------
    float
        0 where the halves do not correlate, infinite where they are equal.

    Raises
    ------
    ValueError
        If shapes disagree or a half is constant.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"The halves have shapes {a.shape} and {b.shape}.")
    if labels is not None and (cell := np.asarray(labels) > 0).any():
        a, b = a[cell], b[cell]
    r = _correlation(a.ravel(), b.ravel())
    if r <= 0:
        return 0.0
    return 2 * r / (1 - r) if r < 1 - 1e-12 else float("inf")


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if a.std() == 0 or b.std() == 0:
        raise ValueError("A constant half has no signal-to-noise ratio.")
    return float(np.corrcoef(a, b)[0, 1])
