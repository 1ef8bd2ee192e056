"""How dense each material of a simulated cell is under each kind of microscope.

Belongs here: the list of materials, the label each carries, and density tables (arbitrary units, high =
dense). Does not belong here: geometry, noise, blur.
"""

from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.vocabulary import LABELS

__all__ = ["CONTRASTS", "MATERIALS", "density", "jittered", "nominal"]

MATERIALS: Final = (
    "outside",
    "wall",
    "membrane",
    "cytoplasm",
    "nucleus",
    "vacuole",
    "mitochondrion",
    "lipid_droplet",
    "fringe",
    "envelope",
    "nucleolus",
    "cristae",
)
"""What a point can be made of: the labels in their order, then finer parts of them."""

LABEL_OF_MATERIAL: Final = np.array(
    [
        LABELS[{"fringe": "wall", "envelope": "nucleus", "nucleolus": "nucleus", "cristae": "mitochondrion"}.get(m, m)]
        for m in MATERIALS
    ],
    dtype=np.uint8,
)
"""Label code of each material, uint8, shape (12,). Envelopes count as part of what they enclose."""

CONTRASTS: Final = MappingProxyType(
    {
        "tem": MappingProxyType(
            dict(
                outside=0.10,
                wall=0.25,
                membrane=0.85,
                cytoplasm=0.55,
                nucleus=0.43,
                vacuole=0.20,
                mitochondrion=0.72,
                lipid_droplet=0.08,
                fringe=0.33,
                envelope=0.74,
                nucleolus=0.55,
                cristae=0.84,
            )
        ),
        "cryo": MappingProxyType(
            dict(
                outside=0.10,
                wall=0.36,
                membrane=0.75,
                cytoplasm=0.48,
                nucleus=0.42,
                vacuole=0.22,
                mitochondrion=0.60,
                lipid_droplet=0.30,
                fringe=0.38,
                envelope=0.66,
                nucleolus=0.50,
                cristae=0.70,
            )
        ),
        "soft-x-ray": MappingProxyType(
            dict(
                outside=0.08,
                wall=0.34,
                membrane=0.40,
                cytoplasm=0.36,
                nucleus=0.28,
                vacuole=0.17,
                mitochondrion=0.42,
                lipid_droplet=0.75,
                fringe=0.34,
                envelope=0.34,
                nucleolus=0.32,
                cristae=0.42,
            )
        ),
    }
)
"""Density of each material: heavy-metal stain in resin, vitreous ice, absorption of 2.4 nm X-rays.
Orders follow what such pictures show; the numbers are assumed and nothing may rely on them."""


def jittered(modality: str, rng: np.random.Generator, share: float = 0.03) -> NDArray[np.float32]:
    """Vary a density table as one specimen shows it.

    Parameters
    ----------
    modality : str
        Key of `CONTRASTS`.
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    share : float
        Standard deviation of the factor on each material's difference from the outside.

    Returns
    -------
    numpy.ndarray, float32, shape (12,)
        In the order of `MATERIALS`.
    """
    table = nominal(modality).astype(np.float64)
    factors = 1.0 + share * np.clip(rng.normal(size=len(table)), -2, 2)
    return np.asarray(table[0] + (table - table[0]) * factors, dtype=np.float32)


def nominal(modality: str) -> NDArray[np.float32]:
    """Density table without variation, float32, shape (12,), in the order of `MATERIALS`."""
    return np.array([CONTRASTS[modality][name] for name in MATERIALS], dtype=np.float32)


def density(coverage: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix densities by the share of each material: (12, ...) and (12,) to (...)."""
    return np.asarray(np.tensordot(table, coverage, axes=1), dtype=np.float32)
