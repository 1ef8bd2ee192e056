"""kill -9 of a run, of its workers, of the database: nothing half is seen, and a plain re-run ends as ever."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from em2cryo_assets.resources.dagster_home import POSTGRES
from em2cryo_assets_tests.faults.disturbed import (
    Digests,
    assert_ends_like,
    assert_nothing_half,
    copy_of,
    digests,
    published,
    said,
    started,
    wait_until,
)
from em2cryo_assets_tests.postgres import Server, postgres_server

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("EM2CRYO_KILLS") or 2)


@pytest.fixture(scope="module")
def expected(one_cell: Path) -> Digests:
    return digests(one_cell)


@pytest.fixture
def server() -> Iterator[Server]:
    with postgres_server() as server:
        yield server


def test_random_kills_of_a_run_lose_nothing(one_cell: Path, tmp_path: Path, expected: Digests) -> None:
    """EM2CRYO_KILLS kills, each at a random moment; the same study goes on until it is whole, then another begins."""
    chance = random.Random(20_260)
    root, made, rounds = copy_of(one_cell, tmp_path / "study-0"), 0, 0
    for number in range(KILLS):
        with started(root) as run:
            if len(digests(root)) < len(expected):
                wait_until(published(root, min(made + 1, len(expected))), run, root)
            with contextlib.suppress(subprocess.TimeoutExpired):  # it may have ended: also a moment, between two runs
                run.wait(timeout=chance.uniform(0, 1.5))
            run.send_signal(signal.SIGKILL)
        assert_nothing_half(root)
        now = digests(root)
        assert now.items() <= expected.items()
        made = len(list((root / "store").glob("*/*/current")))
        if now == expected and number + 1 < KILLS:
            assert_ends_like(expected, root)
            shutil.rmtree(root)
            rounds += 1
            root, made = copy_of(one_cell, tmp_path / f"study-{rounds}"), 0
    assert_ends_like(expected, root)


def test_a_killed_dask_worker_is_replaced(one_cell: Path, tmp_path: Path, expected: Digests) -> None:
    root = copy_of(one_cell, tmp_path / "study")
    with started(root, compute="processes:2") as run:
        wait_until(published(root, 6), run, root)
        workers = [
            child
            for child in psutil.Process(run.pid).children(recursive=True)
            if "multiprocessing.spawn" in " ".join(child.cmdline())
        ]
        assert workers
        for worker in workers:
            worker.kill()
        run.wait(timeout=500)
    assert_nothing_half(root)
    assert_ends_like(expected, root)


def test_a_killed_database_is_told_and_a_new_start_goes_on(
    one_cell: Path, tmp_path: Path, expected: Digests, server: Server
) -> None:
    environment = {POSTGRES: server.create_database("study")}
    root = copy_of(one_cell, tmp_path / "study")
    with started(root, **environment) as run:
        wait_until(published(root, 3), run, root)
        server.kill()
        assert run.wait(timeout=300) == 1
    assert "Traceback" not in said(root)
    assert "The database of runs (Postgres at 127.0.0.1" in said(root)
    assert "type the same again" in said(root)
    assert_nothing_half(root)
    server.start()
    assert_ends_like(expected, root, **environment)


def test_two_runs_at_once_end_like_one(one_cell: Path, tmp_path: Path, expected: Digests) -> None:
    root = copy_of(one_cell, tmp_path / "study")
    environment = {**os.environ, "EM2CRYO_DATA": str(root), "EM2CRYO_COMPUTE": "threads"}
    with started(root) as first:
        wait_until(published(root, 1), first, root)
        second = subprocess.run(
            [sys.executable, "-m", "em2cryo_assets.cli", "run"],
            env=environment, capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip
        assert second.returncode == 0, second.stderr
        assert first.wait(timeout=500) == 0, said(root)
    assert_nothing_half(root)
    assert_ends_like(expected, root)
