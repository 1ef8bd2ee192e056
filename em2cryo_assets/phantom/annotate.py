"""Scale bars and data bars burnt into simulated micrographs.

Belongs here: a small bitmap font and the two kinds of bar. Does not belong here: finding them again
(`formats.calibrate`). The font is drawn here so that the same bytes come out with any imaging library.
"""

from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["burn_scale_bar", "data_bar"]

ByteImage = NDArray[np.uint8]

# Rows of five bits, top to bottom; seven rows and, where a letter needs it, an eighth below the line.
_GLYPHS: Final = MappingProxyType(
    {
        " ": "00 00 00 00 00 00 00 00", "0": "0E 11 13 15 19 11 0E 00", "1": "04 0C 04 04 04 04 0E 00",
        "2": "0E 11 01 02 04 08 1F 00", "3": "0E 11 01 06 01 11 0E 00", "4": "02 06 0A 12 1F 02 02 00",
        "5": "1F 10 1E 01 01 11 0E 00", "6": "06 08 10 1E 11 11 0E 00", "7": "1F 01 02 04 08 08 08 00",
        "8": "0E 11 11 0E 11 11 0E 00", "9": "0E 11 11 0F 01 02 0C 00", ".": "00 00 00 00 00 0C 0C 00",
        "µ": "00 00 11 11 11 13 1D 10", "m": "00 00 1A 15 15 15 15 00", "k": "10 10 12 14 18 14 12 00",
        "V": "11 11 11 11 11 0A 04 00", "W": "11 11 11 15 15 1B 11 00", "D": "1E 11 11 11 11 11 1E 00",
        "H": "11 11 11 1F 11 11 11 00", "F": "1F 10 10 1E 10 10 10 00", "E": "1F 10 10 1E 10 10 1F 00",
        "T": "1F 04 04 04 04 04 04 00", "L": "10 10 10 10 10 10 1F 00", "S": "0F 10 10 0E 01 01 1E 00",
        "I": "0E 04 04 04 04 04 0E 00", "M": "11 1B 15 15 11 11 11 00", "U": "11 11 11 11 11 11 0E 00",
        "A": "0E 11 11 1F 11 11 11 00",
    }
)  # fmt: skip


def _text(words: str, scale: int) -> NDArray[np.bool_]:
    """Mask of a line of text, shape (8 * scale, 6 * scale * len(words))."""
    out = np.zeros((8, 6 * len(words)), dtype=bool)
    for i, letter in enumerate(words):
        for row, bits in enumerate(_GLYPHS[letter].split()):
            out[row, 6 * i : 6 * i + 5] = [int(bits, 16) >> (4 - j) & 1 for j in range(5)]
    return np.kron(out, np.ones((scale, scale), dtype=bool))


def _stamp(image: ByteImage, mask: NDArray[np.bool_], y: int, x: int, value: int) -> None:
    image[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = value


def burn_scale_bar(image: ByteImage, pixel_size_nm: float, length_um: int) -> ByteImage:
    """Burn a white box with a black bar and its length into the lower right corner.

    Parameters
    ----------
    image : numpy.ndarray, uint8, shape (y, x)
        The micrograph; left as it is.
    pixel_size_nm : float
        Pixel side.
    length_um : int
        What the bar stands for.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x)
        A copy with the bar.
    """
    out = image.copy()
    length = round(length_um * 1000.0 / pixel_size_nm)
    height, width = 40, length + 12
    y, x = out.shape[0] - height - 6, out.shape[1] - width - 6
    out[y : y + height, x : x + width] = 255
    out[y + 6 : y + 11, x + 6 : x + 6 + length] = 0
    words = _text(f"{length_um} µm", 2)
    _stamp(out, words, y + 17, x + (width - words.shape[1]) // 2, 0)
    return out


def data_bar(width: int, height: int, pixel_size_nm: float, length_um: int, fields: list[str]) -> ByteImage:
    """Draw the black strip that an SEM's software adds below the picture.

    Parameters
    ----------
    width, height : int
        Of the strip, in pixels.
    pixel_size_nm : float
        Pixel side of the picture.
    length_um : int
        What the bar in the strip stands for.
    fields : list of str
        Texts, left to right, separated by white lines; letters of the built-in font only.

    Returns
    -------
    numpy.ndarray, uint8, shape (height, width)
        To be put below the picture.
    """
    out = np.zeros((height, width), dtype=np.uint8)
    out[0] = out[-1] = 255
    x = 10
    for words in fields:
        mask = _text(words, 2)
        _stamp(out, mask, (height - 16) // 2, x, 255)
        x += mask.shape[1] + 10
        out[:, x] = 255
        x += 12
    length = round(length_um * 1000.0 / pixel_size_nm)
    start, middle = width - 20 - length, height // 2
    out[middle - 1 : middle + 1, start : start + length] = 255
    for end in (start, start + length - 2):
        out[middle - 6 : middle + 6, end : end + 2] = 255
    number = _text(f"{length_um} µm", 2)
    gap = start + (length - number.shape[1]) // 2
    out[1:-1, gap - 8 : gap + number.shape[1] + 4] = 0
    _stamp(out, number, (height - 16) // 2, gap, 255)
    return out
