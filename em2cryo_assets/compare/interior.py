"""What the inside of a labelled volume looks like, as vectors that two volumes can be compared by.

Belongs here: normalisation, depth profile, density distributions, power spectrum, autocorrelation and
contrast order of one labelled volume. Does not belong here: making two volumes comparable (`degrade`),
distances between vectors (`statistics`), or anything that knows which volume is the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft, ndimage

from em2cryo_assets.compare.record import MIN_SUPPORT
from em2cryo_assets.vocabulary import LABELS

__all__ = [
    "QUANTILES",
    "VECTOR_COLUMNS",
    "autocorrelation_lengths",
    "below_skirt",
    "contrast_order",
    "density_distribution",
    "depth_nm",
    "depth_profile",
    "interior_vectors",
    "label_medians",
    "normalised",
    "power_spectrum",
    "with_contrast",
]

VECTOR_COLUMNS: Final = ("characteristic", "bin", "x", "value", "weight")

QUANTILES: Final = (np.arange(20) + 0.5) / 20
"""Levels at which a label's density distribution is kept: the mean absolute difference of two such
vectors is their Wasserstein-1 distance to within the spacing."""

_DEPTH_BIN_NM: Final = 15.0
_DEPTH_LIMIT_NM: Final = 600.0
_SKIRT: Final = 1.5
_LONGEST_WAVE_NM: Final = 1280.0
_INTERIOR: Final = LABELS["cytoplasm"]
"""This code and all above lie inside the plasma membrane."""

Volume = NDArray[np.float32]
Labels = NDArray[np.integer]


def normalised(density: NDArray[np.floating], labels: Labels) -> Volume:
    """Density in units of the cytoplasm: z = (v - median) / (1.4826 MAD), both over the cytoplasm.

    Parameters
    ----------
    density : numpy.ndarray, shape (z, y, x)
        High where matter is dense, any unit.
    labels : numpy.ndarray, integer, same shape
        Vocabulary codes.

    Returns
    -------
    numpy.ndarray, float32, same shape
        Dimensionless.

    Raises
    ------
    ValueError
        If shapes differ, the cytoplasm is too small (`MIN_SUPPORT`) or has no spread.
    """
    if density.shape != labels.shape:
        raise ValueError(f"Density {density.shape} and labels {labels.shape} differ in shape.")
    cytoplasm = density[labels == LABELS["cytoplasm"]]
    if cytoplasm.size < MIN_SUPPORT:
        raise ValueError(f"Only {cytoplasm.size} voxels of cytoplasm; {MIN_SUPPORT} are needed to normalise.")
    median = float(np.median(cytoplasm))
    spread = 1.4826 * float(np.median(np.abs(cytoplasm - median)))
    if not spread > 0 or not np.isfinite(spread):
        raise ValueError("The density of the cytoplasm has no spread to be normalised by.")
    return ((density - median) / spread).astype(np.float32)


def label_medians(z: Volume, labels: Labels) -> dict[int, float]:
    """Median of every label that has at least `MIN_SUPPORT` voxels, by code."""
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))
    return {int(c): float(np.median(z[labels == c])) for c in np.flatnonzero(counts >= MIN_SUPPORT)}


def contrast_order(first: Mapping[int, float], second: Mapping[int, float]) -> tuple[float, int]:
    """Kendall's τ (1938) between the contrast of the labels that two volumes share, and their number.

    τ is the mean over pairs of labels of the product of the signs of their two differences: 1 where both
    modalities order the labels alike, -1 where one is the negative of the other. NaN below three labels.
    """
    shared = sorted(set(first) & set(second))
    if len(shared) < 3:
        return float("nan"), len(shared)
    i, j = np.triu_indices(len(shared), 1)
    a = np.array([first[c] for c in shared])
    b = np.array([second[c] for c in shared])
    return float(np.mean(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]))), len(shared)


def depth_nm(labels: Labels, voxel_nm: tuple[float, float, float]) -> Volume | None:
    """Depth of every voxel of the interior below the wall (its inner face), nm; None if no wall is in view.

    Exact Euclidean distance to the nearest centre that is not interior, less half a voxel; negative
    elsewhere. A wall beyond the edge of the volume is not seen: in a slab, depths are those of the slab.
    """
    interior = labels >= _INTERIOR
    if not interior.any() or np.count_nonzero(~interior) < MIN_SUPPORT:
        return None
    import edt

    distance = edt.edt(np.ascontiguousarray(interior), anisotropy=voxel_nm, black_border=False, parallel=1)
    return np.asarray(distance - 0.5 * float(np.mean(voxel_nm)), dtype=np.float32)


def below_skirt(labels: Labels, depth: Volume | None, finest_nm: float) -> Labels:
    """Take out of the interior what the blurred edge of the wall reaches.

    The wall differs from the cytoplasm by ten times the cytoplasm's own spread and more, so a blur of a few
    nanometres more or less on one side would drown what lies inside. One and a half voxels of the coarser
    source are about three standard deviations of the common blur.

    Parameters
    ----------
    labels : numpy.ndarray, integer, shape (z, y, x)
        Vocabulary codes.
    depth : numpy.ndarray, float32, same shape, or None
        From `depth_nm`; None takes nothing out.
    finest_nm : float
        Voxel side of the coarser source.

    Returns
    -------
    numpy.ndarray
        Labels with the skirt named membrane, which is not interior.
    """
    if depth is None:
        return labels
    skirt = (labels >= _INTERIOR) & (depth < _SKIRT * finest_nm)
    return np.where(skirt, LABELS["membrane"], labels).astype(labels.dtype)


def with_contrast(z: Volume, labels: Labels, medians: Mapping[int, float]) -> Volume:
    """Shift every label to the median that another volume has there, where both have one.

    Stained resin and vitreous ice are not commensurable: the order of contrasts is a difference of modality
    (`contrast_order`), and what is left compares where matter lies and how it varies within labels.
    """
    own = label_medians(z, labels)
    shift = np.zeros(len(LABELS), dtype=np.float32)
    for code in set(own) & set(medians):
        shift[code] = medians[code] - own[code]
    return z + shift[labels]


def depth_profile(
    z: Volume, labels: Labels, voxel_nm: tuple[float, float, float], depth: Volume | None
) -> pd.DataFrame:
    """Mean normalised density of the interior against depth below the wall, p(d) = E[z | d], each 15 nm.

    Parameters
    ----------
    z : numpy.ndarray, float32, shape (z, y, x)
        From `normalised`.
    labels : numpy.ndarray, integer, same shape
        Vocabulary codes.
    voxel_nm : tuple of float
        (z, y, x), nm.
    depth : numpy.ndarray, float32, same shape, or None
        From `depth_nm`.

    Returns
    -------
    pandas.DataFrame
        `VECTOR_COLUMNS`; x in nm (centre), weight in voxels. Empty without a wall in view. Steps widen to
        a multiple of 15 nm where the voxel is larger; bin is x // 15 nm at their start.
    """
    if depth is None:
        return _frame("depth_profile", [], [], [], [])
    stride = max(1, int(np.ceil(max(voxel_nm) / _DEPTH_BIN_NM - 0.5)))
    width = stride * _DEPTH_BIN_NM
    n = int(_DEPTH_LIMIT_NM // width)
    inside = (labels >= _INTERIOR) & (depth < _DEPTH_LIMIT_NM)
    # Each voxel is shared between the two nearest bins: distances on a grid are lumpy at this step.
    position = depth[inside] / width - 0.5
    lower = np.floor(position).astype(np.int64)
    share = position - lower
    index = np.concatenate([lower, lower + 1])
    weight = np.concatenate([1 - share, share])
    ok = (index >= 0) & (index < n)
    both = np.concatenate([z[inside]] * 2)
    total = np.bincount(index[ok], weights=weight[ok], minlength=n)
    summed = np.bincount(index[ok], weights=(weight * both)[ok], minlength=n)
    keep = total >= 20
    mean = summed[keep] / total[keep]
    bins = np.flatnonzero(keep)
    return _frame("depth_profile", bins * stride, (bins + 0.5) * width, mean, total[keep])


def density_distribution(z: Volume, labels: Labels) -> pd.DataFrame:
    """Quantiles of the normalised density within each label of the interior, about the label's median.

    The median is taken out since contrast between labels differs by modality (see `with_contrast`).

    Returns
    -------
    pandas.DataFrame
        `VECTOR_COLUMNS`; bin = 100 · label code + number of the level, x the level in `QUANTILES`, value
        dimensionless, weight the label's voxels. Labels below `MIN_SUPPORT` are left out.
    """
    frames = []
    for code in range(_INTERIOR, len(LABELS)):
        values = z[labels == code]
        if values.size >= MIN_SUPPORT:
            levels = np.quantile(values, QUANTILES) - np.median(values)
            bins = 100 * code + np.arange(QUANTILES.size)
            weights = np.full(QUANTILES.size, values.size)
            frames.append(_frame("density_distribution", bins, QUANTILES, levels, weights))
    return pd.concat(frames, ignore_index=True) if frames else _frame("density_distribution", [], [], [], [])


def power_spectrum(
    z: Volume, labels: Labels, voxel_nm: tuple[float, float, float], *, finest_nm: float = 0.0
) -> pd.DataFrame:
    """In-plane power spectrum of the interior, radially averaged in half octaves.

    A tapered mask of the interior takes the place of a window; power is divided by its sum of squares, so
    white noise of variance σ² has the density σ² Δy Δx at every frequency.

    Parameters
    ----------
    z : numpy.ndarray, float32, shape (z, y, x)
        From `normalised`.
    labels : numpy.ndarray, integer, same shape
        Vocabulary codes.
    voxel_nm : tuple of float
        (z, y, x), nm.
    finest_nm : float
        Voxel side of the coarser source that is compared; nothing beyond its Nyquist frequency is kept.

    Returns
    -------
    pandas.DataFrame
        `VECTOR_COLUMNS`; x in 1/nm (geometric centre), value ln of the power density in nm², weight the
        number of Fourier samples. Bin k spans 2^(k/2)/1280 to 2^((k+1)/2)/1280 per nm in every volume.
    """
    interior = labels >= _INTERIOR
    planes = np.flatnonzero(interior.mean(axis=(1, 2)) >= 0.1)
    if planes.size == 0:
        return _frame("power_spectrum", [], [], [], [])
    window = ndimage.gaussian_filter(interior[planes].astype(np.float32), (0, 1.5, 1.5), mode="constant")
    window = np.where(interior[planes], np.clip(2 * window - 1, 0, 1), 0).astype(np.float32)
    centre = float(np.sum(window * z[planes], dtype=np.float64) / max(float(window.sum()), 1e-9))
    spectrum = np.abs(fft.rfft2(window * (z[planes] - centre), axes=(1, 2), workers=1)) ** 2
    power = spectrum.sum(axis=0) * voxel_nm[1] * voxel_nm[2] / max(float(np.sum(window**2)), 1e-9)
    fy = np.fft.fftfreq(z.shape[1], voxel_nm[1])[:, None]
    fx = np.fft.rfftfreq(z.shape[2], voxel_nm[2])[None, :]
    frequency = np.hypot(fy, fx)
    octave = np.full(frequency.shape, -1, dtype=np.int64)
    inside = frequency >= 1 / _LONGEST_WAVE_NM
    octave[inside] = np.floor(2 * np.log2(frequency[inside] * _LONGEST_WAVE_NM) + 1e-9)
    nyquist = 0.5 / max(voxel_nm[1], voxel_nm[2], finest_nm)
    last = int(np.floor(2 * np.log2(nyquist * _LONGEST_WAVE_NM) + 1e-9))
    ok = (octave >= 0) & (octave < last)
    n = np.bincount(octave[ok], minlength=max(last, 0))
    total = np.bincount(octave[ok], weights=power[ok], minlength=max(last, 0))
    bins = np.flatnonzero((n >= 4) & (total > 0))
    x = 2 ** ((bins + 0.5) / 2) / _LONGEST_WAVE_NM
    return _frame("power_spectrum", bins, x, np.log(total[bins] / n[bins]), n[bins] * planes.size)


def autocorrelation_lengths(
    z: Volume, labels: Labels, voxel_nm: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Distance along z, y and x at which the interior's autocorrelation falls to 1/e, nm.

    Each label's median is taken out, so that this is the texture's length and not an organelle's. The
    covariance at each lag is taken over the pairs of voxels that both lie inside; the crossing is
    interpolated linearly. NaN where it does not fall that far within half the volume, or where fewer than
    `MIN_SUPPORT` voxels are inside.
    """
    mask = (labels >= _INTERIOR).astype(np.float32)
    support = float(mask.sum())
    if support < MIN_SUPPORT:
        return (float("nan"),) * 3
    flat = with_contrast(z, labels, dict.fromkeys(range(len(LABELS)), 0.0))
    signal = mask * (flat - np.float32(np.sum(mask * flat, dtype=np.float64) / support))
    lengths = [float("nan")] * 3
    for axis in range(3):
        n = z.shape[axis]
        if n < 4:
            continue
        padded = fft.next_fast_len(n + n // 2)
        covariance = _lagged_sums(signal, axis, padded)[: n // 2]
        pairs = _lagged_sums(mask, axis, padded)[: n // 2]
        enough = pairs >= MIN_SUPPORT / 2
        if not enough[0] or not covariance[0] > 0:
            continue
        value = np.where(enough, covariance / np.maximum(pairs, 1), np.nan) / (covariance[0] / pairs[0])
        below = np.flatnonzero(value < np.exp(-1))
        if below.size and np.isfinite(value[: below[0] + 1]).all():
            i = int(below[0])
            lag = i - 1 + (value[i - 1] - np.exp(-1)) / (value[i - 1] - value[i])
            lengths[axis] = float(lag * voxel_nm[axis])
    return lengths[0], lengths[1], lengths[2]


def interior_vectors(
    density: NDArray[np.floating],
    labels: Labels,
    voxel_nm: tuple[float, float, float],
    *,
    finest_nm: float = 0.0,
    contrast: Mapping[int, float] | None = None,
) -> pd.DataFrame:
    """All interior vectors of one labelled volume, each described at the function that makes it.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        As in `normalised`.
    voxel_nm : tuple of float
        (z, y, x), nm.
    finest_nm : float
        Voxel side of the coarser source that is compared: sets the skirt below the wall (`below_skirt`) and
        the last frequency (`power_spectrum`).
    contrast : mapping of int to float, optional
        `label_medians` of the other side, which the labels are shifted to (`with_contrast`).

    Returns
    -------
    pandas.DataFrame
        `VECTOR_COLUMNS` of depth_profile, density_distribution, power_spectrum and autocorrelation_length
        (bin 0, 1, 2 for z, y, x; x the voxel side, value nm). What is undefined has no row.

    Raises
    ------
    ValueError
        As `normalised`.
    """
    depth = depth_nm(labels, voxel_nm)
    core = below_skirt(labels, depth, finest_nm)
    z = normalised(density, core)
    if contrast is not None:
        z = with_contrast(z, core, contrast)
    lengths = np.array(autocorrelation_lengths(z, core, voxel_nm))
    axes = np.flatnonzero(np.isfinite(lengths))
    inside = np.count_nonzero(core >= _INTERIOR)
    frames = [
        depth_profile(z, core, voxel_nm, depth),
        density_distribution(z, core),
        power_spectrum(z, core, voxel_nm, finest_nm=finest_nm),
        _frame(
            "autocorrelation_length",
            axes,
            np.array(voxel_nm)[axes],
            lengths[axes],
            np.full(axes.size, inside),
        ),
    ]
    return pd.concat([f for f in frames if len(f)], ignore_index=True)


def _lagged_sums(values: Volume, axis: int, padded: int) -> NDArray[np.float64]:
    """Sum over the volume of the product of a voxel with the one n lags further, for every lag."""
    power = np.abs(fft.rfft(values, padded, axis=axis, workers=1)) ** 2
    other = tuple(a for a in range(3) if a != axis)
    return fft.irfft(power.sum(axis=other, dtype=np.float64), padded)


def _frame(characteristic: str, bins: object, x: object, value: object, weight: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "characteristic": characteristic,
            "bin": np.asarray(bins, dtype=np.int64),
            "x": np.asarray(x, dtype=np.float64),
            "value": np.asarray(value, dtype=np.float64),
            "weight": np.asarray(weight, dtype=np.float64),
        }
    )
