"""Tables of a small study: as declared, with their CSV, and traceable to raw files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from em2cryo_assets.assets.column_lineage import COLUMN_SOURCES
from em2cryo_assets.assets.exports import INNER_TABLES, TABLES
from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.partitions import split_pair_key
from em2cryo_assets.resources.study import open_study
from em2cryo_assets.store.tables import read_table
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, opened


def test_each_table_is_as_declared_and_has_its_csv(one_cell: Path) -> None:
    for one in TABLES:
        (path,) = (one_cell / "store" / one.asset).glob(f"*/*/{one.file}.parquet")
        frame = one.schema.validate(read_table(path), lazy=True)
        csv = path.with_suffix(".csv").read_bytes()
        assert list(pd.read_csv(path.with_suffix(".csv")).columns) == list(one.schema.columns)
        assert csv.count(b"\n") >= len(frame) + 1
        assert (one_cell / "report" / "tables" / f"{one.asset}-{one.file}.csv").read_bytes() == csv


def test_each_table_between_stages_is_as_declared(one_cell: Path) -> None:
    for one in INNER_TABLES:
        paths = sorted((one_cell / "store" / one.asset).glob(f"*/*/{one.file}.parquet"))
        assert paths, one.file
        for path in paths:
            assert list(one.schema.validate(read_table(path), lazy=True).columns) == list(one.schema.columns)


def test_every_source_of_a_column_is_a_column_of_a_table_upstream() -> None:
    columns: dict[str, set[str]] = {}
    for one in (*TABLES, *INNER_TABLES):
        columns.setdefault(one.asset, set()).update(map(str, one.schema.columns))
    for asset, sources in COLUMN_SOURCES.items():
        upstream, waiting = set(), [asset]
        while waiting:
            parents = (
                {up.asset for up in STAGES[name].upstream} if (name := waiting.pop()) in STAGES else {"cell_masks"}
            )
            waiting += parents - upstream
            upstream |= parents
        for column, found in sources.items():
            assert column in columns[asset], (asset, column)
            for name, origin in found:
                assert origin in columns[name], (asset, column, name, origin)
                assert name in upstream, (asset, name)


def test_the_page_offers_the_same_verdicts_as_the_artifact(one_cell: Path) -> None:
    page = one_cell / "report"
    assert (page / "verdicts.csv").read_bytes() == (page / "tables" / "verdicts-verdicts.csv").read_bytes()


def test_a_row_can_be_traced_to_artifacts_and_raw_files(one_cell: Path) -> None:
    study = open_study(one_cell)
    table = study.store.current("comparison_table", None)
    assert table is not None
    behind = read_table(table.path / "rests_on.parquet")
    for row in behind[~behind["asset"].str.contains(" ")].to_dict("records"):
        assert study.store.get(row["asset"], row["key"] or None, row["data_version"]) is not None
    raw = behind[behind["asset"].str.startswith("raw file of")]
    digests = {
        (f"raw file of {asset}", key): study.inbox.digest(file)
        for kind, asset in (("sem", "sem_field"), ("tem", "tem_section"), ("tomogram", "tomogram"))
        for key, file in study.inbox.files(kind).items()
    }
    assert len(raw) > 0
    for row in raw.to_dict("records"):
        assert digests[(row["asset"], row["key"])] == row["data_version"]
    shapes = behind[behind["asset"] == "cell_features"]["characteristic"].unique()
    for name in shapes:
        mine = raw[(raw["characteristic"] == name) & (raw["side"] == "model")]
        assert set(mine["asset"]) == {"raw file of sem_field"}
        on = behind[(behind["characteristic"] == name) & (behind["side"] == "model") & (behind["asset"] == "cell_mesh")]
        assert set(on["key"]) == set(
            behind.loc[(behind["characteristic"] == name) & (behind["asset"] == "cell_features"), "key"]
        )
    assert len(shapes) > 0
    # What is compared by a pair rests on the field, the sections and the tomogram.
    paired = behind[(behind["asset"] == "comparison")]["characteristic"].unique()
    assert len(paired) > 0
    for name in paired:
        mine = set(raw.loc[raw["characteristic"] == name, "asset"])
        assert mine == {"raw file of sem_field", "raw file of tem_section", "raw file of tomogram"}
        rows = behind[behind["characteristic"] == name]
        cells, tomograms = zip(*map(split_pair_key, rows.loc[rows["asset"] == "comparison", "key"]), strict=True)
        assert set(rows.loc[rows["asset"] == "fused_volume", "key"]) == set(cells)
        assert set(rows.loc[rows["asset"] == "tomogram", "key"]) == set(tomograms)


def test_every_materialization_shows_a_picture_or_a_table_and_a_number(one_cell: Path) -> None:
    """What a person sees of every asset in the UI, without opening a file."""
    with opened(one_cell) as tiny:
        for name in ("cell_view", *(stage.name for stage in STAGES.values() if not stage.on_request)):
            shown = _metadata(tiny, name)
            tables = {key: one for key, one in shown.items() if isinstance(one, dg.TableMetadataValue)}
            pictures = [one.md_str for key, one in shown.items() if key.startswith("picture")]  # type: ignore[attr-defined]
            assert pictures or tables, name
            assert all("](data:image/webp;base64," in one and len(one) <= 50_000 for one in pictures), name
            numbers = [
                key for key, one in shown.items() if isinstance(one, dg.FloatMetadataValue | dg.IntMetadataValue)
            ]
            assert numbers, name
            for key, one in tables.items():
                silent = [column.name for column in one.schema.columns if not column.description]
                assert silent == [], (name, key)


@pytest.mark.parametrize("asset", sorted({one.asset for one in (*TABLES, *INNER_TABLES)}))
def test_the_ui_shows_the_columns_of_each_table_with_their_meaning_and_where_they_come_from(
    one_cell: Path, asset: str
) -> None:
    with opened(one_cell) as tiny:
        shown = _metadata(tiny, asset)
    columns = shown["dagster/column_schema"].schema.columns
    assert columns
    assert all(column.description for column in columns)
    lineage = shown["dagster/column_lineage"].column_lineage.deps_by_column if asset in COLUMN_SOURCES else {}
    assert set(lineage) == set(COLUMN_SOURCES.get(asset, {}))


def test_the_verdicts_link_to_what_they_rest_on(one_cell: Path) -> None:
    with opened(one_cell) as tiny:
        shown = _metadata(tiny, "verdicts")
    assert shown["made_by_cell_features"].asset_key == dg.AssetKey("cell_features")
    rows = [record.data for record in shown["rests_on"].records]
    assert {"comparison", "raw file of tomogram"} <= {row["asset"] for row in rows}


def _metadata(tiny: TinyStudy, asset: str) -> Mapping[str, Any]:
    (record,) = tiny.instance.fetch_materializations(dg.AssetKey(asset), limit=1).records
    event = record.asset_materialization
    assert event is not None
    return event.metadata
