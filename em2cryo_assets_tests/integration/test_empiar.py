"""From a sensor's tick to the comparison: tomograms arrive, are updated one at a time, and withdrawn ones stay."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import tifffile

from em2cryo_assets.automation.empiar import fetch_empiar, watch_empiar_entries
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.empiar.look import records_of
from em2cryo_assets.resources.empiar.resource import EmpiarResource
from em2cryo_assets.resources.study import StudyResource
from em2cryo_assets.store.publish import Store
from em2cryo_assets.store.tables import read_table
from em2cryo_assets_tests.integration.tiny_study import (
    DEMO,
    PIXEL_NM,
    Computed,
    TinyStudy,
    cells_in_rows,
    draw_labels,
    opened,
    put_demo,
)
from em2cryo_assets_tests.resources.empiar.server import Empiar, entry_json, serving

pytestmark = pytest.mark.slow

FIRST, SECOND = "EMPIAR-10227", "EMPIAR-11658"
ONE, OTHER = "empiar-10227-TS_01", "empiar-11658-TS_01"


@pytest.fixture
def empiar() -> Iterator[Empiar]:
    with serving() as archive:
        yield archive


def publish(empiar: Empiar, entry: str, lamella: str, update_date: str = "2020-03-01") -> None:
    empiar.entries[entry] = entry_json(update_date=update_date)
    content = (DEMO / "tomogram" / lamella).read_bytes()
    empiar.put(entry, "data/tomograms/TS_01.mrc", content)


def put_real_cell_and_sections(tiny: TinyStudy) -> None:
    """A cell and two sections as if a microscope had made them: files of an archive join no simulated ones."""
    image, labels = cells_in_rows(1, 1)
    path = tiny.inbox / "sem" / "field-01.tif"
    tifffile.imwrite(path, image)
    draw_labels(path, labels)
    Path(f"{path}.toml").write_text(f"pixel_size_nm = {PIXEL_NM}\n")
    for name in ("section-01.png", "section-02.png"):
        sidecar = Path(f"{put_demo(tiny.inbox, 'tem', name)}.toml")
        sidecar.write_text(sidecar.read_text().replace("simulated = true\n", ""))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyStudy]:
    with opened(tmp_path / "study") as study:
        put_real_cell_and_sections(study)
        (study.study.root / "empiar.toml").write_text(f"entries = {json.dumps([FIRST, SECOND])}\n")
        yield study


def tick_and_run(tiny: TinyStudy, empiar: Empiar, cursor: str | None) -> tuple[str | None, list[str], Computed, str]:
    """What the daemon does with the sensor: its cursor, runs asked for, what they computed, and its message."""
    study = StudyResource(data=str(tiny.study.root))
    resources = {"study": study, "empiar": EmpiarResource(url=empiar.url)}
    with dg.build_sensor_context(tiny.instance, cursor=cursor, resources=resources) as context:
        result = watch_empiar_entries(context)
    assert isinstance(result, dg.SensorResult)
    before = tiny.computed()
    for request in result.run_requests or []:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EM2CRYO_DATA", str(tiny.study.root))
            run = fetch_empiar.execute_in_process(
                instance=tiny.instance,
                run_config={**request.run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                resources={**resources, "compute": ComputeResource()},
            )
        assert run.success
    said = str(result.skip_reason.skip_message) if result.skip_reason is not None else ""
    return result.cursor, [str(run.run_key) for run in result.run_requests or []], tiny.computed() - before, said


def compared(tiny: TinyStudy) -> tuple[set[str], int]:
    """Tomograms that the comparison table was made from, and the most of them in one of its rows."""
    artifact = tiny.study.store.current("comparison_table", None)
    assert artifact is not None
    tomograms = {key for asset, key in tiny.read_by("comparison_table") if asset == "tomogram_features" and key}
    return tomograms, int(read_table(artifact.path / "table.parquet")["n_cryo"].max())


def test_tomograms_arrive_are_compared_updated_and_withdrawn(tiny: TinyStudy, empiar: Empiar) -> None:
    publish(empiar, FIRST, "lamella-02.mrc")
    del empiar.entries[FIRST]
    publish(empiar, SECOND, "lamella-04.mrc")
    cursor, runs, made, _ = tick_and_run(tiny, empiar, None)
    assert runs == [f"{SECOND}:2020-03-01"]
    assert made["tomogram", OTHER] == made["comparison_table", None] == 1
    assert tiny.live("tomograms") == {OTHER}
    assert compared(tiny) == ({OTHER}, 1)

    publish(empiar, FIRST, "lamella-02.mrc")
    cursor, runs, made, _ = tick_and_run(tiny, empiar, cursor)
    assert runs == [f"{FIRST}:2020-03-01"]
    assert tiny.live("tomograms") == {ONE, OTHER}
    assert compared(tiny) == ({ONE, OTHER}, 2)
    assert {key for asset, key in made if asset.startswith("tomogram")} == {ONE}
    assert {step.state for step in tiny.plan().values()} <= {"current", "stopped"}

    assert tick_and_run(tiny, empiar, cursor)[1] == []

    # An update of one entry: its tomogram is computed again, and nothing of the other.
    publish(empiar, FIRST, "lamella-06.mrc", update_date="2021-01-01")
    empiar.entries[FIRST]["title"] = "A better reconstruction"
    cursor, runs, made, _ = tick_and_run(tiny, empiar, cursor)
    assert runs == [f"{FIRST}:2021-01-01"]
    of_a_key = {place: count for place, count in made.items() if place[1] is not None}
    assert of_a_key == {
        ("tomogram", ONE): 1,
        ("tomogram_labels", ONE): 1,
        ("tomogram_features", ONE): 1,
        ("comparison", f"field-01-c001|{ONE}"): 1,
    }
    assert made["comparison_table", None] == 1

    # An update that changes no file computes nothing.
    empiar.entries[FIRST]["update_date"] = "2022-01-01"
    cursor, runs, made, _ = tick_and_run(tiny, empiar, cursor)
    assert runs == [f"{FIRST}:2022-01-01"]
    assert not made

    # A withdrawn entry is flagged; its tomogram stays in the study.
    empiar.entries[SECOND] |= {"status": "OBS", "obsolete_date": "2022-02-02"}
    cursor, runs, made, said = tick_and_run(tiny, empiar, cursor)
    assert (runs, dict(made)) == ([], {})
    assert "EMPIAR-11658 was withdrawn from the archive; its files are kept." in said
    record = records_of(tiny.study).read(SECOND)
    assert record is not None
    assert record.withdrawn
    assert tiny.live("tomograms") == {ONE, OTHER}
    assert compared(tiny) == ({ONE, OTHER}, 2)


class Ui:
    """A running `em2cryo ui`, asked by GraphQL."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"
        self.process = process
        self.log = log

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def wait_for(self, what: Any, name: str, seconds: float = 300) -> Any:
        """The first true answer; the deadline is far beyond what any machine needs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                if answer := what():
                    return answer
            time.sleep(0.5)
        raise AssertionError(f"{name}: not within {seconds:g} s\n{self.log.read_text()}")


@pytest.fixture
def ui(tiny: TinyStudy, empiar: Empiar, tmp_path: Path) -> Iterator[Ui]:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {
        **os.environ,
        "EM2CRYO_DATA": str(tiny.study.root),
        "EM2CRYO_EMPIAR_URL": empiar.url,
        "EM2CRYO_COMPUTE": "threads",
    }
    command = [sys.executable, "-m", "em2cryo_assets.cli", "ui", "-p", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
    try:
        yield Ui(port, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


START = """
mutation ($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on Sensor { sensorState { status } } ... on PythonError { message } } }
"""
RUNS = "{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"


def test_with_the_sensor_switched_on_in_a_running_ui_a_tomogram_arrives_by_itself(
    ui: Ui, tiny: TinyStudy, empiar: Empiar
) -> None:
    publish(empiar, FIRST, "lamella-02.mrc")
    (tiny.study.root / "empiar.toml").write_text(f"entries = {json.dumps([FIRST])}\n")
    locations = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
    nodes = ui.wait_for(lambda: ui.ask(locations)["repositoriesOrError"]["nodes"], "the code location loads")
    selector = {
        "repositoryName": nodes[0]["name"],
        "repositoryLocationName": nodes[0]["location"]["name"],
        "sensorName": "watch_empiar_entries",
    }
    started = ui.ask(START, selector=selector)["startSensor"]
    assert started["__typename"] == "Sensor", started
    assert started["sensorState"]["status"] == "RUNNING"

    def ended() -> str | None:
        runs = ui.ask(RUNS)["runsOrError"]["results"]
        states = [run["status"] for run in runs if run["jobName"] == "fetch_empiar"]
        return states[0] if states and states[0] in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert ui.wait_for(ended, "the run that the sensor asked for ends") == "SUCCESS"
    assert records_of(tiny.study).read(FIRST) is not None
    assert Store(tiny.study.root / "store").current("tomogram", ONE) is not None
    assert compared(tiny) == ({ONE}, 1)
