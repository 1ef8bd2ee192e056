"""From a section to maps of what lies where, by a network that was trained on simulated sections only.

Belongs here: the working pixel size, what goes into the network and the meaning of what comes out.
Does not belong here: turning maps into labels (`tem.section_decoding`), training (`tem.section_trainer`).
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.learning.tiles import run_tiled
from em2cryo_assets.learning.unet import unet
from em2cryo_assets.learning.weights import load_weights
from em2cryo_assets.vocabulary import LABELS

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "CLASSES", "MAPS", "WEIGHTS", "WORKING_NM", "at_working_size", "class_of_label", "normalised", "section_maps",
    "section_net",
]  # fmt: skip

Float32Array = NDArray[np.float32]

WORKING_NM: Final = 20.0
"""Pixel at which the network sees every section: a cell is 225 px across, a wall 7, a mitochondrion 19, a membrane half
a pixel. True labels of sixteen tuning sections at 8 nm, brought to this pixel and back, keep a Dice of .997 or more and
areas within 0.3 % (at 32 nm .994 and 0.8 %); a cell fits into the network's field of view."""

CLASSES: Final = ("outside", "wall", "cytoplasm", "nucleus", "vacuole", "mitochondrion", "lipid_droplet")
"""What the network tells apart; the membrane, thinner than a pixel, counts as cytoplasm until labels are made."""

MAPS: Final = (*CLASSES, "seam")

WEIGHTS: Final = Path(__file__).with_name("weights") / "section_labels.safetensors"

_LOCAL_NM = 1000.0


def at_working_size(image: NDArray[np.floating], pixel_size_nm: float) -> Float32Array:
    """A section with pixels of `WORKING_NM`, means over what they cover where the section is finer.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Any grey scale.
    pixel_size_nm : float
        Side of its pixels.

    Returns
    -------
    numpy.ndarray, float32, shape (y, x)
        At least one pixel a side.
    """
    from skimage.transform import resize

    shape = tuple(max(1, round(n * pixel_size_nm / WORKING_NM)) for n in image.shape)
    return np.asarray(resize(image.astype(np.float32), shape, order=1, mode="edge", anti_aliasing=True), np.float32)


def normalised(image: NDArray[np.floating]) -> Float32Array:
    """The two channels that the network sees.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Section at `WORKING_NM`, any grey scale.

    Returns
    -------
    numpy.ndarray, float32, shape (2, y, x)
        Grey between the section's 0.5 and 99.5 % (0 to 1, up to 1.5 beyond), and grey less its mean within some 1 µm:
        stain that varies over a section leaves the second alone.
    """
    grey = np.asarray(image, np.float32)
    low, high = np.percentile(grey, (0.5, 99.5))
    raw = np.clip((grey - low) / max(float(high - low), 1e-6), -0.5, 1.5)
    width = 2 * round(0.5 * _LOCAL_NM / WORKING_NM) + 1
    local = raw - ndimage.uniform_filter(ndimage.uniform_filter(raw, width), width)
    return np.stack([raw, 2.0 * local]).astype(np.float32)


@lru_cache(maxsize=2)
def section_net(path: Path = WEIGHTS) -> "nn.Module":
    """The network with the weights of a file, ready for inference; on a GPU where there is one."""
    import torch

    net = unet(2, len(MAPS))
    load_weights(path, net)
    return net.to("cuda") if torch.cuda.is_available() else net


def section_maps(image: NDArray[np.floating], net: "nn.Module | None" = None) -> Float32Array:
    """Run the network over a section of any size.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Section at `WORKING_NM`.
    net : torch.nn.Module, optional
        Another network of the same maps; the one that comes with the package where missing.

    Returns
    -------
    numpy.ndarray, float32, shape (8, y, x)
        In the order of `MAPS`: probabilities of `CLASSES`, which sum to 1, then that of a seam between two touching
        profiles; means over the section and its three mirror images.
    """
    net = section_net() if net is None else net
    channels = normalised(image)
    total = np.zeros((len(MAPS), *image.shape), np.float32)
    for flip_y, flip_x in ((False, False), (False, True), (True, False), (True, True)):
        way = (slice(None), slice(None, None, -1 if flip_y else 1), slice(None, None, -1 if flip_x else 1))
        # A copy: of a single row numpy keeps the stride turned round, which torch does not take.
        out = run_tiled(net, channels[way].copy())[way]
        shares = np.exp(out[:-1] - out[:-1].max(axis=0))
        total[:-1] += shares / shares.sum(axis=0) / 4.0
        total[-1] += 0.25 / (1.0 + np.exp(-out[-1]))
    return total


def class_of_label() -> NDArray[np.uint8]:
    """Index into `CLASSES` of each code of `vocabulary.LABELS`, uint8, shape (8,)."""
    return np.array([CLASSES.index("cytoplasm" if name == "membrane" else name) for name in LABELS], np.uint8)
