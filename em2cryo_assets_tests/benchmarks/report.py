"""The report of a whole study in Chromium on two cores: its size, how soon it shows something, what it asks for.

The study is that of `EM2CRYO_DATA`, else the demo; it is brought up to date first, which takes minutes where it was
never made. Its report shows at least 20 cells and 6 tomograms, made from raw files: nothing is filled up.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from em2cryo_assets_tests.benchmarks.figure import Figure
from em2cryo_assets_tests.browser.visits import CHROMIUM, FLAGS, WEBGL, Opened, visit

DEMO = Path(__file__).parents[2] / "data" / "demo"
VISITS = 5
SIZE = {"width": 1440, "height": 900}

# Runs before the page's own scripts, with the clock that starts with the navigation. It waits for events: looking at
# every frame would itself take a second. Pixels are compared small, as reading all of them takes a tenth of one.
WATCH = """
const seen = window.seen = {};
const afterPainting = (act) => requestAnimationFrame(() => setTimeout(act));
document.addEventListener("load", (event) => {
  const one = event.target;
  if (!seen.picture && one.tagName === "IMG" && one.getBoundingClientRect().top < innerHeight) {
    seen.picture = -1;
    afterPainting(() => { seen.picture = performance.now(); });
  }
}, true);
const small = new OffscreenCanvas(64, 64).getContext("2d", { willReadFrequently: true });
const pixels = (canvas) => {
  small.clearRect(0, 0, 64, 64);
  small.drawImage(canvas, 0, 0, 64, 64);
  return small.getImageData(0, 0, 64, 64).data.join();
};
new MutationObserver((_, watch) => {
  const canvas = document.querySelector("#viewer[data-shown] canvas");
  if (!canvas) return;
  watch.disconnect();
  afterPainting(() => {
    const before = pixels(canvas);
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
    afterPainting(() => { if (pixels(canvas) !== before) seen.turned = performance.now(); });
  });
}).observe(document, { attributeFilter: ["data-shown"], attributes: true, subtree: true });
"""


def figures() -> Iterator[Figure]:
    """Size, what is shown, times in a fresh browser, errors and requests of a whole visit."""
    study = Path(os.environ.get("EM2CRYO_DATA", DEMO))
    command = [sys.executable, "-m", "em2cryo_assets.cli", "run", "--quiet"]
    subprocess.run(command, env={**os.environ, "EM2CRYO_DATA": str(study)}, check=True, stdout=subprocess.DEVNULL)
    report = study / "report"
    files = [one for one in report.rglob("*") if one.is_file()]
    yield Figure.at_most("report, all files", sum(one.stat().st_size for one in files) / 1e6, "MB", 40)
    page = report / "index.html"
    html = page.read_text(encoding="utf-8")
    for kind, least in (("cell", 20), ("tomogram", 6)):
        yield Figure.at_least(f"{kind}s in the report", html.count(f'<article class="entry" id="{kind}-'), kind, least)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:2])  # the browser inherits it
    try:
        yield from _in_the_browser(page.resolve().as_uri())
    finally:
        os.sched_setaffinity(0, cores)


def _in_the_browser(url: str) -> Iterator[Figure]:
    from playwright.sync_api import sync_playwright

    picture, turned, last = [], [], Opened(None)
    with sync_playwright() as driver:
        for _ in range(VISITS):  # a browser each: nothing is in its memory
            browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS + WEBGL)
            last = visit(browser.new_context(viewport=SIZE))
            last.page.add_init_script(WATCH)
            last.page.goto(url, wait_until="commit")
            seen = _seen(last.page)
            picture.append(seen["picture"] / 1000)
            turned.append(seen["turned"] / 1000)
            if len(turned) == VISITS:
                _look_at_everything(last.page)
            browser.close()
    yield Figure.at_most("first picture, median of 5 visits", statistics.median(picture), "s", 2)
    yield Figure.at_most("3-D cell turned by a key, median of 5 visits", statistics.median(turned), "s", 3)
    yield Figure.at_most("console errors of a visit to everything", len(last.errors), "errors", 0)
    yield Figure.at_most("requests beyond the disk", len(last.beyond_disk), "requests", 0)


def _seen(page: Any) -> dict[str, float]:
    for _ in range(600):
        seen = page.evaluate("window.seen")
        if seen and seen.get("picture", -1) > 0 and "turned" in seen:
            return seen
        page.wait_for_timeout(50)
    raise RuntimeError(f"after 30 s the page has shown no more than {seen}")


def _look_at_everything(page: Any) -> None:
    """Every section, every picture, every cell in 3-D."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(one => { one.loading = 'eager'; })")
    for button in page.locator("[data-channel]").all():
        button.click()
    for index in range(page.locator("#cell option").count()):
        page.select_option("#cell", index=index)
        page.wait_for_selector(f'#viewer[data-shown="{page.input_value("#cell")}"]')
