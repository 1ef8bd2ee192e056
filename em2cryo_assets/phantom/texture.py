"""Grain and ribosomes: what makes the inside of a cell look like matter.

Belongs here: texture added to shares of materials, for any modality. Does not belong here: geometry, and what
an instrument does to the density (`tem`, `cryo`, `soft_x_ray`).
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from em2cryo_assets.phantom.contrast import MATERIALS, density, jittered
from em2cryo_assets.phantom.counting import poisson_counts
from em2cryo_assets.phantom.priors import PRIORS

__all__ = ["RIBOSOME_EXCESS", "grain", "place_ribosomes", "textured"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_CYTOPLASM = MATERIALS.index("cytoplasm")

RIBOSOME_EXCESS: Final = MappingProxyType({"tem": 0.30, "cryo": 0.42})
"""Density of a ribosome over the cytoplasm between ribosomes, per modality (assumed)."""

# Standard deviation of the texture in each material and its correlation length in nm (assumed).
_GRAIN = {
    "outside": (0.008, 30.0),
    "wall": (0.020, 25.0),
    "cytoplasm": (0.020, 16.0),
    "nucleus": (0.045, 45.0),
    "nucleolus": (0.035, 20.0),
    "vacuole": (0.022, 60.0),
    "mitochondrion": (0.020, 16.0),
}
# Below this many expected ribosomes a voxel they are placed one by one, without overlap.
_SPARSE = 9e-4


def grain(shape: Sequence[int], correlation_px: float, rng: np.random.Generator) -> Float32Array:
    """Gaussian texture of unit variance, float32, blurred by `correlation_px` (at least 0.3) pixels."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), max(correlation_px, 0.3), mode="wrap")
    return np.asarray(noise / noise.std(), dtype=np.float32)


def place_ribosomes(cytoplasm: Float32Array, voxel_nm: float, rng: np.random.Generator) -> FloatArray:
    """Centres of ribosomes in the cytoplasm, none overlapping another.

    Candidates are uniform, of Poisson number, and kept with the probability that the cytoplasm's share gives;
    of two closer than a diameter one goes (Matérn's first thinning, three rounds), so that dense cytoplasm ends
    a little below the prior's number.

    Parameters
    ----------
    cytoplasm : numpy.ndarray, float32, shape (z, y, x)
        Share of cytoplasm in each voxel.
    voxel_nm : float
        Voxel side.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    numpy.ndarray, float64, shape (N, 3)
        (z, y, x) in voxels, the first voxel's centre at 0.
    """
    shape = np.array(cytoplasm.shape)
    volume_um3 = float(np.prod(shape)) * voxel_nm**3 * 1e-9
    wanted = PRIORS["ribosomes"].mean * volume_um3 * float(np.clip(cytoplasm, 0.0, 1.0).mean())
    spacing = 2.0 * PRIORS["ribosome_radius"].mean / voxel_nm
    kept = np.zeros((0, 3))
    for _ in range(3):
        missing = wanted - len(kept)
        if missing < 1:
            break
        share = max(float(np.clip(cytoplasm, 0.0, 1.0).mean()), 1e-9)
        fresh = rng.random((int(np.ceil(missing / share)), 3)) * shape - 0.5
        index = tuple(np.clip(np.rint(fresh).astype(int), 0, shape - 1).T)
        fresh = fresh[rng.random(len(fresh)) < cytoplasm[index]]
        points = np.concatenate([kept, fresh])
        alive = np.ones(len(points), dtype=bool)
        for a, b in sorted(cKDTree(points).query_pairs(spacing)):
            if alive[a]:
                alive[b] = False
        kept = points[alive]
    return kept


def _ball(radius_px: float) -> Float32Array:
    """A ball as voxels' shares, odd side."""
    half = int(np.ceil(radius_px + 0.5))
    r = np.sqrt(np.sum(np.square(np.mgrid[-half : half + 1, -half : half + 1, -half : half + 1]), axis=0))
    return np.clip(radius_px + 0.5 - r, 0.0, 1.0).astype(np.float32)


def _placed_ribosomes(cytoplasm: Float32Array, voxel_nm: float, rng: np.random.Generator) -> Float32Array:
    """Mean-free share of each voxel that ribosomes fill, from balls placed one by one."""
    ball = _ball(PRIORS["ribosome_radius"].mean / voxel_nm)
    half = ball.shape[0] // 2
    filled = np.zeros(tuple(n + 2 * half for n in cytoplasm.shape), dtype=np.float32)
    centres = place_ribosomes(cytoplasm, voxel_nm, rng)
    for z, y, x in np.rint(centres).astype(int):
        filled[z : z + 2 * half + 1, y : y + 2 * half + 1, x : x + 2 * half + 1] += ball
    inner = filled[half:-half, half:-half, half:-half]
    inner -= cytoplasm * np.float32(inner.sum() / max(float(cytoplasm.sum()), 1e-6))
    return inner


def _ribosomes(cytoplasm: Float32Array, pixel_nm: float, volume_nm3: float, rng: np.random.Generator) -> Float32Array:
    """Mean-free granularity of ribosomes, as share of a pixel's volume filled, same shape as `cytoplasm`.

    `volume_nm3` is the volume that one element of the array stands for.
    """
    size = 4.0 / 3.0 * np.pi * PRIORS["ribosome_radius"].mean ** 3
    number = PRIORS["ribosomes"].mean * 1e-9 * volume_nm3
    if cytoplasm.ndim == 3 and number < _SPARSE:
        return _placed_ribosomes(cytoplasm, pixel_nm, rng)
    expected = number * np.clip(cytoplasm, 0.0, 1.0)
    counts = poisson_counts(expected, rng).astype(np.float32)
    # A ball of radius R has the second moment of a Gaussian of width R/√5; the box of a pixel adds its own.
    width = PRIORS["ribosome_radius"].mean / np.sqrt(5.0) / pixel_nm
    filled = ndimage.gaussian_filter((counts - expected.astype(np.float32)) * np.float32(size / volume_nm3), width)
    return np.asarray(filled, dtype=np.float32)


def textured(
    coverage: Float32Array, modality: str, pixel_nm: float, volume_nm3: float, rng: np.random.Generator
) -> Float32Array:
    """Density of a coverage with its texture.

    Parameters
    ----------
    coverage : numpy.ndarray, float32, shape (12, ...)
        Shares in the order of `contrast.MATERIALS`.
    modality : str
        "tem" or "cryo".
    pixel_nm : float
        Side of a pixel or voxel.
    volume_nm3 : float
        Volume that one element stands for: a section averages texture over its thickness.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    numpy.ndarray, float32, shape ``coverage.shape[1:]``
        High = dense. Finer than about 4 nm a voxel ribosomes are balls that do not overlap; coarser ones are
        counted by voxel.
    """
    table = jittered(modality, rng)
    out = density(coverage, table)
    # A section averages texture over its thickness: fewer grains along z, less contrast.
    depth = max(volume_nm3 / pixel_nm**2, pixel_nm)
    for name, (amplitude, length) in _GRAIN.items():
        share = coverage[MATERIALS.index(name)]
        if share.any():
            averaged = amplitude * min(1.0, np.sqrt(2.0 * length / depth))
            out += np.float32(averaged) * share * grain(out.shape, length / pixel_nm / 2.0, rng)
    out += RIBOSOME_EXCESS[modality] * _ribosomes(coverage[_CYTOPLASM], pixel_nm, volume_nm3, rng)
    return out
