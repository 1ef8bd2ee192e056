"""Simulated tomograms to train labelling with: windows imaged and reconstructed, everything about it drawn at random.

Belongs here: density, tilts, contrast transfer, noise, misalignment, filters, ice. Does not belong here: windows
(`cryoet.label_windows`), the full instrument at fine voxels, on which labels are judged (`phantom.tilt_series`).

Everything is imaged at the working voxel, where electrons are so many that Poisson noise is Gaussian and the first zero
of the contrast transfer lies beyond what a pixel carries.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.label_network import WORKING_NM
from em2cryo_assets.cryoet.label_windows import SIDE, Window
from em2cryo_assets.cryoet.reconstruct import back_project, project
from em2cryo_assets.cryoet.transfer import contrast_transfer, filter_images
from em2cryo_assets.phantom.contrast import CONTRASTS, MATERIALS, density, nominal
from em2cryo_assets.phantom.texture import grain, textured

__all__ = ["Picture", "empty_picture", "picture"]

Float32Array = NDArray[np.float32]

_SPREAD: Final = 0.08
"""Standard deviation of the factor on each material's difference from ice, beside 0.03 of `phantom.contrast.jittered`."""
_RIM: Final = 8
_ICE: Final = float(CONTRASTS["cryo"]["outside"])


@dataclass(frozen=True)
class Picture:
    """A simulated tomogram and its truth.

    Parameters
    ----------
    volume : numpy.ndarray, float32, shape (z, y, x)
        Density at `WORKING_NM`, high where matter is dense.
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS`; what lies beyond the faces of a slab is outside.
    """

    volume: Float32Array
    labels: NDArray[np.uint8]


def picture(window: Window, side: int, rng: np.random.Generator, *, beyond: tuple[int, int] = (0, 0)) -> Picture:
    """Image a window: turned by quarters and mirrored, with a density, tilts and noise of its own.

    Parameters
    ----------
    window : Window
        What the slab holds.
    side : int
        Voxels of the field along y and x; what is left of the window is beside it.
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    beyond : tuple of int
        Planes that were reconstructed before and behind the slab.

    Returns
    -------
    Picture
    """
    quarters, flips = int(rng.integers(4)), rng.random(2) < 0.5
    coverage, labels = (_turned(a, quarters, flips) for a in (window.shares, window.labels))
    rest = SIDE - side
    y, x = int(rng.integers(rest + 1)), round(rest / 2 + rng.uniform(-0.25, 0.25) * rest)
    field = (slice(None), slice(y, y + side), slice(x, x + side))
    matter = _matter(np.ascontiguousarray(coverage[:, :, y : y + side]), rng)
    if window.lamella:
        matter = _damaged(matter, rng)
    if rng.random() < 0.15:
        matter = _dirty(matter, rng)
    return _imaged(matter, labels[field], slice(x, x + side), beyond, rng)


def empty_picture(depth: int, side: int, rng: np.random.Generator, *, beyond: tuple[int, int] = (0, 0)) -> Picture:
    """A field of ice or carbon without a cell, with what lies about there; outside throughout."""
    matter = _ICE + 0.02 * grain((depth, side, SIDE), float(rng.uniform(0.5, 4.0)), rng)
    for _ in range(int(rng.integers(0, 3))):
        matter = _dirty(matter, rng)
    start = (SIDE - side) // 2
    labels = np.zeros((depth, side, side), np.uint8)
    return _imaged(matter.astype(np.float32), labels, slice(start, start + side), beyond, rng)


def _turned(array: NDArray, quarters: int, flips: NDArray[np.bool_]) -> NDArray:  # type: ignore[type-arg]
    out = np.rot90(array, quarters, axes=(-2, -1))
    return out[..., :: -1 if flips[0] else 1, :, :: -1 if flips[1] else 1]


