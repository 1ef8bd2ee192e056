"""Micrographs drawn for the tests: grey blobs, and the marks microscopes burn in."""

import numpy as np
from numpy.typing import NDArray


def blobs(shape: tuple[int, int] = (240, 320), *, seed: int = 0, ground: float = 60.0) -> NDArray[np.uint8]:
    """Bright blobs on a noisy ground, never fully black or white."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = rng.normal(ground, 6, shape)
    for cy, cx in rng.uniform((0, 0), shape, (8, 2)):
        image += 90 * np.sqrt(np.clip(1 - ((y - cy) ** 2 + (x - cx) ** 2) / 35**2, 0, None))
    return np.clip(image, 0, 235).astype(np.uint8)


def with_plain_bar(image: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """A black bar in a white box, bottom right, as image editors draw it."""
    marked = image.copy()
    height, width = image.shape
    y, x = height - 40, width - length - 14
    marked[y : y + 34, x : x + length + 10] = 255
    marked[y + 6 : y + 10, x + 5 : x + 5 + length] = 0
    _letters(marked, y + 16, x + length // 2 - 15, value=0)
    return marked


def with_data_bar(image: NDArray[np.uint8], rows: int, length: int) -> NDArray[np.uint8]:
    """A black data bar below the image, framed in white, with letters and ``|--- 5 um ---|``."""
    width = image.shape[1]
    bar = np.zeros((rows, width), np.uint8)
    bar[[0, -1]] = 255
    for x in (10, 60, 110):
        _letters(bar, rows // 2 - 5, x, value=255)
    x, y = width - length - 20, rows // 2
    bar[y : y + 2, x : x + length] = 255
    bar[y : y + 2, x + length // 2 - 20 : x + length // 2 + 20] = 0
    _letters(bar, y - 4, x + length // 2 - 15, value=255)
    for end in (x, x + length - 1):
        bar[y - 4 : y + 6, end] = 255
    return np.vstack([image, bar])


def _letters(image: NDArray[np.uint8], y: int, x: int, *, value: int) -> None:
    for k in range(3):
        image[y : y + 10, x + 10 * k : x + 10 * k + 2] = value
        image[y : y + 2, x + 10 * k : x + 10 * k + 7] = value
