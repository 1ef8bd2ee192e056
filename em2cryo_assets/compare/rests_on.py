"""Which measured keys each row of the comparison table rests on.

Belongs here: the same choice of rows as `table` makes, as a list. Does not belong here: versions of artifacts and raw
files (`assets.tracing`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pandas as pd

from em2cryo_assets.compare.characteristics import CHARACTERISTICS, Characteristic
from em2cryo_assets.compare.drying import undried
from em2cryo_assets.compare.table import comparable_pairs, usable_rows, whole_first

__all__ = ["KEY_COLUMNS", "rests_on"]

KEY_COLUMNS: Final = ("characteristic", "side", "asset", "cell", "key")

_Row = tuple[str, str, str, str, str]


def rests_on(
    cell_features: pd.DataFrame,
    tomogram_features: pd.DataFrame,
    pair_vectors: pd.DataFrame,
    *,
    live_um: Mapping[str, float] = MappingProxyType({}),
) -> pd.DataFrame:
    """List the cells, tomograms, pairs and the atlas that each characteristic was compared by.

    Parameters
    ----------
    cell_features, tomogram_features, pair_vectors, live_um
        As `table.comparison_table` takes them; any may be empty.

    Returns
    -------
    pandas.DataFrame
        `KEY_COLUMNS`, sorted within a characteristic; ``cell`` is empty but for pairs, whose ``key`` is the tomogram.
        What was measured and not used (occluded cells, tomograms of a modality that cannot show it) is not in it.
    """
    cells, _ = undried(cell_features, live_um)  # sizes that only drying barred are compared where it is undone
    rows: list[_Row] = []
    for spec in CHARACTERISTICS.values():
        if spec.model_side == "pairs":
            rows += _of_pairs(spec, tomogram_features, pair_vectors)
        elif spec.model_side == "tem":
            rows.append((spec.name, "model", "interior_atlas", "", ""))
        else:
            rows += _measured(spec, "model", "cell_features", cells)
        if spec.model_side != "pairs" and len(tomogram_features):
            able = tomogram_features[tomogram_features["modality"].isin(spec.modalities)]
            rows += _measured(spec, "reference", "tomogram_features", able)
    return pd.DataFrame(rows, columns=list(KEY_COLUMNS))


def _measured(spec: Characteristic, side: str, asset: str, frame: pd.DataFrame) -> list[_Row]:
    if not len(frame):
        return []
    used = usable_rows(frame[frame["characteristic"] == spec.name])
    if side == "reference":
        used, _ = whole_first(spec, used)
    return [(spec.name, side, asset, "", key) for key in sorted(set(used["key"]))]


def _of_pairs(spec: Characteristic, cryo: pd.DataFrame, pairs: pd.DataFrame) -> list[_Row]:
    """Pairs serve both sides: the tomogram's own vectors are in them."""
    if not (len(pairs) and len(cryo)):
        return []
    used, _ = comparable_pairs(spec, pairs[pairs["characteristic"] == spec.name], cryo)
    keys = {(str(cell), str(tomogram)) for cell, tomogram in zip(used["cell"], used["tomogram"], strict=True)}
    return [(spec.name, "both", "comparison", *key) for key in sorted(keys)]
