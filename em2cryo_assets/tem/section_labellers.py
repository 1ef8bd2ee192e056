"""Choosing what labels a section: the network, the classical way, or somebody else's program.

Belongs here: names, the group of entry points, and checks of what a plug-in returns. Does not belong here: any
labelling.

A package adds a labeller, with weights of its own, by an entry point of the group `GROUP`::

    [project.entry-points."em2cryo.section_labellers"]
    mine = "my_package.sections:label"

where ``label(density, pixel_size_nm, excluded)`` gets a float32 image (y, x) that is high where matter is dense, nm, and
bool pixels that are no image, and returns codes of `vocabulary.LABELS` in the image's shape.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.learning.plug_ins import load_plug_in, plug_in_names
from em2cryo_assets.tem.labels import label_section
from em2cryo_assets.tem.profiles import NO_CELL, SectionLabels, touching_border
from em2cryo_assets.tem.section_decoding import network_section
from em2cryo_assets.vocabulary import LABEL_NAMES

__all__ = ["GROUP", "SectionLabeller", "section_labeller", "section_labeller_names"]

SectionLabeller = Callable[[NDArray[np.float32], float, NDArray[np.bool_] | None], SectionLabels]

GROUP: Final = "em2cryo.section_labellers"

_BUILT_IN: Final[dict[str, SectionLabeller]] = {"network": network_section, "levels": label_section}


def section_labeller_names() -> list[str]:
    """Names that `section_labeller` knows: those built in, then those of installed packages."""
    return plug_in_names(GROUP, _BUILT_IN)


def section_labeller(name: str) -> SectionLabeller:
    """What labels a section under a name.

    Parameters
    ----------
    name : str
        "network" (trained on simulated sections), "levels" (no training), or an entry point of `GROUP`. The names built
        in cannot be taken over.

    Returns
    -------
    callable
        From density (y, x), pixel size in nm and excluded pixels (or None) to `SectionLabels`. What a plug-in returns
        is checked; each connected piece of it is a profile.

    Raises
    ------
    ValueError
        If there is no such name, or two packages claim it.
    ImportError
        If the plug-in cannot be loaded.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    return _checked(name, *load_plug_in(GROUP, name, _BUILT_IN, "section labeller"))


def _checked(name: str, value: str, plug_in: Callable[..., Any]) -> SectionLabeller:
    def label(
        density: NDArray[np.float32], pixel_size_nm: float, excluded: NDArray[np.bool_] | None = None
    ) -> SectionLabels:
        barred = np.zeros(density.shape, bool) if excluded is None else excluded
        try:
            # Copies: a plug-in that works in place must not change what others see.
            found = plug_in(density.astype(np.float32), float(pixel_size_nm), barred.copy())
        except Exception as error:
            raise RuntimeError(
                f"The section labeller {name!r} ({value}) failed: {error}. Mend it, or choose another in the study's "
                "settings."
            ) from error
        labels = np.asarray(found)
        wrong = None
        if labels.shape != density.shape:
            wrong = f"an array of shape {labels.shape} for an image of {density.shape}"
        elif not np.issubdtype(labels.dtype, np.integer):
            wrong = f"{labels.dtype} instead of whole numbers"
        elif labels.size and (labels.min() < 0 or labels.max() > max(LABEL_NAMES)):
            wrong = f"codes from {labels.min()} to {labels.max()}"
        if wrong:
            raise RuntimeError(
                f"The section labeller {name!r} ({value}) returned {wrong}. It must return codes (y, x) from 0 to "
                f"{max(LABEL_NAMES)}: {', '.join(LABEL_NAMES.values())}."
            )
        codes = np.where(barred, 0, labels).astype(np.uint8)
        profiles = ndimage.label(codes > 0)[0].astype(np.int32)
        warnings = [] if profiles.any() else [NO_CELL]
        return SectionLabels(codes, profiles, touching_border(profiles, barred), warnings)

    return label
