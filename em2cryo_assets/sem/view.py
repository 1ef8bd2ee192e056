"""One cell cut out of its field.

Belongs here: cropping an image and its labels to one cell.
Does not belong here: finding cells (`sem.masks`) or shaping them (`sem.surface`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CellView", "crop_cell"]


@dataclass(frozen=True)
class CellView:
    """Crop of a field around one cell.

    Parameters
    ----------
    image : numpy.ndarray, float32, shape (y, x)
        Pixels of the crop, neighbours included.
    mask : numpy.ndarray, bool, shape (y, x)
        Pixels of this cell.
    offset_yx : tuple of int
        Position of the crop's first pixel in the field, px.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    offset_yx: tuple[int, int]


def crop_cell(image: NDArray[np.float32], labels: NDArray[np.int32], label: int, margin_px: int = 8) -> CellView:
    """Cut one cell out, with a margin that ends at the border of the field.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        The field.
    labels : numpy.ndarray, int, shape (y, x)
        Cell labels of the field, 0 for none.
    label : int
        The cell wanted.
    margin_px : int
        Pixels kept around the bounding box of the cell.

    Returns
    -------
    CellView
        Copies: nothing in the field can be changed through them.

    Raises
    ------
    ValueError
        If image and labels differ in shape, the margin is negative, or no pixel carries the label.
    """
    if image.shape != labels.shape:
        raise ValueError(f"The image is {image.shape} and its labels are {labels.shape}; they must agree.")
    if margin_px < 0:
        raise ValueError(f"A margin cannot be negative ({margin_px} px).")
    if label == 0 or not (labels == label).any():
        raise ValueError(f"No pixel carries the label {label}.")
    rows, columns = np.nonzero(labels == label)
    y0, x0 = max(0, int(rows.min()) - margin_px), max(0, int(columns.min()) - margin_px)
    window = (slice(y0, int(rows.max()) + margin_px + 1), slice(x0, int(columns.max()) + margin_px + 1))
    return CellView(image[window].astype(np.float32, copy=True), labels[window] == label, (y0, x0))
