"""Studies that are disturbed while they run: what must hold after it, whatever happened.

Belongs here: starting a run as a person does, waiting for a moment in it, and the state that a plain re-run must reach.
Does not belong here: the disturbances themselves.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from em2cryo_assets.store.publish import Store
from em2cryo_assets.store.verify import places, verify_place
from em2cryo_assets_tests.integration.tiny_study import opened, put_one_cell

Digests = dict[tuple[str, str | None], str]


def digests(root: Path) -> Digests:
    """All that is published but the report, which names the runs that made it."""
    store = Store(root / "store")
    found = {(place.asset, place.key): store.current(place.asset, place.key) for place in places(store)}
    return {at: one.digest for at, one in found.items() if one is not None and at[0] != "report"}


def new_study(root: Path) -> Path:
    """A study of one cell of which nothing was made."""
    with opened(root) as tiny:
        put_one_cell(tiny.inbox)
    return root


def copy_of(whole: Path, root: Path) -> Path:
    """Raw files and settings of a study, and nothing that was made of them."""
    root.mkdir()
    shutil.copytree(whole / "inbox", root / "inbox")
    shutil.copy(whole / "study.toml", root)
    return root


@contextlib.contextmanager
def started(root: Path, *, compute: str = "threads", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``em2cryo run`` in a process group of its own, of which nothing is left after the block."""
    log = root.with_suffix(".log")
    with log.open("w") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "em2cryo_assets.cli", "run"],
            env={**os.environ, "EM2CRYO_DATA": str(root), "EM2CRYO_COMPUTE": compute, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def said(root: Path) -> str:
    """What the last run of a study said."""
    return root.with_suffix(".log").read_text()


def wait_until(moment: Callable[[], bool], run: subprocess.Popen[str], root: Path) -> None:
    """Wait for a moment of a run, which must not end before it."""
    while not moment():
        assert run.poll() is None, said(root)
        time.sleep(0.02)


def published(root: Path, number: int) -> Callable[[], bool]:
    """The moment when so many artifacts are there."""
    return lambda: len(list((root / "store").glob("*/*/current"))) >= number


def assert_nothing_half(root: Path) -> None:
    """Whatever a reader can see is whole."""
    assert [one for place in places(Store(root / "store")) for one in verify_place(place)] == []


def assert_ends_like(expected: Digests, root: Path, *, compute: str = "threads", **environment: str) -> None:
    """A plain re-run reaches what an undisturbed run reaches, and leaves no writer's folder."""
    with started(root, compute=compute, **environment) as run:
        assert run.wait(timeout=500) == 0, said(root)
    assert "! " not in said(root), said(root)
    assert digests(root) == expected
    assert_nothing_half(root)
    assert not list(root.glob("store/*/*/.staging-*"))
