"""Choosing what segments a field: the network, the baseline, or somebody else's program.

Belongs here: names, the group of entry points, and checks of what a plug-in returns. Does not belong here: any
segmentation.

A package adds a segmenter, with weights of its own, by an entry point of the group `GROUP`::

    [project.entry-points."em2cryo.segmenters"]
    mine = "my_package.cells:segment"

where ``segment(image, pixel_size_nm, excluded)`` gets a float32 image (y, x), nm, and bool pixels that are no image,
and returns integer labels of the image's shape, 0 outside.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.learning.plug_ins import load_plug_in, plug_in_names
from em2cryo_assets.sem.masks import segment_cells
from em2cryo_assets.sem.region_selection import select_cells

__all__ = ["GROUP", "Segmenter", "segmenter", "segmenter_names"]

Segmenter = Callable[[NDArray[np.float32], float, NDArray[np.bool_] | None], NDArray[np.int32]]

GROUP: Final = "em2cryo.segmenters"

_BUILT_IN: Final[dict[str, Segmenter]] = {"network": segment_cells, "regions": select_cells}


def segmenter_names() -> list[str]:
    """Names that `segmenter` knows: those built in, then those of installed packages."""
    return plug_in_names(GROUP, _BUILT_IN)


def segmenter(name: str) -> Segmenter:
    """What segments a field under a name.

    Parameters
    ----------
    name : str
        "network" (trained on simulated piles), "regions" (no training), or an entry point of `GROUP`. The names
        built in cannot be taken over.

    Returns
    -------
    callable
        From image (y, x), pixel size in nm and excluded pixels (or None) to int32 labels; what a plug-in returns is
        checked, and its labels are numbered from 1 without gaps.

    Raises
    ------
    ValueError
        If there is no such name, or two packages claim it.
    ImportError
        If the plug-in cannot be loaded.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    return _checked(name, *load_plug_in(GROUP, name, _BUILT_IN, "segmenter"))


def _checked(name: str, value: str, plug_in: Callable[..., Any]) -> Segmenter:
    def segment(
        image: NDArray[np.float32], pixel_size_nm: float, excluded: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int32]:
        barred = np.zeros(image.shape, bool) if excluded is None else excluded
        try:
            # Copies: a plug-in that works in place must not change what others see.
            found = plug_in(image.astype(np.float32), float(pixel_size_nm), barred.copy())
        except Exception as error:
            raise RuntimeError(
                f"The segmenter {name!r} ({value}) failed: {error}. Mend it, or choose another in the study's settings."
            ) from error
        labels = np.asarray(found)
        wrong = None
        if labels.shape != image.shape:
            wrong = f"an array of shape {labels.shape} for an image of {image.shape}"
        elif not np.issubdtype(labels.dtype, np.integer):
            wrong = f"{labels.dtype} instead of whole numbers"
        elif labels.size and labels.min() < 0:
            wrong = f"the label {labels.min()}; 0 is outside, cells count from 1"
        if wrong:
            raise RuntimeError(
                f"The segmenter {name!r} ({value}) returned {wrong}. It must return integer labels (y, x), 0 outside."
            )
        labels = np.where(barred, 0, labels)
        present, place = np.unique(labels, return_inverse=True)
        numbers = np.arange(present.size) + (0 if present.size and present[0] == 0 else 1)
        return numbers.astype(np.int32)[place].reshape(image.shape)

    return segment
