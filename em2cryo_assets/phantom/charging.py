"""What a specimen and a slow scan add to a picture by themselves.

Belongs here: brightness that differs from cell to cell, charging, darkening with depth, texture, glare of
bright cells, drift from line to line. Does not belong here: brightness from tilt (`sem.image_model`).
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.image_model import SemParameters, draw_parameters

__all__ = ["CROWDED", "GENTLE", "Look", "displayed", "draw_look", "drifted", "specimen_gain", "texture", "with_glare"]

Float32Array = NDArray[np.float32]

_COARSE = 8


@dataclass(frozen=True)
class Look:
    """How a specimen behaves under the beam.

    Parameters
    ----------
    microscope : SemParameters
        Constants of the image model.
    cell_brightness : float
        Standard deviation of the logarithm of each cell's brightness.
    cell_gradient : float
        Standard deviation of the charging gradient: relative change of brightness over 1 µm of a cell.
    field_gradient : float
        Standard deviation of slow changes of brightness over the field.
    darkening_um, darkest : float
        Depth below the tops of the surroundings at which the brightness has fallen to 1/e of the way to
        `darkest`, µm.
    flare : float
        How much brighter the rims of the few cells are that charge up.
    support : float
        Brightness of the support beside a cell's.
    glare, glare_um : float
        Share of the light that bright places spread about them, and how far, µm.
    line_noise, drift : float
        Standard deviations of the brightness of a line, and of its slow walk over 100 lines.
    jitter_px : float
        Standard deviation of the slow walk of lines to the side, pixels in 100 lines.
    softness_px : float
        σ of the filter of the display, pixels.
    sharpening : float
        Share of its detail below 2 pixels that the display adds once more, as most software does.
    knee : float
        Grey from which the display saturates gently, up to 1; 1 cuts off at white.
    """

    microscope: SemParameters = field(default_factory=SemParameters)
    cell_brightness: float = 0.10
    cell_gradient: float = 0.03
    field_gradient: float = 0.04
    darkening_um: float = 6.0
    darkest: float = 0.35
    flare: float = 0.0
    support: float = 0.5
    glare: float = 0.02
    glare_um: float = 1.2
    line_noise: float = 0.006
    drift: float = 0.01
    jitter_px: float = 0.0
    softness_px: float = 0.5
    sharpening: float = 0.0
    knee: float = 1.0


GENTLE: Final = Look(
    microscope=SemParameters(
        exponent=0.8, floor=0.12, side=0.30, light_azimuth_deg=70.0, gain=0.42, dose=200.0, defocus_px_per_um=0.1
    ),
    softness_px=0.7,
)
"""A well coated specimen with few cells: the demo study."""

CROWDED: Final = Look(
    microscope=SemParameters(
        exponent=0.72, floor=0.15, side=0.40, light_azimuth_deg=70.0, light_elevation_deg=20.0, occlusion=0.4,
        texture=0.05, edge=0.01, gain=0.68, offset=0.0, spot_px=0.8, defocus_px_per_um=0.3, dose=300.0,
    ),
    cell_brightness=0.20, cell_gradient=0.15, field_gradient=0.10, darkening_um=3.6, darkest=0.0, flare=0.6,
    support=0.5, glare=0.08, jitter_px=0.1, softness_px=1.0, sharpening=0.7, knee=0.6,
)  # fmt: skip
"""A crowded field many cells deep that charges up."""


def draw_look(rng: np.random.Generator, *, held_out: bool = False) -> Look:
    """One specimen and one session at random, for training fields.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    held_out : bool
        Draw the yield exponent from the range that is never trained on.

    Returns
    -------
    Look
        Uniform about `CROWDED`; ranges assumed.
    """
    microscope = draw_parameters(rng, held_out=held_out)
    return replace(
        CROWDED, microscope=microscope,
        cell_brightness=rng.uniform(0.05, 0.3), cell_gradient=rng.uniform(0.0, 0.15),
        field_gradient=rng.uniform(0.0, 0.15), darkening_um=rng.uniform(1.5, 8.0), darkest=rng.uniform(0.03, 0.4),
        flare=rng.uniform(0.0, 1.5),
        support=rng.uniform(0.3, 1.0), glare=rng.uniform(0.0, 0.1), glare_um=rng.uniform(0.6, 2.0),
        line_noise=rng.uniform(0.0, 0.015), drift=rng.uniform(0.0, 0.03), jitter_px=rng.uniform(0.0, 0.4),
        sharpening=rng.uniform(0.0, 1.0), knee=rng.uniform(0.5, 1.0),
        softness_px=rng.uniform(0.0, 0.7),
    )  # fmt: skip


def specimen_gain(
    owner: NDArray[np.int32],
    height_nm: Float32Array,
    up: Float32Array,
    pixel_size_nm: float,
    look: Look,
    rng: np.random.Generator,
) -> Float32Array:
    """Factor on the brightness of every pixel.

    Parameters
    ----------
    owner : numpy.ndarray, int32, shape (y, x)
        Number of the visible cell, 0 on the support.
    height_nm : numpy.ndarray, float32, shape (y, x)
        Of the visible surface.
    up : numpy.ndarray, float32, shape (y, x)
        z of its normals.
    pixel_size_nm : float
        Pixel side.
    look : Look
        The specimen.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    numpy.ndarray, float32, shape (y, x)
        Cells differ, each has a gradient of its own about its visible middle, some flare at their rims, and
        places below the tops of their surroundings are dark.
    """
    count = int(owner.max(initial=0)) + 1
    level = np.exp(look.cell_brightness * np.clip(rng.standard_normal(count), -2, 2)).astype(np.float32)
    slopes = (look.cell_gradient * rng.standard_normal((2, count))).astype(np.float32)
    flare = look.flare * np.clip(rng.standard_normal(count) - 0.8, 0.0, 1.5).astype(np.float32)
    level[0], slopes[:, 0], flare[0] = look.support, 0.0, 0.0
    level *= 1.0 + 0.15 * flare
    seen = np.maximum(np.bincount(owner.ravel(), minlength=count), 1)
    gain = level[owner]
    um = np.float32(pixel_size_nm / 1000.0)
    for axis, slope in enumerate(slopes):
        place = um * np.arange(owner.shape[axis], dtype=np.float32)
        place = place[:, None] if axis == 0 else place[None]
        middle = np.bincount(owner.ravel(), np.broadcast_to(place, owner.shape).ravel(), count) / seen
        gain *= np.clip(1.0 + slope[owner] * (place - middle.astype(np.float32)[owner]), 0.3, 2.0)
    if look.flare:
        gain *= 1.0 + flare[owner] * np.square(1.0 - np.clip(up, 0.0, 1.0))
    gain *= 1.0 + look.field_gradient * _slow(owner.shape, owner.shape[1] / 4.0, rng)
    dark = np.float32(look.darkest)
    # The topmost half micrometre is bright throughout.
    below = np.maximum(_surroundings(height_nm, pixel_size_nm) - height_nm - 500.0, 0.0)
    gain *= dark + (1.0 - dark) * np.exp(below / np.float32(-1000.0 * look.darkening_um))
    return gain.astype(np.float32)


def _surroundings(height_nm: Float32Array, pixel_size_nm: float, reach_nm: float = 3500.0) -> Float32Array:
    """Height of the tops about each pixel, smoothly: what shields a place from the detector's field."""
    rows, columns = height_nm.shape
    small = height_nm[::_COARSE, ::_COARSE]
    reach = max(1, round(reach_nm / pixel_size_nm / _COARSE))
    tops = ndimage.maximum_filter(small, 2 * reach + 1, mode="nearest")
    tops = ndimage.gaussian_filter(tops, 0.6 * reach, mode="nearest")
    return _enlarged(np.pad(tops, ((0, 1), (0, 1)), "edge"), (rows, columns))


