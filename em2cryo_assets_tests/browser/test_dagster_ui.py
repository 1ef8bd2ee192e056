"""`em2cryo ui` as its user meets it: the lineage in order, a run launched with the mouse, nothing left behind."""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from em2cryo_assets.assets.lineage import GROUPS
from em2cryo_assets.report.data import ProvenanceRow
from em2cryo_assets.report.entries import RawEntry
from em2cryo_assets.report.page import write_report
from em2cryo_assets.store.publish import Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECTION = Path(__file__).parents[2] / "data" / "demo" / "inbox" / "tem" / "section-01.png"
PATIENCE_MS = 30_000
DAGSTERS_OWN = ("go.apollo.dev",)  # said by the bundled client of Dagster 1.13 on every page


@dataclass
class Ui:
    """A running `em2cryo ui`."""

    study: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str) -> Any:
        """Answer of Dagster's GraphQL."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def family(self) -> set[int]:
        """Its process and all processes it started, and those they started."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it ended in between
            children.setdefault(parent, []).append(int(stat.parent.name))
        found, waiting = set(), [self.process.pid]
        while waiting:
            found.add(one := waiting.pop())
            waiting += children.get(one, [])
        return found


@dataclass
class Visit:
    """A page of the UI, and what it said or asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def wait_for(what: Callable[[], Any], seconds: float, name: str) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := what():
            return answer
        time.sleep(0.25)
    raise AssertionError(f"{name}: not within {seconds:g} s")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """One section in a study of its own, and the UI on it."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see which processes are left")
    root = tmp_path_factory.mktemp("ui")
    study = root / "study"
    command = [sys.executable, "-m", "em2cryo_assets.cli"]
    environment = {**os.environ, "EM2CRYO_DATA": str(study), "EM2CRYO_COMPUTE": "threads", "NO_COLOR": "1"}
    environment.pop("PYTHONWARNINGS", None)
    subprocess.run([*command, "add", "tem", str(SECTION)], env=environment, check=True, capture_output=True)
    port, log = free_port(), root / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, "ui", "-p", str(port)], env=environment, stdout=said, stderr=said, start_new_session=True
        )
    here = Ui(study, port, process, log)
    try:
        wait_for(lambda: serving(here), 90, f"the UI answers\n{log.read_text()}")
        yield here
    finally:
        stop(here)


