"""What a tilt series does to the apparent inclination of a wall, undone by simulating it.

Belongs here: the map from the true slope of a wall to the one that a reconstruction shows. Does not belong here: finding
or fitting the wall (:mod:`em2cryo_assets.cryoet.arcs`).

A wall whose normal is (sin b, cos b) out of and in the plane, at an in-plane angle psi from the tilt axis, has its
spectrum on one line, which views up to t degrees sample only if tan b <= sin psi tan t. Outside of that, the wall
looks steeper than it is, down to vertical for a normal along the tilt axis. There is no closed form
for an arc that mixes directions; so a body with the fitted arc is projected and reconstructed as the specimen
was, its slope is measured as the specimen's was, and the true slope is the one whose image has the measured slope.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.circle import Circle, fit_circle
from em2cryo_assets.cryoet.reconstruct import back_project, project

__all__ = ["true_slope"]

_PIXELS = 96
_STEEPEST = 2.2
_ROUNDS = 5


def true_slope(
    circle: Circle,
    field_nm: tuple[float, float, float],
    damage_nm: float,
    smooth_nm: float,
    tilts_deg: Sequence[float],
) -> tuple[float, float]:
    """Find the slope of the radius that would be seen as the fitted one.

    Parameters
    ----------
    circle : Circle
        As fitted, its centre in nm from the corner of the field, z from the mid-plane.
    field_nm : tuple of float
        Extent of the volume along z, y, x, nm.
    damage_nm : float
        Trimmed at each face before the wall was sought, nm.
    smooth_nm : float
        Gaussian sigma that the density was smoothed with, nm.
    tilts_deg : sequence of float
        Tilts about y, degrees.

    Returns
    -------
    slope : float
        d radius / d z of the specimen, within +-2.2.
    response : float
        Seen slope over true slope, between 0 and about 1: how much of the inclination the views carry.
    """
    import torch

    # Hundreds of tiny products: a second OpenMP thread gains nothing, and on a busy machine its waiting
    # was measured to cost six times the work (1.1 against 0.18 CPU s a round).
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _search(circle, field_nm, damage_nm, smooth_nm, tilts_deg)
    finally:
        torch.set_num_threads(threads)


def _search(
    circle: Circle,
    field_nm: tuple[float, float, float],
    damage_nm: float,
    smooth_nm: float,
    tilts_deg: Sequence[float],
) -> tuple[float, float]:
    """Scale a trial slope until the slope seen of it is the one that was fitted."""
    seen = circle.slope
    # The response is not constant; at shallow slopes it is probed with one of 10 degrees.
    trial = float(np.sign(seen) or 1.0) * max(abs(seen), 0.18)
    shown = trial
    for _ in range(_ROUNDS):
        shown = _seen_slope(circle, trial, field_nm, damage_nm, smooth_nm, tilts_deg)
        if shown * trial <= 0:
            return trial, 0.0
        if abs(seen) < 0.18 and abs(shown - seen) > abs(seen):
            return float(np.clip(seen * trial / shown, -_STEEPEST, _STEEPEST)), shown / trial
        step = float(np.clip(seen / shown, 0.5, 2.0))
        if abs(step - 1) < 0.02 or abs(trial) >= _STEEPEST:
            break
        trial = float(np.clip(trial * step, -_STEEPEST, _STEEPEST))
    return trial, shown / trial


def _seen_slope(
    circle: Circle,
    slope: float,
    field_nm: tuple[float, float, float],
    damage_nm: float,
    smooth_nm: float,
    tilts_deg: Sequence[float],
) -> float:
    """Slope measured on the reconstruction of a body with a given slope; 0 where no edge can be found."""
    side = max(field_nm[1:]) / _PIXELS
    shape = [max(6, round(extent / side)) for extent in field_nm]
    offset = [0.5 * (n - 1) * side for n in shape]
    # The field is placed on the wall as seen, so that the edge crosses it at mid-height whatever the slope.
    z = np.arange(shape[0]) * side - offset[0]
    # Matter beside the field is in the tilted views too.
    steepest = np.deg2rad(min(float(np.max(np.abs(tilts_deg))), 75.0))
    margin = int(np.ceil(0.5 * shape[0] * np.tan(steepest)))
    y = np.arange(shape[1]) * side - circle.centre_nm[0]
    x = np.arange(-margin, shape[2] + margin) * side - circle.centre_nm[1]
    reach = np.hypot(y[:, None], x[None, :])
    edge = circle.radius_nm + slope * z[:, None, None] - reach
    body = np.clip(edge / (side * np.hypot(1.0, slope)) + 0.5, 0.0, 1.0).astype(np.float32)
    image = back_project(project(body, tilts_deg, edges="continued"), tilts_deg, shape[0])
    image = image[:, :, margin : margin + shape[2]]
    lost = round(damage_nm / side)
    lost = lost if shape[0] - 2 * lost >= 4 else 0
    image = ndimage.gaussian_filter(image[lost : shape[0] - lost], smooth_nm / side, mode="nearest")
    points = _crossings(image, float(image.min()) * 0.5 + float(image.max()) * 0.5) * side
    if len(points) < 24:
        return 0.0
    points[:, 0] += lost * side - offset[0]
    try:
        return fit_circle(points).slope
    except ValueError:
        return 0.0


def _crossings(image: NDArray[np.float32], level: float) -> NDArray[np.float64]:
    """Sub-voxel places where in-plane neighbours lie on either side of a level, (n, 3) in voxels."""
    parts = []
    for axis in (1, 2):
        ahead = image[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))]
        behind = image[tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))]
        crossing = (ahead < level) != (behind < level)
        place = np.argwhere(crossing).astype(np.float64)
        place[:, axis] += (level - behind[crossing]) / (ahead[crossing] - behind[crossing])
        parts.append(place)
    return np.concatenate(parts)
