"""One dried cell seen from above: its relief on the pixels of a picture.

Belongs here: rays that meet a cell, the attitude of a cell on a support.
Does not belong here: the shape of a cell (`scene`), cells on top of one another (`pile`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.protocol import Scene

__all__ = ["Relief", "resting_rotation", "trace_relief", "turned"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_STRIDE = 4
_SIGNS = np.array([1.0, -1.0])
_STEPS = 6.0 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)


@dataclass(frozen=True)
class Relief:
    """One dried cell seen from above, about its own centre.

    Parameters
    ----------
    top_nm, bottom_nm : numpy.ndarray, float32, shape (n, n)
        Height of its upper and lower surface; NaN beside the cell.
    normals : numpy.ndarray, float32, shape (3, n, n)
        Outward unit normals (z, y, x) of the upper surface; 0 beside the cell.
    """

    top_nm: Float32Array
    bottom_nm: Float32Array
    normals: Float32Array


def resting_rotation(rng: np.random.Generator, tilt_sd_deg: float = 25.0) -> FloatArray:
    """Rotation (3, 3), cell frame to stage frame, of a cell that has settled.

    The long axis lies near the plane of the support, in any direction; the roll is free.
    """
    tilt = np.deg2rad(np.clip(rng.normal(0.0, tilt_sd_deg), -80.0, 80.0))
    azimuth = rng.uniform(0, 2 * np.pi)
    long_axis = np.array([np.sin(tilt), np.cos(tilt) * np.sin(azimuth), np.cos(tilt) * np.cos(azimuth)])
    side = np.cross(long_axis, rng.normal(size=3))
    side /= np.linalg.norm(side)
    return np.stack([np.cross(side, long_axis), side, long_axis], axis=1)


def turned(relief: Relief, quarters: int) -> Relief:
    """The same cell after turning it about the vertical by quarters of a circle, from +y towards -x.

    As `numpy.rot90` turns arrays: what was at (y, x) from the centre comes to (-x, y).
    """
    quarters %= 4
    top, bottom = (np.rot90(a, quarters) for a in (relief.top_nm, relief.bottom_nm))
    z, y, x = np.rot90(relief.normals, quarters, axes=(1, 2))
    for _ in range(quarters):
        y, x = -x, y
    return Relief(top, bottom, np.stack([z, y, x]))


@dataclass(frozen=True)
class _Rays:
    """Vertical rays and the cell (a scene) that they may meet.

    Distances are those of the dried cell, nm; positions are in the frame of the stage about the cell's
    centre.
    """

    cell: Scene
    rotation: FloatArray
    shrink: float
    reach: float

    def distance(self, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        p = np.stack([z, y, x], axis=1) @ (self.rotation / self.shrink)
        return self.shrink * self.cell.outer_distance(p, exact=False)

    def slope(self, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        """Gradient (3, N) of the distance from four values about each point."""
        around = (np.stack([z, y, x]) + _STEPS[:, :, None]).transpose(1, 0, 2).reshape(3, -1)
        return _STEPS.T @ self.distance(*around).reshape(4, -1) / (4.0 * 36.0)

    def march(self, sign: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        """Height where rays from above (sign +1) or below (-1) meet the cell, NaN where none.

        Sphere tracing (Hart 1996). Along a ray the distance to a convex body is convex, so that the secant
        never passes the surface: it lengthens the steps of rays that graze a cell without a bud. By how much is for
        the scene to say.
        """
        longest = self.cell.longest_stride
        found = np.full(y.shape, np.nan)
        active = np.arange(y.size)
        z = np.sqrt(np.maximum(self.reach**2 - y * y - x * x, 0.0)) * sign
        last, step = np.full(y.shape, np.inf), np.zeros(y.shape)
        for _ in range(90):
            distance = self.distance(z, y, x)
            hit = np.abs(distance) < 1.0
            found[active[hit]] = z[hit]
            nearer = np.maximum(last - distance, 1e-9)
            step = distance * np.clip(np.where(last > distance, step / nearer, 0.85), 0.85, longest)
            last = distance
            z = z - sign * step
            on = ~hit & (sign * z > -self.reach)
            active, sign, z, y, x, last, step = (a[on] for a in (active, sign, z, y, x, last, step))
            if not active.size:
                break
        return found


def _surfaces(rays: _Rays, rows: FloatArray, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Height (2, n, n) of the upper and lower side of the cell, NaN beside it, and the upper gradient (3, n, n).

    Every fourth ray is marched. Between four that met the cell on one sheet the surface is found by
    Newton's method from their plane; everywhere else (rims, a bud in front of its mother) rays are marched.
    """
    n, pixel = rows.size, float(rows[1] - rows[0])
    coarse = (_SIGNS, rows[::_STRIDE], columns[::_STRIDE])
    side, cy, cx = (a.ravel() for a in np.meshgrid(*coarse, indexing="ij"))
    cz = rays.march(side, cy, cx)
    hit = np.flatnonzero(np.isfinite(cz))
    steep = np.zeros(cz.size)
    steep[hit] = np.clip(side[hit] * rays.slope(cz[hit], cy[hit], cx[hit])[0], 0.05, 1.0)

    def corners(flat: FloatArray) -> FloatArray:
        a = flat.reshape(2, coarse[1].size, coarse[2].size)
        return np.stack([a[:, :-1, :-1], a[:, :-1, 1:], a[:, 1:, :-1], a[:, 1:, 1:]])

    four, least = corners(cz), corners(steep).min(axis=0)
    met = np.isfinite(four).sum(axis=0)
    across = np.sqrt(2.0) * _STRIDE * pixel * np.sqrt(1.0 / np.maximum(least, 0.05) ** 2 - 1.0)
    sheet, whole = np.zeros(met.shape, bool), met == 4
    sheet[whole] = np.ptp(four[:, whole], axis=0) < 1.3 * across[whole] + 60.0

    def pixels(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        # Pixels of the last row and column, which no block holds, lie beside the cell.
        out = np.zeros((2, n, n), bool)
        out[:, :-1, :-1] = blocks.repeat(_STRIDE, axis=1).repeat(_STRIDE, axis=2)
        return out

    height, gradient = np.full((2, n, n), np.nan), np.zeros((3, n, n))
    fine = np.nonzero(pixels(sheet))
    block = (fine[0], fine[1] // _STRIDE, fine[2] // _STRIDE)
    v, u = (f % _STRIDE / _STRIDE for f in fine[1:])
    weights = np.stack([(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u])
    z = np.einsum("kn,kn->n", weights, four[:, *block])
    vertical = _SIGNS[fine[0]] * np.einsum("kn,kn->n", weights, corners(steep)[:, *block])
    y, x = rows[fine[1]], columns[fine[2]]
    off = np.arange(z.size)
    for _ in range(2):
        distance = rays.distance(z[off], y[off], x[off])
        z[off] -= distance / vertical[off]
        off = off[np.abs(distance) > 2.0]
    good = np.ones(z.size, bool)
    good[off] = np.abs(rays.distance(z[off], y[off], x[off])) < 1.0
    height[*(f[good] for f in fine)] = z[good]
    rim = np.nonzero(pixels(met > 0) & np.isnan(height))
    height[rim] = rays.march(_SIGNS[rim[0]], rows[rim[1]], columns[rim[2]])
    top = np.nonzero(np.isfinite(height[0]))
    gradient[:, top[0], top[1]] = rays.slope(height[0][top], rows[top[0]], columns[top[1]])
    return height, gradient


def trace_relief(
    cell: Scene, rotation: FloatArray, shrink: float, pixel_size_nm: float, offset_nm: tuple[float, float] = (0.0, 0.0)
) -> Relief:
    """Upper and lower surface of a cell on the pixels of a picture, by sphere tracing.

    Parameters
    ----------
    cell : Scene
        A drawn or labelled cell.
    rotation : numpy.ndarray, shape (3, 3)
        Cell frame to stage frame.
    shrink : float
        Linear shrinkage by drying.
    pixel_size_nm : float
        Pixel side.
    offset_nm : tuple of float
        (y, x) position of the cell's centre from the centre of the middle pixel.

    Returns
    -------
    Relief
        Square arrays with an odd side, the cell's centre in the middle pixel.
    """
    reach = shrink * (cell.body.half_extent_nm() + cell.raised_nm)
    half = _STRIDE * int(np.ceil((reach + max(abs(o) for o in offset_nm)) / pixel_size_nm / _STRIDE))
    axis: FloatArray = np.arange(-half, half + 1, dtype=np.float64) * float(pixel_size_nm)
    rays = _Rays(cell, np.asarray(rotation, float), shrink, reach)
    (top, bottom), slope = _surfaces(rays, axis - offset_nm[0], axis - offset_nm[1])
    bottom = np.where(np.isnan(bottom) | np.isnan(top), top, bottom)
    length = np.sqrt(np.einsum("kij,kij->ij", slope, slope))
    normals = (slope / np.maximum(length, 1e-12)).astype(np.float32)
    return Relief(top.astype(np.float32), bottom.astype(np.float32), normals)
