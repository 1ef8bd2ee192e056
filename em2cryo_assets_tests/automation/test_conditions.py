"""Dagster's own automation asks for what a change reaches next, and for nothing without a change."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.automation.conditions import condition_of
from em2cryo_assets.definitions import defs
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, copied

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of Dagster's evaluator, about itself

CELL = "field-01-c001"


class Daemon:
    """Evaluations one after another, each remembering the last, as the daemon makes them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor = None
        self.look()

    def look(self) -> set[tuple[str, str | None]]:
        result = dg.evaluate_automation_conditions(defs=defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return {
            (key.to_user_string(), partition)
            for key in defs.resolve_asset_graph().materializable_asset_keys
            for partition in result.get_requested_partitions(key)
        }


@pytest.fixture
def tiny(one_cell: Path, tmp_path: Path) -> Iterator[TinyStudy]:
    with copied(one_cell, tmp_path / "study") as study:
        yield study


def materialize(tiny: TinyStudy, asset: str, key: str | None, version: str) -> None:
    tags = {"dagster/data_version": version}
    event = dg.AssetMaterialization(asset, partition=key, tags=tags)
    tiny.instance.report_runless_asset_event(event)


def test_without_a_change_nothing_is_asked_for(tiny: TinyStudy) -> None:
    daemon = Daemon(tiny.instance)
    assert daemon.look() == set()
    assert daemon.look() == set()


def test_the_same_bytes_made_again_ask_for_nothing(tiny: TinyStudy) -> None:
    daemon = Daemon(tiny.instance)
    digest = tiny.digests()["cell_view", CELL]
    materialize(tiny, "cell_view", CELL, digest)
    assert daemon.look() == set()


def test_a_changed_input_asks_for_its_readers_of_the_same_key_and_once(tiny: TinyStudy) -> None:
    tiny.instance.add_dynamic_partitions("cells", ["field-01-c002"])
    materialize(tiny, "cell_view", "field-01-c002", "a" * 64)
    daemon = Daemon(tiny.instance)
    materialize(tiny, "cell_view", CELL, "b" * 64)
    asked = daemon.look()
    assert ("cell_surface", CELL) in asked
    assert {key for _, key in asked} <= {CELL, None}
    assert {asset for asset, _ in asked} <= {"cell_surface", "cell_features", "limitations", "report"}
    assert daemon.look() == set()


@pytest.mark.parametrize("name", ["sem_field", "tem_section", "tomogram", "comparison", "interior_atlas"])
def test_what_others_start_has_no_condition(name: str) -> None:
    assert condition_of(name) is None
