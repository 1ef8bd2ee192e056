"""How simulated sections are stained, far wider than one laboratory's habit.

Belongs here: how dense and how grainy each material is, the range that is trained on and the family that is held out.
Does not belong here: geometry (`phantom`), what the microscope adds (`section_pictures`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.contrast import MATERIALS

__all__ = ["GRAIN_NM", "Stain", "draw_stain", "in_silver_family"]

GRAIN_NM: Final = ((8.0, 20.0), (20.0, 45.0), (45.0, 110.0))
"""Ranges of the correlation lengths of a stain's three textures: as ribosomes, chromatin and glycogen show."""

_COARSE: Final = {"nucleus": 0.05, "vacuole": 0.05, "cytoplasm": 0.03}
_GRAINIEST: Final = 0.05


@dataclass(frozen=True)
class Stain:
    """One specimen's stain.

    Parameters
    ----------
    density : numpy.ndarray, float32, shape (12,)
        Of each material of `phantom.contrast.MATERIALS`; resin near 0, the darkest near 1.
    grain : numpy.ndarray, float32, shape (12, 3)
        Standard deviation of each material's fine, middle and coarse texture.
    grain_nm : tuple of float
        Correlation lengths of the three textures.
    clumps : float
        Density of clumps in the cytoplasm (glycogen, free ribosomes) over what surrounds them; 0 for none.
    granules : float
        Density of granules in the vacuole (polyphosphate) over what surrounds them; 0 for none.
    """

    density: NDArray[np.float32]
    grain: NDArray[np.float32]
    grain_nm: tuple[float, float, float]
    clumps: float
    granules: float


def in_silver_family(density: NDArray[np.floating]) -> bool:
    """Whether both wall and vacuole are denser than cytoplasm, which no stain that is trained on shows.

    So looks a section after Thiéry's silver proteinate, which stains polysaccharides.
    """
    wall, vacuole, cytoplasm = (density[MATERIALS.index(name)] for name in ("wall", "vacuole", "cytoplasm"))
    return bool(wall > cytoplasm and vacuole > cytoplasm)


def draw_stain(rng: np.random.Generator, *, held_out: bool = False) -> Stain:
    """Draw a stain.

    Order and distance of all levels vary: a vacuole is pale or dark, droplets are black, grey or extracted,
    mitochondria and nuclei are darker or paler than cytoplasm, membranes positively or negatively stained. A nucleus is
    closer to cytoplasm than a vacuole is, as chromatin takes the stain that ribosomes take. Regions
    that touch differ by at least what an eye needs, 0.08 to 0.18 of the scale from resin to the darkest stain.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    held_out : bool
        Draw from the silver family, with coarser clumps, instead of from all others.

    Returns
    -------
    Stain
        All numbers are assumed.
    """
    while True:
        level = _silver(rng) if held_out else _levels(rng)
        density = np.array([level[name] for name in MATERIALS], dtype=np.float32)
        if in_silver_family(density) == held_out:
            break
    grain = rng.uniform(0.0, 1.0, (len(MATERIALS), 3)) ** 2 * _GRAINIEST
    for name, most in _COARSE.items():
        grain[MATERIALS.index(name), 2] += rng.uniform(0.0, most)
    grain[MATERIALS.index("outside")] *= 0.3
    lengths = (float(rng.uniform(*GRAIN_NM[0])), float(rng.uniform(*GRAIN_NM[1])), float(rng.uniform(*GRAIN_NM[2])))
    clumps = float(rng.uniform(-0.10, 0.10)) if rng.random() < 0.25 else 0.0
    if held_out:
        clumps = float(rng.uniform(0.15, 0.30))
    granules = float(rng.uniform(0.1, 0.6)) if rng.random() < 0.3 else 0.0
    return Stain(density, grain.astype(np.float32), lengths, clumps, granules)


def _signed(rng: np.random.Generator, low: float, high: float, darker: float) -> float:
    """A difference of the given size, positive with probability `darker`."""
    return float(rng.uniform(low, high)) * (1.0 if rng.random() < darker else -1.0)


def _apart(rng: np.random.Generator, low: float, high: float, others: list[tuple[float, float]]) -> float:
    """A level that keeps the given distance from each of the others."""
    while True:
        level = float(rng.uniform(low, high))
        if all(abs(level - other) >= least for other, least in others):
            return level


def _levels(rng: np.random.Generator) -> dict[str, float]:
    """Two stains of three in the order that osmium, uranium and lead in resin mostly give, the others in any order."""
    usual = rng.random() < 0.65
    resin, cytoplasm = float(rng.uniform(0.03, 0.18)), float(rng.uniform(0.38, 0.70))
    # A wall darker than cytoplasm is rare, and seen after permanganate.
    high = cytoplasm - 0.10 if usual or rng.random() < 0.7 else 0.95
    wall = _apart(rng, resin + 0.08, max(high, resin + 0.12), [(cytoplasm, 0.10)])
    pale = usual and rng.random() < 0.75
    vacuole = _apart(rng, 0.02, cytoplasm if pale else 0.95, [(cytoplasm, 0.18)])
    return _inside(rng, resin, wall, cytoplasm, vacuole, usual=usual)


def _silver(rng: np.random.Generator) -> dict[str, float]:
    resin, cytoplasm = float(rng.uniform(0.03, 0.12)), float(rng.uniform(0.25, 0.45))
    wall, vacuole = cytoplasm + float(rng.uniform(0.12, 0.40)), cytoplasm + float(rng.uniform(0.18, 0.35))
    return _inside(rng, resin, wall, cytoplasm, vacuole)


def _inside(
    rng: np.random.Generator, resin: float, wall: float, cytoplasm: float, vacuole: float, *, usual: bool = False
) -> dict[str, float]:
    """All levels, given those that tell one family from another."""
    mitochondrion = cytoplasm + _signed(rng, 0.10, 0.28, 1.0 if usual else 0.6)
    nucleus = cytoplasm + _signed(rng, 0.08, 0.16, 0.2 if usual else 0.4)
    droplet = _apart(rng, 0.0, 1.05, [(cytoplasm, 0.15), (vacuole, 0.10), (mitochondrion, 0.08)])
    return {
        "outside": resin,
        "wall": wall,
        "fringe": wall + float(rng.uniform(-0.05, 0.25)),
        "cytoplasm": cytoplasm,
        "membrane": cytoplasm + float(rng.uniform(-0.30, 0.40)),
        "envelope": cytoplasm + float(rng.uniform(-0.15, 0.35)),
        "nucleus": nucleus,
        "nucleolus": nucleus + _signed(rng, 0.02, 0.25, 0.9),
        "vacuole": vacuole,
        "mitochondrion": mitochondrion,
        "cristae": mitochondrion + _signed(rng, 0.0, 0.22, 0.7),
        "lipid_droplet": droplet,
    }
