"""Pair vectors of studies whose right answers are known.

Belongs here: perfect models, wrong ones and fakes made of the pool's vectors. Does not belong here: all else of a
drawn study (`known_studies`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.calibration_pool import LOGARITHMIC, Floats, Vectors
from em2cryo_assets.compare.distances import VALID_CONTROLS
from em2cryo_assets.compare.known_answers import Answers, Population, Sizes
from em2cryo_assets.compare.pairs import PAIR_COLUMNS
from em2cryo_assets.compare.scalar_controls import ScalarControl

__all__ = ["drawn_pairs"]


def drawn_pairs(
    population: Population,
    sizes: Sizes,
    answer: Answers,
    chosen: NDArray[np.int64],
    cells: list[str],
    rng: np.random.Generator,
    turn: int,
) -> pd.DataFrame:
    """Vectors of the pairs of a drawn study.

    Parameters
    ----------
    population : Population
        The pool.
    sizes : Sizes
        Pairs a tomogram.
    answer : Answers
        What is true of the model.
    chosen : numpy.ndarray, int64, shape (n,)
        Tomogram units drawn, by their place in the pool.
    cells : list of str
        Names of the SEM cells drawn; each stands for a tomogram of another real cell.
    rng : numpy.random.Generator
        Of partners and stand-ins.
    turn : int
        Which fake has its turn.

    Returns
    -------
    pandas.DataFrame
        The columns of `pairs.PAIR_COLUMNS` that tables read.
    """
    if not chosen.size or not cells:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    stand_in = rng.integers(2**31, size=len(cells))
    per = min(sizes.pairs, len(cells))
    partner = np.argsort(rng.random((chosen.size, len(cells))), axis=1)[:, :per]
    labels = {
        "tomogram": population.slabs.keys(chosen),
        "unit_tomogram": [f"{population.slabs.names[i]}~{k}" for k, i in enumerate(chosen)],
    }
    frames = []
    for name, vectors in population.pool.vectors.items():
        place = {unit: i for i, unit in enumerate(vectors.units)}
        found = [
            (k, place[population.slabs.names[i]]) for k, i in enumerate(chosen) if population.slabs.names[i] in place
        ]
        if not found:
            continue
        kept, units = (np.array(v) for v in zip(*found, strict=True))
        fake = population.fake(name, turn) if answer.fake else None
        made = _variants(name, vectors, answer, units, (stand_in % len(vectors.units))[partner[kept]], rng, fake)
        index = {
            "tomogram": np.array(labels["tomogram"], object)[kept],
            "unit_tomogram": np.array(labels["unit_tomogram"], object)[kept],
        }
        frames.append(_rows(name, vectors, units, made, index, np.array(cells, object)[partner[kept]]))
    return pd.concat(frames, ignore_index=True)


def _variants(
    name: str,
    vectors: Vectors,
    answer: Answers,
    units: NDArray[np.int64],
    stand_in: NDArray[np.int64],
    rng: np.random.Generator,
    fake: ScalarControl | None,
) -> dict[str, Floats]:
    """Vectors (unit, pair, bin) of the model, its fakes and the reference."""
    perfect = vectors.real[stand_in]
    made: dict[str, Floats] = {}
    for control in VALID_CONTROLS[name]:
        departures = vectors.departures[control][units]
        there = np.asarray(np.isfinite(departures).any(axis=2))
        # A random pair of the tomogram; where it has none, all is NaN and drops out.
        pick = np.argmax(np.where(there[:, None, :], 1.0, 0.0) * rng.random((*stand_in.shape, there.shape[1])), axis=2)
        made[control] = perfect + departures[np.arange(len(units))[:, None], pick]
    model = perfect + answer.shift.get(name, 0.0) * vectors.offset
    if fake is not None:
        model = made[fake.name]
    real = np.broadcast_to(vectors.real[units][:, None], perfect.shape)
    return {"model": model, **made, "reference": real}


def _rows(
    name: str,
    vectors: Vectors,
    units: NDArray[np.int64],
    made: Mapping[str, Floats],
    index: Mapping[str, NDArray[np.object_]],
    cells: NDArray[np.object_],
) -> pd.DataFrame:
    """As `pairs.compare_pair` lists them, without what no table reads."""
    shape = (len(units), cells.shape[1], vectors.bins.size)
    frames = []
    for variant, values in made.items():
        flat = values.ravel()
        there = np.isfinite(flat)
        weight = np.broadcast_to(vectors.weight[units][:, None], shape).ravel()
        frames.append(
            pd.DataFrame(
                {
                    **{c: np.broadcast_to(v[:, None, None], shape).ravel()[there] for c, v in index.items()},
                    "unit_cell": np.broadcast_to(cells[:, :, None], shape).ravel()[there],
                    "variant": variant,
                    "characteristic": name,
                    "bin": np.broadcast_to(vectors.bins, shape).ravel()[there],
                    "value": np.exp(flat[there]) if name in LOGARITHMIC else flat[there],
                    # A fake fills bins in which this tomogram has nothing; they count as the least does.
                    "weight": np.nan_to_num(weight[there], nan=1.0),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
