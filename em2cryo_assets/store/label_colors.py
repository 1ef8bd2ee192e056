"""Colours and names of label values, as OME-Zarr shows them.

Belongs here: the ``image-label`` entry of the specification. Does not belong here: what the labels mean.
"""

from collections.abc import Mapping
from typing import Any

from em2cryo_assets.colours import LABEL_COLOURS, SOURCE_COLOURS, rgb

__all__ = ["image_label"]

# For names without a colour of their own. Okabe and Ito (2008): told apart with any kind of colour vision; ordered so
# that neighbours differ.
_PALETTE = (
    (230, 159, 0),
    (0, 0, 0),
    (86, 180, 233),
    (0, 114, 178),
    (0, 158, 115),
    (213, 94, 0),
    (240, 228, 66),
    (204, 121, 167),
)


def image_label(names: Mapping[int, str]) -> dict[str, Any]:
    """``image-label`` metadata for the named values; 0 is background and transparent.

    Parameters
    ----------
    names : mapping of int to str
        Name of each label value; may be empty, then viewers choose.
    """
    if not names:
        return {}
    ordered = sorted(names)
    colors = [{"label-value": value, "rgba": [*_colour(value, names[value]), 255 if value else 0]} for value in ordered]
    properties = [{"label-value": value, "name": names[value]} for value in ordered]
    return {"colors": colors, "properties": properties}


def _colour(value: int, name: str) -> tuple[int, int, int]:
    """Red, green and blue of a value: those of its name in the pictures, else the next of the palette."""
    named = LABEL_COLOURS.get(name) or SOURCE_COLOURS.get(name)
    return rgb(named) if named else _PALETTE[(value - 1) % len(_PALETTE)]
