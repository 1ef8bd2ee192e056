"""What makes an SEM field unusable, said once for all that segments one.

Belongs here: checks of image, pixel size and excluded pixels. Does not belong here: reading files (`formats`) or
finding cells.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["checked_field"]


def checked_field(
    image: NDArray[np.floating], pixel_size_nm: float, excluded: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """The excluded pixels, after everything that makes a field unusable has been refused.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        The field.
    pixel_size_nm : float
        Side of a pixel, nm.
    excluded : numpy.ndarray, bool, shape (y, x), or None
        Pixels that are not image; none where missing.

    Raises
    ------
    ValueError
        If the image is not 2-D, not finite, the shapes differ, or the pixel size is not positive.
    """
    if image.ndim != 2:
        raise ValueError(f"A field is a (y, x) image; this array has shape {image.shape}.")
    excluded = np.zeros(image.shape, bool) if excluded is None else excluded
    if excluded.shape != image.shape:
        raise ValueError(f"The image is {image.shape} and the excluded pixels are {excluded.shape}.")
    if not pixel_size_nm > 0:
        raise ValueError(f"The pixel size must be positive, not {pixel_size_nm} nm.")
    if not np.isfinite(image).all():
        raise ValueError("The image holds NaN or infinite pixels.")
    return excluded
