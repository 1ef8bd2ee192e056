"""The files of an entry, from the index pages that a web server makes.

Belongs here: links of one page, and walking down folders within limits. Does not belong here: asking for pages
(`client`), or which files are wanted (`choose`).

A page is believed only about what lies directly in its own folder: links that lead up, elsewhere, or nowhere a file
name may lead are left alone.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from em2cryo_assets.formats.errors import InputError

__all__ = ["Listing", "children_of", "walk"]

MOST_DEPTH: Final = 12
MOST_PAGES: Final = 5_000
MOST_FILES: Final = 500_000

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True)
class Listing:
    """What a walk found.

    Parameters
    ----------
    files : tuple of str
        Paths below the starting folder, sorted.
    skipped : tuple of (str, str)
        Folders that were not opened, and why.
    """

    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def children_of(page_url: str, html: str) -> Iterator[tuple[str, bool]]:
    """Names of what lies directly in the folder of an index page, and whether each is a folder.

    Parameters
    ----------
    page_url : str
        Address of the page, ending in a slash.
    html : str
        The page.
    """
    links = _Links()
    links.feed(html)
    base = urlsplit(page_url)
    seen: set[str] = set()
    for link in links.found:
        try:
            target = urlsplit(urljoin(page_url, link))
        except ValueError:
            continue  # no address at all
        inside = (target.scheme, target.netloc) == (base.scheme, base.netloc) and target.path.startswith(base.path)
        if not inside or target.query or "?" in link:  # the links that sort the table
            continue
        rest = target.path[len(base.path) :]
        name = unquote(rest.removesuffix("/"))
        if name in ("", ".", "..") or "/" in rest.removesuffix("/") or _UNSAFE.search(name) or "%2" in name.lower():
            continue
        if name not in seen:
            seen.add(name)
            yield name, rest.endswith("/")


def walk(start_url: str, read: Callable[[str], str], skip: Callable[[str], str | None]) -> Listing:
    """All files below a folder, breadth first.

    Parameters
    ----------
    start_url : str
        Address of the folder, ending in a slash.
    read : callable
        Gives the index page of a folder.
    skip : callable
        Gives the reason not to open a folder (path without slashes at its ends), else None.

    Raises
    ------
    InputError
        If the folders never seem to end.
    """
    waiting, files = [""], list[str]()
    skipped: list[tuple[str, str]] = []
    pages = 0
    while waiting:
        folder = waiting.pop(0)
        pages += 1
        if pages > MOST_PAGES or len(files) > MOST_FILES:
            raise InputError(
                start_url.rstrip("/"),
                f"it has more than {MOST_PAGES:,} folders or {MOST_FILES:,} files.",
                "download what you want by hand and add it with: em2cryo add tomogram FILE",
            )
        url = start_url + quote(folder + "/" if folder else "")
        for name, is_folder in children_of(url, read(url)):
            path = f"{folder}/{name}" if folder else name
            if not is_folder:
                files.append(path)
            elif path.count("/") >= MOST_DEPTH:
                skipped.append((path, f"it lies more than {MOST_DEPTH} folders deep"))
            elif (reason := skip(path)) is not None:
                skipped.append((path, reason))
            else:
                waiting.append(path)
    return Listing(tuple(sorted(files)), tuple(sorted(skipped)))
