"""What happens to a picture after it was taken, for training: display, noise, compression, bars, glow.

Belongs here: changes that leave every cell where it is, or turn the whole picture. Does not belong here: what is
in the picture (`sem.mask_training`), and inversion: bright gaps between dark cells are no secondary-electron image.
"""

import io

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.mask_targets import Targets

__all__ = ["augmented", "with_bar"]

Float32Array = NDArray[np.float32]

_FAR, _NEAR = 0.03, 0.03
"""Shares of pictures shown 5 to 12 times too small or too large, with nothing to be found: what a pixel size that is
wrong by ten makes of a field."""


def augmented(
    image: NDArray[np.uint8], target: Targets, side: int, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """One training crop.

    Parameters
    ----------
    image : numpy.ndarray, uint8, shape (y, x)
        A whole simulated field.
    target : Targets
        Of it.
    side : int
        Of the crop, pixels.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    tuple of numpy.ndarray, float32
        The two channels of `mask_network.normalised` (2, side, side), the maps (6, side, side) and the weight of
        the foreground (side, side).
    """
    from em2cryo_assets.sem.mask_network import normalised

    grey, maps, weight = image.astype(np.float32), target.maps, target.weight
    scale = rng.random()
    if scale < _FAR + _NEAR:
        grey = _other_scale(grey, rng, smaller=scale < _FAR)
        maps, weight = np.zeros((len(maps), *grey.shape), np.float32), np.ones(grey.shape, np.float32)
    grey = _displayed(grey, rng)
    bar: NDArray[np.bool_] | None = None
    if rng.random() < 0.25:
        grey, bar, text = with_bar(grey, rng)
        maps, weight = maps.copy(), weight.copy()
        maps[:, bar] = 0.0
        weight[text] = 0.0
    # The user says where a bar is, or says nothing.
    channels = normalised(grey, bar if rng.random() < 0.5 else None)
    y, x = (int(rng.integers(n - side + 1)) for n in grey.shape)
    crop = (slice(None), slice(y, y + side), slice(x, x + side))
    return _turned(channels[crop], maps[crop], weight[crop[1:]], int(rng.integers(8)))


def _turned(
    channels: Float32Array, maps: Float32Array, weight: Float32Array, way: int
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """One of the eight ways to lay a square down; offsets turn along."""
    maps = maps.copy()
    if way >= 4:
        channels, maps, weight = channels[..., ::-1], maps[..., ::-1], weight[..., ::-1]
        maps[5] *= -1.0
    for _ in range(way % 4):
        channels, maps, weight = (np.rot90(a, axes=(-2, -1)) for a in (channels, maps, weight))
        maps = maps.copy()
        # What lay at (y, x) from the centre comes to (-x, y).
        maps[4], maps[5] = -maps[5].copy(), maps[4].copy()
    first, second, third = (np.ascontiguousarray(a, dtype=np.float32) for a in (channels, maps, weight))
    return first, second, third


def _other_scale(grey: Float32Array, rng: np.random.Generator, *, smaller: bool) -> Float32Array:
    """The same picture many times smaller (and mirrored until it fills the shape) or larger."""
    factor = float(rng.uniform(5.0, 12.0))
    rows, columns = grey.shape
    if not smaller:
        n = max(8, int(rows / factor))
        y, x = (int(rng.integers(size - n + 1)) for size in grey.shape)
        large = ndimage.zoom(grey[y : y + n, x : x + n], rows / n, order=1)
        return np.asarray(large[:rows, :columns], np.float32)
    small = ndimage.zoom(ndimage.gaussian_filter(grey, 0.4 * factor), 1.0 / factor, order=1)
    pad = [(0, n - m) for n, m in zip(grey.shape, small.shape, strict=True)]
    return np.asarray(np.pad(small, pad, mode="symmetric"), np.float32)


def _displayed(grey: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Blur, lost resolution, glow, gamma, contrast, noise and compression, each on some pictures; 0 to 255."""

    def sometimes(share: float) -> bool:
        return bool(rng.random() < share)

    out = grey
    if sometimes(0.25):
        out = ndimage.gaussian_filter(out, rng.uniform(0.4, 1.3))
    if sometimes(0.10):
        half = out[: out.shape[0] // 2 * 2, : out.shape[1] // 2 * 2].reshape(out.shape[0] // 2, 2, -1, 2).mean((1, 3))
        out = ndimage.zoom(half, 2.0, order=1)
        out = np.pad(out, [(0, n - m) for n, m in zip(grey.shape, out.shape, strict=True)], mode="edge")
    if sometimes(0.25):
        y, x = (np.arange(n, dtype=np.float32) for n in out.shape)
        for _ in range(int(rng.integers(1, 4))):
            cy, cx, reach = rng.uniform(0, len(y)), rng.uniform(0, len(x)), rng.uniform(15.0, 70.0)
            glow = np.exp(-(((y - cy) / reach) ** 2))[:, None] * np.exp(-(((x - cx) / reach) ** 2))[None]
            out = out + np.float32(rng.uniform(10.0, 80.0)) * glow.astype(np.float32)
    if sometimes(0.35):
        # Glints and charging: brightness that changes within a cell and across its outline.
        patches = rng.standard_normal([int(rng.integers(8, 26))] * 2)
        shape = [n / m for n, m in zip(out.shape, patches.shape, strict=True)]
        out = out * np.exp(rng.uniform(0.05, 0.3) * ndimage.zoom(patches, shape, order=3)[: len(out), : out.shape[1]])
    if sometimes(0.25):
        # A gain set too high: the brightest cells are white all over.
        out = out * rng.uniform(1.2, 2.5)
    out = np.clip(out, 0.0, 255.0).astype(np.float32) / 255.0
    if sometimes(0.6):
        out = out ** np.float32(np.exp(rng.uniform(np.log(0.5), np.log(1.9))))
    if sometimes(0.5):
        contrast = rng.uniform(0.35, 1.5)
        out = np.clip(rng.uniform(0.0, 1.0) * max(0.0, 1.0 - contrast) + contrast * out, 0.0, 1.0)
    if sometimes(0.35):
        # SNR 3 of the standard deviation over the field, at most, on top of the counts.
        noise = float(out.std()) * rng.uniform(0.02, 0.35)
        out = out + noise * rng.standard_normal(out.shape, dtype=np.float32)
    out = np.clip(np.rint(255.0 * out), 0, 255).astype(np.float32)
    return _compressed(out, int(rng.integers(20, 90))) if sometimes(0.3) else out


def _compressed(grey: Float32Array, quality: int) -> Float32Array:
    from PIL import Image

    with io.BytesIO() as file:
        Image.fromarray(grey.astype(np.uint8)).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file)).astype(np.float32)


def with_bar(grey: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Burn in a scale bar on a plate, a data bar along the lower edge, or a bare bar with text.

    Parameters
    ----------
    grey : numpy.ndarray, float32, shape (y, x)
        Picture, 0 to 255.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    image : numpy.ndarray, float32, shape (y, x)
        With the bar.
    bar : numpy.ndarray, bool, shape (y, x)
        Where the plate covers the picture; nowhere for bare text.
    text : numpy.ndarray, bool, shape (y, x)
        Where bare text lies over the picture.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows, columns = grey.shape
    picture = Image.fromarray(grey.astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    kind = int(rng.integers(3))
    dark = bool(rng.random() < 0.5)
    ink, plate = (255, 0) if dark else (0, 255)
    words = f"{rng.integers(1, 20)} {'um' if rng.random() < 0.7 else 'nm'}"
    height = int(rng.integers(14, 40))
    width = int(rng.integers(50, 140)) if kind != 1 else columns
    left = columns - width if kind == 1 else int(rng.choice([0, columns - width, columns - width - 4]))
    top = rows - height if rng.random() < 0.8 or kind == 1 else 0
    if kind < 2:
        pen.rectangle((left, top, left + width - 1, top + height - 1), fill=plate)
    else:
        ink = 255 if rng.random() < 0.8 else 0
    pen.text((left + 6, top + 4), words, fill=ink, font=ImageFont.load_default(max(8, height // 2)))
    pen.rectangle((left + 5, top + 1, left + width - 6, top + 3), fill=ink)
    if kind == 1:
        pen.text((left + columns // 2, top + 4), f"{rng.integers(1, 30)} kV", fill=ink)
    out = np.asarray(picture).astype(np.float32)
    bar = np.zeros(grey.shape, bool)
    bar[top : top + height, max(0, left) : left + width] = kind < 2
    return out, bar, (out != np.rint(grey)) & (kind == 2)
