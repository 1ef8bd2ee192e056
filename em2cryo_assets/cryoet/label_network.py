"""From a slab to maps of what lies where, by a network that was trained on simulated tomograms only.

Belongs here: the working voxel, what goes into the network and the meaning of what comes out.
Does not belong here: turning maps into labels (`cryoet.label_decoding`), training (`cryoet.label_trainer`).
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.learning.tiles import run_tiled
from em2cryo_assets.learning.unet3d import unet3d
from em2cryo_assets.learning.weights import load_weights
from em2cryo_assets.vocabulary import LABELS

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CLASSES", "WEIGHTS", "WORKING_NM", "class_of_label", "normalised", "slab_maps", "slab_net"]

Float32Array = NDArray[np.float32]

WORKING_NM: Final = 16.0
"""Voxel at which the network sees every slab: a field of 1 µm is 63 voxels across, a wall 9, a lamella of 200 nm 13."""

CLASSES: Final = ("outside", "wall", "cytoplasm", "nucleus", "vacuole")
"""What the network tells apart. The membrane, thinner than a voxel, is drawn afterwards; mitochondria and droplets count
as cytoplasm, as without a network."""

WEIGHTS: Final = Path(__file__).with_name("weights") / "tomogram_labels.safetensors"

_SMOOTH_NM: Final = 20.0
_CLIP: Final = 3.0


def normalised(volume: NDArray[np.floating]) -> Float32Array:
    """The two channels that the network sees.

    Parameters
    ----------
    volume : numpy.ndarray, shape (z, y, x)
        Density at `WORKING_NM`, any scale, high where matter is dense.

    Returns
    -------
    numpy.ndarray, float32, shape (2, z, y, x)
        Density between the 2nd and the 98th percentile of the smoothed density (-1 to 1, up to 3 beyond, where noise
        is), and the smoothed density itself (Gaussian, 20 nm).
    """
    density = np.asarray(volume, np.float32)
    smooth = ndimage.gaussian_filter(density, _SMOOTH_NM / WORKING_NM, mode="nearest")
    low, high = np.percentile(smooth, (2.0, 98.0))
    both = (np.stack([density, smooth]) - 0.5 * (low + high)) / max(0.5 * float(high - low), 1e-6)
    return np.clip(both, -_CLIP, _CLIP).astype(np.float32)


@lru_cache(maxsize=2)
def slab_net(path: Path = WEIGHTS) -> "nn.Module":
    """The network with the weights of a file, ready for inference; on a GPU where there is one."""
    import torch

    net = unet3d(2, len(CLASSES))
    load_weights(path, net)
    return net.to("cuda") if torch.cuda.is_available() else net


def slab_maps(volume: NDArray[np.floating], net: "nn.Module | None" = None) -> Float32Array:
    """Run the network over a slab of any size.

    Parameters
    ----------
    volume : numpy.ndarray, shape (z, y, x)
        Density at `WORKING_NM`.
    net : torch.nn.Module, optional
        Another network of the same maps; the one that comes with the package where missing.

    Returns
    -------
    numpy.ndarray, float32, shape (5, z, y, x)
        Probabilities of `CLASSES`, which sum to 1; means over the slab and its mirror images along each axis, which are
        views of a slab tilted about the same axis.
    """
    net = slab_net() if net is None else net
    channels = normalised(volume)
    total = np.zeros((len(CLASSES), *volume.shape), np.float32)
    ways = ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1))
    for steps in ways:
        way = (slice(None), *(slice(None, None, step) for step in steps))
        out = run_tiled(net, channels[way].copy())[way]
        shares = np.exp(out - out.max(axis=0))
        total += shares / shares.sum(axis=0) / len(ways)
    return total


def class_of_label() -> NDArray[np.uint8]:
    """Index into `CLASSES` of each code of `vocabulary.LABELS`, uint8, shape (8,)."""
    return np.array([CLASSES.index(name if name in CLASSES else "cytoplasm") for name in LABELS], np.uint8)