def serving(ui: Ui) -> bool:
    assert ui.process.poll() is None, ui.log.read_text()
    try:
        with urllib.request.urlopen(f"{ui.url}/server_info", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stop(ui: Ui) -> None:
    """End what a failed test may have left."""
    left = [one for one in ui.family() if alive(one)] if ui.process.poll() is None else []
    for one in left:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue
    ui.process.wait(timeout=30)


@pytest.fixture
def visit(chromium: Any, ui: Ui) -> Iterator[Visit]:
    context = chromium.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    seen = Visit(page)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
    page.on("request", lambda one: None if local(one.url, ui) else seen.elsewhere.append(one.url))
    yield seen
    context.close()


def local(url: str, ui: Ui) -> bool:
    return url.startswith((f"{ui.url}/", f"ws://127.0.0.1:{ui.port}/", "data:", "blob:"))


def ours(errors: list[str]) -> list[str]:
    return [one for one in errors if not any(known in one for known in DAGSTERS_OWN)]


def listening(port: int) -> list[str]:
    """Addresses that listen on a port, in the kernel's hexadecimal."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            address, _, state = line.split()[1:4]
            host, _, at = address.partition(":")
            if state == "0A" and int(at, 16) == port:
                found.append(host)
    return found


def test_it_listens_to_this_machine_only_and_starts_without_a_warning(ui: Ui) -> None:
    assert listening(ui.port) == ["0100007F"]  # 127.0.0.1
    said = ui.log.read_text()
    assert not re.search(r"warning|error|traceback", said, re.IGNORECASE), said
    asked = ui.ask("{ instance { info } shouldShowNux repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }")  # fmt: skip  # noqa: E501
    assert asked["shouldShowNux"] is False
    assert re.search(r"telemetry:\s+enabled: false", asked["instance"]["info"])
    assert [node["location"]["name"] for node in asked["repositoriesOrError"]["nodes"]] == ["em2cryo"]


def test_the_lineage_shows_the_groups_in_the_order_of_the_work(visit: Visit, ui: Ui) -> None:
    page = visit.page
    page.goto(f"{ui.url}/asset-groups")
    names = list(GROUPS.values())
    boxes = {name: [] for name in names}
    for name in names:
        page.get_by_text(name, exact=True).last.wait_for()
        boxes[name] = [box for one in page.get_by_text(name, exact=True).all() if (box := one.bounding_box())]
    down = [min(boxes[name], key=lambda box: box["x"])["y"] for name in names]  # the list at the left
    across = [max(boxes[name], key=lambda box: box["x"])["x"] for name in names]  # the graph
    assert down == sorted(down)
    assert across == sorted(across)
    # Models and raw files stand in one column: neither reads the other.
    assert len(set(down)) == len(set(across)) + 1 == len(names)
    assert page.get_by_role("dialog").count() == 0  # no first-run dialog
    assert page.locator(".bp5-toast, .bp4-toast, [data-sonner-toast]").count() == 0
    assert ours(visit.errors) == []
    assert visit.elsewhere == []


def test_a_section_is_materialized_by_mouse_and_its_picture_shown(visit: Visit, ui: Ui) -> None:
    page = visit.page
    page.goto(f"{ui.url}/assets/tem_section")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").or_(page.locator('[class*="dialog"]')).first
    dialog.get_by_text("Select a partition").click()
    page.get_by_text("section-01", exact=True).filter(visible=True).last.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Launch").last.click()

    def ended() -> str | None:
        runs = ui.ask("{ runsOrError { ... on Runs { results { status assetSelection { path } } } } }")
        states = [run["status"] for run in runs["runsOrError"]["results"] if run["assetSelection"]]
        return states[0] if states and states[0] in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert wait_for(ended, 60, f"the run ends\n{ui.log.read_text()}") == "SUCCESS"
    artifact = Store(ui.study / "store").current("tem_section", "section-01")
    assert artifact is not None
    assert (artifact.path / "image.ome.zarr").is_dir()

    page.goto(f"{ui.url}/assets/tem_section?view=partitions&partition=section-01")
    page.get_by_text("SIMULATED DATA").first.wait_for()
    shown = page.locator('img[src^="data:image/"]').first
    shown.wait_for()
    assert shown.evaluate("one => one.complete && one.naturalWidth") >= 60
    page.get_by_text("[Show Markdown]").first.click()
    large = page.locator('img[src^="data:image/"]').last
    wait_for(lambda: large.evaluate("one => one.complete && one.naturalWidth") >= 200, 20, "the large picture")
    assert len(large.get_attribute("src")) <= 50_000
    assert page.get_by_text("pixel_size_nm", exact=True).count() == 1
    assert ours(visit.errors) == []
    assert visit.elsewhere == []


def test_a_link_in_the_report_opens_the_artifact_and_its_raw_file_that_it_names(
    visit: Visit, ui: Ui, made_up: ModuleType
) -> None:
    artifact = Store(ui.study / "store").current("tem_section", "section-01")
    assert artifact is not None  # made by the test above
    (file,) = (ui.study / "inbox" / "tem").glob("section-01.png")
    row = ProvenanceRow("tem_section", "section-01", artifact.digest, artifact.provenance.run_id)
    raw = RawEntry("tem_section", "section-01", f"inbox/tem/{file.name}", made_up.density_levels(), 14.0)
    study = dataclasses.replace(made_up.study(cells=1), provenance=(row,), raw=(raw,))
    write_report(ui.study / "report", study)
    page = visit.page
    page.goto((ui.study / "report" / "index.html").as_uri())
    address = page.get_by_label("Address of the Dagster UI")
    address.fill(ui.url)
    address.press("Enter")
    entry = page.locator("#raw article")
    with page.context.expect_page() as opening:
        entry.locator("img").click()
    assert opening.value.url == file.as_uri()
    assert opening.value.evaluate("document.images[0].naturalWidth") > 300
    entry.locator("a[data-ui]").click()
    page.get_by_text(artifact.digest).first.wait_for()
    assert page.url == f"{ui.url}/assets/tem_section?view=partitions&partition=section-01"
    assert ours(visit.errors) == []


def test_stopping_it_leaves_no_process(ui: Ui) -> None:
    family = ui.family()
    assert len(family) >= 4  # itself, web server, daemon, code server
    ui.process.send_signal(signal.SIGTERM)
    assert ui.process.wait(timeout=60) == 0
    wait_for(lambda: not [one for one in family if alive(one)], 30, "all its processes end")
    assert listening(ui.port) == []