def _slow(shape: tuple[int, ...], sigma_px: float, rng: np.random.Generator) -> Float32Array:
    """Smooth noise of mean 0 and standard deviation 1."""
    small = tuple(-(-n // _COARSE) + 1 for n in shape)
    noise = ndimage.gaussian_filter(rng.standard_normal(small).astype(np.float32), sigma_px / _COARSE, mode="nearest")
    noise = (noise - noise.mean()) / max(float(noise.std()), 1e-9)
    return _enlarged(noise, shape)


def _enlarged(small: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """Linear interpolation between samples `_COARSE` pixels apart."""
    out = small
    for axis, n in enumerate(shape):
        place = np.arange(n) / _COARSE
        low = np.minimum(place.astype(int), out.shape[axis] - 2)
        share = (place - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None]
        out = out.take(low, axis) * (1 - share) + out.take(low + 1, axis) * share
    return out


def texture(shape: tuple[int, ...], rng: np.random.Generator) -> Float32Array:
    """Roughness of the coat, mean 0 and standard deviation 1: grains of 2 and of 4 pixels, and a slow part."""
    fine = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 1.7, truncate=3.0)
    middle = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 4.0, truncate=2.5)
    # White noise of unit variance falls to 1 / (2 σ √π) by a Gaussian filter.
    return np.float32(0.85 * 6.026) * fine + np.float32(0.4 * 14.18) * middle + 0.34 * _slow(shape, 16.0, rng)


def with_glare(image: Float32Array, pixel_size_nm: float, look: Look) -> Float32Array:
    """Spread some of the light of bright places about them."""
    if not look.glare:
        return image
    rows, columns = (-(-n // _COARSE) for n in image.shape)
    padded = np.pad(image, ((0, rows * _COARSE - image.shape[0]), (0, columns * _COARSE - image.shape[1])), "edge")
    small = padded.reshape(rows, _COARSE, columns, _COARSE).mean(axis=(1, 3))
    light = np.zeros_like(small)
    for reach in (0.5, 1.0, 2.5):
        sigma = reach * 1000.0 * look.glare_um / pixel_size_nm / _COARSE
        light += ndimage.gaussian_filter(small, sigma, mode="nearest") / 3.0
    share = np.float32(look.glare)
    return (1.0 - share) * image + share * _enlarged(np.pad(light, ((0, 1), (0, 1)), "edge"), image.shape)


def drifted(image: Float32Array, look: Look, rng: np.random.Generator) -> Float32Array:
    """Change the brightness of lines and move them a little to the side."""
    lines = image.shape[0]
    walk = np.cumsum(rng.standard_normal((2, lines)), axis=1) / 10.0
    level = 1.0 + look.line_noise * rng.standard_normal(lines) + look.drift * (walk[0] - walk[0].mean())
    out = image * level[:, None].astype(np.float32)
    if look.jitter_px:
        shift = np.clip(look.jitter_px * (walk[1] - walk[1].mean()), -2.0, 2.0)
        whole = np.floor(shift).astype(int)
        share = (shift - whole).astype(np.float32)[:, None]
        column = np.arange(image.shape[1])
        at = [np.clip(column[None] + whole[:, None] + k, 0, image.shape[1] - 1) for k in (0, 1)]
        out = np.take_along_axis(out, at[0], 1) * (1 - share) + np.take_along_axis(out, at[1], 1) * share
    return out.astype(np.float32)


def displayed(image: NDArray[np.floating], look: Look) -> NDArray[np.uint8]:
    """What the display makes of counts: soft, sharpened, saturating; 1 becomes 255."""
    soft = image.astype(np.float32)
    if look.softness_px:
        soft = ndimage.gaussian_filter(soft, look.softness_px, truncate=3.0)
    if look.sharpening:
        soft = soft + np.float32(look.sharpening) * (soft - ndimage.gaussian_filter(soft, 2.0, truncate=2.5))
    if look.knee < 1.0:
        over = np.maximum(soft - look.knee, 0.0) / (1.0 - look.knee)
        soft = np.minimum(soft, look.knee) + (1.0 - look.knee) * over / np.sqrt(1.0 + over * over)
    return np.clip(np.rint(255.0 * soft), 0, 255).astype(np.uint8)
