"""A run below a process that ignores SIGINT, such as `em2cryo ui &` in a script: Dagster then ignores SIGTERM too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from em2cryo_assets_tests.integration.tiny_study import opened, put_demo


@pytest.mark.slow
def test_a_run_that_ignores_signals_ends_as_any_other(tmp_path: Path) -> None:
    with opened(tmp_path / "study") as tiny:
        put_demo(tiny.inbox, "tem", "section-01.png")
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT TERM; exec "$0" -m em2cryo_assets.cli run', sys.executable],
        env={**os.environ, "EM2CRYO_DATA": str(tiny.study.root), "EM2CRYO_COMPUTE": "processes:1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "! " not in done.stderr + done.stdout, done.stderr
    with opened(tmp_path / "study") as tiny:
        assert tiny.plan()["section_labels", "section-01"].state == "current"
        assert all(run.status.value == "SUCCESS" for run in tiny.instance.get_runs())
