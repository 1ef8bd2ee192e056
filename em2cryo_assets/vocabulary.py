"""The label and source codes every modality shares, the kinds of modality, and the verdicts' names.

Belongs here: codes and names, as written into OME-Zarr labels and tables.
Does not belong here: intensities, colours, priors or anything that differs between modalities.
"""

from types import MappingProxyType
from typing import Final

__all__ = [
    "LABELS",
    "LABEL_NAMES",
    "LEAST_VOXEL_NM",
    "ORGANELLES",
    "SLAB_MODALITIES",
    "SOURCES",
    "SOURCE_NAMES",
    "VERDICT_NAMES",
    "WHOLE_CELL_MODALITIES",
]

LABELS: Final = MappingProxyType(
    {
        "outside": 0,
        "wall": 1,
        "membrane": 2,
        "cytoplasm": 3,
        "nucleus": 4,
        "vacuole": 5,
        "mitochondrion": 6,
        "lipid_droplet": 7,
    }
)
"""Label name to code; a voxel has exactly one label."""

LABEL_NAMES: Final = MappingProxyType({code: name for name, code in LABELS.items()})

ORGANELLES: Final = ("nucleus", "vacuole", "mitochondrion", "lipid_droplet")
"""What lies inside the plasma membrane and is placed or measured as a body of its own."""

SOURCES: Final = MappingProxyType({"none": 0, "sem_shape": 1, "tem_atlas": 2, "prior": 3, "simulation": 4})
"""Where a voxel of a fused volume came from: nothing (outside), the SEM mesh, the TEM atlas,
a prior from the literature, or a seeded simulation (positions of organelles)."""

SOURCE_NAMES: Final = MappingProxyType({code: name for name, code in SOURCES.items()})

SLAB_MODALITIES: Final = ("lamella", "cryo-section")
"""Thin slabs through cells, reconstructed from a limited range of tilts: they have a missing wedge."""

WHOLE_CELL_MODALITIES: Final = ("soft-x-ray", "fib-sem")
"""Volumes that show cells as a whole, without a missing wedge worth modelling here."""

LEAST_VOXEL_NM: Final = 2.0
"""Side of the smallest voxels of a tomogram that is made or fetched, nm: finer ones hold nothing that is compared, and
eight times the memory at each halving."""

VERDICT_NAMES: Final = MappingProxyType(
    {
        "captured": "재현됨",
        "approximated": "근사적으로 재현",
        "missed": "재현하지 못함",
        "inconclusive": "결론 보류",
        "not assessable": "평가 불가",
    }
)
"""Every verdict in the order of a tally, and its name in Korean."""
