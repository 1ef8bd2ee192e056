"""A local portal with one dataset of two runs."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from em2cryo_assets.resources.archives.http import Http
from em2cryo_assets.resources.cryoet_portal.portal import parse_wanted
from em2cryo_assets.resources.cryoet_portal.source import PortalSource
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets_tests.resources.cryoet_portal.stand_in import PortalHandler, StandIn, old_image, yeast_image
from em2cryo_assets_tests.resources.empiar.server import serving


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """OME-Zarr 0.4 of 1.348 nm as the portal has it, and 0.5 of 1.1 nm."""
    root = tmp_path_factory.mktemp("images")
    return old_image(root / "old.zarr", 13.48), yeast_image(root / "new.zarr", 1.1)


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with serving(StandIn(), PortalHandler) as one:
        yield one


@pytest.fixture
def portal(server: StandIn, images: tuple[Path, Path]) -> StandIn:
    fresh = StandIn()
    for one in fields(StandIn):
        if one.name not in ("url", "closing"):
            setattr(server, one.name, getattr(fresh, one.name))
    server.put_dataset()
    server.put_run(11, "TS_026")
    server.put_run(12, "TS_027", tiltStep=2.0)
    server.put_tomogram(100, 11, images[0], 13.48)
    server.put_tomogram(101, 12, images[1], 11.0, processing="denoised")
    return server


@pytest.fixture
def source_of(portal: StandIn) -> Iterator[Callable[..., PortalSource]]:
    """The local portal's datasets as something to fetch, more or less patiently; no wait is waited."""
    made = []

    def make(wanted: str = "10000", **patience: Any) -> PortalSource:
        server = portal.portal(**patience)
        made.append(PortalSource(server, parse_wanted(wanted), http=Http(server, sleep=lambda seconds: None)))
        return made[-1]

    yield make
    for one in made:
        one.__exit__()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "study")
