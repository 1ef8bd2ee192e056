"""What the interior of one fused cell is made of, read from the atlas.

Belongs here: turning population tables into shell widths, organelle volumes, densities by depth, and what to
assume where the atlas is silent.
Does not belong here: positions (`fusion.organelles`), voxels (`fusion.volume`).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.fusion.organelles import Demand
from em2cryo_assets.tem.atlas import Atlas
from em2cryo_assets.tem.measure import DEPTH_BINS
from em2cryo_assets.vocabulary import LABELS, ORGANELLES, SOURCES

__all__ = ["MEMBRANE_NM", "Recipe", "recipe_from"]

MEMBRANE_NM = 8.0
"""Bilayer with its stain or head groups, edge to edge; thinner than any section resolves."""
_WALL_NM = 150.0
_WALL_SD_NM = 30.0
_WIDTH_NM = 300.0
# Order of stained density only, in units of cytoplasm minus wall; used where no section gives a value.
_ORDER = {
    "outside": -1.5,
    "wall": -1.0,
    "membrane": 1.0,
    "cytoplasm": 0.0,
    "nucleus": -0.4,
    "vacuole": -1.15,
    "mitochondrion": 0.6,
    "lipid_droplet": -1.5,
}
_ASSUMED_STEP = 4.0
_LARGEST_INSIDE = 0.75
"""Share of the cell organelles may fill together: beyond it nothing can be placed without contact."""


@dataclass(frozen=True)
class Recipe:
    """Numbers behind one fused cell.

    Parameters
    ----------
    wall_nm, wall_sd_nm : float
        Wall thickness and its SD between cells.
    membrane_nm : float
        Width at which the membrane is drawn: at least one voxel.
    demands : tuple of Demand
        Organelles in order of placement.
    spread : tuple of float
        SD of the log volume of each demand, for the realisations.
    preference : dict
        Label to relative weight by depth bin.
    means, sds : numpy.ndarray, float32, shape (labels, bins)
        Density by label and depth.
    envelope : float
        Density of a membrane.
    sources : numpy.ndarray, uint8, shape (labels,)
        Source code by label.
    """

    wall_nm: float
    wall_sd_nm: float
    membrane_nm: float
    demands: tuple[Demand, ...]
    spread: tuple[float, ...]
    preference: dict[str, NDArray[np.float64]]
    means: NDArray[np.float32]
    sds: NDArray[np.float32]
    envelope: float
    sources: NDArray[np.uint8]

    def drawn(self, rng: np.random.Generator) -> "Recipe":
        """Draw the organelle volumes of another cell of the population."""
        demands = tuple(
            replace(d, volume_nm3=d.volume_nm3 * float(np.exp(s * np.clip(rng.normal(), -2, 2) - s**2 / 2)))
            for d, s in zip(self.demands, self.spread, strict=True)
        )
        return replace(self, demands=demands)

    def digest_bytes(self) -> bytes:
        """All content, for a digest."""
        arrays = [self.means, self.sds, self.sources, *(self.preference[k] for k in sorted(self.preference))]
        head = repr((self.wall_nm, self.wall_sd_nm, self.membrane_nm, self.demands, self.spread, self.envelope))
        return head.encode() + b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)


def recipe_from(atlas: Atlas | None, cell_nm3: float, voxel_nm: float) -> tuple[Recipe, list[str]]:
    """Numbers for a cell of this volume.

    Parameters
    ----------
    atlas : Atlas, optional
        Population tables; None for a cell without sections.
    cell_nm3 : float
        Volume of the cell, wall included.
    voxel_nm : float
        Voxel side.

    Returns
    -------
    recipe : Recipe
    fallbacks : list of str
        One sentence for each thing assumed.

    Raises
    ------
    ValueError
        Organelles that fill the whole cell or more.
    """
    fallbacks: list[str] = []
    membrane_nm = max(MEMBRANE_NM, voxel_nm)
    if voxel_nm > MEMBRANE_NM:
        fallbacks.append(
            f"The plasma membrane is drawn one voxel ({voxel_nm:g} nm) thick: "
            f"{MEMBRANE_NM:g} nm cannot be shown at this voxel."
        )
    sources = np.full(len(LABELS), SOURCES["simulation"], np.uint8)
    sources[LABELS["outside"]] = SOURCES["none"]
    sources[LABELS["wall"]] = SOURCES["sem_shape"]
    sources[LABELS["membrane"]] = SOURCES["prior"]
    sources[LABELS["cytoplasm"]] = SOURCES["tem_atlas"]

    wall_nm, wall_sd_nm = _wall(atlas)
    if not np.isfinite(wall_nm):
        wall_nm, wall_sd_nm = _WALL_NM, _WALL_SD_NM
        sources[LABELS["wall"]] = SOURCES["prior"]
        fallbacks.append(f"No section gives a wall: {_WALL_NM:g} nm assumed.")
    fractions = _fractions(atlas)
    if not fractions:
        sources[LABELS["cytoplasm"]] = SOURCES["prior"]
        fallbacks.append("No interior atlas: the inside is plain cytoplasm, its densities an order only.")
    demands, spread = _demands(atlas, fractions, cell_nm3, fallbacks)
    means, sds, step = _densities(atlas, fallbacks if fractions else [])
    # A section at 20 nm blurs the bilayer into the wall: its own density is read from no section.
    share = MEMBRANE_NM / membrane_nm
    envelope = _ORDER["membrane"] * step
    means[LABELS["membrane"]] = share * envelope + (1 - share) * means[LABELS["cytoplasm"]]
    fallbacks.append("Membrane density is an assumption: as far above cytoplasm as the wall lies below it.")
    recipe = Recipe(
        wall_nm,
        wall_sd_nm,
        membrane_nm,
        demands,
        spread,
        _preference(atlas),
        means,
        sds,
        envelope,
        sources,
    )
    return recipe, fallbacks


def _wall(atlas: Atlas | None) -> tuple[float, float]:
    if atlas is None or not len(atlas.tables["wall"]):
        return float("nan"), float("nan")
    row = atlas.tables["wall"].iloc[0]
    mean, sd = float(row["mean_nm"]), float(row["sd_nm"])
    return mean, sd if np.isfinite(sd) else _WALL_SD_NM


def _fractions(atlas: Atlas | None) -> dict[str, tuple[float, float]]:
    """Volume fraction and SD of its log between cells, of each organelle the atlas knows."""
    if atlas is None:
        return {}
    table = atlas.tables["fractions"].set_index("label")
    measured = atlas.tables["measurements"]
    result = {}
    for label in ORGANELLES:
        value = float(table["v_v"].get(label, np.nan))
        if np.isfinite(value):
            # Single sections say little about between-cell spread (most of it is where the plane fell), so
            # the uncertainty of the mean is used, bounded to a third.
            low, high = float(table["low"].get(label, np.nan)), float(table["high"].get(label, np.nan))
            known = value > 0 and np.isfinite(low) and np.isfinite(high) and len(measured) > 0
            result[label] = (
                value,
                float(np.clip((high - low) / 3.29 / value, 0.05, 0.33)) if known else 0.33,
            )
    return result


def _demands(
    atlas: Atlas | None, fractions: dict[str, tuple[float, float]], cell_nm3: float, fallbacks: list[str]
) -> tuple[tuple[Demand, ...], tuple[float, ...]]:
    """Volumes and typical widths, large kinds first."""
    if atlas is None:
        return (), ()
    sizes = atlas.tables["sizes"].set_index("label")
    total = sum(v for v, _ in fractions.values())
    if total >= 1:
        raise ValueError(
            f"The atlas gives organelles {total:.0%} of the cell. Fractions are shares of one cell: look at the labels of "
            "the sections behind it."
        )
    scale = 1.0
    if total > _LARGEST_INSIDE:
        scale = _LARGEST_INSIDE / total
        fallbacks.append(f"Organelles add up to {total:.0%} of the cell: scaled down to {_LARGEST_INSIDE:.0%}.")
    demands, spread = [], []
    for label, (v_v, sd) in fractions.items():
        if v_v <= 0:
            fallbacks.append(f"No {label} was seen in any section: none is placed.")
            continue
        width = _width_nm(sizes, label, fallbacks)
        if label == "mitochondrion":
            # E of the inscribed width of random cuts through a tube is its width; the length shows in no
            # section.
            fallbacks.append("The length of mitochondria shows in no section: four times their width assumed.")
        demands.append(Demand(label, v_v * scale * cell_nm3, width))
        spread.append(sd)
    return tuple(demands), tuple(spread)


def _width_nm(sizes: pd.DataFrame, label: str, fallbacks: list[str]) -> float:
    """Diameter of bodies whose number times their volume is right; across, for mitochondria."""
    row: dict[str, Any] = dict(sizes.loc[label]) if label in sizes.index else {}
    if label == "mitochondrion":
        width = float(row.get("width_nm", np.nan))
    else:
        # (E[D³])^⅓ of a lognormal distribution.
        mean, sd = float(row.get("diameter_nm", np.nan)), float(row.get("diameter_sd_nm", np.nan))
        width = mean * (1 + (sd / mean) ** 2) if mean > 0 else float("nan")
    if width > 0:
        return width
    area = float(row.get("mean_area_um2", np.nan))
    if area > 0:
        # Of equal spheres E[a] = π D² / 6. A nucleus is one body, whatever its size.
        if label != "nucleus":
            fallbacks.append(f"Few profiles of {label}: its bodies are taken as equally large.")
        return 1000.0 * float(np.sqrt(6.0 * area / np.pi))
    fallbacks.append(f"No profile tells the size of a {label}: {_WIDTH_NM:g} nm assumed.")
    return _WIDTH_NM


def _preference(atlas: Atlas | None) -> dict[str, NDArray[np.float64]]:
    """p(label | depth) relative to its mean, as the weight of positions."""
    if atlas is None or not len(atlas.tables["depth"]):
        return {}
    table = atlas.tables["depth"]
    result = {}
    for label in ORGANELLES:
        rows = table[(table["label"] == label) & (table["s_bin"] >= 0)]
        weight = np.zeros(DEPTH_BINS)
        weight[rows["s_bin"].to_numpy(int)] = rows["p"].to_numpy(float)
        if weight.sum() > 0:
            # A twentieth everywhere: a handful of profiles must not forbid a depth.
            result[label] = weight / weight.sum() + 0.05 / DEPTH_BINS
    return result


def _densities(atlas: Atlas | None, fallbacks: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Mean and SD of density by label and depth bin, and cytoplasm minus wall."""
    means = np.zeros((len(LABELS), DEPTH_BINS), np.float32)
    sds = np.zeros_like(means)
    table = atlas.tables["depth"] if atlas is not None else pd.DataFrame(columns=["label", "s_bin"])
    wall = table[table["label"] == "wall"]
    step = _ASSUMED_STEP
    if len(wall):
        step = max(
            -float(np.average(wall["density_mean"].to_numpy(float), weights=wall["n_px"].to_numpy(float))),
            1.0,
        )
    for label, code in LABELS.items():
        rows = table[table["label"] == label]
        if label == "membrane":
            sds[code] = 1.0
            continue
        if not len(rows) or rows["n_px"].sum() < 20:
            means[code], sds[code] = _ORDER[label] * step, 1.0
            fallbacks.append(f"No section gives a density for {label}: its place in the usual order is assumed.")
            continue
        weights = rows["n_px"].to_numpy(float)
        means[code] = np.average(rows["density_mean"].to_numpy(float), weights=weights)
        # Partial pixels at edges widen the pooled SD; the median over bins is that of the bulk.
        sds[code] = float(np.median(rows["density_sd"].to_numpy(float)))
        deep = rows[(rows["s_bin"] >= 0) & (rows["n_px"] >= 200)]
        if label == "cytoplasm" and len(deep):
            means[code] = np.interp(
                np.arange(DEPTH_BINS), deep["s_bin"].to_numpy(float), deep["density_mean"].to_numpy(float)
            )
    return means, sds, step
