"""Bringing the views of a tilt series into register.

Belongs here: applying known transforms, coarse alignment by cross-correlation, and its residual. Does not belong
here: fiducials and local alignment (give an ``.xf`` made by IMOD or AreTomo), files, or reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Alignment", "correlate", "rotation_onto_y", "transformed"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_SEARCH_PX: Final = 256
"""Side to which views are reduced for the search: half a pixel there is a few nm of a 1 µm field."""
_BAND: Final = (0.02, 0.20)
"""Cycles per reduced pixel that are compared: below lies the change of thickness, above noise."""


@dataclass(frozen=True)
class Alignment:
    """Transforms found, and how far they can be trusted.

    Parameters
    ----------
    transforms : numpy.ndarray, float64, shape (n, 2, 3)
        As in an ``.xf``.
    residual_px : float
        Root mean square over all views of how far the shift between next but one neighbours is from the sum of the
        two steps between, in pixels of the views; a series that cannot be aligned has a large one.
    """

    transforms: FloatArray
    residual_px: float


def rotation_onto_y(axis_deg: float) -> FloatArray:
    """Transform (2, 3) on (x, y) that turns a tilt axis at `axis_deg` onto y.

    Parameters
    ----------
    axis_deg : float
        Direction of the axis, counter-clockwise from y as SerialEM and IMOD give it (y upwards in the picture, which
        is increasing row index in an MRC).
    """
    a = np.deg2rad(axis_deg)
    # The axis points along (-sin a, cos a); this turns it back by a.
    return np.array([[np.cos(a), np.sin(a), 0.0], [-np.sin(a), np.cos(a), 0.0]])


def transformed(view: Float32Array, transform: FloatArray, shape: tuple[int, int] | None = None) -> Float32Array:
    """Resample a view by a forward transform on (x, y) about the middles of both.

    Parameters
    ----------
    view : numpy.ndarray, float32, shape (y, x)
        The view.
    transform : numpy.ndarray, shape (2, 3)
        Where each pixel goes: x' = A (x - middle) + shift + middle'.
    shape : tuple of int, optional
        (y, x) of the result; the view's where absent.

    Returns
    -------
    numpy.ndarray, float32, shape `shape`
        Cubic interpolation; beyond the view its mirror image, as holes would leave rays.
    """
    shape = (view.shape[0], view.shape[1]) if shape is None else shape
    if shape == view.shape and np.allclose(transform, np.eye(2, 3)):
        return view
    # `affine_transform` works on (row, column) and asks where each output pixel comes from.
    forward = transform[::-1, 1::-1]
    back = np.linalg.inv(forward)
    middle, middle_out = (0.5 * (np.array(s) - 1.0) for s in (view.shape, shape))
    offset = middle - back @ (middle_out + transform[::-1, 2])
    return np.asarray(
        ndimage.affine_transform(view, back, offset, output_shape=shape, order=3, mode="reflect"), dtype=np.float32
    )


def correlate(views: Float32Array, tilts_deg: tuple[float, ...], axis_deg: float) -> Alignment:
    """Align views by cross-correlation of neighbours, from the least tilted outwards.

    A view is stretched across the axis by the ratio of cosines so that it looks like its steeper neighbour (Guckenberger
    1982, Ultramicroscopy 9:167). Errors add up outwards, and the middle of the specimen may drift with the tilt: the
    coarse alignment of IMOD's ``tiltxcorr``, not a substitute for fiducials.

    Parameters
    ----------
    views : numpy.ndarray, float32, shape (n, y, x)
        Views, dense = dark or bright alike.
    tilts_deg : tuple of float
        Tilts, in any order.
    axis_deg : float
        Direction of the tilt axis (`rotation_onto_y`).

    Returns
    -------
    Alignment
    """
    turn = rotation_onto_y(axis_deg)
    factor = max(1, max(views.shape[1:]) // _SEARCH_PX)
    small = np.stack([_reduced(transformed(view, turn), factor) for view in views])
    tilts = np.deg2rad(np.asarray(tilts_deg, dtype=np.float64))
    order = np.argsort(tilts, kind="stable")
    start = int(np.argmin(np.abs(tilts[order])))
    shifts = np.zeros((len(tilts), 2))
    closures = []
    for side in (order[start:], order[start::-1]):
        for place in range(1, len(side)):
            here, before = side[place], side[place - 1]
            step = _shift(small[before], small[here], tilts[before], tilts[here])
            shifts[here] = step + _carried(shifts[before], tilts[before], tilts[here])
            if place >= 2:
                first = side[place - 2]
                direct = _shift(small[first], small[here], tilts[first], tilts[here])
                closures.append(direct + _carried(shifts[first], tilts[first], tilts[here]) - shifts[here])
    transforms = np.repeat(turn[None], len(tilts), axis=0)
    transforms[:, 0, 2] -= shifts[:, 1] * factor
    transforms[:, 1, 2] -= shifts[:, 0] * factor
    residual = float(np.sqrt(np.mean(np.sum(np.square(closures), axis=1)))) * factor if closures else 0.0
    return Alignment(transforms, residual)


def _carried(shift: FloatArray, tilt_before: float, tilt_here: float) -> FloatArray:
    """A view's shift (y, x) as it appears after the view has been stretched to look like another."""
    return shift * np.array([1.0, np.cos(tilt_here) / np.cos(tilt_before)])


def _reduced(view: Float32Array, factor: int) -> Float32Array:
    """Mean over squares, scaled to mean 0 and SD 1, faded to 0 at the border."""
    height, width = (n // factor * factor for n in view.shape)
    small = view[:height, :width].reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    small = (small - small.mean()) / max(float(small.std()), 1e-12)
    rows, columns = (np.hanning(n + 2)[1:-1] ** 0.5 for n in small.shape)
    return np.asarray(small * rows[:, None] * columns[None], dtype=np.float32)


def _shift(before: Float32Array, here: Float32Array, tilt_before: float, tilt_here: float) -> FloatArray:
    """How far (y, x) `here` lies from `before`, reduced pixels, to a tenth."""
    stretch = np.array([[np.cos(tilt_here) / np.cos(tilt_before), 0.0, 0.0], [0.0, 1.0, 0.0]])
    reference = transformed(before, stretch)
    first, second = (np.fft.rfft2(image) for image in (reference, here))
    radius = np.hypot(np.fft.fftfreq(here.shape[0])[:, None], np.fft.rfftfreq(here.shape[1])[None])
    band = np.exp(-0.5 * (radius / _BAND[1]) ** 2) - np.exp(-0.5 * (radius / _BAND[0]) ** 2)
    peak = np.fft.irfft2(second * np.conj(first) * band**2, s=here.shape)
    top = np.unravel_index(int(np.argmax(peak)), peak.shape)
    found = []
    for axis, place in enumerate(top):
        # Parabola through the peak and its neighbours.
        line = np.take(peak, [(place - 1) % peak.shape[axis], place, (place + 1) % peak.shape[axis]], axis=axis)
        line = line[:, top[1]] if axis == 0 else line[top[0]]
        bend = line[0] - 2 * line[1] + line[2]
        sub = 0.5 * (line[0] - line[2]) / bend if bend < 0 else 0.0
        half = peak.shape[axis] // 2
        found.append(((place + half) % peak.shape[axis]) - half + sub)
    return np.array(found, dtype=np.float64)
