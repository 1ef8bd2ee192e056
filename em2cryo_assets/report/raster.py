"""Arrays to coloured pixels to PNG.

Belongs here: grey levels, colours of labels, sources and uncertainty, and the PNG encoding. Does not belong
here: anything drawn on top of pixels (`figures`).
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.colours import LABEL_COLOURS, SOURCE_COLOURS, rgb
from em2cryo_assets.vocabulary import LABELS, SOURCES

__all__ = [
    "colour_codes",
    "colour_uncertainty",
    "grey",
    "overlay",
    "png",
]

# Nine stops of matplotlib's cividis (Nuñez, Anderton and Renslow 2018), uniform to colour-blind readers.
_CIVIDIS: Final = np.array(
    [
        (0, 34, 78),
        (18, 53, 112),
        (59, 73, 108),
        (87, 93, 109),
        (112, 113, 115),
        (138, 134, 120),
        (165, 156, 116),
        (195, 179, 105),
        (254, 232, 56),
    ],
    dtype=np.float64,
)


def grey(density: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Grey levels as on the microscope: dark is dense, percentiles 0.5 to 99.5 stretched.

    Parameters
    ----------
    density : numpy.ndarray, float, shape (y, x)
        High where matter is dense. Not-a-number becomes black.
    mask : numpy.ndarray, bool, shape (y, x), optional
        Pixels that count for the percentiles; the others become black.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x)
    """
    shown = np.isfinite(density) if mask is None else np.isfinite(density) & mask
    out = np.zeros(density.shape, np.uint8)
    if not shown.any():
        return out
    values = density[shown].astype(np.float64)
    low, high = np.percentile(values, (0.5, 99.5))
    level = np.full(values.shape, 0.5) if high <= low else np.clip((high - values) / (high - low), 0, 1)
    out[shown] = np.rint(level * 255).astype(np.uint8)
    return out


def colour_codes(codes: NDArray[np.integer], *, sources: bool = False) -> NDArray[np.uint8]:
    """Colours of label codes, or of source codes.

    Parameters
    ----------
    codes : numpy.ndarray, integer, shape (y, x)
        Codes of `em2cryo_assets.vocabulary`.
    sources : bool
        True reads `codes` as sources.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x, 3)
        White where a code is in no vocabulary.
    """
    names, colours = (SOURCES, SOURCE_COLOURS) if sources else (LABELS, LABEL_COLOURS)
    table = np.full((256, 3), 255, np.uint8)
    for name, code in names.items():
        table[code] = rgb(colours[name])
    return table[np.asarray(codes).astype(np.uint8)]


def colour_uncertainty(entropy_bits: NDArray[np.floating], top_bits: float) -> NDArray[np.uint8]:
    """Colours of an entropy, from 0 (dark blue) to `top_bits` (yellow).

    Parameters
    ----------
    entropy_bits : numpy.ndarray, float, shape (y, x)
        Entropy of the label, bits.
    top_bits : float
        Where the scale ends, bits.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x, 3)
    """
    level = np.clip(np.nan_to_num(entropy_bits) / max(top_bits, 1e-9), 0, 1) * (len(_CIVIDIS) - 1)
    stops = np.arange(len(_CIVIDIS))
    return np.stack([np.rint(np.interp(level, stops, _CIVIDIS[:, c])).astype(np.uint8) for c in range(3)], -1)


def overlay(grey_levels: NDArray[np.uint8], labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Label colours laid over grey levels; cytoplasm and outside stay grey.

    Parameters
    ----------
    grey_levels : numpy.ndarray, uint8, shape (y, x)
    labels : numpy.ndarray, integer, shape (y, x)

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x, 3)
    """
    base = np.repeat(grey_levels[..., None].astype(np.float64), 3, axis=-1)
    tint = colour_codes(labels).astype(np.float64)
    weight = np.where(np.isin(labels, (LABELS["outside"], LABELS["cytoplasm"])), 0.0, 0.5)[..., None]
    return np.rint(base * (1 - weight) + tint * weight).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode 8-bit grey, RGB or RGBA pixels; the same pixels give the same bytes.

    Parameters
    ----------
    pixels : numpy.ndarray, uint8, shape (y, x), (y, x, 3) or (y, x, 4)

    Returns
    -------
    bytes
        A PNG file (ISO/IEC 15948).
    """
    height, width = pixels.shape[:2]
    colour_type = {2: 0, 3: 2}[pixels.ndim] if pixels.shape[2:] != (4,) else 6
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body)) for tag, body in chunks
    )
