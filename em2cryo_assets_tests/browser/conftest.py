"""A real Chromium, and reports to open in it from disk."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from em2cryo_assets.report.page import write_report
from em2cryo_assets_tests.browser.visits import CHROMIUM, FLAGS, WEBGL, Opened, visit


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
        "hostile": made_up.hostile_study("<img src=x onerror='window.hacked = 1'>"),
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
        opened = visit(context)
        opened.page.goto((reports[name] / "index.html").as_uri())
        return opened

    yield opening
    for context in contexts:
        context.close()
