"""Running a network over images and slabs of any size within bounded memory.

Belongs here: cutting, padding, blending, and giving way when memory runs out. Does not belong here: what the
channels and maps mean.
"""

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.learning.unet import STRIDE

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["TILE", "run_tiled"]

_LOG = logging.getLogger(__name__)

TILE = 320
"""Side of a tile, pixels; a forward pass of the default network takes some 100 MB of it."""

_LEAST_TILE = 128
_OVERLAP = 0.25
"""Share of a tile that it has in common with the next; weights fall linearly to its rim, where context lacks."""

_RIM = 1 / 16
"""Outermost share of a tile, which counts only where no other tile reaches."""


def run_tiled(net: "nn.Module", channels: NDArray[np.float32], tile: int = TILE) -> NDArray[np.float32]:
    """Apply a fully convolutional network to an image, or a slab of few planes, by overlapping tiles.

    Parameters
    ----------
    net : torch.nn.Module
        Maps (1, c, y, x) to (1, m, y, x), or (1, c, z, y, x) to (1, m, z, y, x), sides along y and x multiples of
        `unet.STRIDE`; runs where its weights are.
    channels : numpy.ndarray, float32, shape (c, y, x) or (c, z, y, x)
        The image; a slab is cut along y and x only.
    tile : int
        Side of a tile; halved, with a warning in the log, each time memory runs out.

    Returns
    -------
    numpy.ndarray, float32, shape (m, y, x) or (m, z, y, x)
        Maps; an image that fits into one tile is run whole.

    Raises
    ------
    MemoryError
        If memory runs out at the smallest tile of 128 pixels.
    """
    while True:
        try:
            return _run(net, channels, max(_LEAST_TILE, -(-tile // STRIDE) * STRIDE))
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if tile // 2 < _LEAST_TILE:
                raise MemoryError(f"The network does not fit into memory, not even with tiles of {tile}.") from error
            tile //= 2
            _LOG.warning("out of memory (%s); going on with tiles of %d pixels", error, tile)


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    # The allocator for the processor raises a plain RuntimeError.
    plain = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or plain


def _starts(size: int, tile: int) -> list[int]:
    """Where tiles begin along an axis: evenly, overlapping by at least `_OVERLAP`."""
    if size <= tile:
        return [0]
    count = 1 + int(np.ceil((size - tile) / (tile * (1.0 - _OVERLAP))))
    return [round(k * (size - tile) / (count - 1)) for k in range(count)]


def _run(net: "nn.Module", channels: NDArray[np.float32], tile: int) -> NDArray[np.float32]:
    import torch

    device = next(net.parameters()).device
    rows, columns = channels.shape[-2:]
    ramp = np.minimum(np.arange(tile) + 1, np.arange(tile, 0, -1)).astype(np.float32)
    ramp = np.clip((ramp - _RIM * tile) / ((0.5 * _OVERLAP - _RIM) * tile), 1e-3, 1.0)
    total: NDArray[np.float32] | None = None
    weights = np.zeros((rows, columns), np.float32)
    with torch.inference_mode():
        for y in _starts(rows, tile):
            for x in _starts(columns, tile):
                piece = channels[..., y : y + tile, x : x + tile]
                high, wide = piece.shape[-2:]
                out = net(_padded(torch.from_numpy(np.ascontiguousarray(piece)).to(device)[None]))
                maps = out[0, ..., :high, :wide].float().cpu().numpy()
                share = ramp[:high, None] * ramp[None, :wide]
                if total is None:
                    total = np.zeros((*maps.shape[:-2], rows, columns), np.float32)
                total[..., y : y + high, x : x + wide] += maps * share
                weights[y : y + high, x : x + wide] += share
    assert total is not None
    return total / weights


def _padded(image: "torch.Tensor") -> "torch.Tensor":
    """Continue an image by its border rows to sides that are multiples of the stride."""
    from torch.nn.functional import pad

    right, below = (-image.shape[-1] % STRIDE, -image.shape[-2] % STRIDE)
    # A slab keeps its planes.
    planes = (0, 0) * (image.ndim - 4)
    return pad(image, (0, right, 0, below, *planes), mode="replicate") if right or below else image
