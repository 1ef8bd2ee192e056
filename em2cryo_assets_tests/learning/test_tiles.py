"""Tiles change nothing but the memory that is needed."""

import logging

import numpy as np
import pytest

from em2cryo_assets.learning.tiles import run_tiled


def _smoothing():
    """A net that looks 4 pixels far, and knows nothing beyond its tile."""
    import torch
    from torch import nn

    net = nn.Conv2d(1, 2, 9, padding=4, bias=False)
    with torch.no_grad():
        net.weight[:] = torch.tensor([1.0, -2.0]).view(2, 1, 1, 1) / 81
    return net


@pytest.mark.parametrize("shape", [(300, 470), (128, 128), (37, 401), (5, 3)])
def test_an_image_comes_out_as_if_run_whole(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(5, 1, (1, *shape)).astype(np.float32)
    tiled, whole = run_tiled(_smoothing(), image, 128), run_tiled(_smoothing(), image, 512)
    assert tiled.shape == (2, *shape)
    # Rims of tiles, where context lacks, weigh next to nothing: seams stay far below the signal of 5 and 10.
    # (Along the image's own border the two are padded differently.)
    assert np.abs(tiled - whole)[:, 8:-8, 8:-8].max(initial=0.0) < 0.03


def test_a_net_without_context_is_exact() -> None:
    from torch import nn

    image = np.random.default_rng(1).normal(size=(3, 200, 333)).astype(np.float32)
    np.testing.assert_allclose(run_tiled(_with_parameters(nn.Identity()), image, 128), image, atol=1e-5)


def _with_parameters(inner):
    from torch import nn

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Linear(1, 1)  # says where the net is
            self.inner, self.sides = inner, []

        def forward(self, x):
            self.sides.append(max(x.shape[-2:]))
            return self.inner(x)

    return Wrapped()


@pytest.mark.parametrize("error", [MemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_less_memory_means_smaller_tiles(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def hungry(x):
        if x.shape[-1] > 128:
            raise error
        return x

    net = _with_parameters(hungry)
    image = np.random.default_rng(2).normal(size=(1, 300, 300)).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        out = run_tiled(net, image, 512)
    np.testing.assert_allclose(out, image, atol=1e-5)
    assert max(net.sides[2:]) == 128
    assert "tiles of 128" in caplog.text


def test_no_memory_at_all_and_other_errors_are_told() -> None:
    def full(_):
        raise MemoryError("full")

    def broken(_):
        raise RuntimeError("shapes do not fit")

    image = np.zeros((1, 40, 40), np.float32)
    with pytest.raises(MemoryError, match="does not fit"):
        run_tiled(_with_parameters(full), image)
    with pytest.raises(RuntimeError, match="shapes"):
        run_tiled(_with_parameters(broken), image)
