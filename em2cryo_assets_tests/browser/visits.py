"""Debian's Chromium, and what a page says and asks for while it is open: for the tests and the benchmark of the report."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
        """Requests to anything but files and the page itself."""
        return [one for one in self.requests if not one.startswith(("file:", "data:", "blob:"))]


def visit(context: Any) -> Opened:
    """A new page of a browser context that keeps its errors and requests."""
    page = context.new_page()
    opened = Opened(page)
    page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    return opened
