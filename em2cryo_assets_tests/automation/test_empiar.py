"""The sensors miss nothing, ask for nothing twice, and lose nothing when the archive fails."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.automation import empiar as automation
from em2cryo_assets.automation.empiar import fetch_empiar, find_empiar_entries, watch_empiar_entries, weekly_empiar
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.entries import parse_entry
from em2cryo_assets.resources.empiar.look import records_of
from em2cryo_assets.resources.empiar.resource import EmpiarResource, EmpiarSettings, read_empiar_settings
from em2cryo_assets.resources.study import Study, StudyResource, open_study
from em2cryo_assets_tests.resources.empiar.server import Empiar, Fault, entry_json, mrc_bytes, serving

NAME = "EMPIAR-10227"


@pytest.fixture
def empiar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Empiar]:
    """A local archive that the resource finds without waits between requests."""
    with serving() as archive:
        monkeypatch.setattr(
            EmpiarResource,
            "client",
            lambda self, deadline_s=None: EmpiarClient(archive.archive(attempts=3), deadline_s=deadline_s),
        )
        yield archive


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "study")


class Ticks:
    """Evaluations one after another; each gets the cursor of the last, and a run key counts once, as in the daemon."""

    def __init__(self, sensor: dg.SensorDefinition, study: Study, empiar: Empiar) -> None:
        self.sensor = sensor
        self.resources = {"study": StudyResource(data=str(study.root)), "empiar": EmpiarResource(url=empiar.url)}
        self.cursor: str | None = None
        self.launched: list[str] = []
        self.said = ""

    def tick(self) -> list[str]:
        """Run keys asked for that are new."""
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance, cursor=self.cursor, resources=self.resources) as context,
        ):
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.said = str(result.skip_reason.skip_message) if result.skip_reason is not None else ""
        keys = [str(run.run_key) for run in result.run_requests or []]
        new = [key for key in keys if key not in self.launched]
        assert len(new) == len(set(keys))
        self.launched += new
        for run in result.run_requests or []:
            assert run.run_config == {"ops": {"fetch_entry": {"config": {"entry": run.tags["empiar"]}}}}
        return new


@pytest.fixture
def watching(study: Study, empiar: Empiar) -> Ticks:
    return Ticks(watch_empiar_entries, study, empiar)


@pytest.fixture
def finding(study: Study, empiar: Empiar) -> Ticks:
    return Ticks(find_empiar_entries, study, empiar)


def ids(first: int, number: int) -> list[str]:
    return [f"EMPIAR-{n}" for n in range(first, first + number)]


def set_entries(study: Study, *names: str) -> None:
    (study.root / "empiar.toml").write_text(f"entries = {json.dumps(names)}\n")


def test_a_named_entry_is_asked_for_once_a_version(watching: Ticks, empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json()
    assert watching.tick() == [f"{NAME}:2020-03-01"]
    assert watching.tick() == []
    assert watching.said == "Nothing new in the archive."
    empiar.entries[NAME]["update_date"] = "2021-01-01"
    assert watching.tick() == [f"{NAME}:2021-01-01"]


def test_what_failed_is_asked_again_and_stops_no_other(watching: Ticks, study: Study, empiar: Empiar) -> None:
    set_entries(study, "EMPIAR-10001", "EMPIAR-10002", "EMPIAR-10003")
    for name in ids(10001, 3):
        empiar.entries[name] = entry_json()
    empiar.fault = lambda method, path: Fault("status", status=500) if "10002" in path else None
    assert watching.tick() == ["EMPIAR-10001:2020-03-01", "EMPIAR-10003:2020-03-01"]
    empiar.fault = lambda method, path: None
    empiar.entries["EMPIAR-10001"]["imagesets"] = "changed"
    assert watching.tick() == ["EMPIAR-10002:2020-03-01"]
    assert watching.tick() == []
    assert "the field 'imagesets' is str 'changed'" in watching.said


def test_a_tick_in_which_nothing_answered_fails_and_keeps_the_cursor(watching: Ticks, empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json()
    watching.tick()
    before = watching.cursor
    empiar.fault = lambda method, path: Fault("reset")
    with pytest.raises(dg.Failure, match="EMPIAR-10227"):
        watching.tick()
    assert watching.cursor == before


def test_a_withdrawn_entry_is_flagged_told_once_and_runs_nothing(watching: Ticks, study: Study, empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json()
    watching.tick()
    records_of(study).change(NAME, lambda old: old.seen_as(parse_entry(NAME, {NAME: entry_json()})))
    empiar.entries[NAME] |= {"status": "OBS"}
    assert watching.tick() == []
    assert watching.said == "EMPIAR-10227 was withdrawn from the archive; its files are kept."
    record = records_of(study).read(NAME)
    assert record is not None
    assert (record.withdrawn, record.status) == (True, "OBS")
    watching.tick()
    assert watching.said == "Nothing new in the archive."
    empiar.entries[NAME] |= {"status": "REL", "update_date": "2022-01-01"}
    assert watching.tick() == [f"{NAME}:2022-01-01"]
    del empiar.entries[NAME]
    watching.tick()
    assert "was withdrawn" in watching.said


def test_an_entry_that_is_not_released_waits(watching: Ticks, empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json(status="HPUB")
    assert watching.tick() == []
    empiar.entries[NAME] |= {"status": "REL", "update_date": "2020-04-01"}
    assert watching.tick() == [f"{NAME}:2020-04-01"]


def test_a_thousand_entries_are_found_none_missed_or_doubled(finding: Ticks, empiar: Empiar) -> None:
    empiar.entries = {name: entry_json() for name in ids(10001, 1000)}
    ticks = 0
    while len(finding.launched) < 1000:
        assert finding.tick(), "a tick brought nothing"
        ticks += 1
    assert ticks == 10
    assert sorted(finding.launched) == [f"{name}:2020-03-01" for name in sorted(empiar.entries)]
    assert finding.tick() == []
    empiar.entries["EMPIAR-10500"] = entry_json(update_date="2023-01-01")
    empiar.entries["EMPIAR-20000"] = entry_json()
    assert sorted(finding.tick()) == ["EMPIAR-10500:2023-01-01", "EMPIAR-20000:2020-03-01"]
    assert finding.tick() == []


def test_entries_that_come_and_go_while_it_pages_are_not_missed(finding: Ticks, empiar: Empiar) -> None:
    empiar.entries = {name: entry_json() for name in ids(10001, 350)}
    finding.tick()
    empiar.entries = {name: one for name, one in empiar.entries.items() if name not in ids(10001, 30)}
    empiar.entries |= {name: entry_json() for name in ids(10400, 7)}
    while finding.tick():
        pass
    assert sorted(finding.launched) == [f"{name}:2020-03-01" for name in sorted(ids(10001, 100) + ids(10101, 250) + ids(10400, 7))]  # fmt: skip  # noqa: E501


def test_time_that_runs_out_is_no_loss(finding: Ticks, empiar: Empiar) -> None:
    """Time is what the archive makes of it: after some answers of each tick it says nothing more."""
    empiar.entries = {name: entry_json() for name in ids(10001, 450)}
    answers = 0

    def tired(method: str, path: str) -> Fault | None:
        nonlocal answers
        answers += 1
        return Fault("status", status=429, retry_after="1000") if answers % 4 == 0 else None

    empiar.fault = tired
    for _ in range(100):
        if len(finding.launched) == 450:
            break
        with contextlib.suppress(dg.Failure):
            finding.tick()
    assert sorted(finding.launched) == [f"{name}:2020-03-01" for name in ids(10001, 450)]


def test_a_dead_archive_ends_a_tick_in_time(finding: Ticks, empiar: Empiar, monkeypatch: pytest.MonkeyPatch) -> None:
    assert automation.TICK_S < 45
    empiar.entries = {name: entry_json() for name in ids(10001, 5)}
    monkeypatch.setattr(automation, "TICK_S", 0.0)
    with pytest.raises(dg.Failure, match="time there is"):
        finding.tick()
    assert empiar.asked == []


def test_one_unreadable_entry_stops_no_other(finding: Ticks, empiar: Empiar) -> None:
    empiar.entries = {name: entry_json() for name in ids(10001, 5)}
    empiar.entries["EMPIAR-10003"] = {"imagesets": 3}
    empiar.hits = [*ids(10001, 5), "EMPIAR-10900"]
    assert len(finding.tick()) == 4
    empiar.entries["EMPIAR-10003"] = entry_json()
    assert finding.tick() == ["EMPIAR-10003:2020-03-01"]
    finding.tick()
    assert "EMPIAR-10900: the search names it, and the look-up does not know it." in finding.said


@pytest.mark.parametrize("cursor", ["", "{", "[]", "null", '{"seen": 3}', "yesterday"])
def test_a_cursor_that_a_person_mistyped_is_begun_anew(cursor: str, watching: Ticks, empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json()
    watching.cursor = cursor
    assert watching.tick() == [f"{NAME}:2020-03-01"]


def test_a_changed_query_begins_anew(finding: Ticks, study: Study, empiar: Empiar) -> None:
    empiar.entries = {name: entry_json() for name in ids(10001, 150)}
    finding.tick()
    (study.root / "empiar.toml").write_text('query = "lamella"\n')
    finding.tick()
    assert any("query=lamella" in path and "start=0" in path for path in empiar.paths())
    assert len(finding.launched) == 150


def test_every_week_each_named_entry_is_asked_for(study: Study) -> None:
    set_entries(study, *ids(10001, 2))
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 11, 29, 4),
        resources={"study": StudyResource(data=str(study.root))},
    )
    runs = weekly_empiar(context)
    assert [run.run_key for run in runs] == [f"{name}:week of 2026-11-29" for name in ids(10001, 2)]


def test_all_is_stopped_until_somebody_starts_it() -> None:
    for one in (watch_empiar_entries, find_empiar_entries, weekly_empiar):
        assert one.default_status.value == "STOPPED"
        assert one.job_name == fetch_empiar.name


def test_loading_the_code_location_loads_no_http_library() -> None:
    code = "import sys, em2cryo_assets.definitions; print({'httpx', 'tenacity'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"set()"


def test_settings_are_read_and_wrong_ones_told(study: Study) -> None:
    assert read_empiar_settings(study.root) == EmpiarSettings()
    assert EmpiarSettings().entries == (NAME,)
    path = study.root / "empiar.toml"
    path.write_text('entries = ["EMPIAR-10001", "EMPIAR-10001"]\nquery = "x"\nmax_gb = 3\n')
    assert read_empiar_settings(study.root) == EmpiarSettings(("EMPIAR-10001",), "x", 3.0)
    for text, said in {
        "entries = 3": "is not a list",
        "entries = ['10227']": "no accession",
        "query = ''": "is not text",
        "max_gb = 0": "is not possible",
        "max_gb = true": "is not possible",
        "maxgb = 3": "'maxgb' is not a setting. Remedy: known are entries, query, max_gb",
        "max_gb": "not TOML",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_empiar_settings(study.root)


def run_job(study: Study, empiar: Empiar, instance: dg.DagsterInstance, name: str = NAME) -> dg.ExecuteInProcessResult:
    return fetch_empiar.execute_in_process(
        instance=instance,
        run_config={
            "ops": {"fetch_entry": {"config": {"entry": name}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        resources={
            "study": StudyResource(data=str(study.root)),
            "compute": ComputeResource(),
            "empiar": EmpiarResource(url=empiar.url),
        },
        raise_on_error=False,
    )


def messages(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(str(event.event_specific_data) for event in result.all_events if event.is_step_failure)


@pytest.fixture
def updated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the work of the nightly run, which has tests of its own; notes that it was done."""
    from em2cryo_assets.automation import schedules
    from em2cryo_assets.automation.batches import Outcome

    done: list[str] = []

    def note(study: Study, *_: object) -> Outcome:
        done.append(" ".join(study.inbox.files("tomogram")))
        return Outcome(0, ())

    monkeypatch.setattr(schedules, "bring_up_to_date", note)
    return done


