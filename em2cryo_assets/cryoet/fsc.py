"""Fourier shell correlation, and how far a reconstruction's Fourier transform reaches.

Belongs here: two measurements on reconstructions in Fourier space. Does not belong here: signal-to-noise ratios
(:mod:`em2cryo_assets.cryoet.noise`), reconstruction.

Between halves the threshold is 0.143, between simulation and truth 0.5 (Rosenthal and Henderson 2003, J. Mol. Biol.
333:721). Between different cells the correlation measures nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["crossing_per_nm", "sampled_to_deg", "shell_correlation"]

FloatArray = NDArray[np.float64]


def shell_correlation(
    first: ArrayLike, second: ArrayLike, voxel_nm: float, *, within_deg: float | None = None, shells: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Correlation of two volumes of one field by shells of spatial frequency.

    Both are tapered along every axis (cosine over an eighth at either end), as a box's edges correlate too.

    Parameters
    ----------
    first, second : array_like, shape (z, y, x)
        Volumes on one grid of isotropic voxels.
    voxel_nm : float
        Voxel side.
    within_deg : float, optional
        Steepest tilt of a single-axis series about y: frequencies in the missing wedge are left out.
    shells : int, optional
        Number of shells up to Nyquist; a quarter of the largest side where absent.

    Returns
    -------
    frequency : numpy.ndarray, float64, shape (shells,)
        Middle of each shell, 1/nm.
    correlation : numpy.ndarray, float64, shape (shells,)
        -1 to 1; 0 where a volume has no power.

    Raises
    ------
    ValueError
        If shapes differ or are not three-dimensional.
    """
    a, b = np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"Two volumes of one shape are compared, got {a.shape} and {b.shape}.")
    count = shells or max(4, max(a.shape) // 4)
    fa, fb = (np.fft.rfftn(_tapered(v)) for v in (a, b))
    kz, ky, kx = _frequencies(a.shape)
    index = (np.sqrt(kz**2 + ky**2 + kx**2) / 0.5 * count).astype(np.int64)
    keep = index < count
    if within_deg is not None:
        keep &= np.abs(kz) <= np.abs(kx) * np.tan(np.deg2rad(within_deg)) + 1e-9
    index = index[keep]

    def summed(values: NDArray[np.floating]) -> FloatArray:
        return np.asarray(np.bincount(index, weights=values[keep], minlength=count), dtype=np.float64)

    power = summed(np.abs(fa) ** 2) * summed(np.abs(fb) ** 2)
    cross = summed((fa * np.conj(fb)).real)
    correlation = np.divide(cross, np.sqrt(power), out=np.zeros(count), where=power > 0)
    return (np.arange(count) + 0.5) * 0.5 / count / voxel_nm, correlation


def crossing_per_nm(frequency: ArrayLike, correlation: ArrayLike, threshold: float) -> float:
    """Frequency at which a correlation first falls below a threshold, interpolated, 1/nm.

    The highest frequency where it never does; 0 where it never reaches it. Shells that lie before the first to
    reach the threshold are skipped: a high-passed volume has nothing there.
    """
    k, c = np.asarray(frequency, dtype=np.float64), np.asarray(correlation, dtype=np.float64)
    above = np.flatnonzero(c >= threshold)
    if not above.size:
        return 0.0
    below = np.flatnonzero(c[above[0] :] < threshold)
    if not below.size:
        return float(k[-1])
    i = int(above[0] + below[0])
    return float(k[i - 1] + (k[i] - k[i - 1]) * (c[i - 1] - threshold) / (c[i - 1] - c[i]))


def sampled_to_deg(volume: ArrayLike, *, band: tuple[float, float] = (0.25, 0.45)) -> float:
    """Tilt up to which the Fourier transform of a reconstruction about y is filled.

    Power in a ring of the (kz, kx) plane, all ky, is averaged by angle from kx; the edge is where it falls to half of
    what it is 4 to 18 degrees below: there a sharp edge stays whatever blurs it. It needs noise in every view
    (a single flat interface has power in one direction only), counts half a step beyond the last view, for which that
    view stands too, and is sharp to about 1/(depth × frequency) radians.

    Parameters
    ----------
    volume : array_like, shape (z, y, x)
        Reconstruction.
    band : tuple of float
        Ring, in cycles per voxel.

    Returns
    -------
    float
        Degrees; 90 where nothing is missing.
    """
    data = np.asarray(volume, dtype=np.float32)
    power = np.abs(np.fft.rfftn(_tapered(data - data.mean()))) ** 2
    kz, _, kx = _frequencies(data.shape)
    power = power.sum(axis=1, keepdims=True)
    radius = np.hypot(kz, kx)
    ring = (radius > band[0]) & (radius < band[1])
    angle = np.rad2deg(np.arctan2(np.abs(kz), np.abs(kx)))
    edges = np.arange(0.0, 90.5, 1.0)
    index = np.digitize(angle[ring], edges) - 1
    weight = np.bincount(index, minlength=len(edges))[:90].astype(np.float64)
    total = np.bincount(index, weights=power[ring], minlength=len(edges))[:90]
    # Over three degrees, so that the gaps between views do not count.
    box = np.ones(3)
    profile = np.convolve(total, box, mode="same") / np.maximum(np.convolve(weight, box, mode="same"), 1.0)
    middle = edges[:90] + 0.5
    edge = float(middle[np.flatnonzero(profile > 0.5 * np.median(profile[:30]))[-1]])
    for _ in range(4):
        plateau = float(np.median(profile[(middle > edge - 18.0) & (middle < edge - 4.0)]))
        above = np.flatnonzero(profile > 0.5 * plateau)
        last = int(above[-1])
        if last >= 86:
            return 90.0
        share = (profile[last] - 0.5 * plateau) / (profile[last] - profile[last + 1])
        edge = float(middle[last] + share)
    return edge


def _tapered(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    out = volume - volume.mean(dtype=np.float64).astype(np.float32)
    for axis, n in enumerate(volume.shape):
        rise = max(1, n // 8)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rise) + 0.5) / rise)
        window = np.ones(n, dtype=np.float32)
        window[:rise], window[n - rise :] = ramp, ramp[::-1]
        out *= window.reshape([-1 if i == axis else 1 for i in range(3)])
    return out


def _frequencies(shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    nz, ny, nx = shape
    kz, ky, kx = np.fft.fftfreq(nz), np.fft.fftfreq(ny), np.fft.rfftfreq(nx)
    return (
        np.asarray(kz[:, None, None], dtype=np.float64),
        np.asarray(ky[None, :, None], dtype=np.float64),
        np.asarray(kx[None, None, :], dtype=np.float64),
    )
