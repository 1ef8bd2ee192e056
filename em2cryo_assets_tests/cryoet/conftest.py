"""Small slabs of a spherical cell, imaged through a tilt series."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.cryoet.reconstruct import back_project, project

VOXEL = (8.0, 8.0, 8.0)
TILTS = tuple(float(t) for t in range(-60, 61, 3))


def wall_slab(
    radius_nm=2300.0, beta_deg=0.0, azimuth_deg=20.0, wall_nm=150.0, noise=0.08, seed=0, shape=(30, 110, 110)
):
    """Density and true labels of a slab at the edge of a ball; the outward normal points along the azimuth from x."""
    margin = 26
    z, y, x = (8.0 * (np.arange(n) - 0.5 * (n - 1)) for n in (shape[0], shape[1], shape[2] + 2 * margin))
    beta, azimuth = np.deg2rad(beta_deg), np.deg2rad(azimuth_deg)
    normal = np.array([np.sin(beta), np.cos(beta) * np.sin(azimuth), np.cos(beta) * np.cos(azimuth)])
    # The surface passes 120 nm beyond the centre of the field, so that wall and inside are both in view.
    centre = normal * (120.0 - radius_nm)
    depth = radius_nm - np.sqrt(
        (z[:, None, None] - centre[0]) ** 2 + (y[None, :, None] - centre[1]) ** 2 + (x - centre[2]) ** 2
    )
    rng = np.random.default_rng(seed)
    grains = ndimage.gaussian_filter((rng.random(depth.shape) < 0.01).astype(float), 0.8) * 6.0
    density = np.where(
        depth < 0, 0.10, np.where(depth < wall_nm, 0.36, np.where(depth < wall_nm + 8, 0.75, 0.47 + grains))
    )
    labels = np.where(depth < 0, 0, np.where(depth < wall_nm, 1, 3)).astype(np.uint8)
    views = project(density, TILTS, edges="continued")
    views = views + noise * views[len(TILTS) // 2].std() * 10 * rng.normal(size=views.shape)
    image = back_project(views, TILTS, shape[0])[:, :, margin:-margin]
    return image, labels[:, :, margin:-margin]


@pytest.fixture(scope="session")
def slabs():
    """A slab with a steep wall and one with an inclined wall."""
    return {beta: wall_slab(beta_deg=beta, noise=0.04) for beta in (0.0, 25.0)}
