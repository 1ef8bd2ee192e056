"""The pool of simulated cells and pairs from which studies of known answers are drawn.

Belongs here: its files, and its vectors arranged so that a perfect model and fakes can be made of them. Does not
belong here: drawing studies (`known_studies`), judging them (`calibration`), or making the pool's own study
(`tools/calibration_pool.py`).

A perfect model is another real cell: what a tomogram of one simulated cell shows is compared with what tomograms of
others show. A fake departs from the perfect model as the fake of a pair departs from its own pseudo-3D cell, the same
noise in both. How good the present models are does not enter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.distances import VALID_CONTROLS
from em2cryo_assets.compare.record import SLAB_MODALITIES

__all__ = ["LOGARITHMIC", "RELEASED", "Floats", "Pool", "Vectors", "arranged", "read_pool", "write_pool"]

RELEASED: Final = Path(__file__).with_name("pool")
"""Folder of the pool that ships with the package; how it was made stands in its ``pool.md``."""

LOGARITHMIC: Final = frozenset({"autocorrelation_length"})
"""Characteristics whose vectors are compared as logarithms."""

_FRAMES: Final = ("cells", "tomograms", "sections", "pairs")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Vectors:
    """Vectors of one characteristic, by independent tomogram unit.

    Parameters
    ----------
    units : tuple of str
        Tomogram units that have any.
    bins : numpy.ndarray, int64, shape (b,)
        Bin numbers.
    x : numpy.ndarray, float64, shape (b,)
        Abscissa of the bins.
    real : numpy.ndarray, float64, shape (u, b)
        What the tomograms show; NaN where a bin is empty. Logarithms for `LOGARITHMIC`.
    weight : numpy.ndarray, float64, shape (u, b)
        Support of the bins.
    departures : mapping of str to numpy.ndarray, float64, shape (u, p, b)
        Fake less pseudo-3D cell, of up to p pairs a unit; NaN where there is none.
    """

    units: tuple[str, ...]
    bins: NDArray[np.int64]
    x: Floats
    real: Floats
    weight: Floats
    departures: Mapping[str, Floats]

    @property
    def offset(self) -> Floats:
        """Mean departure of the homogeneous fake, shape (b,): the direction in which a model is made wrong."""
        departures = self.departures["homogeneous"].reshape(-1, self.bins.size)
        counts = np.isfinite(departures).sum(axis=0)
        return np.where(counts > 0, np.nansum(departures, axis=0) / np.maximum(counts, 1), 0.0)


@dataclass(frozen=True)
class Pool:
    """Measurements of a large simulated study.

    Parameters
    ----------
    cells, tomograms, sections : pandas.DataFrame
        Measurement tables (`descriptors.MEASUREMENT_COLUMNS`); cells that may be compared only.
    live_um : float
        Mean diameter of the living cells of the population, µm.
    vectors : mapping of str to Vectors
        By characteristic.
    """

    cells: pd.DataFrame
    tomograms: pd.DataFrame
    sections: pd.DataFrame
    live_um: float
    vectors: Mapping[str, Vectors]


def read_pool(folder: Path = RELEASED) -> Pool:
    """Read a pool.

    Parameters
    ----------
    folder : pathlib.Path
        As `write_pool` leaves it.

    Returns
    -------
    Pool

    Raises
    ------
    FileNotFoundError
        If a file of it is missing.
    """
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _FRAMES}
    live = frames["cells"]["live_cell_diameter_um"].astype(float)
    pairs = frames["pairs"]
    vectors = {name: arranged(pairs, name) for name in VALID_CONTROLS if (pairs["characteristic"] == name).any()}
    return Pool(
        frames["cells"].drop(columns="live_cell_diameter_um"),
        frames["tomograms"],
        frames["sections"],
        float(live.iloc[0]),
        vectors,
    )


def write_pool(
    folder: Path,
    cells: pd.DataFrame,
    tomograms: pd.DataFrame,
    sections: pd.DataFrame,
    pairs: pd.DataFrame,
    live_um: float,
) -> None:
    """Keep what a simulated study measured as a pool.

    Parameters
    ----------
    folder : pathlib.Path
        Made if missing.
    cells, tomograms, sections : pandas.DataFrame
        Measurement tables of all keys.
    pairs : pandas.DataFrame
        Vectors of all pairs (`pairs.PAIR_COLUMNS`).
    live_um : float
        Mean diameter of the living cells, µm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    comparable = cells.groupby("key")["assessable"].transform("any")
    slabs = set(tomograms.loc[tomograms["modality"].isin(SLAB_MODALITIES), "key"])
    kept = pairs[pairs["tomogram"].isin(slabs) & pairs["characteristic"].isin(VALID_CONTROLS)]
    # Single precision: a hundred thousandth of what any bin scatters by.
    kept = kept.astype({"value": np.float32, "weight": np.float32, "x": np.float32})
    frames = {
        "cells": cells[comparable].assign(live_cell_diameter_um=live_um),
        "tomograms": tomograms,
        "sections": sections,
        "pairs": kept,
    }
    for name, frame in frames.items():
        texts = {c: "category" for c in frame.columns if frame[c].dtype == object}
        frame.astype(texts).reset_index(drop=True).to_parquet(
            folder / f"{name}.parquet", compression="zstd", compression_level=19, index=False
        )


