"""A study made by the workers of a dask scheduler, started as docs/deploy.md says, ends like one made in one process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from em2cryo_assets_tests.faults.disturbed import assert_ends_like, copy_of, digests

pytestmark = pytest.mark.slow
DASK = Path(sys.executable).with_name("dask")


@contextlib.contextmanager
def command(*arguments: str, log: Path) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen([DASK, *arguments], stdout=out, stderr=out, start_new_session=True, cwd=log.parent)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_two_workers_of_a_scheduler_make_the_same_bytes(one_cell: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    root = copy_of(one_cell, tmp_path / "study")
    scheduler = ("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    worker = ("worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard")
    with command(*scheduler, log=tmp_path / "scheduler.log"), command(*worker, log=tmp_path / "worker.log"):
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=120)
        assert_ends_like(digests(one_cell), root, compute=address)
