"""From a field to its cells: which pixels of a crowded pile belong to which cell.

Belongs here: the one entry that everything else uses, and what it refuses. Does not belong here: the network
(`sem.mask_network`), its decoding (`sem.mask_decoding`), the baseline without one (`sem.region_selection`), choosing
between them (`sem.segmenters`), occlusion and other records (`sem.records`), identities over time (`sem.identity`).
"""

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.sem.mask_decoding import network_labels
from em2cryo_assets.sem.records import cell_records

__all__ = ["cell_records", "segment_cells"]


def segment_cells(
    image: NDArray[np.float32], pixel_size_nm: float, excluded: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """Outline the visible part of every cell in a field.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Secondary-electron image, any linear grey scale.
    pixel_size_nm : float
        Side of a pixel, nm.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image (data bar, burnt-in text).

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        0 outside, then 1 … n from the top of the image down. Masks are modal (only what can be seen), each in
        one piece and without holes unless another cell lies in them. A bud that shows as much as a disc of
        0.9 µm has a label of its own. An image without cells gives zeros.

    Raises
    ------
    ValueError
        If the image is not 2-D, not finite, the shapes differ, or the pixel size is not positive.
    """
    return network_labels(image, pixel_size_nm, excluded)
