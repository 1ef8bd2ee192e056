"""What the electron microscope does to spatial frequencies: contrast transfer and radiation damage.

Belongs here: two transfer functions and the one way of applying them. Does not belong here: projection
geometry (:mod:`em2cryo_assets.cryoet.reconstruct`) or noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["contrast_transfer", "dose_filter", "filter_images"]


def contrast_transfer(
    shape: tuple[int, int],
    pixel_size_nm: float,
    defocus_um: float,
    *,
    voltage_kv: float = 300.0,
    spherical_aberration_mm: float = 2.7,
    amplitude_contrast: float = 0.07,
) -> NDArray[np.float32]:
    r"""Contrast transfer function, positive at low frequency for underfocus.

    :math:`\sin(\pi\lambda\Delta f k^2 - \tfrac{\pi}{2} C_s\lambda^3 k^4 + \arcsin A)` (Rohou and Grigorieff 2015,
    J. Struct. Biol. 192:216). The sign is that of density high = dense, so an image filtered with it keeps its
    polarity.

    Parameters
    ----------
    shape : tuple of int
        Image shape (y, x).
    pixel_size_nm : float
        Pixel side, nm.
    defocus_um : float
        Underfocus, micrometres, positive.
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float
        Of the microscope; the defaults are those of a 300 kV cryo instrument.

    Returns
    -------
    numpy.ndarray, float32, shape (y, x // 2 + 1)
        For ``numpy.fft.rfft2``.
    """
    volts = voltage_kv * 1e3
    wavelength_nm = 1.226427 / np.sqrt(volts * (1 + 0.978476e-6 * volts))
    k2 = _frequency_nm(shape, pixel_size_nm) ** 2
    phase = np.pi * wavelength_nm * defocus_um * 1e3 * k2
    phase -= 0.5 * np.pi * spherical_aberration_mm * 1e6 * wavelength_nm**3 * k2**2
    return np.sin(phase + np.arcsin(amplitude_contrast)).astype(np.float32)


def dose_filter(shape: tuple[int, int], pixel_size_nm: float, dose_e_per_nm2: float) -> NDArray[np.float32]:
    r"""Fading of detail with accumulated exposure at 300 kV.

    :math:`\exp(-N / 2N_e(k))` with :math:`N_e = 0.245\,k^{-1.665} + 2.81` electrons per square angstrom, k in
    1/angstrom (Grant and Grigorieff 2015, eLife 4:e06980).

    Parameters
    ----------
    shape : tuple of int
        Image shape (y, x).
    pixel_size_nm : float
        Pixel side, nm.
    dose_e_per_nm2 : float
        Exposure accumulated before this image, electrons per nm².

    Returns
    -------
    numpy.ndarray, float32, shape (y, x // 2 + 1)
        For ``numpy.fft.rfft2``; 1 at zero frequency.
    """
    k = _frequency_nm(shape, pixel_size_nm) / 10.0
    critical = 0.245 * np.maximum(k, 1e-6) ** -1.665 + 2.81
    attenuation = np.exp(-0.5 * (dose_e_per_nm2 / 100.0) / critical)
    attenuation[0, 0] = 1.0
    return attenuation.astype(np.float32)


def filter_images(images: ArrayLike, transfer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply the spectra of images with a transfer function.

    Parameters
    ----------
    images : array_like, shape (..., y, x)
        Images of one size.
    transfer : numpy.ndarray, shape (..., y, x // 2 + 1)
        From this module; broadcasts.

    Returns
    -------
    numpy.ndarray, float32, shape (..., y, x)
        Filtered images.
    """
    stack = np.asarray(images, dtype=np.float32)
    return np.fft.irfft2(np.fft.rfft2(stack) * transfer, s=stack.shape[-2:]).astype(np.float32)


def _frequency_nm(shape: tuple[int, int], pixel_size_nm: float) -> NDArray[np.float64]:
    """Radial frequency in 1/nm on the grid of ``rfft2``."""
    ky = np.fft.fftfreq(shape[0], pixel_size_nm)[:, None]
    return np.hypot(ky, np.fft.rfftfreq(shape[1], pixel_size_nm))
