"""The outer wall's arc in a tomogram, and the thickness of the wall.

Belongs here: fitting the arc and saying whether it may be used. Does not belong here: the geometric fit itself
(`cryoet.circle`) or labelling (`cryoet.labels`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.circle import fit_circle
from em2cryo_assets.vocabulary import LABELS

__all__ = ["WallArc", "fit_wall_arc", "wall_thickness"]

_STEEPEST_DEG: Final = 60.0
_SHORTEST_NM: Final = 300.0
_LARGEST_RELATIVE_SE: Final = 0.5


@dataclass(frozen=True)
class WallArc:
    """A circle fitted to the outer surface of the wall.

    Parameters
    ----------
    centre_yx_nm : tuple of float
        Centre in the plane of the slab, from the centre of voxel (0, 0), nm.
    radius_nm, radius_se_nm : float
        Radius r in the plane and its standard error.
    inclination_deg, inclination_se_deg : float
        Angle β between the surface normal and the plane of the slab.
    arc_length_nm : float
        Length of wall in view.
    normal_radius_nm : float
        R_n = r / cos β (Meusnier's theorem).
    usable : bool
        Whether it may enter a comparison.
    reason : str
        Why not; empty if usable.
    """

    centre_yx_nm: tuple[float, float]
    radius_nm: float
    radius_se_nm: float
    inclination_deg: float
    inclination_se_deg: float
    arc_length_nm: float
    normal_radius_nm: float
    usable: bool
    reason: str


def fit_wall_arc(labels: NDArray[np.uint8], voxel_nm: tuple[float, float, float]) -> WallArc | None:
    """Fit the outer surface of the wall; None where none is in view.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Vocabulary codes.
    voxel_nm : tuple of float
        (z, y, x), nm.
    """
    outside = labels == LABELS["outside"]
    near = ndimage.binary_dilation(outside, ndimage.generate_binary_structure(3, 1) & _in_plane())
    surface = near & ~outside
    surface[:, [0, -1], :] = False
    surface[:, :, [0, -1]] = False
    index = np.argwhere(surface)
    if len(index) < 30:
        return None
    points = index * np.asarray(voxel_nm)
    mid_nm = (labels.shape[0] - 1) / 2 * voxel_nm[0]
    points[:, 0] -= mid_nm
    if len(points) > 4000:  # evenly thinned: neighbours carry the same error
        points = points[np.linspace(0, len(points) - 1, 4000).astype(int)]
    try:
        circle = fit_circle(points)
    except ValueError:
        return None
    length = float(np.deg2rad(circle.arc_deg) * circle.radius_nm)
    beta = float(abs(np.rad2deg(np.arctan(circle.slope))))
    beta_se = float(np.rad2deg(circle.slope_se / (1 + circle.slope**2)))
    reason = ""
    if length < _SHORTEST_NM:
        reason = f"only {length:.0f} nm of wall are in view"
    elif beta > _STEEPEST_DEG:
        reason = f"the wall is inclined by {beta:.0f}°, more than {_STEEPEST_DEG:.0f}°"
    elif not circle.radius_se_nm < _LARGEST_RELATIVE_SE * circle.radius_nm:
        reason = f"the radius is {circle.radius_nm:.0f} ± {circle.radius_se_nm:.0f} nm: the arc is too straight or rough"
    return WallArc(
        (float(circle.centre_nm[0]), float(circle.centre_nm[1])),
        float(circle.radius_nm),
        float(circle.radius_se_nm),
        beta,
        beta_se,
        length,
        float(circle.radius_nm / np.cos(np.deg2rad(min(beta, 89.0)))),
        not reason,
        reason,
    )


def wall_thickness(
    labels: NDArray[np.uint8], voxel_nm: tuple[float, float, float], arc: WallArc | None
) -> tuple[float, float]:
    """Thickness of the wall normal to its surface, and the standard error of this one value, nm.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Vocabulary codes.
    voxel_nm : tuple of float
        (z, y, x), nm.
    arc : WallArc or None
        Its inclination turns the width in the plane into the thickness: t = w cos β.

    Returns
    -------
    value, standard_error : float
        NaN where no wall has both an outer and an inner surface in view.
    """
    wall = labels == LABELS["wall"]
    inside = labels >= LABELS["membrane"]
    if arc is None or not arc.usable or not wall.any() or not inside.any():
        return float("nan"), float("nan")
    widths = []
    side = float(np.mean(voxel_nm[1:]))
    for plane, body in zip(wall, inside, strict=True):
        outside = ~(plane | body)
        if not (plane.any() and body.any() and outside.any()):
            continue
        to_outside = ndimage.distance_transform_edt(~outside) * side
        rim = body & ndimage.binary_dilation(plane)
        rim[[0, -1], :] = rim[:, [0, -1]] = False
        # Distances are between pixel centres: half a pixel lies beyond each of the two surfaces.
        widths.append(to_outside[rim] - side)
    if not widths:
        return float("nan"), float("nan")
    every = np.concatenate(widths)
    if every.size < 10:
        return float("nan"), float("nan")
    cosine = float(np.cos(np.deg2rad(arc.inclination_deg)))
    value = float(np.median(every)) * cosine
    # Independent stretches of wall are about one thickness long.
    independent = max(1.0, arc.arc_length_nm / max(value, side))
    spread = 1.4826 * float(np.median(np.abs(every - np.median(every)))) * cosine
    return value, float(np.hypot(spread / np.sqrt(independent), side / np.sqrt(12)))


def _in_plane() -> NDArray[np.bool_]:
    """Neighbours within a plane only: the faces of a slab are no surface of the cell."""
    keep = np.zeros((3, 3, 3), dtype=bool)
    keep[1] = True
    return keep
