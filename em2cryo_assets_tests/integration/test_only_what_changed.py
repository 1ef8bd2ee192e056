"""After a change, Dagster's events name what depends on it, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import tifffile

from em2cryo_assets.assets.records import read_record
from em2cryo_assets_tests.integration.tiny_study import (
    OF_A_CELL,
    TABLES,
    TinyStudy,
    cells_in_rows,
    copied,
    draw_labels,
    opened,
    put_demo,
    put_field,
)

pytestmark = pytest.mark.slow  # making the shared study takes most of the time

CROWD = "field-01.tif"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten fields with 29 cells (20 of them in one field, outlined by a person), a section and a lamella."""
    root = tmp_path_factory.mktemp("thirty") / "study"
    with opened(root) as tiny:
        put_field(tiny.inbox, CROWD, *cells_in_rows(4, 5))
        for number in range(2, 11):
            put_field(tiny.inbox, f"field-{number:02d}.tif", cells_in_rows(1, 1, seed=number)[0])
        put_demo(tiny.inbox, "tem", "section-01.png")
        put_demo(tiny.inbox, "tomogram", "lamella-02.mrc")
        outcome, computed = tiny.run("processes:2")  # twice as fast, and the same bytes (test_processes)
        assert outcome.problems == ()
        assert outcome.materialized == sum(n for (asset, _), n in computed.items() if asset != "cell_view")
        assert len(tiny.live("cells")) == 29
        assert set(computed.values()) == {1}
    return root


@pytest.fixture
def tiny(made: Path, tmp_path: Path) -> Iterator[TinyStudy]:
    with copied(made, tmp_path / "study") as study:
        yield study


def labels_of_crowd(tiny: TinyStudy) -> np.ndarray:
    return tifffile.imread(tiny.inbox / "sem" / f"{CROWD}.labels.tif")


def test_a_second_run_computes_nothing(tiny: TinyStudy) -> None:
    outcome, computed = tiny.run()
    assert outcome.materialized == 0
    assert not computed
    assert {step.state for step in tiny.plan().values()} == {"current"}


def test_a_new_field_among_ten_computes_only_its_own_keys_and_the_tables(tiny: TinyStudy) -> None:
    before, pairs = tiny.digests(), tiny.pairs()
    put_field(tiny.inbox, "field-11.tif", cells_in_rows(1, 1, seed=11)[0])
    outcome, computed = tiny.run()
    assert outcome.problems == ()
    own = {("sem_field", "field-11"), ("cell_masks", "field-11")} | {(a, "field-11-c001") for a in OF_A_CELL}
    drawn = {("comparison", pair) for pair in tiny.pairs() - pairs}  # the new cell may take another's place
    assert all(str(pair).startswith("field-11-c001|") for _, pair in drawn)
    assert computed == dict.fromkeys(own | drawn | TABLES, 1)
    after = tiny.digests()
    assert {place for place in before if before[place] != after[place]} <= TABLES


def test_one_corrected_cell_among_thirty_is_recomputed_with_its_pairs(tiny: TinyStudy) -> None:
    before, cells = tiny.digests(), tiny.live("cells")
    pair = next(pair for pair in sorted(map(str, tiny.pairs())) if pair.startswith("field-01-"))
    cell = pair.partition("|")[0]
    labels = labels_of_crowd(tiny)
    rows, columns = np.nonzero(labels == int(cell[-3:]))
    cut = rows > rows.max() - 6
    labels[rows[cut], columns[cut]] = 0
    draw_labels(tiny.inbox / "sem" / CROWD, labels)
    outcome, computed = tiny.run()
    assert outcome.problems == ()
    assert computed == dict.fromkeys(
        {("cell_masks", "field-01"), ("comparison", pair)} | {(asset, cell) for asset in OF_A_CELL} | TABLES, 1
    )
    after = tiny.digests()
    assert tiny.live("cells") == cells
    changed = {place for place in before if before[place] != after[place]}
    assert changed <= set(computed)
    assert {(asset, cell) for asset in OF_A_CELL} | {("cell_masks", "field-01")} <= changed


