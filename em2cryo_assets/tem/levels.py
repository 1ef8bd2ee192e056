"""Small measures of grey levels and pixel masks that section labelling is built from.

Belongs here: smoothing in nanometres, disks, hole filling, the named levels of one section.
Does not belong here: decisions about what a region is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Levels", "components", "disk", "fill_small_holes", "smooth"]


@dataclass(frozen=True)
class Levels:
    """Density levels of one section, in its own scale.

    Parameters
    ----------
    resin : float
        Empty resin between the cells.
    wall : float
        Middle of the cell wall.
    """

    resin: float
    wall: float


def smooth(image: NDArray[np.floating], sigma_nm: float, pixel_size_nm: float) -> NDArray[np.float32]:
    """Gaussian smoothing with a width given in nm; float32, shape (y, x)."""
    return ndimage.gaussian_filter(np.asarray(image, np.float32), sigma_nm / pixel_size_nm, mode="nearest")


def disk(radius_nm: float, pixel_size_nm: float) -> NDArray[np.bool_]:
    """Round structuring element, at least 3 × 3 pixels' cross."""
    radius = max(1.0, radius_nm / pixel_size_nm)
    reach = int(np.floor(radius))
    axis = np.arange(-reach, reach + 1)
    return axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2


def fill_small_holes(mask: NDArray[np.bool_], largest_um2: float, pixel_size_nm: float) -> NDArray[np.bool_]:
    """Fill holes that do not reach the border and are no larger than the given area."""
    holes, count = ndimage.label(~mask)
    if count == 0:
        return mask
    small = np.bincount(holes.ravel(), minlength=count + 1) * (pixel_size_nm / 1000.0) ** 2 <= largest_um2
    for edge in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        small[edge] = False
    small[0] = False
    return mask | small[holes]


def components(mask: NDArray[np.bool_], smallest_um2: float, pixel_size_nm: float) -> NDArray[np.int32]:
    """Give numbers to the connected pieces of at least the given area; int32, shape (y, x), 0 elsewhere."""
    numbers, _ = ndimage.label(mask)
    large = np.bincount(numbers.ravel()) * (pixel_size_nm / 1000.0) ** 2 >= smallest_um2
    large[0] = False
    numbers[~large[numbers]] = 0
    return numbers
