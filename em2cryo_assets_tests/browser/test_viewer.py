"""``em2cryo view`` in a real Chromium: pictures that change, layers by name, nm, and no request beyond this machine."""

import io
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from em2cryo_assets.resources.study import open_study
from em2cryo_assets.viewers.in_neuroglancer import serve
from em2cryo_assets.viewers.layers import tomogram_scene
from em2cryo_assets_tests.browser.visits import visit

pytestmark = [pytest.mark.slow, pytest.mark.browser]
pytest.importorskip("neuroglancer")

WALL, NUCLEUS, MESH = (230, 159, 0), (86, 180, 233), (158, 202, 225)
QUARTERS = {"xy": (2, 50, 596, 368), "3d": (2, 427, 596, 368)}


@contextmanager
def viewing(study: Path, home: Path, *arguments: str) -> Iterator[tuple[str, str]]:
    """The command, as a person types it; its title and address."""
    command = [sys.executable, "-m", "em2cryo_assets.cli", "view", *arguments, "--no-browser"]
    environment = {**os.environ, "EM2CRYO_DATA": str(study), "TMPDIR": str(home), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            title, address, _, tunnel = (process.stdout.readline().strip() for _ in range(4))
            assert f"-L {urlsplit(address).port}:127.0.0.1:" in tunnel
            yield title, address
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
    assert not list(home.glob("em2cryo-view-*"))


def pixels(page: Any, quarter: str) -> NDArray[np.int16]:
    x, y, width, height = QUARTERS[quarter]
    shot = page.screenshot(clip={"x": x, "y": y, "width": width, "height": height})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def tinted(found: NDArray[np.int16], colour: tuple[int, int, int]) -> int:
    """Pixels that lean to a colour: what differs between channels, as under a half-transparent layer."""
    lean, wanted = found - found.mean(2, keepdims=True), np.array(colour) - np.mean(colour)
    length = np.linalg.norm(lean, axis=2)
    close = (lean @ wanted) > 0.97 * np.linalg.norm(wanted) * length
    return int(((length > 15) & close).sum())


def scales(page: Any) -> set[str]:
    """What the page writes beside x, y and z."""
    return set(page.eval_on_selector_all(".neuroglancer-position-dimension-scale", "all => all.map(one => one.value)"))


def wait_for(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def only_this_machine(port: int) -> bool:
    """Whether what listens on a port does so at 127.0.0.1 alone."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    listening = [fields[1].split(":") for fields in map(str.split, lines) if fields[3] == "0A"]
    return [host for host, at in listening if int(at, 16) == port] == ["0100007F"]


def test_a_cell_is_drawn_turned_and_stays_on_this_machine(one_cell: Path, chromium: Any, tmp_path: Path) -> None:
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    with viewing(one_cell, tmp_path, "cell", "field-01-c001") as (title, address):
        assert title == "SIMULATED DATA: cell field-01-c001"
        assert only_this_machine(int(urlsplit(address).port or 0))
        opened = visit(context)
        page = opened.page
        page.goto(address)
        wait_for(lambda: tinted(pixels(page, "xy"), NUCLEUS) > 5000, "no nucleus was drawn")
        before = pixels(page, "xy")
        assert tinted(before, WALL) > 1000
        assert title in page.title()
        shown = page.locator(".neuroglancer-layer-item-label").all_inner_texts()
        names = [f"{name} (simulated data)" for name in ("density", "labels", "source", "uncertainty, bits", "mesh")]
        assert shown == names
        assert scales(page) == {"60nm"}

        page.mouse.move(300, 235)  # through the volume
        for _ in range(8):
            page.mouse.wheel(0, 120)
        wait_for(lambda: bool((np.abs(pixels(page, "xy") - before).max(2) > 40).sum() > 3000), "the slice stayed")
        wait_for(lambda: tinted(pixels(page, "3d"), MESH) > 5000, "no surface was drawn in 3-D")
        turned = pixels(page, "3d")
        page.mouse.move(300, 610)  # around it
        page.mouse.down()
        page.mouse.move(420, 650, steps=5)
        page.mouse.up()
        wait_for(lambda: bool((np.abs(pixels(page, "3d") - turned).max(2) > 40).sum() > 3000), "the cell stayed")

        assert {urlsplit(one).netloc for one in opened.requests if one.startswith("http")} == {urlsplit(address).netloc}
        assert any("/made/mesh/whole" in one for one in opened.requests)
        assert [one for one in opened.errors if "404" not in one] == []  # the page has no icon
        volume = next(one for one in opened.requests if one.endswith("/0/zarr.json"))
        for path in ("../../../../../../etc/passwd", "..%2f..%2f..%2f..%2f..%2fstudy.toml", "%2fetc%2fpasswd"):
            with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
                urllib.request.urlopen(volume.removesuffix("zarr.json") + path)
    context.close()


def test_a_tomogram_is_drawn_with_its_labels(one_cell: Path, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    with serve(tomogram_scene(open_study(one_cell), "lamella-02")) as viewer:
        page = visit(context).page
        page.goto(viewer.get_viewer_url())
        wait_for(lambda: tinted(pixels(page, "xy"), WALL) > 1000, "no wall was drawn")
        assert scales(page) == {"8nm"}
        page.keyboard.press("2")  # without labels the density is grey
        wait_for(lambda: tinted(pixels(page, "xy"), WALL) == 0, "the labels stayed")
        assert pixels(page, "xy").std() > 10
    context.close()
