"""The arc that a cell's outer wall draws through a slab, and the thickness of the wall.

Belongs here: boundary points of a labelled slab, the arc's radius and inclination, the wall's thickness, each
with its standard error. Does not belong here: the geometric fit itself (:mod:`em2cryo_assets.cryoet.circle`) or how
a distribution of arcs becomes a size (``compare``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.circle import fit_circle
from em2cryo_assets.cryoet.inclination import true_slope
from em2cryo_assets.cryoet.labels import SMOOTH_NM, damaged_planes
from em2cryo_assets.cryoet.layers import depth_map_nm, fit_layers, mean_profile, tilt_of_boundary
from em2cryo_assets.cryoet.mrc import ASSUMED_TILTS_DEG
from em2cryo_assets.vocabulary import LABELS

__all__ = ["MAX_INCLINATION_DEG", "WallArc", "fit_wall_arc", "wall_thickness"]

MAX_INCLINATION_DEG: Final = 60.0
"""Beyond this the missing wedge of a usual tilt series hides the wall."""

_LEAST_RESPONSE = 0.15
_SHORTEST_NM = 300.0
_SECTOR_NM = 160.0
_MARGIN_NM = 24.0


@dataclass(frozen=True)
class WallArc:
    """An arc of the outer wall.

    Parameters
    ----------
    radius_nm, radius_se_nm : float
        Radius r in the mid-plane and its standard error, nm.
    inclination_deg, inclination_se_deg : float
        Angle beta of the outward normal above the plane of the slab (positive towards larger z) and its standard
        error, degrees.
    arc_length_nm : float
        Length of the arc in view, nm.
    normal_radius_nm : float
        R_n = r / cos(beta): the radius of a sphere that the slab would cut so (Meusnier), nm.
    log_normal_radius_se : float
        Standard error of ln R_n.
    residual_nm : float
        Root mean square distance of the boundary from the fit, nm.
    centre_nm : tuple of float
        (y, x) of the circle's centre in the volume, nm from the centre of voxel (0, 0).
    usable : bool
        Whether the arc may enter a comparison.
    reason : str
        Why not; empty when usable.
    """

    radius_nm: float
    radius_se_nm: float
    inclination_deg: float
    inclination_se_deg: float
    arc_length_nm: float
    normal_radius_nm: float
    log_normal_radius_se: float
    residual_nm: float
    centre_nm: tuple[float, float]
    usable: bool
    reason: str


def fit_wall_arc(
    labels: ArrayLike, voxel_nm: tuple[float, float, float], tilts_deg: Sequence[float] | None = ASSUMED_TILTS_DEG
) -> WallArc | None:
    """Fit the outer edge of the wall in a labelled slab.

    The inclination is corrected for what the views cannot show (:mod:`em2cryo_assets.cryoet.inclination`); the part of
    it that had to be inferred is added to its standard error.

    Parameters
    ----------
    labels : array_like, integer, shape (z, y, x)
        Vocabulary codes.
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    tilts_deg : sequence of float or None
        Tilts about y that the labelled reconstruction was made from; None for complete views (no correction).

    Returns
    -------
    WallArc or None
        None where no wall borders on the outside, or its edge is straight or too short for a circle.
    """
    codes = np.asarray(labels)
    points = _outer_points_nm(codes, voxel_nm)
    if len(points) < 24:
        return None
    # Faces of a lamella carry copied labels, which would pull the slope towards zero.
    planes = damaged_planes(codes.shape[0], voxel_nm[0], "lamella")
    height = points[:, 0] / voxel_nm[0]
    intact = (height >= (planes.start or 0)) & (height < (planes.stop or codes.shape[0]))
    points = points[intact] if int(intact.sum()) >= 24 else points
    middle = 0.5 * (codes.shape[0] - 1) * voxel_nm[0]
    points = points - np.array([middle, 0.0, 0.0])
    try:
        circle = fit_circle(points)
    except ValueError:
        return None
    slope, response = circle.slope, 1.0
    if tilts_deg is not None:
        field_nm = (codes.shape[0] * voxel_nm[0], codes.shape[1] * voxel_nm[1], codes.shape[2] * voxel_nm[2])
        damage_nm = (planes.start or 0) * voxel_nm[0]
        slope, response = true_slope(circle, field_nm, damage_nm, SMOOTH_NM, tilts_deg)
    beta = -np.arctan(slope)
    # A third of the correction is taken for its own uncertainty: the simulated body is smooth and homogeneous.
    slope_se = float(np.hypot(circle.slope_se / max(response, 0.1), (slope - circle.slope) / 3))
    beta_se = slope_se / (1 + slope**2)
    arc_nm = float(np.deg2rad(circle.arc_deg)) * circle.radius_nm
    convex = _is_convex(codes, circle.centre_nm, points, voxel_nm)
    log_se = float(np.hypot(circle.radius_se_nm / circle.radius_nm, np.tan(beta) * beta_se))
    reason = ""
    if not convex:
        reason = "the wall curves inwards here (a neck or a dent), so its radius is not that of the cell."
    elif abs(np.rad2deg(beta)) > MAX_INCLINATION_DEG:
        reason = f"the wall is inclined by {abs(np.rad2deg(beta)):.0f} degrees; beyond 60 the missing wedge hides it."
    elif response < _LEAST_RESPONSE:
        reason = "the wall runs across the tilt axis, where the missing wedge hides how much it is inclined."
    elif arc_nm < _SHORTEST_NM:
        reason = f"only {arc_nm:.0f} nm of the wall are in view."
    elif circle.residual_nm > max(0.02 * arc_nm, 2.0 * max(voxel_nm[1:])):
        reason = f"the wall is no circle here: it strays by {circle.residual_nm:.0f} nm (root mean square)."
    elif log_se > 0.5:
        reason = f"the arc is too flat: its radius is uncertain by {100 * log_se:.0f} %."
    return WallArc(
        radius_nm=circle.radius_nm,
        radius_se_nm=circle.radius_se_nm,
        inclination_deg=float(np.rad2deg(beta)),
        inclination_se_deg=float(np.rad2deg(beta_se)),
        arc_length_nm=arc_nm,
        normal_radius_nm=float(circle.radius_nm / np.cos(beta)),
        log_normal_radius_se=log_se,
        residual_nm=circle.residual_nm,
        centre_nm=circle.centre_nm,
        usable=not reason,
        reason=reason,
    )


def wall_thickness(
    labels: ArrayLike, density: ArrayLike, voxel_nm: tuple[float, float, float], arc: WallArc | None = None
) -> tuple[float, float]:
    """Thickness of the wall along its normal, from the two steps of the depth profile.

    The profile is fitted in sectors of about 160 nm along the wall; value and error are the median and the standard error
    of the sectors. Missing-wedge blur widens both steps alike and leaves their distance.

    Parameters
    ----------
    labels : array_like, integer, shape (z, y, x)
        Vocabulary codes; only the outside and the wall's presence are read.
    density : array_like, shape (z, y, x)
        High where matter is dense.
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    arc : WallArc, optional
        From :func:`fit_wall_arc`; its corrected inclination replaces the apparent one.

    Returns
    -------
    value_nm, sd_nm : float
        Thickness and the standard deviation of this one measurement; both NaN without a wall in view, the second
        NaN with fewer than three sectors.

    Raises
    ------
    ValueError
        If labels and density differ in shape.
    """
    codes, volume = np.asarray(labels), np.asarray(density, dtype=np.float32)
    if codes.shape != volume.shape:
        raise ValueError(f"labels have shape {codes.shape}, density {volume.shape}.")
    nothing = (float("nan"), float("nan"))
    if len(_outer_points_nm(codes, voxel_nm)) < 24:
        return nothing
    planes = damaged_planes(codes.shape[0], voxel_nm[0], "lamella")
    codes, volume = codes[planes], volume[planes]
    body = codes != LABELS["outside"]
    depth = depth_map_nm(body, voxel_nm)
    sector = _sectors(body, codes == LABELS["wall"], voxel_nm)
    values = []
    for i in range(int(sector.max()) + 1):
        layers = fit_layers(*mean_profile(volume, depth, (sector == i) & _not_vacuole(codes)))
        if layers is not None and layers.is_wall:
            values.append(layers.inner_nm - layers.outer_nm)
    if not values:
        return nothing
    cosine = 1.0
    inclination_share = 0.0
    if arc is not None:
        beta = np.deg2rad(arc.inclination_deg)
        cosine = float(np.cos(beta) * np.hypot(1.0, tilt_of_boundary(body, voxel_nm)))
        inclination_share = float(np.tan(abs(beta)) * np.deg2rad(arc.inclination_se_deg))
    value = float(np.median(values)) * cosine
    if len(values) < 3:
        return value, float("nan")
    # The error of a median of n is 1.25 sd / sqrt(n).
    spread = 1.2533 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) * cosine
    return value, float(np.hypot(spread, value * inclination_share))


def _not_vacuole(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    return np.asarray(codes != LABELS["vacuole"])


def _outer_points_nm(codes: NDArray[np.integer], voxel_nm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Centres of in-plane faces between outside and wall, (n, 3) in nm."""
    outside, wall = codes == LABELS["outside"], codes == LABELS["wall"]
    parts = []
    for axis in (1, 2):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        behind = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        faces = (outside[ahead] & wall[behind]) | (wall[ahead] & outside[behind])
        place = np.argwhere(faces).astype(np.float64)
        place[:, axis] += 0.5
        parts.append(place)
    return np.concatenate(parts) * np.asarray(voxel_nm)


