"""Bodies with closed forms, shared by the tests of geometry and sem."""

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.geometry.mesh import Mesh


def ellipsoid(z_nm: float, y_nm: float, x_nm: float, n: int = 48) -> Mesh:
    """Closed, outward ellipsoid on a latitude-longitude grid; poles on the z axis."""
    theta = np.pi * np.arange(1, n) / n
    phi = 2 * np.pi * np.arange(2 * n) / (2 * n)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    body = np.stack([np.cos(t), np.sin(t) * np.sin(p), np.sin(t) * np.cos(p)], axis=-1).reshape(-1, 3)
    vertices = np.concatenate([[[1, 0, 0]], body, [[-1, 0, 0]]]) * [z_nm, y_nm, x_nm]
    m, last = 2 * n, len(vertices) - 1
    j = np.arange(m)
    k = (j + 1) % m
    faces = [np.stack([0 * j, 1 + j, 1 + k], axis=1)]
    for i in range(n - 2):
        a, b = 1 + i * m, 1 + (i + 1) * m
        faces += [np.stack([a + j, b + j, b + k], axis=1), np.stack([a + j, b + k, a + k], axis=1)]
    faces.append(np.stack([0 * j + last, last - m + k, last - m + j], axis=1))
    return Mesh(vertices.astype(np.float64), np.concatenate(faces).astype(np.int32))


def rotation(seed: int) -> NDArray[np.float64]:
    """A random rotation of (z, y, x) vectors."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def ellipse_mask(size: int, long_px: float, short_px: float, angle_deg: float = 0.0) -> NDArray[np.bool_]:
    """An ellipse near the middle of a square image, its centre off the pixel grid."""
    y, x = np.indices((size, size)) - size / 2 + 0.3
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return ((c * x + s * y) / long_px) ** 2 + ((c * y - s * x) / short_px) ** 2 < 1