def test_the_job_fetches_and_then_brings_the_study_up_to_date(study: Study, empiar: Empiar, updated: list[str]) -> None:
    empiar.entries[NAME] = entry_json()
    empiar.put(NAME, "data/tomograms/a.rec", mrc_bytes())
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_job(study, empiar, instance)
    assert result.success, messages(result)
    assert updated == ["empiar-10227-a"]


def test_what_waiting_does_not_mend_fails_at_once_and_says_why(
    study: Study, empiar: Empiar, updated: list[str]
) -> None:
    empiar.entries[NAME] = entry_json()
    empiar.put(NAME, "data/tomograms/a.rec", mrc_bytes())
    (study.root / "empiar.toml").write_text("max_gb = 1e-9\n")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_job(study, empiar, instance)
    assert not result.success
    assert "at most 1e-09 GB were allowed" in messages(result)
    assert updated == []


def test_what_waiting_may_mend_is_tried_again(
    study: Study, empiar: Empiar, updated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "_AGAIN_AFTER_S", 0)
    empiar.entries[NAME] = entry_json()
    empiar.put(NAME, "data/tomograms/a.rec", mrc_bytes())
    left = [Fault("reset")] * 4
    empiar.fault = lambda method, path: left.pop() if left and path.endswith("a.rec") else None
    with dg.DagsterInstance.ephemeral() as instance:
        assert run_job(study, empiar, instance).success
    assert updated == ["empiar-10227-a"]


def test_a_file_that_never_comes_holds_up_nothing_of_what_came_and_fails_the_run(
    study: Study, empiar: Empiar, updated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "_AGAIN_AFTER_S", 0)
    empiar.entries[NAME] = entry_json()
    empiar.put(NAME, "data/tomograms/a.rec", mrc_bytes())
    empiar.put(NAME, "data/tomograms/b.rec", mrc_bytes(seed=1))
    empiar.fault = lambda method, path: Fault("status", status=403) if path.endswith("b.rec") else None
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_job(study, empiar, instance)
    assert not result.success
    assert "b.rec: it answered 403" in messages(result)
    assert updated == ["empiar-10227-a"]
