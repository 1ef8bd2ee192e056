"""Make the pictures of README and docs/interior.md from the study of EM2CRYO_DATA, else the demo: run `make demo` first.

The UI is started on a free port, visited with Chromium, and stopped.
"""

import argparse
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.store.publish import Store

ROOT = Path(__file__).resolve().parents[1]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def main() -> None:
    """Write lineage.png, partition.png, report.png, verdict.png and viewer.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=Path(os.environ.get("EM2CRYO_DATA", ROOT / "data" / "demo")))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    if not (given.study / "report" / "index.html").is_file():
        sys.exit(f"{given.study} has no report yet. Type: make demo")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("playwright is not installed. Type: make install")
    if not Path(given.chromium).exists():
        sys.exit(f"{given.chromium} is not there. Type: apt-get install chromium, or give --chromium")
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver, served(given.study) as url:
        browser = driver.chromium.launch(executable_path=given.chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(60_000)
        write(lineage(page, url), given.out / "lineage.png", 300_000)
        write(partition(page, url, given.study), given.out / "partition.png", 300_000)
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto((given.study / "report" / "index.html").resolve().as_uri())
        page.wait_for_selector("#viewer[data-shown]")
        settle(page)
        write(page.screenshot(), given.out / "report.png", 400_000)
        write(verdict(page), given.out / "verdict.png", 200_000)
        write(viewer(page, given.study), given.out / "viewer.png", 400_000)
        browser.close()


@contextmanager
def served(study: Path) -> Iterator[str]:
    """The Dagster UI of a study; its address."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {**os.environ, "EM2CRYO_DATA": str(study)}
    process = subprocess.Popen([sys.executable, "-m", "em2cryo_assets.cli", "ui", "-p", str(port)], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if process.poll() is not None:
                sys.exit("em2cryo ui ended by itself; its last lines are above.")
            try:
                urllib.request.urlopen(f"{url}/server_info", timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
            else:
                break
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


def lineage(page: Any, url: str) -> bytes:
    """The list of groups, opened, beside the graph of groups."""
    page.goto(f"{url}/asset-groups")
    page.get_by_text("g5_comparison", exact=True).last.wait_for()
    for group in ("g5_comparison", "g4_volumes", "g3_meshes", "g2_masks", "g1_raw"):  # from below: rows move down
        box = page.get_by_text(group, exact=True).first.bounding_box()
        page.mouse.click(box["x"] - 40, box["y"] + box["height"] / 2)  # the triangle has no name
        settle(page)
    page.get_by_text("tomogram_features", exact=True).first.wait_for()
    page.mouse.move(5, 5)
    settle(page)
    return page.screenshot(clip={"x": 0, "y": 0, "width": 1600, "height": 830})


def partition(page: Any, url: str, study: Path) -> bytes:
    """A pseudo-3D cell that is compared, with its picture and numbers, down to the rows that only programs read."""
    page.set_viewport_size({"width": 1600, "height": 1100})
    page.goto(f"{url}/assets/fused_volume?view=partitions&partition={first_cell(study)}")
    page.locator('img[src^="data:image/"]').first.wait_for()
    settle(page)
    end = page.get_by_text("digest", exact=True).first.bounding_box()["y"] - 12
    return page.screenshot(clip={"x": 0, "y": 0, "width": 1600, "height": end})


def verdict(page: Any) -> bytes:
    """The first verdict opened: how far to trust it, the raw files behind it, its numbers."""
    page.set_viewport_size({"width": 1400, "height": 1100})
    page.locator("details.verdict summary").first.click()
    page.mouse.move(5, 5)
    settle(page)
    box = page.locator("details.verdict").first.bounding_box()
    return page.screenshot(
        clip={"x": box["x"] - 12, "y": box["y"], "width": box["width"] + 24, "height": box["height"]}
    )


def viewer(page: Any, study: Path) -> bytes:
    """The same cell in Neuroglancer, once all is drawn."""
    command = [sys.executable, "-m", "em2cryo_assets.cli", "view", "cell", first_cell(study), "--no-browser"]
    environment = {**os.environ, "EM2CRYO_DATA": str(study), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = [process.stdout.readline() for _ in range(2)][1].strip()
        page.set_viewport_size({"width": 1200, "height": 800})
        page.goto(address)
        page.wait_for_timeout(10_000)  # chunks and mesh come after the page, and nothing tells when they are drawn
        settle(page)
        shot = page.screenshot()
        process.send_signal(signal.SIGINT)
    return bytes(shot)


def first_cell(study: Path) -> str:
    """Key of the first cell that is compared."""
    store = Store(study / "store")
    views = {key: store.current("cell_view", key) for key in sorted(store.keys("cell_view"))}
    return next(key for key, view in views.items() if view and not read_record(view)["why_not_comparable"])


def settle(page: Any) -> None:
    """Wait until two shots are the same, at most some seconds."""
    before = b""
    for _ in range(20):
        page.wait_for_timeout(400)
        now = page.screenshot()
        if now == before:
            return
        before = now


def write(shot: bytes, path: Path, most: int) -> None:
    """Save with as many colours as the limit in bytes allows."""
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    for colours in (0, 256, 128, 64):  # 0 keeps all
        out = io.BytesIO()
        fewer = picture.quantize(colours, kmeans=3, dither=Image.Dither.NONE) if colours else picture
        fewer.save(out, "PNG", optimize=True)
        if out.tell() <= most:
            break
    else:
        sys.exit(f"{path.name} does not fit into {most} bytes")
    path.write_bytes(out.getvalue())
    print(f"{path}  {picture.width} × {picture.height}  {out.tell() // 1000} KB")


if __name__ == "__main__":
    main()
