"""What stands out of or is sunk into the wall's outer face: bud scars and furrows.

Belongs here: heights over the smooth body. Does not belong here: the body (`body`), rays that meet it (`relief`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.priors import draw
from em2cryo_assets.phantom.waves import Waves, draw_waves

__all__ = ["Furrows", "Scar", "draw_furrows", "height_nm"]

FloatArray = NDArray[np.float64]

_SCAR_REACH_NM = 250.0
_FURROW_REACH_NM = 80.0
"""Up to here from the smooth surface furrows are there in full, and gone after half as much again: farther away
they change no interface, and waves cost as much as the distance does."""


@dataclass(frozen=True)
class Scar:
    """A ring of chitin on the mother's surface.

    Parameters
    ----------
    direction : numpy.ndarray, shape (3,)
        Unit vector from the centre to the middle of the scar, (z, y, x).
    radius_nm : float
        Of the ring, along the surface.
    height_nm : float
        Of the ring above the surface.
    """

    direction: FloatArray
    radius_nm: float
    height_nm: float


@dataclass(frozen=True)
class Furrows:
    """Shallow corrugation of the outer face, as much above the smooth surface as below it.

    Parameters
    ----------
    waves : Waves
        Pattern of unit variance.
    amplitude_nm : float
        Largest height and depth.
    """

    waves: Waves
    amplitude_nm: float

    def height_nm(self, zyx_nm: FloatArray) -> FloatArray:
        """Height at points (3, N) near the surface, (N,), nm; never beyond the amplitude."""
        # The pattern is as often high as low, so that the wall's mean thickness and volume stay.
        return self.amplitude_nm * np.tanh(self.waves.values(zyx_nm)).astype(zyx_nm.dtype)


def height_nm(
    zyx_nm: FloatArray, distance_nm: FloatArray, scars: tuple[Scar, ...], furrows: Furrows | None
) -> FloatArray:
    """Height of the wall's outer face over the smooth body.

    Parameters
    ----------
    zyx_nm : numpy.ndarray, shape (3, N)
        Positions in the frame of the cell.
    distance_nm : numpy.ndarray, shape (N,)
        Signed distance to the smooth body there; far from it heights are 0.
    scars : tuple of Scar
        Rings.
    furrows : Furrows or None
        Left out on scars.

    Returns
    -------
    numpy.ndarray, shape (N,)
        nm.
    """
    height = np.zeros_like(distance_nm)
    gap = np.abs(distance_nm)
    off_scars = np.ones_like(height)
    near = np.flatnonzero(gap < _SCAR_REACH_NM)
    if scars and near.size:
        z, y, x = zyx_nm[:, near]
        radius = np.maximum(np.sqrt(z * z + y * y + x * x), 1e-6)
        for scar in scars:
            d = [float(v) for v in scar.direction]
            along = np.arccos(np.clip((z * d[0] + y * d[1] + x * d[2]) / radius, -1.0, 1.0)) * radius
            ring = np.exp(-np.square((along - scar.radius_nm) * (1.0 / 75.0)))
            plateau = 0.35 / (1.0 + np.exp(np.minimum((along - scar.radius_nm) * (1.0 / 40.0), 80.0)))
            height[near] += scar.height_nm * (ring + plateau)
            # Furrows end at a ring's foot, 150 nm beyond its crest.
            off_scars[near] *= np.clip((along - scar.radius_nm) * (1.0 / 150.0) - 1.0, 0.0, 1.0)
    if furrows is not None:
        close = np.flatnonzero((gap < 1.5 * _FURROW_REACH_NM) & (off_scars > 0))
        if close.size:
            fade = np.minimum(3.0 - gap[close] * (2.0 / _FURROW_REACH_NM), 1.0)
            height[close] += furrows.height_nm(zyx_nm[:, close]) * off_scars[close] * fade
    return height


def draw_furrows(rng: np.random.Generator) -> Furrows:
    """Draw a cell's furrows; the generator's state advances."""
    amplitude, length = draw("furrow_amplitude", rng), draw("furrow_length", rng)
    return Furrows(draw_waves(12, length, (0.8, 1.25), rng), amplitude)