def _matter(coverage: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Density with the texture that simulated studies have, spread wider about the nominal contrasts."""
    table = nominal("cryo")
    wider = (table - table[0]) * np.float32(_SPREAD) * np.clip(rng.normal(size=len(MATERIALS)), -2, 2)
    return textured(coverage, "cryo", WORKING_NM, WORKING_NM**3, rng) + density(coverage, wider.astype(np.float32))


def _damaged(matter: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Contrast that fades to 0.2 to 1 over the outer 10 to 40 nm of either face."""
    depth = matter.shape[0]
    below = (np.minimum(np.arange(depth), np.arange(depth)[::-1]) + 0.5) * WORKING_NM
    least, reach = rng.uniform(0.2, 1.0), rng.uniform(10.0, 40.0)
    kept = (least + (1.0 - least) * np.clip(below / reach, 0.0, 1.0)).astype(np.float32)
    mean = matter.mean()
    return (matter - mean) * kept[:, None, None] + mean


def _dirty(matter: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Ice crystals or beads on a face, much denser than anything frozen with the cell."""
    out = matter.copy()
    face = 0 if rng.random() < 0.5 else matter.shape[0] - 1
    z, y, x = np.ogrid[: matter.shape[0], : matter.shape[1], : matter.shape[2]]
    for _ in range(int(rng.integers(1, 5))):
        radius = rng.uniform(8.0, 120.0) / WORKING_NM
        at = rng.uniform(0, matter.shape[1]), rng.uniform(0, matter.shape[2])
        inside = (z - face) ** 2 + (y - at[0]) ** 2 + (x - at[1]) ** 2 < max(radius, 0.7) ** 2
        out[inside] = _ICE + rng.uniform(0.4, 1.5)
    return out


def _imaged(
    matter: Float32Array, labels: NDArray[np.uint8], kept: slice, beyond: tuple[int, int], rng: np.random.Generator
) -> Picture:
    """Project, transfer, add noise, reconstruct, filter; the tilt axis is y, in one of five x."""
    low, high = -float(rng.uniform(40.0, 66.0)), float(rng.uniform(40.0, 66.0))
    tilts = np.arange(low, high, float(rng.choice((1.5, 2.0, 3.0, 3.0, 4.0, 5.0))))
    views = project(matter - np.float32(_ICE), tilts.tolist(), edges="continued")
    if rng.random() < 0.7:
        rim = ((0, 0), (_RIM, _RIM), (_RIM, _RIM))
        wide = np.pad(views, rim, mode="symmetric")
        transfer = contrast_transfer((wide.shape[1], wide.shape[2]), WORKING_NM, float(rng.uniform(2.0, 8.0)))
        views = filter_images(wide, transfer)[:, _RIM:-_RIM, _RIM:-_RIM]
    cosine = np.cos(np.deg2rad(tilts)).astype(np.float32)
    noise = float(views[int(np.argmin(np.abs(tilts)))].std()) / np.sqrt(10.0 ** rng.uniform(-0.3, 2.3))
    if not labels.any():
        # Nothing of a cell sets the scale of the noise: any share of what a cell would give.
        noise = 0.2 * 10.0 ** rng.uniform(-1.3, 0.5)
    views = views + noise / np.sqrt(cosine)[:, None, None] * rng.standard_normal(views.shape, dtype=np.float32)
    off_px = float(rng.uniform(0.0, 10.0)) / WORKING_NM if rng.random() < 0.5 else 0.0
    if off_px:
        views = np.stack([ndimage.shift(v, off_px * rng.standard_normal(2), order=1, mode="nearest") for v in views])
    more = max(beyond)
    volume = back_project(views, tilts.tolist(), len(matter) + 2 * more)[:, :, kept]
    volume = volume[more - beyond[0] : len(volume) - (more - beyond[1])]
    labels = np.pad(labels, (beyond, (0, 0), (0, 0)))
    volume = _filtered(volume, rng)
    if rng.random() < 0.2:
        volume, labels = volume.swapaxes(1, 2), labels.swapaxes(1, 2)
    return Picture(np.ascontiguousarray(volume, np.float32), np.ascontiguousarray(labels))


def _filtered(volume: Float32Array, rng: np.random.Generator) -> Float32Array:
    """What programs do to a reconstruction: blur or denoising, and a background taken off."""
    if rng.random() < 0.5:
        volume = ndimage.gaussian_filter(volume, rng.uniform(0.2, 1.2), mode="nearest")
    if rng.random() < 0.3:
        wide = ndimage.gaussian_filter(volume, (0.0, *[rng.uniform(150.0, 500.0) / WORKING_NM] * 2), mode="nearest")
        volume = volume - np.float32(rng.uniform(0.2, 0.7)) * wide
    if rng.random() < 0.1:
        volume = np.float32(rng.uniform(0.5, 1.5)) * np.arctan(volume / max(float(volume.std()), 1e-6))
    return np.asarray(volume, np.float32)
