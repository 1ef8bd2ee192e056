"""Measurement tables and pair vectors of known truth for the tests of table and verdicts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from em2cryo_assets.compare.descriptors import MEASUREMENT_COLUMNS
from em2cryo_assets.compare.pairs import PAIR_COLUMNS

EMPTY = pd.DataFrame()


def measured(
    side: str,
    characteristic: str,
    values: Sequence[float] | np.ndarray,
    *,
    modality: str = "",
    reason: str = "",
    sd: float = float("nan"),
    blocks: int = 0,
) -> pd.DataFrame:
    """Rows of one characteristic, a unit each."""
    n = len(values)
    units = [f"{side}{i:03d}" for i in range(n)]
    frame = pd.DataFrame(
        {
            "side": side,
            "key": units,
            "unit": units,
            "block": [f"b{i % blocks}" if blocks else "" for i in range(n)],
            "modality": modality or {"cryo": "soft-x-ray"}.get(side, side),
            "characteristic": characteristic,
            "value": np.asarray(values, dtype=float),
            "sd": sd,
            "unit_of_measure": "",
            "assessable": not reason,
            "reason": reason,
            "n_support": 100,
        }
    )
    return frame[list(MEASUREMENT_COLUMNS)]


def exact(mean: float, sd: float, n: int) -> np.ndarray:
    """``n`` values with exactly this mean and SD: no luck in what a verdict is made of."""
    v = np.sin(np.arange(1, n + 1) * 2.3)
    v = v - v.mean()
    return mean + sd * v / v.std(ddof=1)


def paired(
    characteristic: str,
    *,
    n: int,
    shifts: dict[str, float],
    noise: float = 0.2,
    cells: int = 6,
    bins: int = 12,
    seed: int = 0,
    modality_suffix: str = "",
) -> pd.DataFrame:
    """Vectors of ``n`` tomograms, three cells each; a variant's truth lies ``shift`` (RMS) from the real."""
    rng = np.random.default_rng(seed)
    truth = np.sin(np.arange(bins) / 2)
    direction = np.where(np.arange(bins) % 2, 1.0, -1.0)
    rows = []
    for t in range(n):
        real = truth + noise * rng.normal(size=bins)
        for c in rng.choice(cells, size=min(3, cells), replace=False):
            made = {"reference": real}
            for variant, shift in shifts.items():
                made[variant] = truth + shift * direction + noise * rng.normal(size=bins)
            key = f"cryo{t:03d}{modality_suffix}"
            for variant, vector in made.items():
                for b, value in enumerate(vector):
                    row = (f"c{c}", key, f"c{c}", key, variant, characteristic, b, float(b), value, 50.0)
                    rows.append(row)
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
