"""Smooth random patterns in space, from a few plane waves.

Belongs here: a pattern with a wavelength, its values and slopes. Does not belong here: what follows it
(`wall_relief`, `reticulum`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Waves", "draw_waves"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Waves:
    """A sum of plane waves of equal height: nearly Gaussian, mean 0, variance 1.

    Being patterns in space, not on a sphere, they suit a mother and her bud alike.

    Parameters
    ----------
    vectors : numpy.ndarray, float32, shape (K, 3)
        Wave vectors, (z, y, x), radians per nm.
    phases : numpy.ndarray, float32, shape (K,)
        Radians.
    """

    vectors: Float32Array
    phases: Float32Array

    def _arguments(self, zyx_nm: FloatArray) -> list[Float32Array]:
        # Single precision moves a wave by less than 1e-3 nm, and its cosines take a quarter of the time.
        z, y, x = (np.asarray(axis, dtype=np.float32) for axis in zyx_nm)
        return [k[0] * z + k[1] * y + k[2] * x + p for k, p in zip(self.vectors, self.phases, strict=True)]

    def values(self, zyx_nm: FloatArray) -> Float32Array:
        """The pattern at points (3, N), (N,)."""
        total = np.zeros(zyx_nm.shape[1], dtype=np.float32)
        for argument in self._arguments(zyx_nm):
            total += np.cos(argument)
        return np.asarray(total * np.float32(np.sqrt(2.0 / len(self.phases))))

    def values_and_slope(self, zyx_nm: FloatArray) -> tuple[Float32Array, Float32Array]:
        """The pattern and the length of its gradient per nm at points (3, N), both (N,)."""
        total = np.zeros(zyx_nm.shape[1], dtype=np.float32)
        slope = np.zeros(zyx_nm.shape, dtype=np.float32)
        for k, argument in zip(self.vectors, self._arguments(zyx_nm), strict=True):
            total += np.cos(argument)
            sine = np.sin(argument)
            for axis in range(3):
                slope[axis] -= k[axis] * sine
        scale = np.float32(np.sqrt(2.0 / len(self.phases)))
        return total * scale, np.sqrt(np.sum(slope * slope, axis=0)) * scale


def draw_waves(count: int, length_nm: float, spread: tuple[float, float], rng: np.random.Generator) -> Waves:
    """Draw waves in all directions.

    Parameters
    ----------
    count : int
        How many.
    length_nm : float
        Wavelength.
    spread : tuple of float
        Least and largest wavelength over that one; between them it is drawn evenly.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Waves
    """
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = length_nm * rng.uniform(*spread, size=(count, 1))
    phases = rng.uniform(0.0, 2 * np.pi, count)
    return Waves((2 * np.pi / lengths * directions).astype(np.float32), phases.astype(np.float32))
