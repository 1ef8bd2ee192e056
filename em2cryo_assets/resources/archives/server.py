"""Where a public archive is reached, and how patiently it is asked.

Belongs here: what all archives have in common: the hosts that may be spoken to, limits, and the failure that waiting may
mend. Loads no HTTP library, so that the code location may import it. Does not belong here: the addresses of a
particular archive (`empiar.archive`, `cryoet_portal.portal`), or asking (`http`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from em2cryo_assets.formats.errors import InputError

__all__ = ["ArchiveError", "Origin", "Server", "address_in", "origin_of"]

_PORTS: Final = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class ArchiveError(InputError):
    """The archive did not answer as it should; asked again later, it may.

    Everything else that is wrong with an entry or a file is a plain `InputError`: waiting does not mend it.
    """

    def __reduce__(self) -> tuple[type[InputError], tuple[object, str, str]]:  # type: ignore[override]
        """Survive the trip between processes as what it is."""
        return (ArchiveError, (self.file, self.problem, self.remedy))


@dataclass(frozen=True, kw_only=True)
class Server:
    """How patiently an archive is asked; each archive adds its addresses.

    Parameters
    ----------
    attempts : int
        How often in a row a request may fail, or a download may fail without a new byte, before it is given up.
    backoff_s, longest_wait_s : float
        First wait after a failure, doubled each time, and the longest, seconds. An archive that names a time
        (Retry-After) is given that time; one that names a longer time is given up for now.
    timeout_s : float
        Silence after which a connection counts as dead, seconds.
    interval_s : float
        Least time between two requests, seconds.
    """

    attempts: int = 6
    backoff_s: float = 1.0
    longest_wait_s: float = 300.0
    timeout_s: float = 60.0
    interval_s: float = 0.1

    @property
    def origins(self) -> frozenset[Origin]:
        """The only places that may be spoken to; a redirect to any other is refused."""
        raise NotImplementedError

    @property
    def variable(self) -> str:
        """Environment variable by which a person names another address."""
        raise NotImplementedError


def address_in(environment: Mapping[str, str], variable: str, url: str = "") -> str:
    """An address without trailing slash: `url`, else what a variable of the environment names, else empty.

    Raises
    ------
    InputError
        If it is no http or https address.
    """
    url = (url or environment.get(variable, "")).strip().rstrip("/")
    if url:
        try:
            origin_of(url)
        except ValueError as error:
            raise InputError(
                variable, f"{url!r} is no address.", "write it like https://mirror.example.org, or unset it."
            ) from error
    return url


def origin_of(url: str) -> Origin:
    """Scheme, host and port of an address.

    Raises
    ------
    ValueError
        If it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is neither http nor https.")
    return parts.scheme, parts.hostname.lower(), parts.port or _PORTS[parts.scheme]