def test_a_vanished_cell_is_retired_and_a_new_one_gets_an_unused_number(tiny: TinyStudy) -> None:
    before = tiny.digests()
    labels = labels_of_crowd(tiny)
    paired = {str(pair).partition("|")[0] for pair in tiny.pairs()}
    gone = next(n for n in range(1, 21) if f"field-01-c{n:03d}" not in paired)
    cell, new = f"field-01-c{gone:03d}", "field-01-c021"
    old = labels == gone
    labels[old] = 0
    # Half the size and two thirds of the way to the corner: too little in common to be the same cell.
    rows, columns = np.nonzero(old)
    disc = np.hypot(*(np.indices(labels.shape) - np.array([rows.mean(), columns.mean()])[:, None, None])) < 14
    labels[disc] = gone
    draw_labels(tiny.inbox / "sem" / CROWD, labels)
    outcome, computed = tiny.run()
    assert outcome.problems == ()
    assert cell not in tiny.live("cells")
    assert new in tiny.live("cells")
    assert {key for asset, key in computed if asset in OF_A_CELL} == {new}
    plan, after = tiny.plan(), tiny.digests()
    for asset in OF_A_CELL:
        assert after[asset, cell] == before[asset, cell]  # kept, and yet no longer part of the study:
    for table in ("comparison_table", "report"):
        assert (("cell_features", cell) in tiny.read_by(table), ("cell_features", new) in tiny.read_by(table)) == (
            False,
            True,
        )
    assert plan["fused_volume", cell].state == "retired"


def test_a_deleted_file_retires_its_keys_and_only_tables_follow(tiny: TinyStudy) -> None:
    paired = {str(pair).partition("|")[0] for pair in tiny.pairs()}
    field = next(f"field-{n:02d}" for n in range(2, 11) if f"field-{n:02d}-c001" not in paired)
    cell, before = f"{field}-c001", tiny.bytes_of_all_but_the_report()
    path = tiny.inbox / "sem" / f"{field}.tif"
    content = path.read_bytes()
    path.unlink()
    outcome, computed = tiny.run()
    assert outcome.problems == ()
    assert (field in tiny.live("fields"), cell in tiny.live("cells")) == (False, False)
    assert set(computed) <= TABLES
    assert ("comparison_table", None) in computed
    assert ("cell_features", cell) not in tiny.read_by("comparison_table") | tiny.read_by("report")
    assert tiny.plan()["sem_field", field].state == "retired"
    after = tiny.bytes_of_all_but_the_report()
    assert {place for place in before if before[place] != after[place]} <= TABLES
    path.write_bytes(content)
    outcome, computed = tiny.run()
    assert (field in tiny.live("fields"), cell in tiny.live("cells")) == (True, True)
    assert set(computed) <= TABLES  # what was made of it is still there
    assert tiny.bytes_of_all_but_the_report() == before


def test_a_deleted_tomogram_leaves_the_tables_with_its_pairs(tiny: TinyStudy) -> None:
    (tiny.inbox / "tomogram" / "lamella-02.mrc").unlink()
    outcome, computed = tiny.run()
    assert outcome.problems == ()
    assert set(computed) <= TABLES | {("virtual_tem", None)}
    assert not tiny.live("tomograms")
    assert not {asset for asset, _ in tiny.read_by("report")} & {"tomogram", "comparison", "tomogram_features"}


def test_labels_drawn_by_a_person_are_recorded_as_such(tiny: TinyStudy) -> None:
    masks = tiny.study.store.current("cell_masks", "field-02")
    assert masks is not None
    assert masks.provenance.parameters["human"] is False
    found = (cells_in_rows(1, 1, seed=2)[1] > 0).astype(np.uint16)
    draw_labels(tiny.inbox / "sem" / "field-02.tif", found)
    tiny.make("field-02", "cell_masks")
    masks = tiny.study.store.current("cell_masks", "field-02")
    assert masks is not None
    assert masks.provenance.parameters["human"] is True
    assert read_record(masks)["human"] is True
    assert ("human_labels", "field-02") in {(ref.asset, ref.key) for ref in masks.provenance.inputs}
    assert tiny.live("cells") >= {"field-02-c001"}  # the outline moved; the cell is the same
    event = tiny.instance.fetch_materializations(dg.AssetKey("cell_masks"), limit=1).records[0]
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["drawn_by"].value == "a person"
    Path(f"{tiny.inbox / 'sem' / 'field-02.tif'}.labels.tif").unlink()
    tiny.make("field-02", "cell_masks")
    masks = tiny.study.store.current("cell_masks", "field-02")
    assert masks is not None
    assert masks.provenance.parameters["human"] is False
