"""Objects of the portal's bucket.

Belongs here: listings (ListObjectsV2), short objects, and bringing many of them into a folder. Does not belong here: which
objects are wanted (`levels`).

Format: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.download import Progress, Version, discard, download, part_of
from em2cryo_assets.resources.archives.http import Http
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.cryoet_portal.portal import Portal

__all__ = ["RemoteObject", "bring_objects", "list_objects", "mark_of", "read_object"]

_MOST_OBJECTS: Final = 200_000
_MOST_XML: Final = 16 * 2**20
_SAFE: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_AGAIN: Final = "ask again; what has arrived is kept if it is still the same."


@dataclass(frozen=True)
class RemoteObject:
    """One object.

    Parameters
    ----------
    key : str
        In the bucket.
    path : str
        Below the folder that was listed; no part of it leads elsewhere.
    size : int
        Bytes.
    etag : str
        As listed, with its quotes.
    """

    key: str
    path: str
    size: int
    etag: str


def list_objects(portal: Portal, http: Http, folder: str) -> list[RemoteObject]:
    """All objects below a folder, in the order of their keys.

    Raises
    ------
    ArchiveError
        If the bucket cannot be asked now.
    InputError
        If the answer is no listing, endless, or names an object that would leave the folder.
    """
    prefix, found, after = f"{folder}/", list[RemoteObject](), ""
    while True:
        body = http.read(portal.listing_url(prefix, after), most=_MOST_XML).body
        page, after = _page(folder, prefix, body)
        found += page
        if len(found) > _MOST_OBJECTS:
            raise InputError(folder, f"it holds more than {_MOST_OBJECTS:,} objects.", "choose others with --only.")
        if not after:
            return found


def read_object(portal: Portal, http: Http, key: str, most: int) -> bytes:
    """A short object, as a whole.

    Raises
    ------
    MissingError, ArchiveError, InputError
        If it is not there, cannot be had now, or is longer than `most` bytes.
    """
    return http.read(portal.object_url(key), most=most).body


def mark_of(objects: Iterable[RemoteObject], written: Mapping[str, bytes]) -> str:
    """What changes when one of the objects, or what is written beside them, does."""
    lines = [f"{one.path} {one.size} {one.etag}\n" for one in objects]
    lines += [f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(written.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def bring_objects(
    portal: Portal,
    http: Http,
    objects: tuple[RemoteObject, ...],
    written: Mapping[str, bytes],
    staged: Path,
    progress: Progress | None,
) -> Version:
    """Bring objects into the folder ``<staged>.part``, continuing what an earlier call left there.

    Parameters
    ----------
    portal, http : Portal, Http
        Where, and how patiently.
    objects : tuple of RemoteObject
        What is wanted, as it was listed.
    written : mapping of str to bytes
        Further files of the folder, whose content is known.
    staged : pathlib.Path
        Name beside the ``.part`` folder.
    progress : callable, optional
        Told after each piece.

    Raises
    ------
    ArchiveError
        If an object cannot be had now, or changed since it was listed.
    InputError
        If one is not there, or the disk is full.
    """
    folder, mark = part_of(staged), mark_of(objects, written)
    state = folder.with_name(folder.name + ".json")  # the one that `discard` forgets with the part
    if _mark_in(state) != mark or folder.is_symlink():
        discard(staged)
    folder.mkdir(exist_ok=True)
    state.write_text(json.dumps({"mark": mark}), encoding="utf-8")
    total, here = sum(one.size for one in objects), 0
    for one in objects:
        target = folder / one.path
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            version = download(http, portal.object_url(one.key), target, progress=_added(progress, here, total))
            if (version.size, version.etag) != (one.size, one.etag):
                discard(target)
                raise ArchiveError(one.key, "it changed since it was listed.", _AGAIN)
            os.replace(part_of(target), target)
            discard(target)
        here += one.size
        if progress is not None:
            progress(here, total)
    for name, content in written.items():
        (folder / name).write_bytes(content)
    _leave_nothing_else(folder, {one.path for one in objects} | set(written))
    return Version(total, mark)


def _page(folder: str, prefix: str, body: bytes) -> tuple[list[RemoteObject], str]:
    """Objects of one page, and the token of the next; empty after the last."""
    try:
        if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
            raise ValueError("it declares entities")
        root = ElementTree.fromstring(body)
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        if root.tag != f"{space}ListBucketResult":
            raise ValueError(f"it is {root.tag!r}")
        found = [
            RemoteObject(key, key.removeprefix(prefix), int(one.findtext(f"{space}Size", "")), etag)
            for one in root.iter(f"{space}Contents")
            if not (key := one.findtext(f"{space}Key", "")).endswith("/")  # what some tools put for a folder
            and (etag := one.findtext(f"{space}ETag", ""))
        ]
        cut = root.findtext(f"{space}IsTruncated", "false").strip() == "true"
        after = root.findtext(f"{space}NextContinuationToken", "") if cut else ""
        if cut and not after:
            raise ValueError("it goes on, and does not say where")
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(
            folder, f"the answer is no listing of a bucket ({error}).", "try again later; report it."
        ) from error
    for one in found:
        parts = one.path.split("/")
        if not one.key.startswith(prefix) or any(not _SAFE.fullmatch(p) or p in (".", "..") for p in parts):
            raise InputError(folder, f"it holds an object called {one.key!r}.", "report it to the portal.")
    return found, after


def _mark_in(state: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return str(json.loads(state.read_text(encoding="utf-8"))["mark"])
    return None


def _added(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda here, _: progress(before + here, total)


def _leave_nothing_else(folder: Path, names: set[str]) -> None:
    """Remove what no listing names: the remains of objects that broke off."""
    for path in folder.rglob("*"):
        if path.is_symlink() or (path.is_file() and path.relative_to(folder).as_posix() not in names):
            path.unlink()
    for path in [path for path in folder.iterdir() if path.is_dir() and not any(path.rglob("*"))]:
        shutil.rmtree(path)
