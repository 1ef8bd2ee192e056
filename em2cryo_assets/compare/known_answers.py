"""What can be known of a simulated study: its size, and the answers that its verdicts should find.

Belongs here: sizes, answers, and the pool seen as a population with a truth. Does not belong here: drawing studies
(`known_studies`, `known_pairs`), judging them (`calibration`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.calibration_pool import Pool, Vectors
from em2cryo_assets.compare.distances import VALID_CONTROLS, expected_excess
from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.record import SLAB_MODALITIES, WHOLE_CELL_MODALITIES
from em2cryo_assets.compare.scalar_controls import ScalarControl, scalar_controls
from em2cryo_assets.compare.statistics import Sample
from em2cryo_assets.compare.table import comparison_table

__all__ = [
    "A_FAKE", "HALF", "NO_DIFFERENCE", "SLABS_ONLY", "WHOLE", "Answers", "Clusters", "Population", "Sizes", "known_answers",
]  # fmt: skip

NO_DIFFERENCE: Final = "no difference"
HALF: Final = "half the tolerance"
WHOLE: Final = "the tolerance"
A_FAKE: Final = "a fake"
SLABS_ONLY: Final = "slabs only"

_LARGEST_SHIFT: Final = 64.0
_HALVINGS: Final = 12


@dataclass(frozen=True)
class Sizes:
    """How many independent units a study has.

    Parameters
    ----------
    cells : int
        SEM cells that may be compared.
    sections : int
        TEM blocks, or cells where there are no blocks.
    blocks : bool
        Whether the former.
    slabs, wholes : int
        Cells seen by cryo-ET of a part, and by volumes of the whole.
    pairs : int
        Pseudo-3D cells that a tomogram is compared with.
    """

    cells: int
    sections: int
    blocks: bool
    slabs: int
    wholes: int
    pairs: int = 5

    @classmethod
    def of(cls, table: pd.DataFrame, pairs: int) -> "Sizes":
        """Read the sizes off a study's comparison table."""
        side = {name: table[table["model_side"] == name] for name in ("sem", "tem", "pairs")}
        tem = side["tem"]
        n_tem, n_model = int(tem["n_tem"].max()), int(tem["n_model"].max())
        return cls(
            int(side["sem"]["n_sem"].max()),
            n_model,
            n_model < n_tem,
            int(side["pairs"]["n_cryo"].max()),
            int(table.loc[table["characteristic"] == "log_volume", "n_cryo"].max()),
            pairs,
        )


@dataclass(frozen=True)
class Answers:
    """What is true of the studies that are drawn.

    Parameters
    ----------
    name : str
        Of the case, as the tables name it.
    factor : float
        True difference of every characteristic, in tolerances.
    fake : bool
        Whether fakes stand in the model's place, by turns; else the model is the real thing.
    shift : mapping of str to float
        By distance: multiple of the pool's offset at which the expected excess is ``factor`` tolerances.
    unreached : tuple of str
        Distances that no multiple makes so wrong.
    """

    name: str
    factor: float = 0.0
    fake: bool = False
    shift: Mapping[str, float] = field(default_factory=dict)
    unreached: tuple[str, ...] = ()