def _is_convex(
    codes: NDArray[np.integer],
    centre_nm: tuple[float, float],
    points: NDArray[np.float64],
    voxel_nm: tuple[float, float, float],
) -> bool:
    """Whether the body lies on the same side of the edge as the centre of the circle."""
    # Smoothing over 40 nm decides by the majority of neighbours, not by a ragged voxel.
    body = (codes != LABELS["outside"]).astype(np.float32).mean(axis=0)
    smooth = ndimage.gaussian_filter(body, [40.0 / side for side in voxel_nm[1:]], mode="nearest")
    slope = np.stack(np.gradient(smooth, *voxel_nm[1:]))
    index = np.rint(points[:, 1:] / np.asarray(voxel_nm[1:])).astype(int)
    index = np.clip(index, 0, np.array(body.shape) - 1)
    inwards = slope[:, index[:, 0], index[:, 1]].T
    towards = np.asarray(centre_nm) - points[:, 1:]
    return float(np.sum(inwards * towards / np.linalg.norm(towards, axis=1, keepdims=True))) > 0


def _sectors(
    body: NDArray[np.bool_], wall: NDArray[np.bool_], voxel_nm: tuple[float, float, float]
) -> NDArray[np.int16]:
    """Number of the stretch of wall that each voxel is nearest to; -1 near the border of the field.

    Stretches are counted along the main direction of the wall in the mean plane.
    """
    edge = wall & ndimage.binary_dilation(~body, np.ones((1, 3, 3), dtype=bool))
    place = np.argwhere(edge)[:, 1:] * np.asarray(voxel_nm[1:])
    middle = place.mean(axis=0)
    _, _, direction = np.linalg.svd(place - middle, full_matrices=False)
    along = (place - middle) @ direction[0]
    low, high = float(along.min()) + _MARGIN_NM, float(along.max()) - _MARGIN_NM
    count = max(1, int((high - low) / _SECTOR_NM))
    sector = np.full(body.shape, -1, dtype=np.int16)
    for z in range(body.shape[0]):
        if not edge[z].any():
            continue
        _, nearest = ndimage.distance_transform_edt(~edge[z], sampling=voxel_nm[1:], return_indices=True)
        spot = np.stack([n * side for n, side in zip(nearest, voxel_nm[1:], strict=True)], axis=-1)
        position = ((spot - middle) @ direction[0] - low) / max(high - low, 1e-9) * count
        inside = (position >= 0) & (position < count)
        sector[z][inside] = position[inside].astype(np.int16)
    return sector
