"""From a row of the comparison back to artifacts and raw files, each with the version that was read.

Belongs here: walking the provenance upstream. Does not belong here: which keys a row rests on (`compare.rests_on`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pandas as pd

from em2cryo_assets.assets.stage import Work
from em2cryo_assets.compare.tables import RESTS_ON
from em2cryo_assets.partitions import pair_key
from em2cryo_assets.store.provenance import InputRef

__all__ = ["BY_ASSET", "by_asset", "traced"]

BY_ASSET: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: str(RESTS_ON.columns[name].description) for name in ("characteristic", "side", "asset")},
        "count": "how many keys",
        "keys": "each key with the start of its data version",
    }
)
"""What the columns of `by_asset` mean."""

_FROM_PEOPLE: Final = {"inbox": "raw file of", "human_labels": "labels drawn for"}
_NOT_IN_SHAPES: Final = frozenset({("cell_features", "fused_volume"), ("cell_features", "interior_atlas")})
"""A cell's shape is measured on its mesh; what its filling says of the inside is recorded beside it, never compared."""


_VOLUMES: Final = frozenset({"fused_volume", "tomogram", "cell_mesh"})
"""What was measured on: listed beside what measured it, so that a number leads to its voxels."""


def traced(work: Work, keys: pd.DataFrame) -> pd.DataFrame:
    """Give every key its data version, and add the volumes it was measured on and the raw files behind it.

    Parameters
    ----------
    work : Work
        Its inputs are what the keys refer to.
    keys : pandas.DataFrame
        From `compare.rests_on.rests_on`.

    Returns
    -------
    pandas.DataFrame
        As `compare.tables.RESTS_ON`, without repeats.
    """
    artifacts = {asset: work.all(asset) for asset in sorted(set(keys["asset"]))}
    known: dict[InputRef, frozenset[tuple[str, str, str]]] = {}
    rows: dict[tuple[str, ...], None] = {}
    for row in keys.to_dict("records"):
        key = pair_key(row["cell"], row["key"]) if row["cell"] else row["key"]
        artifact = artifacts[row["asset"]].get(key)
        if artifact is None:
            continue
        who = (row["characteristic"], row["side"])
        rows[(*who, row["asset"], key, artifact.digest)] = None
        for one in artifact.provenance.inputs:
            if one.asset in _VOLUMES and (row["asset"], one.asset) not in _NOT_IN_SHAPES:
                rows[(*who, one.asset, one.key or "", one.digest)] = None
        ref = InputRef(row["asset"], key or None, artifact.digest)
        for raw in sorted(_raw(work, ref, known)):
            rows[(*who, *raw)] = None
    return pd.DataFrame(list(rows), columns=list(RESTS_ON.columns)).astype(str)  # an empty one is of text, too


def _raw(
    work: Work, ref: InputRef, known: dict[InputRef, frozenset[tuple[str, str, str]]]
) -> frozenset[tuple[str, str, str]]:
    """What people put into the study for this artifact: raw files and drawn labels."""
    if ref not in known:
        found: set[tuple[str, str, str]] = set()
        artifact = work.study.store.get(ref.asset, ref.key, ref.digest)
        for one in () if artifact is None else artifact.provenance.inputs:
            if one.asset in _FROM_PEOPLE:
                found.add((f"{_FROM_PEOPLE[one.asset]} {ref.asset}", one.key or "", one.digest))
            elif one.asset != "settings" and (ref.asset, one.asset) not in _NOT_IN_SHAPES:
                found |= _raw(work, one, known)
        known[ref] = frozenset(found)
    return known[ref]


def by_asset(table: pd.DataFrame) -> pd.DataFrame:
    """One row a characteristic and asset for the UI: how many keys, and each with the start of its version."""
    if not len(table):
        return pd.DataFrame(columns=["characteristic", "side", "asset", "count", "keys"])
    named = table.assign(keys=table["key"] + " (" + table["data_version"].str[:8] + ")")
    grouped = named.groupby(["characteristic", "side", "asset"], sort=False)["keys"]
    return grouped.agg(count="count", keys=", ".join).reset_index()
