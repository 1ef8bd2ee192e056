"""Choosing what labels the slab of a tomogram: the network, the layers, or somebody else's program.

Belongs here: names, the group of entry points, and checks of what a plug-in returns. Does not belong here: any
labelling.

A package adds a labeller, with weights of its own, by an entry point of the group `GROUP`::

    [project.entry-points."em2cryo.tomogram_labellers"]
    mine = "my_package.tomograms:label"

where ``label(density, voxel_nm, modality)`` gets a float32 volume (z, y, x) that is high where matter is dense, voxel
sides (z, y, x) in nm and "lamella" or "cryo-section", and returns codes of `vocabulary.LABELS` in the volume's shape.
A program that finds membranes only, such as MemBrain-seg, needs a few lines that tell what they enclose.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.label_decoding import network_slab
from em2cryo_assets.cryoet.labels import NO_CELL, SlabLabeller, label_slab
from em2cryo_assets.learning.plug_ins import load_plug_in, plug_in_names
from em2cryo_assets.vocabulary import LABEL_NAMES

__all__ = ["GROUP", "tomogram_labeller", "tomogram_labeller_names"]

GROUP: Final = "em2cryo.tomogram_labellers"

_BUILT_IN: Final[dict[str, SlabLabeller]] = {"network": network_slab, "layers": label_slab}


def tomogram_labeller_names() -> list[str]:
    """Names that `tomogram_labeller` knows: those built in, then those of installed packages."""
    return plug_in_names(GROUP, _BUILT_IN)


def tomogram_labeller(name: str) -> SlabLabeller:
    """What labels slabs under a name.

    Parameters
    ----------
    name : str
        "network" (trained on simulated tomograms), "layers" (no training), or an entry point of `GROUP`. The names built
        in cannot be taken over.

    Returns
    -------
    callable
        For `cryoet.labels.label_tomogram`. What a plug-in returns is checked.

    Raises
    ------
    ValueError
        If there is no such name, or two packages claim it.
    ImportError
        If the plug-in cannot be loaded.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    return _checked(name, *load_plug_in(GROUP, name, _BUILT_IN, "tomogram labeller"))


def _checked(name: str, value: str, plug_in: Callable[..., Any]) -> SlabLabeller:
    def label(
        volume: NDArray[np.float32], voxel_nm: tuple[float, float, float], modality: str
    ) -> tuple[NDArray[np.uint8], list[str]]:
        try:
            # A copy: a plug-in that works in place must not change what others see.
            found = plug_in(volume.copy(), voxel_nm, modality)
        except Exception as error:
            raise RuntimeError(
                f"The tomogram labeller {name!r} ({value}) failed: {error}. Mend it, or choose another in the study's "
                "settings."
            ) from error
        labels = np.asarray(found)
        wrong = None
        if labels.shape != volume.shape:
            wrong = f"an array of shape {labels.shape} for a volume of {volume.shape}"
        elif not np.issubdtype(labels.dtype, np.integer):
            wrong = f"{labels.dtype} instead of whole numbers"
        elif labels.size and (labels.min() < 0 or labels.max() > max(LABEL_NAMES)):
            wrong = f"codes from {labels.min()} to {labels.max()}"
        if wrong:
            raise RuntimeError(
                f"The tomogram labeller {name!r} ({value}) returned {wrong}. It must return codes (z, y, x) from 0 to "
                f"{max(LABEL_NAMES)}: {', '.join(LABEL_NAMES.values())}."
            )
        warnings = [] if labels.any() else [f"{NO_CELL}: {name} labelled everything outside."]
        return labels.astype(np.uint8), warnings

    return label
