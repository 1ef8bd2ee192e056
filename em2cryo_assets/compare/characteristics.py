"""Who provides each characteristic, on which scale it is compared, and in which family.

Belongs here: one entry a characteristic, with the side of the model, the references that can show it and
the sentence for those that cannot. Does not belong here: tolerances (`margins`), controls
(`scalar_controls`, `distances`), numbers of a study.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from em2cryo_assets.compare.record import SLAB_MODALITIES, WHOLE_CELL_MODALITIES
from em2cryo_assets.vocabulary import ORGANELLES

__all__ = ["CHARACTERISTICS", "MEANINGS", "Characteristic"]

Scale = Literal["difference", "ratio", "distance", "order"]


@dataclass(frozen=True)
class Characteristic:
    """How one characteristic is compared.

    Parameters
    ----------
    name : str
        As in the measurement tables.
    family : str
        Rows that are tested together share the error level.
    unit : str
        Unit of the estimates; empty for pure numbers.
    scale : str
        "difference" of means; "ratio" of means on the log scale; "distance" (excess over real against
        real); "order" (reported, never judged).
    model_side : str
        "sem", "tem" or "pairs".
    modalities : tuple of str
        Reference modalities that show it.
    elsewhere : str
        Why every other modality does not; no full stop.
    exploratory : bool
        No tolerance was laid down for it in the study's plan: kept apart, and rated by
        Benjamini-Hochberg in place of Holm.
    weighted : bool
        A ratio of sums over the population, so that units count by the size of their denominator.
    """

    name: str
    family: str
    unit: str
    scale: Scale
    model_side: Literal["sem", "tem", "pairs"]
    modalities: tuple[str, ...]
    elsewhere: str
    exploratory: bool = False
    weighted: bool = False


_PART = "a tomogram holds less than a hundredth of a cell; it takes whole-cell volumes (soft X-ray, FIB-SEM)"
_CHOSEN = "the field of a tomogram is chosen by a person, so its shares are not those of the cell"
_WALL = "a voxel of such a volume is about as thick as the wall, and vitreous sections are compressed by 30-60 %"
_INSIDE = "it takes a labelled volume with cytoplasm in view"


def _shape(name: str, unit: str = "", *, family: str = "shape", exploratory: bool = False) -> Characteristic:
    return Characteristic(
        name, family, unit, "difference", "sem", WHOLE_CELL_MODALITIES, _PART, exploratory=exploratory
    )


def _fraction(organelle: str) -> Characteristic:
    return Characteristic(
        f"fraction_{organelle}", "interior", "", "ratio", "tem", WHOLE_CELL_MODALITIES, _CHOSEN, weighted=True
    )


def _texture(name: str, unit: str, *, exploratory: bool = False) -> Characteristic:
    modalities = SLAB_MODALITIES + WHOLE_CELL_MODALITIES
    return Characteristic(name, "texture", unit, "distance", "pairs", modalities, _INSIDE, exploratory=exploratory)


_ALL: Final = (
    _shape("log_volume", "ln µm³"),
    Characteristic(
        "log_wall_radius",
        "shape",
        "ln nm",
        "difference",
        "sem",
        SLAB_MODALITIES + WHOLE_CELL_MODALITIES,
        "it takes an arc of the wall in depth, which an overview does not give",
    ),
    _shape("axis_ratio"),
    Characteristic(
        "outline_axis_ratio",
        "shape",
        "",
        "difference",
        "sem",
        ("overview",),
        "it takes maps of lamellae with whole outlines of frozen cells",
    ),
    Characteristic(
        "silhouette_axis_ratio",
        "shape",
        "",
        "difference",
        "sem",
        ("overview",),
        "it takes maps of whole frozen cells with whole outlines",
    ),
    _shape("sphericity", exploratory=True),
    _shape("axial_asymmetry", family="symmetry"),
    _shape("mirror_asymmetry", family="symmetry", exploratory=True),
    Characteristic("wall_thickness", "interior", "nm", "ratio", "tem", ("lamella", "fib-sem"), _WALL),
    _fraction("nucleus"),
    _fraction("vacuole"),
    _fraction("mitochondrion"),
    _fraction("lipid_droplet"),
    _texture("depth_profile", "SD of cytoplasm"),
    _texture("density_distribution", "SD of cytoplasm"),
    _texture("power_spectrum", "ln power"),
    _texture("autocorrelation_length", "ln nm", exploratory=True),
    Characteristic(
        "contrast_order",
        "modality",
        "Kendall τ",
        "order",
        "pairs",
        SLAB_MODALITIES + WHOLE_CELL_MODALITIES,
        "a stained section and vitreous ice show different things",
    ),
)

CHARACTERISTICS: Final[Mapping[str, Characteristic]] = MappingProxyType({c.name: c for c in _ALL})
"""Every characteristic in the order of the report."""

_RMS: Final = "the distance of two is the root mean square of their difference"

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "log_volume": "natural logarithm of the volume of a cell",
        "log_wall_radius": "natural logarithm of the radius of the sphere of a cell's volume; in a slab that of the wall's "
        "arc over the cosine of its inclination, r/cos β",
        "axis_ratio": "longest over shortest semi-axis of the ellipsoid of equal inertia",
        "outline_axis_ratio": "long over short axis of the outlines that random planes cut from a cell",
        "silhouette_axis_ratio": "long over short axis of the outlines that a cell shows from random directions",
        "sphericity": "π^⅓ (6 V)^⅔ / A of volume V and surface A; 1 for a sphere",
        "axial_asymmetry": "η = √(Σ |c_lm|², l ≥ 2, m ≠ 0) / |c_00| of the radius in spherical harmonics about "
        "the long axis",
        "mirror_asymmetry": "M = ‖f − σf‖² / 4‖f‖² of the radius f and its mirror image σf",
        "wall_thickness": "thickness of the cell wall along its normal",
        **{f"fraction_{name}": f"share of the cell's volume that is {name.replace('_', ' ')}" for name in ORGANELLES},
        "depth_profile": f"mean density by depth below the wall, in bins of 15 nm; {_RMS}",
        "density_distribution": "distribution of the density within each label; the distance of two is Wasserstein-1, "
        "averaged over labels",
        "power_spectrum": f"logarithm of the power of the interior by frequency in the plane of the slab; {_RMS}",
        "autocorrelation_length": "logarithm of the length over which the texture of the interior resembles itself, "
        f"along each axis; {_RMS}",
        "contrast_order": "whether labels follow each other in density as in the tomogram: 1 for the same order, "
        "−1 for the opposite one",
    }
)
"""What each characteristic is, for a reader of the tables; how it is computed stands with the functions."""
