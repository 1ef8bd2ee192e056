"""The tolerances of every characteristic, fixed before any study was looked at.

Belongs here: δ, the scale it acts on and the reason for its size; nothing else may hold one.
Does not belong here: tests against a margin (`statistics`, `verdicts`) or who measures what
(`characteristics`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from types import MappingProxyType
from typing import Final

__all__ = ["MARGINS", "Margin"]


@dataclass(frozen=True)
class Margin:
    """A tolerance and why it is as large as it is.

    Parameters
    ----------
    delta : float
        Half-width, on the scale of the difference: absolute, natural logarithm of a ratio, or the excess
        of a distance.
    text : str
        δ as it is printed.
    reason : str
        Why this size; one sentence.
    """

    delta: float
    text: str
    reason: str


_AXIS = "a twentieth of the short axis: a third of the elongation of an unbudded yeast (long/short about 1.17)"
_SHARE = "within reach of some tens of sections for a large organelle; a nucleus of 7 % may read 5.8 to 8.4 %"

MARGINS: Final[Mapping[str, Margin]] = MappingProxyType(
    {
        "log_volume": Margin(
            log(1.25),
            "± ln 1.25",
            "a third of the log-volume step from a haploid to a diploid cell (factor 2)",
        ),
        "log_wall_radius": Margin(
            log(1.10),
            "± ln 1.10",
            "somewhat below half of the step in radius from haploid to diploid (factor 1.26)",
        ),
        "axis_ratio": Margin(0.05, "± 0.05", _AXIS),
        "outline_axis_ratio": Margin(0.05, "± 0.05", _AXIS),
        "silhouette_axis_ratio": Margin(0.05, "± 0.05", _AXIS),
        "sphericity": Margin(
            0.02, "± 0.02", "about a sixth of the step from a single cell (.99) to one with a large bud (.87)"
        ),
        "axial_asymmetry": Margin(
            0.01,
            "± 0.01",
            "1 % of the mean radius: about one pixel of 20 nm",
        ),
        "mirror_asymmetry": Margin(
            0.0025,
            "± 0.0025",
            "M is a square: an odd part of 5 % of the radius, as in the tolerance of the axis ratio",
        ),
        "wall_thickness": Margin(
            log(1.15),
            "± 15 % (ln 1.15)",
            "ignoring an 80 nm section's thickness misreads the wall by 25 %, so less must count",
        ),
        "fraction_nucleus": Margin(log(1.20), "± 20 % (ln 1.20)", _SHARE),
        "fraction_vacuole": Margin(log(1.20), "± 20 % (ln 1.20)", _SHARE),
        "fraction_mitochondrion": Margin(log(1.20), "± 20 % (ln 1.20)", _SHARE),
        "fraction_lipid_droplet": Margin(log(1.20), "± 20 % (ln 1.20)", _SHARE),
        "depth_profile": Margin(
            0.15,
            "excess < 0.15",
            "less than half of the distance between two single cells (.4 SD of the cytoplasm)",
        ),
        "density_distribution": Margin(
            0.15,
            "excess < 0.15",
            "about a seventh of the spread of the cytoplasm, which is the unit",
        ),
        "power_spectrum": Margin(
            0.20,
            "excess < 0.20",
            "an RMS of .20 in the logarithm is 22 % of power, the scatter of focus and dose",
        ),
        "autocorrelation_length": Margin(
            log(1.25),
            "excess < ln 1.25",
            "a quarter of the length; finer steps are below one voxel of a usual tomogram",
        ),
    }
)
"""Characteristic to margin. The contrast order has none: it is reported, never judged."""
