"""What bounds an answer before any statistics: closed forms for geometry, drying and thickness.

Belongs here: one function a bound, each with its source. Does not belong here: the numbers of a study or the words on
them (`limits`).
"""

from typing import Final

import numpy as np
from scipy import stats

__all__ = [
    "DRIED_LENGTH",
    "HEIGHT_PRIOR",
    "NINETY",
    "log_height_sd",
    "log_shrinkage_half_width",
    "opaque_wall_widening",
    "unsampled_share",
    "wedge_elongation",
]

DRIED_LENGTH: Final = (0.85, 0.08)
"""Mean and SD of the linear factor by which preparation for SEM shrinks a cell: a prior, not a measurement."""

HEIGHT_PRIOR: Final = (0.95, 0.06)
"""Mean and SD of height over width of a resting cell, which no single view measures: a prior."""

NINETY: Final = float(stats.norm.ppf(0.95))
"""Half-width of a 90 % interval in standard deviations."""

_DIRECTIONS: Final = 20_000


def unsampled_share(tilts_deg: tuple[float, ...], *, both_axes: bool = False) -> float:
    """Share of the directions of Fourier space that a tilt series leaves unsampled.

    Parameters
    ----------
    tilts_deg : tuple of float
        Tilts about one axis; the range counts, not the steps.
    both_axes : bool
        A second series of the same range about the axis at a right angle.

    Returns
    -------
    float
        1 - range/180° for one axis: a third for ±60°. For two, the share of directions that lie in both wedges,
        counted over evenly spread ones: .16 for ±60°.

    Raises
    ------
    ValueError
        Fewer than two tilts, or a range beyond 180°.
    """
    low, high = (min(tilts_deg), max(tilts_deg)) if tilts_deg else (0.0, 0.0)
    if not 0 < high - low <= 180:
        raise ValueError(f"A tilt series spans more than 0 and at most 180 degrees, not {low:g} to {high:g}.")
    if not both_axes:
        return 1.0 - (high - low) / 180.0
    # Directions by the golden spiral (Saff and Kuijlaars 1997, Math. Intelligencer 19:5).
    number = np.arange(_DIRECTIONS) + 0.5
    z = 1.0 - 2.0 * number / _DIRECTIONS
    turn, ring = number * np.pi * (1.0 + np.sqrt(5.0)), np.sqrt(1.0 - z**2)
    inside = np.ones(_DIRECTIONS, dtype=bool)
    for across in (ring * np.cos(turn), ring * np.sin(turn)):
        # A view tilted by t samples the plane whose directions are at the angle t to the plane of the slab.
        angle = np.rad2deg(np.arctan2(z, across))
        angle = np.where(angle > 90, angle - 180, np.where(angle <= -90, angle + 180, angle))
        inside &= (angle < low) | (angle > high)
    return float(inside.mean())


def wedge_elongation(tilts_deg: tuple[float, ...]) -> float:
    """Factor by which the point spread of a single-axis tomogram is longer along the beam.

    Parameters
    ----------
    tilts_deg : tuple of float
        Tilts; half their range is the largest tilt α.

    Returns
    -------
    float
        √((α + sin α cos α)/(α - sin α cos α)) (Radermacher 1992, in Electron Tomography, eq. 13): 1.55 for ±60°.

    Raises
    ------
    ValueError
        As `unsampled_share`.
    """
    alpha = np.deg2rad(90.0 * (1.0 - unsampled_share(tilts_deg)))
    product = np.sin(alpha) * np.cos(alpha)
    return float(np.sqrt((alpha + product) / (alpha - product)))


def log_shrinkage_half_width(power: float) -> float:
    """Half-width of the 90 % interval that unknown drying alone leaves in the logarithm of a size.

    Parameters
    ----------
    power : float
        Of length that the size is: 1 for a radius, 3 for a volume.

    Returns
    -------
    float
        power · 1.645 · SD/mean of `DRIED_LENGTH` (first order): .155 for a radius, .46 for a volume.
    """
    mean, sd = DRIED_LENGTH
    return power * NINETY * sd / mean


def log_height_sd(axis_error: float, tilt_deg: float) -> float:
    """SD of the logarithm of a cell's half-height from three silhouettes at 0, +α and, turned by 180°, +α.

    Parameters
    ----------
    axis_error : float
        Relative error ε of one measured axis.
    tilt_deg : float
        α, degrees.

    Returns
    -------
    float
        ε √(2 + 4 cos⁴α) / (2 sin²α): 1.7 ε at 45°, 40 ε at 10°.

    Raises
    ------
    ValueError
        A tilt that is not between 0 and 90°, or a negative error.
    """
    if not (0 < tilt_deg < 90 and axis_error >= 0):
        raise ValueError(
            f"The tilt must lie between 0 and 90 degrees and the error not be negative: {tilt_deg}, {axis_error}."
        )
    cosine, sine = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    return float(axis_error * np.sqrt(2 + 4 * cosine**4) / (2 * sine**2))


def opaque_wall_widening(thickness_nm: float, wall_nm: float) -> float:
    """Relative widening of the wall's opaque width by a section's thickness, in the median of random planes.

    Parameters
    ----------
    thickness_nm, wall_nm : float
        Section and wall.

    Returns
    -------
    float
        Half of t/w. Planes through a sphere cut the wall at an inclination β with sin β uniform in 0 to 1; a wall of
        width w seen through a section t is w/cos β + t tan β wide, relative to w/cos β that is (t/w) sin β more.

    Raises
    ------
    ValueError
        Sizes that are not positive.
    """
    if not (thickness_nm > 0 and wall_nm > 0):
        raise ValueError(f"Thickness and wall must be positive, not {thickness_nm} and {wall_nm} nm.")
    return 0.5 * thickness_nm / wall_nm