class Population:
    """The pool with what holds of it as a whole.

    Parameters
    ----------
    pool : Pool
        From `calibration_pool.read_pool`.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        live = dict.fromkeys(map(str, pool.cells["key"]), pool.live_um)
        whole = comparison_table(pool.cells, pool.tomograms, pool.sections, pd.DataFrame(), live_um=live)
        self.rows = {str(r["characteristic"]): {str(k): v for k, v in r.items()} for r in whole.to_dict("records")}
        shares = {name.removeprefix("fraction_"): r["estimate_model"] for name, r in self.rows.items()}
        self.fakes = {name: _fakes(name, row, shares) for name, row in self.rows.items()}
        slab = pool.tomograms["modality"].isin(SLAB_MODALITIES)
        self.cells = Clusters(pool.cells, "unit")
        self.blocks = Clusters(pool.sections, "block")
        self.sections = Clusters(pool.sections, "unit")
        self.slabs = Clusters(pool.tomograms[slab], "unit")
        self.wholes = Clusters(pool.tomograms[pool.tomograms["modality"].isin(WHOLE_CELL_MODALITIES)], "unit")

    def fake(self, characteristic: str, turn: int) -> ScalarControl | None:
        """The fake whose turn it is; None where none is known."""
        fakes = self.fakes[characteristic]
        return fakes[turn % len(fakes)] if fakes else None


class Clusters:
    """Rows of a table by independent unit, to be drawn whole."""

    def __init__(self, frame: pd.DataFrame, by: str) -> None:
        self.frame = frame.reset_index(drop=True).astype({c: str for c in ("key", "unit", "block", "characteristic")})
        places = self.frame.groupby(by, sort=True).indices
        self.names = sorted(map(str, places))
        self._places = [places[name] for name in self.names]

    def keys(self, chosen: NDArray[np.int64]) -> list[str]:
        """First key of each unit chosen, as `drawn` names it."""
        keys = self.frame["key"].to_numpy(object)
        return [f"{keys[self._places[i][0]]}~{k}" for k, i in enumerate(chosen)]

    def drawn(self, chosen: NDArray[np.int64]) -> pd.DataFrame:
        """Rows of the units chosen; one that is chosen twice counts as two, under names of their own."""
        if not chosen.size:
            return self.frame.iloc[:0]
        parts = [self._places[i] for i in chosen]
        turn = np.repeat([f"~{i}" for i in range(chosen.size)], [len(p) for p in parts])
        frame = self.frame.take(np.concatenate(parts)).reset_index(drop=True)
        for column in ("key", "unit", "block"):
            old = frame[column].to_numpy(object)
            frame[column] = np.where(old == "", "", old + turn.astype(object))
        return frame


def known_answers(population: Population, sizes: Sizes, *, seed: int) -> list[Answers]:
    """What can be known of a study of these sizes.

    Parameters
    ----------
    population : Population
        The pool.
    sizes : Sizes
        Of the studies; the excess of a distance depends on them.
    seed : int
        Of the random halves by which expected excesses are found.

    Returns
    -------
    list of Answers
        No difference; half the tolerance; the tolerance; fakes; no difference, without whole cells.
    """
    cases = [Answers(NO_DIFFERENCE)]
    for name, factor in ((HALF, 0.5), (WHOLE, 1.0)):
        shift, unreached = {}, []
        for characteristic, vectors in population.pool.vectors.items():
            found = _shift(vectors, characteristic, sizes.slabs, factor * MARGINS[characteristic].delta, seed)
            if found is None:
                unreached.append(characteristic)
            else:
                shift[characteristic] = found
        cases.append(Answers(name, factor, shift=shift, unreached=tuple(unreached)))
    return [*cases, Answers(A_FAKE, fake=True), Answers(SLABS_ONLY)]


def _fakes(name: str, row: Mapping[str, Any], shares: Mapping[str, float]) -> list[ScalarControl]:
    """The fakes of a characteristic, by rank; numbers of scalars only, where the reference is like the model."""
    if name in VALID_CONTROLS:
        return [ScalarControl(fake, np.nan, np.nan) for fake in VALID_CONTROLS[name]]
    if row["scale"] not in ("difference", "ratio") or not np.isfinite(row["estimate_model"]):
        return []
    model = Sample(row["estimate_model"], row["sd_model"] ** 2, row["n_model"])
    return scalar_controls(name, model, model, shares, MARGINS[name].delta)


def _shift(vectors: Vectors, characteristic: str, n: int, target: float, seed: int) -> float | None:
    """Multiple of the offset at which studies of n units expect the excess asked for."""
    groups = vectors.bins // 100 if characteristic == "density_distribution" else np.zeros(vectors.bins.size, np.int64)

    def excess(multiple: float) -> float:
        return expected_excess(
            vectors.real, vectors.real + multiple * vectors.offset, n, groups,
            absolute=characteristic == "density_distribution", seed=seed,
        )  # fmt: skip

    low, high = 0.0, 1.0
    while excess(high) < target:
        low, high = high, 2 * high
        if high > _LARGEST_SHIFT:
            return None
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) < target else (low, middle)
    return 0.5 * (low + high)
