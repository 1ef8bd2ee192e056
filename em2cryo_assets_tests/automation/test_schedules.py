"""The nightly schedule does what the command does, once it is switched on."""

from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.automation.schedules import nightly, update_study
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.study import StudyResource
from em2cryo_assets_tests.integration.tiny_study import copied


def test_it_is_nightly_and_stopped_until_somebody_starts_it() -> None:
    assert nightly.cron_schedule == "0 2 * * *"
    assert nightly.default_status is dg.DefaultScheduleStatus.STOPPED
    assert nightly.job_name == update_study.name


def test_its_run_brings_the_study_up_to_date_and_tells_problems(
    one_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        (tiny.inbox / "tem" / "notes.docx").write_text("not an image")
        (tiny.inbox / "tomogram" / "lamella-02.mrc").unlink()
        monkeypatch.setenv("EM2CRYO_DATA", str(tiny.study.root))
        result = update_study.execute_in_process(
            instance=tiny.instance,
            resources={"study": StudyResource(), "compute": ComputeResource()},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        assert result.success
        assert {step.state for step in tiny.plan().values()} == {"current", "retired"}
        (output,) = [event for event in result.all_events if event.is_successful_output]
        metadata = output.event_specific_data.metadata
        assert metadata["problems"].value == 1
        # Table, virtual TEM, calibration, limitations and report; verdicts where they differ.
        assert metadata["materializations"].value in (5, 6)
