"""Whatever goes wrong and whenever it is killed, fetching ends with every file whole, once, and nothing else."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from em2cryo_assets.resources.archives.fetch import Fetched
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.source import fetch
from em2cryo_assets.resources.study import open_study
from em2cryo_assets_tests.resources.empiar.an_entry import FOLDER, NAME, inbox, put_entry, record
from em2cryo_assets_tests.resources.empiar.server import Empiar, Fault, gz, mrc_bytes


@pytest.fixture(autouse=True)
def archive(empiar: Empiar) -> None:
    put_entry(empiar)


def test_two_hundred_faults_and_every_file_arrives_whole(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    """Look-ups, index pages, headers and files alike; at most three faults in a row at one address; seeded."""
    for number in range(80):
        content = mrc_bytes((7 + number % 5, 20, 22), seed=number)
        packed = number % 2
        empiar.put(NAME, f"{FOLDER}/s{number // 10}/T{number}.mrc{'.gz' * packed}", gz(content) if packed else content)
    chance = random.Random(10_227)
    kinds = ("status", "reset", "truncate", "truncate", "ignore_range", "other_part")
    left, in_a_row = 200, dict[str, int]()

    def fault(method: str, path: str) -> Fault | None:
        nonlocal left
        if left == 0 or in_a_row.get(path, 0) >= 3 or chance.random() < 0.15:
            in_a_row[path] = 0
            return None
        left -= 1
        in_a_row[path] = in_a_row.get(path, 0) + 1
        kind = chance.choice(kinds)
        return Fault(kind, chance.randrange(3000), chance.choice((429, 500, 502, 503, 504)), chance.choice(("1", None)))

    empiar.fault = fault
    study = open_study(tmp_path / "study")
    result: Fetched = fetch(study, client_of(), NAME)
    assert left == 0
    assert (result.refused, result.failed) == ([], [])
    wanted = {one.content for path, one in empiar.files.items() if path.endswith((".mrc", ".gz", ".rec"))}
    wanted -= {empiar.files[f"10227/{FOLDER}/{name}.mrc"].content for name in ("TS_01_labels", "slice")}
    assert len(result.arrived) == 82
    assert set(inbox(study).values()) == wanted


# Kills itself before or after the n-th time it puts a file into its place.
CHILD = """
import dataclasses, os, signal, sys
from pathlib import Path
from em2cryo_assets.resources.empiar import source as module
from em2cryo_assets.resources.empiar.archive import archive_at
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.study import open_study

def tick():
    global count
    count += 1
    if count == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

def replace(*places):
    tick()
    whole(*places)
    tick()

count, whole, os.replace = 0, os.replace, replace
archive = dataclasses.replace(archive_at(sys.argv[2]), interval_s=0.0)
module.fetch(open_study(Path(sys.argv[1])), EmpiarClient(archive), sys.argv[3])
"""


@pytest.mark.slow
def test_killed_at_any_step_the_next_fetch_ends_as_if_nothing_had_been(
    empiar: Empiar, client: EmpiarClient, tmp_path: Path
) -> None:
    undisturbed = open_study(tmp_path / "undisturbed")
    fetch(undisturbed, client, NAME)
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        study = open_study(tmp_path / f"killed-{step}")
        command = [sys.executable, "-c", CHILD, str(study.root), empiar.url, NAME, str(step)]
        code = subprocess.run(command, timeout=120).returncode
        fetch(study, client, NAME)
        assert inbox(study) == inbox(undisturbed)
        assert record(study) == record(undisturbed)
        assert list((study.root / "inbox" / "tomogram" / ".empiar").iterdir()) == []
    assert code == 0
    assert step > 18
