"""From what the page shows back to the assets it was made by and the raw files behind it.

Belongs here: addresses in the Dagster UI, and which raw files stand behind which verdict. Does not belong here: walking
the provenance, which was done when the comparison was made (`assets.tracing`).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote

import pandas as pd

from em2cryo_assets.report.data import ProvenanceRow
from em2cryo_assets.report.words import Bilingual

__all__ = ["UI", "Origin", "RestsOn", "origins", "rests_on", "ui_path"]

UI: Final = "http://127.0.0.1:3000"
"""Where `em2cryo ui` answers unless told otherwise; a reader can change it on the page."""

_RAW: Final = "raw file of "
_RAW_WORDS: Final = MappingProxyType(
    {
        "sem_field": Bilingual("raw SEM images", "원본 SEM 영상"),
        "tem_section": Bilingual("raw TEM sections", "원본 TEM 절편"),
        "tomogram": Bilingual("raw tomograms", "원본 토모그램"),
    }
)


class Origin(NamedTuple):
    """One artifact that was read, and its page in the Dagster UI without the address."""

    asset: str
    key: str
    digest: str
    run_id: str
    path: str


class RestsOn(NamedTuple):
    """Something behind a verdict: a kind in words, its keys with their anchors on the page, a page of the UI."""

    words: Bilingual
    keys: tuple[tuple[str, str], ...]
    path: str


def ui_path(asset: str, key: str) -> str:
    """The page of an asset, or of one of its partitions, in the Dagster UI.

    Parameters
    ----------
    asset, key : str
        `key` is empty for an asset without partitions.

    Returns
    -------
    str
        Without scheme and host; nothing in it can leave the UI.
    """
    partition = f"?view=partitions&partition={quote(key, safe='')}" if key else ""
    return f"/assets/{quote(asset, safe='')}{partition}"


def origins(rows: Sequence[ProvenanceRow]) -> dict[tuple[str, str], Origin]:
    """Everything that was read, by asset and key.

    Parameters
    ----------
    rows : sequence of ProvenanceRow

    Returns
    -------
    dict of (str, str) to Origin
        In the order given.
    """
    return {(one.asset, one.key): Origin(one.asset, one.key, one.digest, one.run_id, ui_path(one.asset, one.key))
            for one in rows}  # fmt: skip


def rests_on(table: pd.DataFrame, anchors: Mapping[tuple[str, str], str]) -> dict[str, tuple[RestsOn, ...]]:
    """What stands behind each verdict: raw files first, then the assets that measured.

    Parameters
    ----------
    table : pandas.DataFrame
        See `ReportData.rests_on`.
    anchors : mapping of (str, str) to str
        Asset and key of every raw file on the page to its anchor.

    Returns
    -------
    dict of str to tuple of RestsOn
        By characteristic. Of raw files the keys; of other assets none, as there can be hundreds.
    """
    if not len(table):
        return {}
    out: dict[str, tuple[RestsOn, ...]] = {}
    for characteristic, rows in table.groupby("characteristic", sort=False):
        found = []
        for name, word in _RAW_WORDS.items():
            keys = dict.fromkeys(rows.loc[rows["asset"] == _RAW + name, "key"])
            if keys:
                found.append(
                    RestsOn(word, tuple((key, anchors.get((name, key), "")) for key in keys), ui_path(name, ""))
                )
        for asset, group in rows.groupby("asset", sort=False):
            if not str(asset).startswith(_RAW):
                many = f" × {len(group)}" if len(group) > 1 else ""
                path = "" if " " in str(asset) else ui_path(str(asset), "")  # labels drawn by people have no page
                found.append(RestsOn(Bilingual(f"{asset}{many}", ""), (), path))
        out[str(characteristic)] = tuple(found)
    return out
