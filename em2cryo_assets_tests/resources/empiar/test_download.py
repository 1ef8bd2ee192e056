"""A download is whole, of one version, or not there; and it goes on where it broke off."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.download import Version, part_of
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets_tests.resources.empiar.server import Asked, Empiar, Fault

NAME, PATH = "EMPIAR-10227", "data/a.mrc"
CONTENT = random.Random(1).randbytes(300_000)
SIZE = len(CONTENT)


@pytest.fixture(autouse=True)
def one_file(empiar: Empiar) -> None:
    empiar.put(NAME, PATH, CONTENT)


def next_answers(empiar: Empiar, *faults: Fault | None) -> None:
    left = list(faults)
    empiar.fault = lambda method, path: left.pop(0) if left else None


def fetched(client: EmpiarClient, folder: Path, **options: object) -> bytes:
    version = client.download(NAME, PATH, folder / "a.mrc", **options)  # type: ignore[arg-type]
    content = part_of(folder / "a.mrc").read_bytes()
    assert version.size == len(content)
    return content


def test_a_file_arrives_with_its_version_and_progress(empiar: Empiar, client: EmpiarClient, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    version = client.download(NAME, PATH, tmp_path / "a.mrc", progress=lambda *so_far: told.append(so_far))
    assert part_of(tmp_path / "a.mrc").read_bytes() == CONTENT
    served = empiar.files["10227/data/a.mrc"]
    assert version == Version(SIZE, served.etag, served.last_modified)
    assert told[-1] == (SIZE, SIZE)
    assert [here for here, _ in told] == sorted(here for here, _ in told)


@pytest.mark.parametrize("at", [0, 1, 1023, 150_000, SIZE - 1])
@pytest.mark.parametrize("kind", ["truncate", "stall"])
def test_a_broken_transfer_goes_on_where_it_broke_off(
    kind: str, at: int, empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    next_answers(empiar, Fault(kind, at=at))  # type: ignore[arg-type]
    assert fetched(client_of(timeout_s=0.3, attempts=1000), tmp_path) == CONTENT
    resumed: Asked = empiar.asked[-1]
    if at > 0 and kind == "truncate":  # how much comes before a silence is a matter of time
        assert resumed.range == f"bytes={at}-"
        assert resumed.if_range == empiar.files["10227/data/a.mrc"].etag
        assert resumed.status == 206


def test_as_long_as_bytes_come_the_patience_does_not_end(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    step = SIZE // 20
    empiar.fault = lambda method, path: Fault("truncate", at=step)
    assert fetched(client_of(attempts=2), tmp_path) == CONTENT
    assert len(empiar.asked) >= 20


def test_it_is_given_up_when_nothing_comes_and_keeps_what_came(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    next_answers(empiar, Fault("truncate", at=1000), *[Fault("reset")] * 10)
    client = client_of(attempts=3)
    with pytest.raises(ArchiveError, match="3 times in a row"):
        client.download(NAME, PATH, tmp_path / "a.mrc")
    assert part_of(tmp_path / "a.mrc").read_bytes() == CONTENT[:1000]
    empiar.fault = lambda method, path: None
    assert fetched(client, tmp_path) == CONTENT
    assert empiar.asked[-1].range == "bytes=1000-"


def test_a_file_that_changed_in_between_begins_anew(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    other = random.Random(2).randbytes(SIZE)

    def change(path: str, count: int) -> None:
        empiar.put(NAME, PATH, other, last_modified="Thu, 02 Jul 2026 10:00:00 GMT")
        empiar.sent = lambda path, count: None

    next_answers(empiar, Fault("truncate", at=100_000))
    empiar.sent = change
    assert fetched(client_of(), tmp_path) == other
    assert empiar.asked[-1].status == 200


def test_a_server_that_ignores_ranges_sends_all_again(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    empiar.ranges = False
    next_answers(empiar, Fault("truncate", at=200_000), Fault("truncate", at=100_000))
    assert fetched(client_of(), tmp_path) == CONTENT


def test_another_part_than_asked_for_is_not_taken(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    next_answers(empiar, Fault("truncate", at=5000), Fault("other_part"))
    assert fetched(client_of(), tmp_path) == CONTENT
    assert [one.status for one in empiar.asked] == [200, 206, 200]


def test_without_a_mark_of_the_version_nothing_is_continued(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    empiar.put(NAME, PATH, CONTENT, etag="", last_modified=None)
    next_answers(empiar, Fault("truncate", at=5000))
    assert fetched(client_of(), tmp_path) == CONTENT
    assert [one.range for one in empiar.asked] == [None, None]


def test_a_weak_mark_gives_way_to_the_date(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    empiar.put(NAME, PATH, CONTENT, etag='W/"1"')
    next_answers(empiar, Fault("truncate", at=5000))
    assert fetched(client_of(), tmp_path) == CONTENT
    assert empiar.asked[-1].if_range == "Wed, 01 Jul 2026 10:00:00 GMT"


def test_an_unknown_length_is_not_trusted(empiar: Empiar, client: EmpiarClient, tmp_path: Path) -> None:
    empiar.fault = lambda method, path: Fault("no_length")
    with pytest.raises(ArchiveError, match="did not say how long"):
        client.download(NAME, PATH, tmp_path / "a.mrc")


def test_a_length_that_differs_from_the_first_one_is_a_lie(
    empiar: Empiar, client: EmpiarClient, tmp_path: Path
) -> None:
    served = empiar.files["10227/data/a.mrc"]
    seen = Version(SIZE, served.etag, served.last_modified)
    next_answers(empiar, Fault("short_length", at=5000))
    assert fetched(client, tmp_path, seen=seen) == CONTENT
    empiar.fault = lambda method, path: Fault("short_length", at=5000)
    with pytest.raises(ArchiveError, match="it declared 5000 bytes, and 300000 for the same version before"):
        client.download(NAME, PATH, tmp_path / "b.mrc", seen=seen)


def test_an_empty_file_is_refused(empiar: Empiar, client: EmpiarClient, tmp_path: Path) -> None:
    empiar.put(NAME, PATH, b"")
    with pytest.raises(InputError, match="empty in the archive"):
        client.download(NAME, PATH, tmp_path / "a.mrc")


def test_a_whole_part_is_asked_for_one_byte_only(empiar: Empiar, client: EmpiarClient, tmp_path: Path) -> None:
    fetched(client, tmp_path)
    assert fetched(client, tmp_path) == CONTENT
    assert empiar.asked[-1].range == f"bytes={SIZE - 1}-"


def test_a_part_of_another_address_or_with_a_damaged_note_begins_anew(
    empiar: Empiar, client: EmpiarClient, tmp_path: Path
) -> None:
    fetched(client, tmp_path)
    note = tmp_path / "a.mrc.part.json"
    whole = note.read_text()
    for text in (whole.replace("/a.mrc", "/b.mrc"), whole[:20], "[]", '{"url": 3}', whole.replace("300000", '"x"')):
        note.write_text(text)
        assert fetched(client, tmp_path) == CONTENT
        assert empiar.asked[-1].range is None


def test_a_link_in_the_place_of_the_part_leads_nowhere(empiar: Empiar, client: EmpiarClient, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "a.mrc.part").symlink_to(victim)
    (tmp_path / "a.mrc.part.json").symlink_to(victim)
    assert fetched(client, tmp_path) == CONTENT
    assert victim.read_bytes() == b"precious"


def test_a_full_disk_is_told_and_keeps_what_came(
    empiar: Empiar, client: EmpiarClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from em2cryo_assets.resources.archives import download

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(InputError, match=r"a.mrc: the disk is full. Remedy: make room"):
        client.download(NAME, PATH, tmp_path / "a.mrc")


CHILD = """
import sys
from pathlib import Path
from em2cryo_assets.resources.empiar.archive import archive_at
from em2cryo_assets.resources.empiar.client import EmpiarClient
EmpiarClient(archive_at(sys.argv[1])).download(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
"""


@pytest.mark.parametrize("at", [1, 1024, *random.Random(3).sample(range(SIZE), 4), SIZE - 1, SIZE])
def test_a_download_killed_at_any_byte_goes_on_and_is_whole(
    at: int, empiar: Empiar, client: EmpiarClient, tmp_path: Path
) -> None:
    target = tmp_path / "a.mrc"
    part = part_of(target)
    child: list[subprocess.Popen[bytes]] = []

    def kill_when_it_has_written(path: str, count: int) -> None:
        end = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size >= at) and time.monotonic() < end:
            time.sleep(0.002)
        os.kill(child[0].pid, signal.SIGKILL)

    next_answers(empiar, Fault("stall", at=at))
    empiar.sent = kill_when_it_has_written
    with subprocess.Popen([sys.executable, "-c", CHILD, empiar.url, NAME, PATH, str(target)]) as process:
        child.append(process)
        assert process.wait(timeout=120) == -signal.SIGKILL
    assert part.read_bytes() == CONTENT[:at]
    empiar.sent = lambda path, count: None
    assert fetched(client, tmp_path) == CONTENT
    assert empiar.asked[-1].range == f"bytes={min(at, SIZE - 1)}-"


def test_two_hundred_faults_lose_no_byte(
    empiar: Empiar, client_of: Callable[..., EmpiarClient], tmp_path: Path
) -> None:
    """At each attempt something else goes wrong, until 200 things have; seeded."""
    chance = random.Random(20_260)
    kinds = ("status", "reset", "truncate", "truncate", "stall", "ignore_range", "other_part", "short_length")
    left, files = 200, 10
    contents = {f"data/{n}.mrc": random.Random(n).randbytes(50_000 + n) for n in range(files)}
    for path, content in contents.items():
        empiar.put(NAME, path, content)

    def fault(method: str, path: str) -> Fault | None:
        nonlocal left
        if left == 0 or chance.random() < 0.05:
            return None
        left -= 1
        wait = chance.choice(("0", "1", None))
        return Fault(chance.choice(kinds), chance.randrange(50_000), chance.choice((429, 500, 502, 503, 504)), wait)

    client = client_of(attempts=1000, timeout_s=0.2)
    seen = {path: client.header(NAME, path)[0] for path in contents}
    empiar.fault = fault
    while left:
        for path, content in contents.items():
            target = tmp_path / f"{path[5:]}-{left}"
            version = client.download(NAME, path, target, seen=seen[path])
            digest = hashlib.sha256(part_of(target).read_bytes()).hexdigest()
            assert (version.size, digest) == (len(content), hashlib.sha256(content).hexdigest())
    assert left == 0
