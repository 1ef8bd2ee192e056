"""What the tests of the lineage share: one small study, made once."""

import fcntl
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

# Started by a script in the background, tests ignore SIGINT; Dagster then lets them, and the servers that they start,
# ignore SIGTERM too, and a test that ends its server waits for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def one_cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cell, two sections and a lamella, brought up to date; copy it before changing anything.

    Processes that share the tests share its making, half a minute of a processor: the first makes it, the others wait for
    their copy.
    """
    from em2cryo_assets_tests.integration.tiny_study import opened, put_one_cell

    base = tmp_path_factory.getbasetemp()
    master = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "one-cell"
    master.mkdir(exist_ok=True)
    with (master / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (master / "study").exists():
            with opened(master / "unfinished") as tiny:
                put_one_cell(tiny.inbox)
                outcome, _ = tiny.run()
                assert outcome.problems == ()
            (master / "unfinished").rename(master / "study")
        root = tmp_path_factory.mktemp("one-cell") / "study"
        shutil.copytree(master / "study", root)
    return root
