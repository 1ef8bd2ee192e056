"""Geometric fit of a circle whose radius changes linearly with height.

Belongs here: the fit of boundary points and its standard errors. Does not belong here: finding the points in a labelled
volume, or what the circle means (:mod:`em2cryo_assets.cryoet.arcs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

__all__ = ["Circle", "fit_circle"]

_BLOCKS = 16


@dataclass(frozen=True)
class Circle:
    """A circle in the mid-plane and the slope of its radius.

    Parameters
    ----------
    centre_nm : tuple of float
        (y, x) of the centre, nm.
    radius_nm, radius_se_nm : float
        Radius in the plane z = 0 and its standard error, nm.
    slope, slope_se : float
        d radius / d z and its standard error; ``-atan(slope)`` is the inclination of the outward normal.
    arc_deg : float
        Angle over which there are points.
    residual_nm : float
        Root mean square of the geometric residuals, nm.
    """

    centre_nm: tuple[float, float]
    radius_nm: float
    radius_se_nm: float
    slope: float
    slope_se: float
    arc_deg: float
    residual_nm: float

    def signed_distance_nm(self, points_nm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distance of points (..., 3) in (z, y, x) from the cone-like surface, negative inside, nm."""
        reach = np.hypot(points_nm[..., 1] - self.centre_nm[0], points_nm[..., 2] - self.centre_nm[1])
        return (reach - self.radius_nm - self.slope * points_nm[..., 0]) / np.hypot(1.0, self.slope)


def fit_circle(points_nm: NDArray[np.floating]) -> Circle:
    """Fit the circle by least squares of geometric distance.

    Starts from Taubin's algebraic fit (1991, IEEE PAMI 13:1115), which is nearly unbiased on short arcs. Neighbouring
    boundary points share their errors; so the residual variance is inflated by the ratio of the observed variance
    of block means along the arc to that of independent points.

    Parameters
    ----------
    points_nm : numpy.ndarray, shape (n, 3)
        Boundary points (z, y, x) in nm; z is best counted from the mid-plane.

    Returns
    -------
    Circle

    Raises
    ------
    ValueError
        If there are fewer than 12 points, or they lie on a line.
    """
    points = np.asarray(points_nm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 12:
        raise ValueError(f"A circle needs at least 12 points (z, y, x), got shape {points.shape}.")
    middle = points[:, 1:].mean(axis=0)
    plane = points[:, 1:] - middle
    scale = float(np.sqrt((plane**2).sum(axis=1).mean()))
    plane, height = plane / scale, points[:, 0] / scale
    centre, radius = _taubin(plane)
    # Flat points pass the algebra with a huge radius; beyond 1000 times their extent it is a line.
    if not np.isfinite(radius) or radius > 1e3:
        raise ValueError("The boundary points lie on a straight line; no circle can be fitted.")
    slope = float(np.polyfit(height, np.hypot(*(plane - centre).T) - radius, 1)[0]) if np.ptp(height) > 0 else 0.0

    def residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        reach = np.hypot(plane[:, 0] - p[0], plane[:, 1] - p[1])
        # In-plane residuals: heights are exact, so dividing by the slope would bias it upwards.
        return reach - p[2] - p[3] * height

    def jacobian(p: NDArray[np.float64]) -> NDArray[np.float64]:
        towards = plane - p[:2]
        reach = np.maximum(np.hypot(towards[:, 0], towards[:, 1]), 1e-12)
        return np.column_stack([-towards / reach[:, None], -np.ones_like(height), -height])

    start = np.array([centre[0], centre[1], radius, slope])
    fit = optimize.least_squares(residuals, start, jac=jacobian, x_scale=np.array([radius, radius, radius, 1.0]))
    y, x, radius, slope = (float(v) for v in fit.x)
    angle = np.unwrap(np.arctan2(plane[:, 0] - y, plane[:, 1] - x)[np.newaxis], period=2 * np.pi)[0]
    angle = _from_gap(angle)
    variance = float((fit.fun**2).sum()) / max(1, len(points) - 4)
    variance *= _inflation(fit.fun, angle)
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * variance
    return Circle(
        centre_nm=(y * scale + float(middle[0]), x * scale + float(middle[1])),
        radius_nm=radius * scale,
        radius_se_nm=float(np.sqrt(covariance[2, 2])) * scale,
        slope=slope,
        slope_se=float(np.sqrt(covariance[3, 3])),
        arc_deg=float(np.rad2deg(np.ptp(angle))),
        residual_nm=float(np.sqrt((fit.fun**2).mean())) * scale / float(np.hypot(1.0, slope)),
    )


def _taubin(plane: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Taubin's fit by singular value decomposition (Chernov 2010, *Circular and Linear Regression*, 5.9)."""
    squared = (plane**2).sum(axis=1)
    mean = float(squared.mean())
    design = np.column_stack([(squared - mean) / (2 * np.sqrt(mean)), plane])
    _, _, directions = np.linalg.svd(design, full_matrices=False)
    a = directions[-1].copy()
    a[0] /= 2 * np.sqrt(mean)
    if abs(a[0]) < 1e-12:
        return np.zeros(2), float("inf")
    offset = -mean * a[0]
    centre = -a[1:] / (2 * a[0])
    return centre, float(np.sqrt(max(a[1] ** 2 + a[2] ** 2 - 4 * a[0] * offset, 0.0)) / (2 * abs(a[0])))


def _from_gap(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles counted from the end of the largest gap, so that the arc is one interval."""
    turned = np.mod(angle, 2 * np.pi)
    order = np.sort(turned)
    gaps = np.append(np.diff(order), order[0] + 2 * np.pi - order[-1])
    start = order[(int(np.argmax(gaps)) + 1) % len(order)]
    return np.mod(turned - start, 2 * np.pi)


def _inflation(residuals: NDArray[np.float64], angle: NDArray[np.float64]) -> float:
    """How much more the means of blocks along the arc scatter than independent residuals would (>= 1)."""
    blocks = min(_BLOCKS, len(residuals) // 4)
    if blocks < 6:
        return 1.0
    index = np.minimum((angle / (np.ptp(angle) + 1e-12) * blocks).astype(int), blocks - 1)
    counts = np.bincount(index, minlength=blocks).astype(float)
    used = counts > 0
    means = np.bincount(index, residuals, blocks)[used] / counts[used]
    # Four fitted parameters take their freedom from the block means.
    scatter = float((counts[used] * means**2).sum()) / max(1, int(used.sum()) - 4)
    return max(1.0, scatter / max(float(residuals.var()), 1e-30))
