"""The network for slabs: shapes, size, and that it sees neighbouring planes."""

import numpy as np
import pytest
import torch

from em2cryo_assets.learning.tiles import run_tiled
from em2cryo_assets.learning.unet import parameters_of
from em2cryo_assets.learning.unet3d import unet3d


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return unet3d(2, 5).eval()


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_any_number_of_planes_passes(net, depth):
    with torch.inference_mode():
        assert net(torch.zeros(2, 2, depth, 32, 48)).shape == (2, 5, depth, 32, 48)
    assert parameters_of(net) <= 1_000_000


def test_a_voxel_is_judged_with_the_planes_beside_it(net):
    volume = torch.zeros(1, 2, 5, 32, 32)
    changed = volume.clone()
    changed[0, :, 0] = torch.randn(2, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        difference = (net(changed) - net(volume)).abs()
    assert float(difference[0, :, 2].max()) > 1e-4


def test_a_slab_in_tiles_is_what_it_is_whole():
    torch.manual_seed(0)
    near = torch.nn.Conv3d(2, 5, 3, padding=1)  # sees the next voxel only, so that tiles know all they need
    channels = np.random.default_rng(0).normal(size=(2, 3, 150, 170)).astype(np.float32)
    whole, tiled = run_tiled(near, channels, 320), run_tiled(near, channels, 128)
    assert tiled.shape == whole.shape == (5, 3, 150, 170)
    # Where a tile ends its rim counts a thousandth.
    assert np.abs(tiled - whole)[..., 1:-1, 1:-1].max() < 0.02 * whole.std()
