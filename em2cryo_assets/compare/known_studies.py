"""Studies whose right answers are known, drawn from the pool.

Belongs here: the tables that such a study would have measured. Does not belong here: what is known of it
(`known_answers`), vectors of pairs (`known_pairs`), verdicts and rates (`calibration`).

Cells, blocks and tomogram units are drawn with replacement, each with all that was measured on it: clusters, so that
what belongs together stays together.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from em2cryo_assets.compare.drying import ABSOLUTE
from em2cryo_assets.compare.known_answers import SLABS_ONLY, Answers, Population, Sizes
from em2cryo_assets.compare.known_pairs import drawn_pairs
from em2cryo_assets.compare.margins import MARGINS

__all__ = ["Tables", "draw_tables", "sign_of"]


@dataclass(frozen=True)
class Tables:
    """The measurement tables of one drawn study, as `table.comparison_table` takes them."""

    cells: pd.DataFrame
    tomograms: pd.DataFrame
    sections: pd.DataFrame
    pairs: pd.DataFrame
    live_um: dict[str, float]


def draw_tables(population: Population, sizes: Sizes, answer: Answers, seed: int, turn: int) -> Tables:
    """Draw one study.

    Parameters
    ----------
    population : Population
        The pool.
    sizes : Sizes
        Of the study.
    answer : Answers
        What is true of it.
    seed : int
        Same seed, same study.
    turn : int
        Number of the study: which fake has its turn, and by its parity the sign of the difference of scalars.

    Returns
    -------
    Tables
        What such a study would have measured.
    """
    rng = np.random.default_rng(seed)
    sections = population.blocks if sizes.blocks else population.sections
    slabs = population.slabs
    wholes = 0 if answer.name == SLABS_ONLY else sizes.wholes
    chosen = rng.integers(len(slabs.names), size=sizes.slabs)
    cells = population.cells.drawn(rng.integers(len(population.cells.names), size=sizes.cells))
    tem = sections.drawn(rng.integers(len(sections.names), size=sizes.sections))
    if not sizes.blocks:
        tem["block"] = ""
    seen = [slabs.drawn(chosen), population.wholes.drawn(rng.integers(len(population.wholes.names), size=wholes))]
    # Names of drawn units are unique within a kind; the two kinds have different names to begin with.
    cryo = pd.concat(seen, ignore_index=True)
    pairs = drawn_pairs(population, sizes, answer, chosen, sorted(set(cells["unit"])), rng, turn)
    cells, tem, cryo = _told(population, answer, turn, cells, tem, cryo)
    live = dict.fromkeys(map(str, cells["key"]), population.pool.live_um)
    return Tables(cells, cryo, tem, pairs, live)


def sign_of(turn: int) -> float:
    """Sign of the difference of scalars: both margins have their turn."""
    return 1.0 if turn % 2 else -1.0


def _told(
    population: Population, answer: Answers, turn: int, cells: pd.DataFrame, tem: pd.DataFrame, cryo: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give scalars the difference that is to be true of them.

    The reference's values move, since those of the model pass through the correction for drying.
    """
    cells, tem, cryo = cells.copy(), tem.copy(), cryo.copy()
    for name, row in population.rows.items():
        ours, theirs = float(row["estimate_model"]), float(row["estimate_reference"])
        if row["scale"] not in ("difference", "ratio") or not np.isfinite([ours, theirs]).all():
            continue
        difference = sign_of(turn) * answer.factor * MARGINS[name].delta
        fake = population.fake(name, turn) if answer.fake else None
        if fake is not None:
            if name in ABSOLUTE:
                difference = fake.mean - ours
            else:
                side = cells if row["model_side"] == "sem" else tem
                mine = (side["characteristic"] == name).to_numpy()
                scale = fake.sd / float(row["sd_model"]) if row["sd_model"] > 0 else 0.0
                side.loc[mine, "value"] = fake.mean + (side.loc[mine, "value"] - ours) * scale
        at = (cryo["characteristic"] == name).to_numpy()
        if row["scale"] == "ratio":
            cryo.loc[at, ["value", "sd"]] *= ours / theirs * np.exp(-difference)
        else:
            cryo.loc[at, "value"] += ours - theirs - difference
    return cells, tem, cryo