def arranged(pairs: pd.DataFrame, characteristic: str) -> Vectors:
    """Arrange the pairs of one characteristic by unit and bin.

    Parameters
    ----------
    pairs : pandas.DataFrame
        `pairs.PAIR_COLUMNS`.
    characteristic : str
        Which.

    Returns
    -------
    Vectors
    """
    rows = pairs[pairs["characteristic"] == characteristic]
    rows = rows[np.isfinite(rows["value"].to_numpy(float))]
    value = rows["value"].to_numpy(float)
    if characteristic in LOGARITHMIC:
        rows, value = rows[value > 0], np.log(value[value > 0])
    rows = rows.assign(
        value=value, unit_tomogram=rows["unit_tomogram"].astype(str), unit_cell=rows["unit_cell"].astype(str)
    )
    units, bins = sorted(set(rows["unit_tomogram"])), np.unique(rows["bin"].to_numpy(np.int64))
    # A unit with several tomograms stands for itself once: its first.
    first = rows.groupby("unit_tomogram")["tomogram"].transform("min") == rows["tomogram"]
    rows = rows[first]
    partners = rows.groupby("unit_tomogram")["unit_cell"].transform(lambda cells: pd.factorize(cells, sort=True)[0])
    place = (
        np.searchsorted(units, rows["unit_tomogram"].to_numpy(str)),
        partners.to_numpy(int),
        np.searchsorted(bins, rows["bin"].to_numpy(np.int64)),
    )
    shape = (len(units), int(partners.max()) + 1, bins.size)

    def cube(variant: str, column: str) -> Floats:
        chosen = (rows["variant"] == variant).to_numpy()
        filled = np.full(shape, np.nan)
        filled[tuple(p[chosen] for p in place)] = rows.loc[chosen, column].to_numpy(float)
        return filled

    reference, weight, model = cube("reference", "value"), cube("reference", "weight"), cube("model", "value")
    x = rows.groupby("bin")["x"].first().reindex(bins).to_numpy(float)
    fakes = {name: cube(name, "value") - model for name in VALID_CONTROLS[characteristic]}
    # Every pair of a tomogram repeats what the tomogram shows.
    return Vectors(tuple(units), bins, x, _first(reference), _first(weight), fakes)


def _first(values: Floats) -> Floats:
    """First number along the pairs of each unit and bin."""
    at = np.argmax(np.isfinite(values), axis=1)
    return np.take_along_axis(values, at[:, None], axis=1)[:, 0]
