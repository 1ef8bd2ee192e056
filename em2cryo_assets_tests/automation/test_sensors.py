"""The inbox sensor asks for one run a file and version, and for no more."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.automation.register import register
from em2cryo_assets.automation.sensors import inbox_sensor
from em2cryo_assets.resources.study import StudyResource
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, cells_in_rows, copied, draw_labels, put_field


@pytest.fixture
def tiny(one_cell: Path, tmp_path: Path) -> Iterator[TinyStudy]:
    with copied(one_cell, tmp_path / "study") as study:
        yield study


def evaluate(tiny: TinyStudy) -> dg.SensorResult | dg.SkipReason:
    resource = StudyResource(data=str(tiny.study.root))
    with dg.build_sensor_context(instance=tiny.instance, resources={"study": resource}) as context:
        result = inbox_sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def keys_and_runs(tiny: TinyStudy) -> tuple[list[tuple[str, list[str]]], list[dg.RunRequest]]:
    result = evaluate(tiny)
    assert isinstance(result, dg.SensorResult)
    requests = [(type(one).__name__[:3], one.partition_keys) for one in result.dynamic_partitions_requests or []]
    return requests, list(result.run_requests or [])


def test_with_everything_read_it_skips(tiny: TinyStudy) -> None:
    assert isinstance(evaluate(tiny), dg.SkipReason)


def test_a_new_file_gets_a_key_and_one_run_for_its_version(tiny: TinyStudy) -> None:
    path = put_field(tiny.inbox, "field 2.tif", cells_in_rows(1, 1, seed=2)[0])
    requests, (run,) = keys_and_runs(tiny)
    assert requests == [("Add", ["field-2"])]
    assert (run.partition_key, run.job_name) == ("field-2", "read_field")
    raw = tiny.study.inbox.require("sem", "field-2")
    assert str(run.run_key).startswith(f"sem:field-2:{tiny.study.inbox.digest(raw)[:16]}")
    assert keys_and_runs(tiny)[1][0].run_key == run.run_key  # Dagster drops a run key it has seen
    register(tiny.study, tiny.instance)
    tiny.make("field-2", "sem_field", "cell_masks")
    assert isinstance(evaluate(tiny), dg.SkipReason)
    put_field(tiny.inbox, path.name, cells_in_rows(1, 1, seed=3)[0])
    requests, (again,) = keys_and_runs(tiny)
    assert requests == []
    assert again.partition_key == "field-2"
    assert again.run_key != run.run_key


def test_a_changed_sidecar_is_a_new_version(tiny: TinyStudy) -> None:
    sidecar = tiny.inbox / "sem" / "field-01.tif.toml"
    sidecar.write_text(sidecar.read_text() + 'notes = "read again"\n')
    requests, (run,) = keys_and_runs(tiny)
    assert (requests, run.partition_key) == ([], "field-01")


def test_changed_labels_are_a_new_version(tiny: TinyStudy) -> None:
    Path(f"{tiny.inbox / 'sem' / 'field-01.tif'}.labels.tif").unlink()
    tiny.make("field-01", "sem_field", "cell_masks")
    draw_labels(tiny.inbox / "sem" / "field-01.tif", cells_in_rows(1, 1)[1])
    requests, (run,) = keys_and_runs(tiny)
    assert (requests, run.partition_key) == ([], "field-01")
    tiny.make("field-01", "sem_field", "cell_masks")
    assert isinstance(evaluate(tiny), dg.SkipReason)
    Path(f"{tiny.inbox / 'sem' / 'field-01.tif'}.labels.tif").unlink()
    requests, (back,) = keys_and_runs(tiny)
    assert (requests, back.partition_key) == ([], "field-01")
    assert back.run_key != run.run_key


def test_a_file_put_back_as_it_was_runs_again(tiny: TinyStudy) -> None:
    sidecar = tiny.inbox / "sem" / "field-01.tif.toml"
    content = sidecar.read_text()
    seen = set()
    for text in (content + 'notes = "b"\n', content, content + 'notes = "b"\n'):
        sidecar.write_text(text)
        _, (run,) = keys_and_runs(tiny)
        assert run.run_key not in seen  # Dagster would drop it
        seen.add(run.run_key)
        tiny.make("field-01", "sem_field", "cell_masks")


def test_labels_beside_a_tomogram_ask_for_a_run_that_says_what_became_of_them(tiny: TinyStudy) -> None:
    (tiny.inbox / "tomogram" / "lamella-02.mrc.labels.tif").write_bytes(b"anything")
    requests, (run,) = keys_and_runs(tiny)
    assert requests == []
    assert run.partition_key == "lamella-02"


def test_a_deleted_file_retires_its_key_and_cells(tiny: TinyStudy) -> None:
    (tiny.inbox / "sem" / "field-01.tif").unlink()
    requests, runs = keys_and_runs(tiny)
    assert requests == [("Del", ["field-01"]), ("Del", ["field-01-c001"])]
    assert runs == []


def test_a_file_without_a_key_is_told_and_stops_nothing(
    tiny: TinyStudy, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny.inbox / "tem" / "notes.docx").write_text("not an image")
    shutil.copy(tiny.inbox / "tem" / "section-01.png", tiny.inbox / "tem" / "section-09.png")
    requests, (run,) = keys_and_runs(tiny)
    assert requests == [("Add", ["section-09"])]
    assert run.partition_key == "section-09"
    assert "notes.docx" in caplog.text + capsys.readouterr().err


def test_it_is_stopped_until_somebody_starts_it() -> None:
    assert inbox_sensor.default_status is dg.DefaultSensorStatus.STOPPED
