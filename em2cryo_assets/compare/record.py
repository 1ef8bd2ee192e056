"""What is recorded of a tomogram, as far as a comparison must know it.

Belongs here: the record that degradation and measurement read, what it leaves to be assumed, and the
sentence that says why a volume cannot be compared at all. Does not belong here: reading files
(`cryoet.mrc`), fitting arcs (`cryoet.arcs`), or any computation on densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.vocabulary import LABELS, SLAB_MODALITIES, WHOLE_CELL_MODALITIES

__all__ = [
    "ASSUMED_TILTS_DEG",
    "CRYO_SECTION_COMPRESSION",
    "MIN_CYTOPLASM",
    "MIN_SUPPORT",
    "SLAB_MODALITIES",
    "WHOLE_CELL_MODALITIES",
    "Arc",
    "TomogramRecord",
    "why_not_comparable",
]

ASSUMED_TILTS_DEG: Final = tuple(float(t) for t in range(-60, 61, 3))
"""The tilt scheme of a usual lamella, taken where none was recorded (and then said)."""

CRYO_SECTION_COMPRESSION: Final = (0.30, 0.60)
"""Range of the shortening of vitreous sections along the cutting direction (Al-Amoudi et al. 2005,
J. Struct. Biol. 150:109); drawn uniformly where a section does not record its own."""

MIN_SUPPORT: Final = 200
"""Voxels below which a label is too small to be described."""


MIN_CYTOPLASM: Final = 4000
"""Voxels of cytoplasm below which a volume is not compared: about 16³."""


class Arc(Protocol):
    """The part of a fitted wall arc (`cryoet.arcs`) that the comparison reads."""

    @property
    def normal_radius_nm(self) -> float:
        """Radius of the sphere that the slab would cut so, nm."""

    @property
    def log_normal_radius_se(self) -> float:
        """Standard error of its natural logarithm."""

    @property
    def inclination_deg(self) -> float:
        """Angle β between the surface normal and the plane of the slab, degrees."""

    @property
    def usable(self) -> bool:
        """Whether the fit can be relied on."""

    @property
    def reason(self) -> str:
        """Why not, if not."""


@dataclass(frozen=True)
class TomogramRecord:
    """A tomogram without its voxels.

    Parameters
    ----------
    shape : tuple of int
        Voxels along (z, y, x).
    voxel_nm : tuple of float
        Voxel sides along (z, y, x), nm.
    modality : str
        One of `SLAB_MODALITIES`, `WHOLE_CELL_MODALITIES`, or "overview".
    tilts_deg : tuple of float or None
        Recorded tilts about y, degrees; None where not recorded.
    snr : float or None
        Signal-to-noise ratio (ratio of variances) at this voxel; None where not measured.
    arc : Arc or None
        The outer wall's fitted arc, None where no wall is in view.
    unit : str
        The independent cell that was imaged; empty means the tomogram's own key.
    denoised : bool
        Whether a denoiser or a wedge-filling network touched the volume.
    compression : float or None
        Share by which the knife shortened a cryo-section along its path; None where not recorded.
    """

    shape: tuple[int, int, int]
    voxel_nm: tuple[float, float, float]
    modality: str
    tilts_deg: tuple[float, ...] | None = None
    snr: float | None = None
    arc: Arc | None = None
    unit: str = ""
    denoised: bool = False
    compression: float | None = None

    def fallbacks(self) -> list[str]:
        """Sentences on what a comparison has to assume because it was not recorded."""
        said = []
        if self.modality in SLAB_MODALITIES and self.tilts_deg is None:
            said.append("No tilts recorded: -60 to 60 degrees in steps of 3 assumed for the missing wedge.")
        if self.modality in WHOLE_CELL_MODALITIES and self.tilts_deg is None:
            said.append("No tilts recorded: complete angular coverage assumed.")
        if self.modality == "cryo-section" and self.compression is None:
            low, high = CRYO_SECTION_COMPRESSION
            said.append(f"Compression by the knife not recorded: drawn between {low:.0%} and {high:.0%}.")
        if self.snr is None:
            said.append("No signal-to-noise ratio recorded: estimated from the spatial spectrum of the volume.")
        return said


def why_not_comparable(labels: NDArray[np.integer], modality: str) -> str:
    """Why this labelled volume cannot be paired with any cell; the empty string where it can.

    Callers ask before pairing (leave the tomogram out of `plan_pairs`) and print the sentence as the
    reason of *not assessable*; `compare_pair` asks too and then returns empty vectors.

    Parameters
    ----------
    labels : numpy.ndarray, integer, shape (z, y, x)
        Vocabulary codes.
    modality : str
        As in `TomogramRecord`.

    Returns
    -------
    str
        One sentence without a full stop, or "".
    """
    if modality not in SLAB_MODALITIES + WHOLE_CELL_MODALITIES:
        return f"a volume of modality {modality or 'unknown'} shows no interior in three dimensions"
    if not (labels != LABELS["outside"]).any():
        return "no cell found: every voxel was labelled as outside"
    if np.count_nonzero(labels == LABELS["cytoplasm"]) < MIN_CYTOPLASM:
        return f"too little cytoplasm found: fewer than {MIN_CYTOPLASM} voxels to normalise the density by"
    return ""
