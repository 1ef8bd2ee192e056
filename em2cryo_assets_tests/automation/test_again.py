"""A fetch that was refused or failed comes again by itself: in time, and never twice."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.automation import again, schedules
from em2cryo_assets.automation.again import FIRST_WAIT_S, LONGEST_WAIT_S, MOST_TRIES, Again, due_again
from em2cryo_assets.automation.batches import Outcome
from em2cryo_assets.automation.empiar import fetch_empiar, watch_empiar_entries
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.look import records_of
from em2cryo_assets.resources.empiar.resource import EmpiarResource, read_empiar_settings
from em2cryo_assets.resources.study import Study, StudyResource, open_study
from em2cryo_assets_tests.resources.empiar.server import Empiar, Fault, entry_json, mrc_bytes, serving

NAME = "EMPIAR-10227"
FIRST = f"{NAME}:2020-03-01"
SENSOR = "watch_empiar_entries"


@pytest.fixture
def empiar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Empiar]:
    with serving() as archive:
        archive.entries[NAME] = entry_json()
        archive.put(NAME, "data/tomograms/a.rec", mrc_bytes())
        monkeypatch.setattr(
            EmpiarResource,
            "client",
            lambda self, deadline_s=None: EmpiarClient(archive.archive(attempts=1), deadline_s=deadline_s),
        )
        yield archive


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "study")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


class Daemon:
    """Ticks and the runs they ask for, with the tags that Dagster gives them; a run key counts once."""

    def __init__(self, study: Study, empiar: Empiar, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.study = study
        self.resources = {"study": StudyResource(data=str(study.root)), "empiar": EmpiarResource(url=empiar.url)}
        self.cursor: str | None = None
        self.keys: list[str] = []
        self.said = ""

    def tick(self) -> list[bool]:
        """Whether each new run succeeded."""
        with dg.build_sensor_context(self.instance, cursor=self.cursor, resources=self.resources) as context:
            result = watch_empiar_entries(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.said = str(result.skip_reason.skip_message) if result.skip_reason is not None else ""
        done = []
        for request in result.run_requests or []:
            assert request.run_key not in self.keys
            self.keys.append(str(request.run_key))
            done.append(
                self.run({**request.tags, "dagster/run_key": str(request.run_key), "dagster/sensor_name": SENSOR})
            )
        return done

    def run(self, tags: dict[str, str]) -> bool:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return fetch_empiar.execute_in_process(
            instance=self.instance,
            run_config={"ops": {"fetch_entry": {"config": {"entry": NAME}}}, **quiet},
            resources={**self.resources, "compute": ComputeResource()},
            tags=tags,
            raise_on_error=False,
        ).success


@pytest.fixture
def daemon(study: Study, empiar: Empiar, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setattr(schedules, "bring_up_to_date", lambda *_: Outcome(0, ()))  # it has tests of its own
    return Daemon(study, empiar, instance)


def due(daemon: Daemon, after_s: float) -> Again:
    """What would be tried again so long after the last run ended."""
    last = daemon.instance.get_run_records(limit=1)[0]
    assert last.end_time is not None
    return due_again(
        daemon.instance,
        records_of(daemon.study),
        job=fetch_empiar.name,
        sensor=SENSOR,
        tag="empiar",
        max_gb=read_empiar_settings(daemon.study.root).max_gb,
        now=lambda: last.end_time + after_s,
    )


def test_what_was_refused_for_want_of_room_comes_once_there_is_room(
    daemon: Daemon, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study.root / "empiar.toml").write_text("max_gb = 1e-9\n")
    assert daemon.tick() == [False]
    # However long it lasts, no run is spent on it, and the reason is told.
    assert due(daemon, 100 * LONGEST_WAIT_S).due == []
    assert daemon.tick() == []
    assert "EMPIAR-10227 waits for room: its tomograms are 3.9 kB, and at most 1e-09 GB were allowed." in daemon.said
    (study.root / "empiar.toml").write_text("max_gb = 1\n")
    assert due(daemon, 0.5 * FIRST_WAIT_S).due == []
    monkeypatch.setattr(again, "FIRST_WAIT_S", 0.0)
    assert daemon.tick() == [True]
    assert daemon.keys == [FIRST, f"{FIRST}:again-1"]
    assert list(study.inbox.files("tomogram")) == ["empiar-10227-a"]
    assert (daemon.tick(), daemon.said) == ([], "Nothing new in the archive.")


def test_what_failed_is_tried_again_ever_later_and_then_given_up(
    daemon: Daemon, empiar: Empiar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("em2cryo_assets.automation.empiar._MOST_TRIES", 0)
    empiar.entries[NAME]["imagesets"] = [{"category": 3, "directory": []}]  # nothing to wait for within a run
    waits = []
    assert not daemon.run({"empiar": NAME, "dagster/run_key": FIRST, "dagster/sensor_name": SENSOR})
    for number in range(MOST_TRIES):
        wait = min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S)
        waits.append(wait)
        assert due(daemon, wait - 1).due == []
        ((entry, key),) = due(daemon, wait + 1).due
        assert (entry, key) == (NAME, f"{FIRST}:again-{number + 1}")
        daemon.run({"empiar": NAME, "dagster/run_key": key, "dagster/sensor_name": SENSOR})
    found = due(daemon, 100 * LONGEST_WAIT_S)
    assert found.due == []
    assert "failed 11 times and is given up" in found.waiting[0]
    assert sum(waits) < 7 * 86_400


def test_nothing_that_is_under_way_or_mended_is_started_again(
    daemon: Daemon, empiar: Empiar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("em2cryo_assets.automation.empiar._MOST_TRIES", 0)
    failing = [True]
    empiar.fault = lambda method, path: Fault("status", status=500) if failing and path.endswith("a.rec") else None
    assert daemon.tick() == [False]
    later = 2 * LONGEST_WAIT_S
    assert len(due(daemon, later).due) == 1
    tags = {"empiar": NAME, "dagster/run_key": "by hand"}
    config = {"ops": {"fetch_entry": {"config": {"entry": NAME}}}}
    started = daemon.instance.create_run_for_job(
        fetch_empiar, run_config=config, tags=tags, status=dg.DagsterRunStatus.STARTED
    )
    last = daemon.instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))[0]
    arguments = {"job": fetch_empiar.name, "sensor": SENSOR, "tag": "empiar", "max_gb": 50.0}
    records = records_of(daemon.study)
    now = (last.end_time or 0.0) + later
    assert due_again(daemon.instance, records, **arguments, now=lambda: now) == Again()
    daemon.instance.delete_run(started.run_id)
    assert len(due(daemon, later).due) == 1
    assert due_again(daemon.instance, records, **{**arguments, "sensor": "another"}, now=lambda: now) == Again()
    failing.clear()
    assert daemon.run(tags)  # a person executed it again
    assert due_again(daemon.instance, records, **arguments, now=lambda: now) == Again()


def test_a_new_version_takes_the_place_of_a_failed_one(
    daemon: Daemon, study: Study, empiar: Empiar, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study.root / "empiar.toml").write_text("max_gb = 1e-9\n")
    daemon.tick()
    (study.root / "empiar.toml").unlink()
    monkeypatch.setattr(again, "FIRST_WAIT_S", 0.0)
    empiar.entries[NAME]["update_date"] = "2021-01-01"
    assert daemon.tick() == [True]
    assert daemon.keys == [FIRST, f"{NAME}:2021-01-01"]
    assert daemon.tick() == []
