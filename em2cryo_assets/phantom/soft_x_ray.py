"""A whole hydrated cell in a capillary, imaged by soft X-ray tomography.

Belongs here: what that instrument does to a cell. Does not belong here: electrons (`tem`, `cryo`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.contrast import density, jittered
from em2cryo_assets.phantom.planes import Plane, centred
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.texture import grain

__all__ = ["soft_x_ray", "voxel_coverage"]

_FINEST_NM = 45.0
"""Shares linear over s add s²/4 to the squared radius of balls: 2.5 % of all lipid at 76 nm, 0.7 % at 38."""


def soft_x_ray(
    scene: Scene, axes: NDArray[np.float64], shape: tuple[int, int, int], voxel_nm: float, *, seed: int
) -> NDArray[np.float32]:
    """Image a whole hydrated cell by soft X-ray tomography: no missing wedge.

    Parameters
    ----------
    scene : Scene
        The cell.
    axes : numpy.ndarray, shape (3, 3)
        Rows are the volume's z, y, x in the frame of the cell.
    shape : tuple of int
        (z, y, x) voxels; the cell's bounding box is centred in it.
    voxel_nm : float
        Voxel side; resolution is 60 nm at best (Larabell 2004).
    seed : int
        Of texture and noise.

    Returns
    -------
    numpy.ndarray, float32, shape (z, y, x)
        Absorption, high = dense.
    """
    rng = np.random.default_rng(seed)
    reach = scene.body.half_extent_nm()
    axis = np.arange(-reach, reach + 1, 150.0)
    probe = Plane(np.zeros(3), axes).points_nm(axis, axis, axis)
    inside = scene.outer_distance(probe.reshape(-1, 3), exact=False).reshape(probe.shape[:3]) < 0
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    middle = np.array([0.5 * (axis[s.start] + axis[s.stop - 1]) for s in box])
    plane = Plane(middle @ axes, axes)
    coverage = voxel_coverage(scene, plane.points_nm(*(centred(n, voxel_nm) for n in shape)), axes, voxel_nm)
    volume = density(coverage, jittered("soft-x-ray", rng))
    volume += 0.010 * grain(shape, 1.0, rng) * coverage[1:].sum(axis=0)
    volume = ndimage.gaussian_filter(volume, 30.0 / voxel_nm)
    return np.asarray(volume + 0.022 * grain(shape, 0.4, rng), dtype=np.float32)


def voxel_coverage(
    scene: Scene, points_nm: NDArray[np.float64], axes: NDArray[np.float64], voxel_nm: float
) -> NDArray[np.float32]:
    """Mean shares of materials over voxels, (12, z, y, x), from enough points in each voxel that anything divides."""
    count = int(np.ceil(voxel_nm / _FINEST_NM))
    flat = points_nm.reshape(-1, 3)
    # As wide as a voxel's diagonal: a voxel of one material here has that one at all its points.
    coverage = scene.coverage(flat, np.sqrt(3.0) * voxel_nm)
    mixed = np.flatnonzero(coverage.max(axis=0) < 1.0 - 1e-6)
    total = np.zeros((len(coverage), mixed.size), dtype=np.float32)
    steps = centred(count, voxel_nm / count)
    for offset in np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3) @ axes:
        total += scene.coverage(flat[mixed] + offset, voxel_nm / count)
    coverage[:, mixed] = total / count**3
    return coverage.reshape(-1, *points_nm.shape[:-1])
