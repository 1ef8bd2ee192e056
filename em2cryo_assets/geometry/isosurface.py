"""A closed mesh around the voxels of a body.

Belongs here: masks to meshes. Does not belong here: height maps (`sem.solid`) or measures (`geometry.mesh`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.geometry.mesh import Mesh, decimated, repaired, volume_um3

__all__ = ["mesh_of_volume"]

_FACES = 8000


def mesh_of_volume(mask: NDArray[np.bool_], voxel_nm: tuple[float, float, float]) -> Mesh:
    """Surface of a body, blurred by one voxel against the staircase and scaled to the voxels' volume.

    Parameters
    ----------
    mask : numpy.ndarray, bool, shape (z, y, x)
        The body.
    voxel_nm : tuple of float
        (z, y, x), nm.

    Returns
    -------
    Mesh
        Closed and outward; the origin is the centre of voxel (0, 0, 0).

    Raises
    ------
    ValueError
        If there is no body, or it touches the border so that its surface is open.
    """
    from skimage.measure import marching_cubes

    if np.count_nonzero(mask) < 64:
        raise ValueError("the body has fewer than 64 voxels.")
    if any(bool(mask.take(index, axis=axis).any()) for axis in range(3) for index in (0, -1)):
        raise ValueError("the body touches the border of the volume, so its surface is open.")
    soft = ndimage.gaussian_filter(np.pad(mask, 3).astype(np.float32), 1.0)
    vertices, faces, _, _ = marching_cubes(soft, 0.5, spacing=voxel_nm)
    raw = Mesh(vertices.astype(np.float64) - 3 * np.asarray(voxel_nm), faces.astype(np.int32))
    mesh = decimated(repaired(raw), _FACES)
    # Blur and decimation round the body off by a few percent, all in one direction.
    wanted = float(np.count_nonzero(mask)) * float(np.prod(voxel_nm)) / 1e9
    centre = mesh.vertices_nm.mean(axis=0)
    return Mesh((mesh.vertices_nm - centre) * (wanted / volume_um3(mesh)) ** (1 / 3) + centre, mesh.faces)
