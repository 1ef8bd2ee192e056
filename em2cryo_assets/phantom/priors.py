"""What the simulated population is made of, in one table.

Belongs here: every number that describes the simulated cells, with its unit and where it comes from.
Does not belong here: intensities of a microscope (`contrast`), numbers of files in a study (`study`).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

__all__ = ["PRIORS", "Prior", "draw"]

_ASSUMED = "assumed"


@dataclass(frozen=True)
class Prior:
    """A normal distribution cut off at both ends.

    Parameters
    ----------
    mean, sd : float
        Of the normal distribution before it is cut off.
    low, high : float
        Values outside are drawn again.
    unit : str
        Unit of all four numbers, "" for ratios.
    source : str
        A publication, or "assumed".
    """

    mean: float
    sd: float
    low: float
    high: float
    unit: str
    source: str


PRIORS: Final = MappingProxyType(
    {
        # -- the outer surface ------------------------------------------------------------------
        "equivalent_radius": Prior(
            2250, 70, 2000, 2500, "nm", "haploid, 42 µm³ or more: Jorgensen 2007; spread assumed"
        ),
        "axis_ratio": Prior(1.17, 0.06, 1.02, 1.40, "", "long over middle axis; assumed, Jorgensen 2002"),
        "short_over_middle": Prior(0.95, 0.03, 0.86, 1.00, "", _ASSUMED),
        "egg": Prior(0.020, 0.010, 0.0, 0.045, "", "pear shape, share of the radius; assumed"),
        "unevenness": Prior(0.0, 0.006, -0.015, 0.015, "", "smooth bumps, share of the radius; assumed"),
        "drying_linear": Prior(0.85, 0.02, 0.80, 0.90, "", "critical-point drying; assumed"),
        # -- budding ------------------------------------------------------------------------------
        "budded_fraction": Prior(0.12, 0.0, 0.0, 1.0, "", "stationary culture, most cells unbudded; assumed"),
        "bud_radius": Prior(0.50, 0.14, 0.25, 0.75, "", "bud over mother, linear; assumed"),
        "bud_angle": Prior(0.0, 25.0, -70.0, 70.0, "deg", "from the long axis: bipolar; Chant 1995"),
        "scars": Prior(1.6, 1.2, 0.0, 4.0, "", "bud scars a cell; assumed"),
        "scar_radius": Prior(420, 40, 330, 520, "nm", "ring of chitin, 1 µm across; assumed"),
        "scar_height": Prior(70, 15, 40, 110, "nm", _ASSUMED),
        "furrow_amplitude": Prior(7, 2, 5, 15, "nm", "of the wall's outer face, beside scars; assumed"),
        "furrow_length": Prior(300, 40, 220, 380, "nm", "wavelength of furrows; assumed"),
        # -- shells -------------------------------------------------------------------------------
        "wall_thickness": Prior(150, 14, 110, 195, "nm", "100 to 200 nm; Klis 2006"),
        "membrane_thickness": Prior(10, 0.0, 1, 100, "nm", "stained bilayer with its shoulder; assumed"),
        "envelope_thickness": Prior(30, 0.0, 1, 100, "nm", "two membranes and the lumen; assumed"),
        "leaflet_thickness": Prior(2.0, 0.0, 1, 10, "nm", "dense line of a stained membrane: Robertson 1959"),
        "core_thickness": Prior(3.5, 0.0, 1, 10, "nm", "light line between them, 7.5 nm in all: Robertson 1959"),
        "pores": Prior(12, 0.0, 0, 40, "1/µm² of envelope", "65 to 182 a haploid nucleus, Winey 1997; assumed"),
        "pore_radius": Prior(49, 0.0, 1, 100, "nm", "nuclear pore complex, 98 nm across: Kim 2018"),
        "pore_channel_radius": Prior(21, 0.0, 1, 100, "nm", "about 42 nm across: Kim 2018"),
        "pore_spacing": Prior(130, 0.0, 1, 1000, "nm", "least distance between two centres; assumed"),
        "reticulum_depth": Prior(
            35, 0.0, 1, 40, "nm", "cortical ER below the plasma membrane's inner face, about 33: West 2011"
        ),
        "reticulum_cover": Prior(0.32, 0.06, 0.20, 0.45, "", "of the cortex, 20 to 45 %: West 2011"),
        "reticulum_length": Prior(900, 120, 600, 1200, "nm", "wavelength of its patches and holes; assumed"),
        # -- bodies inside ------------------------------------------------------------------------
        "nucleus_fraction": Prior(0.072, 0.006, 0.055, 0.09, "", "of the cell volume; Jorgensen 2007"),
        "vacuole_fraction": Prior(0.095, 0.035, 0.03, 0.18, "", "of the cell volume; assumed"),
        "vacuole_lobes": Prior(1.0, 0.9, 0.5, 3.49, "", "rounded: one in 60, two in 34, three in 6 of 100; assumed"),
        "lobe_gap": Prior(30, 0.0, 1, 200, "nm", "cytoplasm between two lobes of a vacuole; assumed"),
        "mitochondria": Prior(6, 1.2, 3, 9, "", "tubes a cell; assumed"),
        "mitochondrion_length": Prior(3400, 900, 1500, 6000, "nm", _ASSUMED),
        "mitochondrion_radius": Prior(190, 20, 140, 240, "nm", "0.2 to 0.6 µm wide; assumed"),
        "branched_fraction": Prior(0.6, 0.0, 0.0, 1.0, "", "of mitochondria, where there is room; assumed"),
        "droplets": Prior(12, 3, 5, 20, "", "lipid droplets a cell; assumed"),
        "droplet_radius": Prior(230, 45, 140, 340, "nm", _ASSUMED),
        "ribosomes": Prior(1.5e4, 0.0, 0.0, 1e5, "1/µm³ of cytoplasm", _ASSUMED),
        "ribosome_radius": Prior(12.5, 0.0, 1, 100, "nm", "25 nm across"),
        "gap": Prior(70, 0.0, 1, 1000, "nm", "least distance between two bodies; assumed"),
    }
)
"""Everything the population is drawn from, by name."""


def draw(name: str, rng: np.random.Generator) -> float:
    """One value of a prior.

    Parameters
    ----------
    name : str
        Key of `PRIORS`.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    float
        In the unit of the prior.
    """
    prior = PRIORS[name]
    while True:
        value = float(rng.normal(prior.mean, prior.sd))
        if prior.low <= value <= prior.high:
            return value
