"""Asking over HTTP: patient, polite, and only where it is allowed.

Belongs here: retries with growing waits, Retry-After, the pace of requests, redirects, limits on what is read.
Does not belong here: what an answer means, or files on disk (`download`).
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import tenacity

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.server import ArchiveError, Server, origin_of

__all__ = ["EmptyError", "Http", "MissingError", "PassingError", "Reply"]

_PASSING: Final = (408, 429, 500, 502, 503, 504)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 5
_LATER: Final = "try again later; what has arrived is kept."

T = TypeVar("T")


class MissingError(InputError):
    """There is nothing at this address."""


class EmptyError(InputError):
    """There is something at this address, and it holds none of the bytes that were asked for."""


class PassingError(Exception):
    """A failure that the next attempt may not meet.

    Parameters
    ----------
    url : str
        What was asked for.
    problem : str
        What happened.
    retry_after_s : float, optional
        When the server wants to be asked again, seconds.
    progressed : bool
        Whether the attempt brought anything new; such attempts do not use up the patience.
    """

    def __init__(self, url: str, problem: str, *, retry_after_s: float | None = None, progressed: bool = False) -> None:
        self.url = url
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.progressed = progressed
        super().__init__(f"{url}: {problem}")


@dataclass(frozen=True)
class Reply:
    """A short answer, read as a whole.

    Parameters
    ----------
    url : str
        Where it came from after redirects.
    status : int
        200 or 206.
    headers : Mapping of str to str
        By lower-case name.
    body : bytes
        At most as long as was allowed.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """One client; close it, or use it as a context manager.

    Parameters
    ----------
    server : Server
        Where, and how patiently.
    deadline_s : float, optional
        Seconds from now after which nothing is waited for any more: a sensor has little time.
    sleep : callable
        Waits; tests count instead.
    """

    def __init__(
        self, server: Server, *, deadline_s: float | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.server = server
        self._sleep = sleep
        self._deadline = None if deadline_s is None else time.monotonic() + deadline_s
        self._next_request = 0.0
        # Bytes are wanted as they lie on the server: lengths and ranges of a compressed transfer mean something else.
        headers = {"User-Agent": "em2cryo-assets", "Accept-Encoding": "identity"}
        self._client = httpx.Client(headers=headers, follow_redirects=False, timeout=server.timeout_s)

    def __enter__(self) -> "Http":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(
        self,
        url: str,
        *,
        most: int,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        only_first: bool = False,
    ) -> Reply:
        """Read one short answer, trying again where that may help.

        Parameters
        ----------
        url : str
            What to ask for.
        most : int
            Bytes that are read at most.
        method, body, headers : str, bytes, mapping
            The request.
        only_first : bool
            Whether a longer answer is cut at `most` instead of refused.

        Raises
        ------
        MissingError
            If there is nothing there.
        ArchiveError
            If it cannot be had now.
        InputError
            If it is refused, too long, or leads to a host that is not allowed.
        """

        def once() -> Reply:
            with self.stream(method, url, body=body, headers=headers) as response:
                content = bytearray()
                for chunk in response.iter_raw() if only_first else response.iter_bytes():
                    content += chunk
                    self._check_deadline(url)
                    if len(content) > most and not only_first:
                        raise _refused(url, f"the answer is longer than {most / 2**20:g} MiB.", "report it.")
                    if len(content) >= most and only_first:
                        break
                return Reply(str(response.url), response.status_code, response.headers, bytes(content[:most]))

        return self.patiently(once)

    @contextlib.contextmanager
    def stream(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Open one answer of status 200 or 206 to be read by the caller; a single attempt.

        Raises
        ------
        PassingError
            If another attempt may succeed, also for failures while the caller reads.
        MissingError, InputError
            If none will.
        """
        try:
            with contextlib.ExitStack() as stack:
                for _ in range(_MOST_REDIRECTS + 1):
                    self._check_allowed(url)
                    self._pace()
                    request = self._client.stream(
                        method, url, content=body, headers=headers, timeout=self._patience_s()
                    )
                    response = stack.enter_context(request)
                    if response.status_code not in _REDIRECTS:
                        break
                    url = urljoin(url, response.headers.get("location", ""))
                    method = "GET" if response.status_code == 303 else method
                else:
                    raise _refused(url, "it is redirected again and again.", "report it to the archive.")
                _check_status(url, response)
                yield response
        except httpx.InvalidURL as error:
            raise _refused(url, f"this is no address ({error}).", "report it to the archive.") from error
        except httpx.RequestError as error:
            raise PassingError(url, f"the connection failed ({str(error) or type(error).__name__})") from error

    def patiently(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it succeeds, fails for good, or patience or time has run out.

        Raises
        ------
        ArchiveError
            If patience has run out.
        """
        in_vain = 0

        def wait(state: tenacity.RetryCallState) -> float:
            nonlocal in_vain
            error = _error_of(state)
            in_vain = 0 if error.progressed else in_vain + 1
            if error.retry_after_s is not None:
                return error.retry_after_s
            # Spread over a factor of two: clients that failed together do not come back together.
            growing = self.server.backoff_s * 2 ** max(0, in_vain - 1) * (0.5 + 0.5 * random.random())
            return min(growing, self.server.longest_wait_s)

        def stop(state: tenacity.RetryCallState) -> bool:
            if in_vain >= self.server.attempts or state.upcoming_sleep > self.server.longest_wait_s:
                return True
            return self._deadline is not None and time.monotonic() + state.upcoming_sleep >= self._deadline

        def give_up(state: tenacity.RetryCallState) -> Any:
            error = _error_of(state)
            asked = (
                "" if error.retry_after_s is None else f" and wants to be asked again in {error.retry_after_s:.0f} s"
            )
            raise ArchiveError(_name(error.url), f"{error.problem}{asked}, {max(1, in_vain)} times in a row.", _LATER)

        retrying = tenacity.Retrying(
            sleep=self._sleep,  # type: ignore[arg-type]
            wait=wait,
            stop=stop,
            retry=tenacity.retry_if_exception_type(PassingError),
            retry_error_callback=give_up,
        )
        return retrying(attempt)

    def _check_allowed(self, url: str) -> None:
        try:
            allowed = origin_of(url) in self.server.origins
        except ValueError:
            allowed = False
        if not allowed:
            raise _refused(
                url,
                f"it leads to {urlsplit(url).scheme}://{urlsplit(url).netloc}, which is not the archive.",
                f"if that is a mirror you trust, name it in {self.server.variable}.",
            )

    def _pace(self) -> None:
        now = time.monotonic()
        self._check_deadline("the archive")
        if now < self._next_request:
            self._sleep(self._next_request - now)
        self._next_request = max(now, self._next_request) + self.server.interval_s

    def _patience_s(self) -> float:
        """Silence that is borne: with a deadline, so little that connecting, sending and a last silence fit in."""
        if self._deadline is None:
            return self.server.timeout_s
        return min(self.server.timeout_s, max(0.1, (self._deadline - time.monotonic()) / 3))

    def _check_deadline(self, url: str) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise PassingError(url, "it did not answer in the time there is")


def _check_status(url: str, response: httpx.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in (404, 410):
        raise MissingError(_name(url), f"there is nothing at {url}.", "check the name.")
    if status == 416:
        raise EmptyError(_name(url), "it holds none of the bytes that were asked for.", "report it to the archive.")
    if status in _PASSING:
        raise PassingError(url, f"it answered {status}", retry_after_s=_retry_after(response.headers))
    raise _refused(
        url, f"it answered {status} to {url}.", "open that address in a browser; report it if it fails there."
    )


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, from a number or a date; None if the server says nothing usable."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _error_of(state: tenacity.RetryCallState) -> PassingError:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, PassingError)
    return error


def _name(url: str) -> str:
    """Last part of an address, as its reader knows it."""
    return PurePosixPath(unquote(urlsplit(url).path)).name or urlsplit(url).netloc or url


def _refused(url: str, problem: str, remedy: str) -> InputError:
    return InputError(_name(url), problem, remedy)
