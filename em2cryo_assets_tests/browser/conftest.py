"""A real Chromium, and reports to open in it from disk."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from em2cryo_assets.report.page import write_report

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass
class Opened:
    """A page with everything it said and asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def beyond_disk(self) -> list[str]:
        return [one for one in self.requests if not one.startswith(("file:", "data:", "blob:"))]


# By module: playwright keeps an event loop running, in which nothing else in this process can run its own.
@pytest.fixture(scope="module")
def playwright_here() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def chromium(playwright_here: Any) -> Iterator[Any]:
    browser = playwright_here.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS + WEBGL)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def chromium_without_webgl(playwright_here: Any) -> Iterator[Any]:
    browser = playwright_here.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, "--disable-3d-apis"])
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def made_up() -> ModuleType:
    place = Path(__file__).parents[1] / "report" / "made_up.py"
    spec = importlib.util.spec_from_file_location("made_up", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reports(made_up: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reports")
    studies = {
        "full": made_up.study(),
        "real": made_up.study(simulated=False, cells=1),
        "empty": made_up.empty_study(),
        "no-sections": made_up.without_sections(made_up.study(cells=1)),
    }
    for name, study in studies.items():
        write_report(root / name, study)
    return {name: root / name for name in studies}


@pytest.fixture
def open_report(chromium: Any, reports: dict[str, Path]) -> Iterator[Callable[..., Opened]]:
    """Open a report with motion reduced, so that only what the reader does turns the cell."""
    contexts = []

    def opening(name: str, browser: Any = chromium, **options: Any) -> Opened:
        context = browser.new_context(
            **({"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options)
        )
        contexts.append(context)
        page = context.new_page()
        opened = Opened(page)
        page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto((reports[name] / "index.html").as_uri())
        return opened

    yield opening
    for context in contexts:
        context.close()
