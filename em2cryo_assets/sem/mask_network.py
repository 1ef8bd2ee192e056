"""From a field to maps of where cells are, by a network that was trained on simulated piles only.

Belongs here: the working pixel size, what goes into the network and the meaning of what comes out.
Does not belong here: turning maps into cells (`sem.mask_decoding`), training (`sem.mask_trainer`).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.learning.tiles import run_tiled
from em2cryo_assets.learning.unet import unet
from em2cryo_assets.learning.weights import load_weights

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "DISTANCE_NM", "MAPS", "OFFSET_NM", "WEIGHTS", "WORKING_NM", "MaskMaps", "at_working_size", "mask_maps",
    "mask_net", "normalised",
]  # fmt: skip

Float32Array = NDArray[np.float32]

WORKING_NM: Final = 54.0
"""Pixel at which the network sees every field, fixed before any real field was looked at with it: a dried yeast is 50
to 70 px across, its rim 1 to 2 px wide, and four cells fit into the field of view."""

DISTANCE_NM: Final = 800.0
"""Distance from the outline at which the distance map reaches 1."""

OFFSET_NM: Final = 2000.0
"""Unit of the offset maps: about the radius of a cell."""

MAPS: Final = ("foreground", "boundary", "neck", "distance", "offset_y", "offset_x")

WEIGHTS: Final = Path(__file__).with_name("weights") / "sem_masks.safetensors"

_LOCAL_NM = 1500.0
_LOCAL_FLOOR = 0.03
"""Least local contrast, of the field's range: below it there is noise only, and that is not blown up."""


@dataclass(frozen=True)
class MaskMaps:
    """What the network says about a field at `WORKING_NM`; all float32 of shape (y, x) but `offset`.

    Parameters
    ----------
    foreground : numpy.ndarray
        Probability that a pixel belongs to a cell.
    boundary : numpy.ndarray
        Probability that it lies on the outline of a visible instance.
    neck : numpy.ndarray
        Probability that it lies where a bud meets its own mother.
    distance : numpy.ndarray
        Distance from the instance's outline over `DISTANCE_NM`, up to 1.
    offset : numpy.ndarray, shape (2, y, x)
        (y, x) way to the centre of the whole cell, what is hidden included, in pixels.
    """

    foreground: Float32Array
    boundary: Float32Array
    neck: Float32Array
    distance: Float32Array
    offset: Float32Array


def at_working_size(
    image: NDArray[np.floating], pixel_size_nm: float, excluded: NDArray[np.bool_]
) -> tuple[Float32Array, NDArray[np.bool_]]:
    """A field, and its excluded pixels, with pixels of `WORKING_NM`.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Any grey scale.
    pixel_size_nm : float
        Side of its pixels.
    excluded : numpy.ndarray, bool, shape (y, x)
        Pixels that are not image.

    Returns
    -------
    tuple of numpy.ndarray
        float32 and bool of one shape; pixels are means over what they cover where the field is finer.
    """
    zoom = pixel_size_nm / WORKING_NM
    shape = tuple(max(1, round(n * zoom)) for n in image.shape)
    # Replaced by the median, what is excluded does not bleed into the pixels beside it.
    filled = image.astype(np.float32)
    if excluded.any() and not excluded.all():
        filled[excluded] = np.median(filled[~excluded])
    sigma = max(0.0, 0.5 / zoom - 0.5)
    blurred = ndimage.gaussian_filter(filled, sigma) if sigma else filled
    rows, columns = (
        np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, n - 1) for n, m in zip(image.shape, shape, strict=True)
    )
    at = np.meshgrid(rows, columns, indexing="ij")
    small = ndimage.map_coordinates(blurred, at, order=1, mode="nearest")
    barred = ndimage.map_coordinates(excluded.astype(np.float32), at, order=1, mode="nearest") > 0.3
    return small, barred


def normalised(image: NDArray[np.floating], excluded: NDArray[np.bool_] | None = None) -> Float32Array:
    """The two channels that the network sees.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Field at `WORKING_NM`, any grey scale.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image; both channels are 0 there.

    Returns
    -------
    numpy.ndarray, float32, shape (2, y, x)
        Grey between the field's 0.5 and 99.5 % (0 to 1), and grey less its mean over its standard deviation within
        some 1.5 µm: without it cells deep in a pile are lost, without the first what lies in front is.
    """
    grey = np.asarray(image, np.float32)
    known = np.ones(grey.shape, np.float32) if excluded is None else (~excluded).astype(np.float32)
    if not known.any():
        return np.zeros((2, *grey.shape), np.float32)
    low, high = np.percentile(grey[known > 0], (0.5, 99.5))
    raw = np.clip((grey - low) / max(float(high - low), 1e-6), 0.0, 1.0) * known
    # Two running means of this width weigh like a triangle of σ .75 µm, five times as fast as a Gaussian.
    width = 2 * round(0.6 * _LOCAL_NM / WORKING_NM) + 1

    def about(values: Float32Array) -> Float32Array:
        return np.asarray(ndimage.uniform_filter(ndimage.uniform_filter(values, width), width))

    share = np.maximum(about(known), 1e-3)
    mean = about(raw) / share
    spread = np.sqrt(np.maximum(about(raw * raw) / share - mean * mean, 0.0))
    local = (raw - mean) / (spread + _LOCAL_FLOOR) * known
    return np.stack([raw, 0.5 * np.clip(local, -4.0, 4.0)]).astype(np.float32)


@lru_cache(maxsize=2)
def mask_net(path: Path = WEIGHTS) -> "nn.Module":
    """The network with the weights of a file, ready for inference; on a GPU where there is one."""
    import torch

    net = unet(2, len(MAPS))
    load_weights(path, net)
    return net.to("cuda") if torch.cuda.is_available() else net


def mask_maps(
    image: NDArray[np.floating],
    excluded: NDArray[np.bool_] | None = None,
    net: "nn.Module | None" = None,
) -> MaskMaps:
    """Run the network over a field of any size.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Field at `WORKING_NM`.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image.
    net : torch.nn.Module, optional
        Another network of the same maps; the one that comes with the package where missing.

    Returns
    -------
    MaskMaps
        The mean over the image and its three mirror images, with foreground 0 on excluded pixels.
    """
    net = mask_net() if net is None else net
    channels = normalised(image, excluded)
    total = np.zeros((len(MAPS), *image.shape), np.float32)
    for flip_y, flip_x in ((False, False), (False, True), (True, False), (True, True)):
        way = (slice(None), slice(None, None, -1 if flip_y else 1), slice(None, None, -1 if flip_x else 1))
        out = run_tiled(net, np.ascontiguousarray(channels[way]))[way]
        out[:3] = 1.0 / (1.0 + np.exp(-out[:3]))
        out[4] *= -1.0 if flip_y else 1.0
        out[5] *= -1.0 if flip_x else 1.0
        total += out / 4.0
    if excluded is not None:
        total[0][excluded] = 0.0
    offset = total[4:] * np.float32(OFFSET_NM / WORKING_NM)
    return MaskMaps(total[0], total[1], total[2], np.clip(total[3], 0.0, 1.0), offset)
