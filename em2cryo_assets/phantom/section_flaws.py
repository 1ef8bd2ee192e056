"""What cutting does to a section: compression, folds, knife marks, dirt.

Belongs here: maps and masks in the frame of the picture. Does not belong here: cells, contrast, optics (`tem`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.planes import centred

__all__ = ["Fold", "compression_matrix", "dirt_mask", "draw_fold", "knife_marks"]

FloatArray = NDArray[np.float64]


def compression_matrix(compression: float, cutting_deg: float) -> FloatArray:
    """Matrix (2, 2) from the block's (y, x) to the section's: lengths along the cut shrink by 1 - compression."""
    along = np.array([np.sin(np.deg2rad(cutting_deg)), np.cos(np.deg2rad(cutting_deg))])
    return np.asarray(np.eye(2) - compression * np.outer(along, along))


@dataclass(frozen=True)
class Fold:
    """A strip in which the section lies over itself three times.

    Parameters
    ----------
    across : numpy.ndarray, shape (2,)
        Unit vector (y, x) across the strip.
    offset_nm, width_nm : float
        Position of the middle of the strip along `across`, and its width in the picture.
    """

    across: FloatArray
    offset_nm: float
    width_nm: float

    def layers(self, yx_nm: FloatArray) -> tuple[FloatArray, list[FloatArray], NDArray[np.bool_]]:
        """Where the layers seen at picture points come from, were the section flat.

        Parameters
        ----------
        yx_nm : numpy.ndarray, shape (..., 2)
            Points of the picture.

        Returns
        -------
        lowest : numpy.ndarray, shape (..., 2)
            Points of the flat section in the lowest layer; beyond the strip the section is drawn in by twice
            its width.
        upper : list of numpy.ndarray, shape (..., 2)
            The turned and the uppermost layer, valid within the strip.
        inside : numpy.ndarray, bool, shape (...)
            The strip.
        """
        s = yx_nm @ self.across - self.offset_nm
        half = 0.5 * self.width_nm
        inside = np.abs(s) <= half
        beyond = np.where(s > half, 2.0 * self.width_nm, 0.0)
        lowest = yx_nm + beyond[..., None] * self.across
        turned = yx_nm + (self.width_nm - 2.0 * s)[..., None] * self.across
        return lowest, [turned, yx_nm + 2.0 * self.width_nm * self.across], inside


def draw_fold(extent_nm: float, rng: np.random.Generator) -> Fold:
    """Draw a fold 120 to 350 nm wide that crosses the middle three quarters of a picture of given side."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    return Fold(
        np.array([np.sin(angle), np.cos(angle)]), rng.uniform(-0.375, 0.375) * extent_nm, rng.uniform(120.0, 350.0)
    )


def knife_marks(
    shape: tuple[int, int], expected: float, depth: float, cutting_deg: float | None, rng: np.random.Generator
) -> tuple[list[FloatArray], float]:
    """Faint straight streaks along the cut.

    Parameters
    ----------
    shape : tuple of int
        (y, x) pixels.
    expected : float
        Mean number of marks.
    depth : float
        Largest change of density.
    cutting_deg : float or None
        Direction of the cut from the picture's x towards its y; None draws one.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    marks : list of numpy.ndarray, float64, shape (y, x)
        Change of density of each mark.
    cutting_deg : float
        Direction of the cut, within [0, 180).
    """
    angle = rng.uniform(0, np.pi)
    if cutting_deg is not None:
        angle = -np.deg2rad(cutting_deg)
    across = np.cos(angle) * centred(shape[0], 1.0)[:, None] + np.sin(angle) * centred(shape[1], 1.0)[None, :]
    marks = []
    for _ in range(int(rng.poisson(expected))):
        offset, width = rng.uniform(-0.45, 0.45) * shape[0], rng.uniform(0.8, 2.0)
        marks.append(rng.uniform(-depth, depth) * np.exp(-0.5 * ((across - offset) / width) ** 2))
    return marks, float(-np.rad2deg(angle) % 180.0)


def dirt_mask(shape: tuple[int, int], pixel_nm: float, specks: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Ragged specks, 40 to 180 nm in radius, as a mask (y, x)."""
    mask = np.zeros(shape, dtype=bool)
    y, x = centred(shape[0], pixel_nm)[:, None], centred(shape[1], pixel_nm)[None, :]
    for _ in range(specks):
        centre = rng.uniform(-0.45, 0.45, 2) * np.array(shape) * pixel_nm
        radius = rng.uniform(40.0, 180.0)
        ragged = ndimage.gaussian_filter(rng.standard_normal(shape), 0.35 * radius / pixel_nm)
        ragged *= 0.35 * radius / max(float(ragged.std()), 1e-9)
        mask |= np.hypot(y - centre[0], x - centre[1]) + ragged < radius
    return mask
