"""From a surface to a closed mesh.

Belongs here: turning half-thickness images into watertight, outward meshes in nm.
Does not belong here: estimating the surface (`sem.surface`), measuring the mesh (`geometry.mesh`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.geometry.mesh import Mesh, decimated, repaired, volume_um3
from em2cryo_assets.sem.surface import CellSurface

__all__ = ["half_thickness_volume_um3", "surface_to_mesh"]

_SAMPLES = 56
"""Grid steps along the longest side: faces of about 1/56 of the cell before decimation. Marching cubes on
h² − z² (quadratic) then misses the surface by less than a thousandth of the radius."""

_FACES = 8000


def half_thickness_volume_um3(surface: CellSurface, pixel_size_nm: float) -> float:
    """Volume between the surface and its mirror image, µm³: 2 Σ h · pixel²."""
    return 2 * float(surface.half_thickness_nm.sum(dtype=np.float64)) * pixel_size_nm**2 / 1e9


def surface_to_mesh(surface: CellSurface, pixel_size_nm: float) -> Mesh:
    """Mesh a cell and its mirror image below the mid-plane: closed, watertight, outward.

    The surface is the zero level of h²(y, x) − z², which is smooth at the rim where h alone is not.

    Parameters
    ----------
    surface : CellSurface
        Half-thickness, nm, shape (y, x).
    pixel_size_nm : float
        Side of a pixel, nm.

    Returns
    -------
    Mesh
        At most 8,000 faces (more only where decimation would open it). The origin is the centroid of the
        mask; y and x run as in the image, z toward the viewer is positive. Its volume is that of the
        half-thickness (largest part).

    Raises
    ------
    ValueError
        If the surface is empty or torn, or no closed mesh comes out.
    """
    from skimage.measure import marching_cubes

    height = surface.half_thickness_nm.astype(np.float64) / pixel_size_nm
    parts, n_parts = ndimage.label(height > 0)
    if (height > 0).sum() < 16:
        raise ValueError("The surface is empty: no pixel has a half-thickness.")
    if n_parts > 1:
        height = np.where(parts == np.bincount(parts.ravel())[1:].argmax() + 1, height, 0.0)
    mask = height > 0
    rows, columns = np.nonzero(mask)
    step = max(float(np.ptp(rows)), float(np.ptp(columns)), 2 * height.max()) / _SAMPLES
    margin = int(np.ceil(3 * step)) + 2
    # At several pixels a grid step, blur first, or the samples alias the pixel noise.
    squared = ndimage.gaussian_filter(_beyond_the_rim(height, mask, margin), max(0.0, step / 2 - 0.5))
    y = np.arange(rows.min() - 2 * step, rows.max() + 3 * step, step)
    x = np.arange(columns.min() - 2 * step, columns.max() + 3 * step, step)
    where = np.stack(np.meshgrid(y + margin, x + margin, indexing="ij"))
    sampled = ndimage.map_coordinates(squared, where, order=1, mode="nearest")
    half = int(np.ceil(height.max() / step)) + 1
    z = np.arange(-half, half + 1) * step
    field = sampled[None] - (z**2)[:, None, None]
    vertices, faces, _, _ = marching_cubes(field.astype(np.float32), 0.0)
    origin = np.array([z[0], y[0] - rows.mean(), x[0] - columns.mean()])
    mesh = Mesh((vertices.astype(np.float64) * step + origin) * pixel_size_nm, faces.astype(np.int32))
    mesh = decimated(repaired(mesh), _FACES)
    # Chords, blur and decimation lose a few tenths of a percent of volume, all in one direction.
    wanted = 2 * float(height.sum()) * pixel_size_nm**3 / 1e9
    scale = (wanted / volume_um3(mesh)) ** (1 / 3)
    if not 0.98 < scale < 1.02:
        raise ValueError(f"The mesh would hold {scale**-3:.0%} of the surface's volume; the surface is torn.")
    return Mesh(mesh.vertices_nm * scale, mesh.faces)


def _beyond_the_rim(height: NDArray[np.float64], mask: NDArray[np.bool_], margin: int) -> NDArray[np.float64]:
    """h² continued to negative values outside the mask, px², padded by ``margin`` pixels.

    Near the rim h² falls linearly, so it goes on with the median slope of the rim from the nearest pixel
    inside: the zero level then lies between pixels, where the surface puts it.
    """
    height = np.pad(height, margin)
    mask = np.pad(mask, margin)
    inside = ndimage.distance_transform_edt(mask)
    rim = (inside > 1) & (inside <= 4)
    slope = float(np.median(height[rim] ** 2 / (inside[rim] - 0.5))) if rim.any() else 1.0
    distance, (row, column) = ndimage.distance_transform_edt(~mask, return_indices=True)
    return height[row, column] ** 2 - slope * distance
