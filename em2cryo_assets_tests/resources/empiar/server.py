"""A web server on loopback that behaves like EMPIAR, and misbehaves on request."""

import contextlib
import gzip
import hashlib
import html
import io
import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from em2cryo_assets.resources.empiar.archive import Archive

FILES = "/empiar/world_availability/"
ENTRY = "/empiar/api/entry/"

Kind = Literal[
    "status", "reset", "truncate", "stall", "short_length", "no_length", "ignore_range", "other_part", "redirect"
]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer; `at` counts bytes of its body."""

    kind: Kind
    at: int = 0
    status: int = 503
    retry_after: str | None = None
    location: str = ""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    range: str | None
    if_range: str | None
    status: int


@dataclass
class Served:
    """One file; its marks follow its bytes unless they are set."""

    content: bytes
    etag: str | None = None
    last_modified: str | None = "Wed, 01 Jul 2026 10:00:00 GMT"

    def __post_init__(self) -> None:
        if self.etag is None:
            self.etag = f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


@dataclass
class Empiar:
    """The archive: entries as JSON by accession, files by path below ``world_availability``."""

    url: str = ""
    entries: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Served] = field(default_factory=dict)
    hits: list[str] | None = None
    pages: dict[str, str] = field(default_factory=dict)
    fault: Callable[[str, str], Fault | None] = lambda method, path: None
    ranges: bool = True
    sent: Callable[[str, int], None] = lambda path, count: None
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def put(self, entry: str, path: str, content: bytes, **marks: Any) -> None:
        self.files[f"{entry.removeprefix('EMPIAR-')}/{path}"] = Served(content, **marks)

    def archive(self, **patience: Any) -> Archive:
        """The archive as the client sees it; unhurried, but without waits between requests."""
        return Archive(self.url, self.url, **{"backoff_s": 0.001, "interval_s": 0.0, "timeout_s": 10.0} | patience)

    def paths(self, method: str = "GET") -> list[str]:
        return [one.path for one in self.asked if one.method == method]


def entry_json(title: str = "Tomograms of yeast", **fields: Any) -> dict[str, Any]:
    """An entry with the fields and the kinds of values that EMPIAR gives."""
    imageset = {
        "name": "Reconstructed tomograms",
        "directory": "/data/tomograms",
        "category": "reconstructed volumes",
        "header_format": "MRC",
        "data_format": "MRC",
        "num_images_or_tilt_series": 3,
        "frames_per_image": 1,
        "frame_range_min": None,
        "voxel_type": "32 BIT FLOAT",
        "pixel_width": 7.84,
        "pixel_height": 7.84,
        "details": "Lamellae of S. cerevisiae.",
        "image_width": "12",
        "image_height": None,
    }
    given = {
        "title": title,
        "status": "REL",
        "deposition_date": "2020-01-01",
        "release_date": "2020-02-01",
        "update_date": "2020-03-01",
        "obsolete_date": None,
        "dataset_size": "1.2 TB",
        "experiment_type": "EMDB",
        "cross_references": [{"name": "EMD-1234"}],
        "imagesets": [imageset],
        "citation": [
            {
                "authors": [{"name": "Lee A", "author_orcid": None}, {"name": "Kim B", "author_orcid": None}],
                "title": "Yeast in situ",
                "journal": "J. Struct. Biol.",
                "year": 2020,
                "doi": "10.1000/xyz",
                "published": True,
            }
        ],
    }
    return given | fields


def mrc_bytes(
    shape: tuple[int, int, int] = (6, 10, 12),
    seed: int = 0,
    voxel_a: float = 7.84,
    mode: int = 2,
    ispg: int = 1,
    mz: int | None = None,
    exttyp: bytes = b"",
) -> bytes:
    """A whole MRC file."""
    header = np.zeros((), HEADER_DTYPE)
    header["nz"], header["ny"], header["nx"] = shape
    header["mode"], header["ispg"], header["map"] = mode, ispg, b"MAP "
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["mx"], header["my"], header["mz"] = shape[2], shape[1], shape[0] if mz is None else mz
    header["cella"] = tuple(voxel_a * n for n in (shape[2], shape[1], int(header["mz"])))
    header["machst"] = (0x44, 0x44, 0, 0)
    extended = b"\0" * 128 if exttyp else b""
    header["nsymbt"], header["exttyp"] = len(extended), exttyp
    dtype = {0: "i1", 1: "<i2", 2: "<f4", 6: "<u2", 12: "<f2"}.get(mode, "<f4")
    voxels = (1000 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)
    return header.tobytes() + extended + voxels.tobytes()


def gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@contextlib.contextmanager
def serving(empiar: Any = None, base: Any = None) -> Iterator[Any]:
    """Serve an archive until the block ends; `base` answers for another archive than EMPIAR."""
    empiar = empiar or Empiar()

    class Handler(base or EmpiarHandler):  # type: ignore[misc]
        archive = empiar

    server = _Server(("127.0.0.1", 0), Handler)
    empiar.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield empiar
    finally:
        empiar.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()  # also waits for the threads of its connections


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up all the time in these tests."""


class EmpiarHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    archive: Empiar
    timeout = 0.5  # between two requests of one connection: a client that has gone holds up nothing

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        wanted = set()
        for part in body.split(","):
            first, _, last = part.strip().partition("-")
            wanted |= set(range(int(first), int(last or first) + 1))
        found = {name: one for name, one in self.archive.entries.items() if int(name[7:]) in wanted}
        self._json(found)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith(ENTRY):
            name = path.removeprefix(ENTRY).strip("/")
            known = name in self.archive.entries
            self._json({name: self.archive.entries[name]}) if known else self._plain(404, b"no such entry")
        elif path == "/ebisearch/ws/rest/empiar":
            self._search()
        elif path.startswith(FILES):
            self._file_or_index(path.removeprefix(FILES))
        else:
            self._plain(404, b"nothing here")

    def _search(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        ids = self.archive.hits if self.archive.hits is not None else sorted(self.archive.entries)
        start, size = int(asked["start"]), int(asked["size"])
        page = [{"id": one, "source": "empiar", "fields": {}} for one in ids[start : start + size]]
        self._json({"hitCount": len(ids), "entries": page, "facets": []})

    def _file_or_index(self, path: str) -> None:
        if path in self.archive.pages:
            self._plain(200, self.archive.pages[path].encode(), "text/html")
        elif path in self.archive.files:
            self._file(self.archive.files[path])
        else:
            inside = {one[len(path) :] for one in self.archive.files if path.endswith("/") and one.startswith(path)}
            if not inside:
                self._plain(404, b"no such file")
                return
            self._plain(200, _index({one.partition("/")[0] + "/" * ("/" in one) for one in inside}), "text/html")

    def _file(self, served: Served) -> None:
        headers = {"ETag": served.etag, "Last-Modified": served.last_modified, "Accept-Ranges": "bytes"}
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        fresh = condition is None or condition in (served.etag, served.last_modified)
        total = len(served.content)
        if asked is None or not fresh or not self.archive.ranges:
            self._answer(200, headers, served.content)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or total - 1), total - 1)
        if start >= total:
            self._answer(416, headers | {"Content-Range": f"bytes */{total}"}, b"")
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{total}"
        self._answer(206, headers, served.content[start : end + 1], whole=served.content)

    def _json(self, content: Any) -> None:
        self._plain(200, json.dumps(content).encode(), "application/json")

    def _plain(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self._answer(status, {"Content-Type": kind}, body)

    def _answer(self, status: int, headers: dict[str, str | None], body: bytes, whole: bytes | None = None) -> None:
        fault = self.archive.fault(self.command, urlsplit(self.path).path)
        if fault is not None:
            if fault.kind == "reset":
                self._log(0)
                self._reset()
                return
            if fault.kind in ("status", "redirect"):
                status, body, headers = fault.status, b"as you wish", {"Retry-After": fault.retry_after}
                headers |= {"Location": fault.location or None}
            elif fault.kind == "ignore_range" and whole is not None:
                status, body = 200, whole
                headers = {name: value for name, value in headers.items() if name != "Content-Range"}
            elif fault.kind == "other_part" and whole is not None:
                headers = headers | {"Content-Range": f"bytes 0-{len(body) - 1}/{len(whole)}"}
            elif fault.kind == "short_length":
                body = body[: fault.at]
                if whole is not None:
                    start = (headers["Content-Range"] or "").split()[1].partition("-")[0]
                    headers = headers | {"Content-Range": f"bytes {start}-{int(start) + len(body) - 1}/{fault.at}"}
        self._log(status)
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        if fault is None or fault.kind != "no_length":
            self.send_header("Content-Length", str(len(body)))
        if fault is not None and fault.kind in ("truncate", "stall", "no_length"):
            self.close_connection = True
            self.send_header("Connection", "close")
            body = body if fault.kind == "no_length" else body[: fault.at]
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.archive.sent(self.path, len(body))
        if fault is not None and fault.kind == "stall":
            self._wait_until_the_client_has_gone()

    def _log(self, status: int) -> None:
        asked = self.headers.get("Range"), self.headers.get("If-Range")
        self.archive.asked.append(Asked(self.command, self.path, *asked, status))

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.wfile = io.BytesIO()  # type: ignore[assignment]  # nothing more is said
        self.connection.close()

    def _wait_until_the_client_has_gone(self) -> None:
        while not self.archive.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable and not self.connection.recv(1):
                return


def _index(names: set[str]) -> bytes:
    """The page that Apache makes of a folder."""
    rows = "".join(
        f'<tr><td><a href="{quote(name)}">{html.escape(name)}</a></td><td>2020-01-01 00:00</td><td>1.2G</td></tr>\n'
        for name in sorted(names)
    )
    return (
        "<html><head><title>Index</title></head><body><table>"
        '<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>\n'
        f'<tr><td><a href="/empiar/world_availability/">Parent Directory</a></td></tr>\n{rows}</table></body></html>'
    ).encode()
