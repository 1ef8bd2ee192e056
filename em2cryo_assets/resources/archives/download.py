"""Fetching one large file: continued where it broke off, and never taken for whole when it is not.

Belongs here: byte ranges, versions of a remote file, the ``.part`` file. Does not belong here: what the bytes mean
(`header`), or where they go afterwards (`fetch`).

What lies on disk while a file arrives::

    <name>.part        the first bytes of it
    <name>.part.json   of which version: address, size, ETag, Last-Modified; written before the first byte
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import httpx

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.http import Http, PassingError

__all__ = ["Progress", "Version", "discard", "download", "part_of", "version_of"]

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)

Progress = Callable[[int, int], None]
"""Takes the bytes that are here and the bytes there will be."""


@dataclass(frozen=True)
class Version:
    """What a server says that tells one version of a file from another.

    Parameters
    ----------
    size : int
        Bytes.
    etag, last_modified : str or None
        As sent.
    """

    size: int
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What may stand in If-Range: an ETag unless it is a weak one, else the date."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    def same_marks(self, other: "Version") -> bool:
        """Whether both carry the same marks, whatever their sizes; False where there are none to compare."""
        marks = (self.etag, self.last_modified)
        return marks != (None, None) and marks == (other.etag, other.last_modified)


def version_of(url: str, status: int, headers: Mapping[str, str]) -> Version:
    """Version that an answer of status 200 or 206 declares.

    Raises
    ------
    PassingError
        If it does not say how long the whole file is.
    """
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        size = match.group(3) if match else ""
    else:
        size = headers.get("content-length", "").strip()
    if not size.isdecimal():
        raise PassingError(url, "it did not say how long the file is")
    return Version(int(size), headers.get("etag") or None, headers.get("last-modified") or None)


def part_of(target: Path) -> Path:
    """Where the bytes of `target` gather."""
    return target.with_name(target.name + ".part")


def discard(target: Path) -> None:
    """Forget what has arrived of `target`, a file or a folder."""
    _state_of(target).unlink(missing_ok=True)
    part = part_of(target)
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def download(
    http: Http, url: str, target: Path, *, seen: Version | None = None, progress: Progress | None = None
) -> Version:
    """Bring all bytes of a file into ``<target>.part``, continuing what an earlier call left there.

    Parameters
    ----------
    http : Http
        The client.
    url : str
        The file.
    target : pathlib.Path
        Its name beside the ``.part`` file; the folder exists.
    seen : Version, optional
        What was declared before; the same version with another size is a lie.
    progress : callable, optional
        Told after each piece.

    Returns
    -------
    Version
        Of the bytes that are now whole on disk.

    Raises
    ------
    ArchiveError
        If it cannot be had now.
    InputError
        If it is not there, or the disk is full.
    """
    furthest = _size(part_of(target))

    def once() -> Version:
        nonlocal furthest
        try:
            return _attempt(http, url, target, seen, progress)
        except PassingError as error:
            here = _size(part_of(target))
            error.progressed = here > furthest
            furthest = max(furthest, here)
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                target, "the disk is full.", "make room and ask again; what has arrived is kept."
            ) from error

    return http.patiently(once)


def _attempt(http: Http, url: str, target: Path, seen: Version | None, progress: Progress | None) -> Version:
    known = _read_state(target, url)
    here = _size(part_of(target))
    headers: dict[str, str] = {}
    offset = 0
    if known is not None and known.validator is not None and 0 < here <= known.size:
        # At least one byte is always asked for: the answer tells whether the version is still the one on disk.
        offset = min(here, known.size - 1)
        headers = {"Range": f"bytes={offset}-", "If-Range": known.validator}
    with http.stream("GET", url, headers=headers) as response:
        version = version_of(url, response.status_code, response.headers)
        _check_encoding(url, response)
        if response.status_code == 206:
            if not headers or not _continues(response, offset, version, known):
                discard(target)
                raise PassingError(url, "it sent another part than was asked for, or one of another version")
        else:  # the first attempt, a server that knows no ranges, or a file that changed
            offset = 0
            discard(target)
            _write_state(target, url, version)
        if version.size < 1:
            raise InputError(target, "it is empty in the archive.", "report it to the archive.")
        if seen is not None and seen.same_marks(version) and seen.size != version.size:
            discard(target)
            raise PassingError(url, f"it declared {version.size} bytes, and {seen.size} for the same version before")
        got = _write(part_of(target), offset, version.size, response, progress)
    if got != version.size:
        if got > version.size:
            discard(target)
        raise PassingError(url, f"it declared {version.size} bytes and sent {got}")
    return version


def _continues(response: httpx.Response, offset: int, version: Version, known: Version | None) -> bool:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if match is None or known is None:
        return False
    first, last = int(match.group(1)), int(match.group(2))
    # A server may leave a mark out of a partial answer; one that differs is another version.
    same = all(
        theirs is None or theirs == ours
        for theirs, ours in ((version.etag, known.etag), (version.last_modified, known.last_modified))
    )
    return same and version.size == known.size and (first, last) == (offset, known.size - 1)


def _check_encoding(url: str, response: httpx.Response) -> None:
    """Some servers call a stored ``.gz`` an encoding; any other encoding would change the bytes."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "") and not (encoding in ("gzip", "x-gzip") and url.lower().endswith(".gz")):
        raise InputError(url, f"it comes encoded as {encoding}, though that was declined.", "report it to the archive.")


def _write(part: Path, offset: int, size: int, response: httpx.Response, progress: Progress | None) -> int:
    """Append the answer to the part; bytes that are then on disk, or more than `size` if more came."""
    have = offset
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o644), "r+b", buffering=0) as out:
        out.truncate(offset)
        out.seek(offset)
        # As stored, not decoded: what is a `Content-Encoding` for some servers is a .gz file to us.
        for chunk in response.iter_raw():
            if have + len(chunk) > size:
                return have + len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[out.write(view) :]
            have += len(chunk)
            if progress is not None:
                progress(have, size)
        os.fsync(out.fileno())
    return have


def _state_of(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _write_state(target: Path, url: str, version: Version) -> None:
    _state_of(target).write_text(json.dumps({"url": url, **asdict(version)}), encoding="utf-8")


def _read_state(target: Path, url: str) -> Version | None:
    """Version of the part on disk; None if there is none, or it is of another address or unreadable."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        state = json.loads(_state_of(target).read_text(encoding="utf-8"))
        if state.pop("url") == url and isinstance(state["size"], int):
            return Version(**state)
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
