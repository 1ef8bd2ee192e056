"""A local archive, and a client without waits."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from em2cryo_assets.resources.archives.http import Http
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets_tests.resources.empiar.server import Empiar, serving


@pytest.fixture
def empiar() -> Iterator[Empiar]:
    with serving() as archive:
        yield archive


@pytest.fixture
def waits() -> list[float]:
    """The waits that were asked for; none is waited."""
    return []


@pytest.fixture
def client_of(empiar: Empiar, waits: list[float]) -> Iterator[Callable[..., EmpiarClient]]:
    """A client of the local archive, more or less patient."""
    clients = []

    def make(**patience: Any) -> EmpiarClient:
        archive = empiar.archive(**patience)
        clients.append(EmpiarClient(archive, http=Http(archive, sleep=waits.append)))
        return clients[-1]

    yield make
    for one in clients:
        one.__exit__()


@pytest.fixture
def client(client_of: Callable[..., EmpiarClient]) -> EmpiarClient:
    return client_of()
