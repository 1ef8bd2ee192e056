"""What the plan says of one asset and key, for every reason it can have."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.automation import plan as plan_module
from em2cryo_assets.automation.batches import chains_to_run
from em2cryo_assets.automation.plan import Step
from em2cryo_assets.automation.register import register
from em2cryo_assets.store.provenance import Provenance
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, cells_in_rows, copied, opened, put_demo, put_field

CELL = "field-01-c001"


@pytest.fixture
def tiny(one_cell: Path, tmp_path: Path) -> Iterator[TinyStudy]:
    with copied(one_cell, tmp_path / "study") as study:
        yield study


def raise_version(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    raised = {**STAGES, name: dataclasses.replace(STAGES[name], code_version="99")}
    monkeypatch.setattr(plan_module, "STAGES", MappingProxyType(raised))


def test_a_registered_file_is_missing_and_what_reads_it_waits(tmp_path: Path) -> None:
    with opened(tmp_path / "study") as tiny:
        put_field(tiny.inbox, "field-01.tif", *cells_in_rows(1, 1))
        assert ("sem_field", "field-01") not in tiny.plan()
        register(tiny.study, tiny.instance)
        plan = tiny.plan()
    assert (plan["sem_field", "field-01"].state, plan["cell_masks", "field-01"].state) == ("missing", "waiting")
    assert "sem_field of field-01" in plan["cell_masks", "field-01"].why
    assert plan["report", None].state == "waiting"


def test_only_the_stage_whose_code_changed_is_outdated(tiny: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {step.state for step in tiny.plan().values()} == {"current"}
    raise_version(monkeypatch, "cell_mesh")
    changed = {place: step for place, step in tiny.plan().items() if step.state != "current"}
    assert list(changed) == [("cell_mesh", CELL)]
    assert changed["cell_mesh", CELL].state == "outdated"
    assert "from version 1 to 99" in changed["cell_mesh", CELL].why


def test_only_stages_that_depend_on_a_setting_are_outdated_by_it(one_cell: Path, tmp_path: Path) -> None:
    shutil.copytree(one_cell, tmp_path / "study")
    with (tmp_path / "study" / "study.toml").open("a") as settings:
        settings.write("seed = 7\n")
    with opened(tmp_path / "study") as tiny:
        outdated = {asset for (asset, _), step in tiny.plan().items() if step.state == "outdated"}
        whys = {step.why for step in tiny.plan().values() if step.state == "outdated" and step.asset != "comparison"}
    assert outdated >= {stage.name for stage in STAGES.values() if "seed" in stage.settings} - {"comparison"}
    assert not outdated & {"sem_field", "cell_masks", "cell_mesh", "tomogram"}
    assert all("settings" in why for why in whys)


def test_a_failure_is_failed_until_its_inputs_or_its_code_change(
    tiny: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = tiny.plan()["cell_mesh", CELL].inputs
    tiny.study.store.record_failure("cell_mesh", CELL, "It broke.", inputs, STAGES["cell_mesh"].code_version)
    step = tiny.plan()["cell_mesh", CELL]
    assert (step.state, step.why) == ("failed", "It broke.")
    raise_version(monkeypatch, "cell_mesh")
    assert tiny.plan()["cell_mesh", CELL].state == "outdated"
    monkeypatch.undo()
    tiny.study.store.record_failure("cell_mesh", CELL, "It broke.", "of other inputs", "1")
    assert tiny.plan()["cell_mesh", CELL].state == "current"


def test_what_a_check_stopped_keeps_its_readers_waiting_and_says_why(tiny: TinyStudy) -> None:
    whole = tiny.study.store.current("cell_mesh", CELL)
    assert whole is not None
    blocked: Provenance = dataclasses.replace(whole.provenance, parameters={"blocked": "Not watertight."})
    with tiny.study.store.publish("cell_mesh", CELL, blocked) as staging:
        shutil.copytree(whole.path, staging.path, dirs_exist_ok=True)
    plan = tiny.plan()
    assert plan["cell_mesh", CELL].state == "stopped"
    assert "Not watertight." in plan["cell_mesh", CELL].why
    assert plan["fused_volume", CELL].state == "waiting"
    assert "Not watertight." in plan["fused_volume", CELL].why


def test_a_version_that_dagster_does_not_know_is_made_again(tiny: TinyStudy) -> None:
    whole = tiny.study.store.current("cell_mesh", CELL)
    assert whole is not None
    with tiny.study.store.publish("cell_mesh", CELL, whole.provenance) as staging:
        shutil.copytree(whole.path, staging.path, dirs_exist_ok=True)
        (staging.path / "extra.txt").write_text("not from a run")
    assert tiny.plan()["cell_mesh", CELL].why == "Dagster has no record of the stored version."


def test_what_is_no_longer_part_of_the_study_is_retired(tiny: TinyStudy) -> None:
    (tiny.inbox / "tem" / "section-02.png").unlink()
    assert tiny.plan()["tem_section", "section-02"].state == "outdated"  # until it is registered
    change = register(tiny.study, tiny.instance)
    assert change.retired == (("sections", "section-02"),)
    plan = tiny.plan()
    assert plan["tem_section", "section-02"].state == "retired"
    assert plan["interior_atlas", None].state == "outdated"
    assert "section_labels of section-02 is gone" in plan["interior_atlas", None].why
    put_demo(tiny.inbox, "tem", "section-02.png")
    register(tiny.study, tiny.instance)
    assert {step.state for step in tiny.plan().values()} == {"current"}


def chains(*steps: Step) -> list[tuple[str, ...]]:
    return [chain.assets for chain in chains_to_run(steps, set(), set())]


def test_nothing_is_made_from_what_is_about_to_change() -> None:
    outdated = [Step(name, CELL, "outdated", "", name) for name in ("cell_surface", "cell_features")]
    current = [Step(name, CELL, "current", "", name) for name in ("cell_mesh", "fused_volume")]
    assert chains(*outdated, *current) == [("cell_surface",)]


def test_what_waits_follows_in_the_same_run() -> None:
    waiting = [Step(name, CELL, "waiting", "") for name in ("cell_mesh", "fused_volume", "cell_features")]
    chain = ("cell_surface", "cell_mesh", "fused_volume", "cell_features")
    assert chains(Step("cell_surface", CELL, "missing", "", "x"), *waiting) == [chain]


def test_a_table_does_not_wait_for_one_that_a_check_stopped() -> None:
    stopped = Step("comparison_table", None, "stopped", "", "x")
    waiting = Step("verdicts", None, "waiting", "")
    assert chains(stopped, waiting, Step("report", None, "outdated", "", "y")) == [("report",)]


def test_a_failure_is_tried_once_and_one_met_just_now_not_again() -> None:
    failed = Step("cell_mesh", CELL, "failed", "", "x")
    assert chains_to_run([failed], set(), set()) == []
    tried: set[Step] = set()
    retry = {dataclasses.replace(failed, state="")}
    assert [chain.assets for chain in chains_to_run([failed], tried, retry)] == [("cell_mesh",)]
    assert chains_to_run([failed], tried, retry) == []
