"""One colour for each label and each source, wherever it is shown: thumbnails, report, and viewers of OME-Zarr.

Belongs here: which colour means what. Does not belong here: drawing (`report.raster`), or the form in which a file holds
colours (`store.label_colors`).
"""

from types import MappingProxyType
from typing import Final

__all__ = ["LABEL_COLOURS", "SOURCE_COLOURS", "rgb"]

LABEL_COLOURS: Final = MappingProxyType(
    {
        "outside": "#0b0d10",
        "wall": "#e69f00",
        "membrane": "#f0e442",
        "cytoplasm": "#6f7680",
        "nucleus": "#56b4e9",
        "vacuole": "#cc79a7",
        "mitochondrion": "#d55e00",
        "lipid_droplet": "#009e73",
    }
)
"""The palette of Okabe and Ito (2008), told apart by colour-blind readers; cytoplasm and outside neutral."""

SOURCE_COLOURS: Final = MappingProxyType(
    {
        "none": "#0b0d10",
        "sem_shape": "#0072b2",
        "tem_atlas": "#e69f00",
        "prior": "#9aa0a6",
        "simulation": "#cc79a7",
    }
)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb``, 0 to 255."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
