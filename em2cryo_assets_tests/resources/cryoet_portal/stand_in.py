"""A web server on loopback that behaves like the CryoET Data Portal: its GraphQL schema, and a bucket of the S3 protocol.

Queries are executed against the schema that the portal's own client ships, so that what it asks and what it gets have the
types of the real one.
"""

import importlib.resources
import itertools
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import graphql
import numpy as np

from em2cryo_assets.resources.cryoet_portal.portal import BUCKET, Portal
from em2cryo_assets.store.images import write_image
from em2cryo_assets_tests.resources.empiar.server import Empiar, EmpiarHandler, Served

_TYPES = {
    "datasets": "Dataset",
    "runs": "Run",
    "tiltseries": "Tiltseries",
    "tomograms": "Tomogram",
    "datasetAuthors": "DatasetAuthor",
}
"""Type of the rows of each table."""

PAGE = 3
"""Objects a page of a listing, so that small folders have several."""


@dataclass
class StandIn(Empiar):
    """The portal: rows of its tables, and objects by key."""

    datasets: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    tiltseries: list[dict[str, Any]] = field(default_factory=list)
    tomograms: list[dict[str, Any]] = field(default_factory=list)
    datasetAuthors: list[dict[str, Any]] = field(default_factory=list)  # noqa: N815  named as in the schema
    queries: list[str] = field(default_factory=list)

    def portal(self, **patience: Any) -> Portal:
        return Portal(
            graphql=f"{self.url}/graphql",
            files=f"{self.url}/{BUCKET}",
            **{"backoff_s": 0.001, "interval_s": 0.0, "timeout_s": 10.0} | patience,
        )

    def put_folder(self, prefix: str, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.files[f"{prefix}/{path.relative_to(folder).as_posix()}"] = Served(path.read_bytes())

    def put_dataset(self, number: int = 10000, **fields: Any) -> None:
        given = {
            "id": number,
            "depositionId": 10300,
            "title": "Cells of a fission yeast",
            "organismName": "Schizosaccharomyces pombe",
            "sampleType": "cell",
            "samplePreparation": "Vitrified by plunging and thinned to cryo-FIB lamellae.",
            "gridPreparation": None,
            "releaseDate": "2023-04-01T00:00:00+00:00",
            "lastModifiedDate": "2023-05-02T00:00:00+00:00",
            "datasetPublications": "10.1000/xyz",
            "s3Prefix": f"s3://{BUCKET}/{number}/",
            "fileSize": 1.2e12,
        }
        self.datasets.append(given | fields)
        names = ("Irene First", "Second Author")
        self.datasetAuthors += [
            {"id": n, "datasetId": number, "authorListOrder": n, "name": name} for n, name in enumerate(names, start=1)
        ]

    def put_run(self, number: int, name: str, dataset: int = 10000, **series: Any) -> None:
        self.runs.append({"id": number, "datasetId": dataset, "name": name})
        tilts = {"tiltMin": -60.0, "tiltMax": 60.0, "tiltRange": 120.0, "tiltStep": 3.0, "runId": number, "id": number}
        self.tiltseries.append(tilts | series)

    def put_tomogram(self, number: int, run: int, folder: Path, voxel_a: float, **fields: Any) -> str:
        """A tomogram whose OME-Zarr folder lies on disk; returns its path below the dataset."""
        name = next(one["name"] for one in self.runs if one["id"] == run)
        dataset = next(one["datasetId"] for one in self.runs if one["id"] == run)
        path = f"{name}/Reconstructions/VoxelSpacing{voxel_a:.3f}/Tomograms/{number}/{name}.zarr"
        given = {
            "id": number,
            "runId": run,
            "voxelSpacing": voxel_a,
            "processing": "raw",
            "reconstructionMethod": "WBP",
            "reconstructionSoftware": "IMOD",
            "s3OmezarrDir": f"s3://{BUCKET}/{dataset}/{path}",
        }
        self.tomograms.append(given | fields)
        self.put_folder(f"{dataset}/{path}", folder)
        return path


class PortalHandler(EmpiarHandler):
    """Answers for the portal."""

    archive: StandIn

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = json.loads(body)
        self.archive.queries.append(asked["query"])
        tables = {
            name: lambda info, _name=name, **given: _chosen(self.archive, _name, given.get("where")) for name in _TYPES
        }
        answer = graphql.graphql_sync(_schema(), asked["query"], tables, variable_values=asked.get("variables"))
        self._json(answer.formatted)

    def do_GET(self) -> None:  # noqa: N802
        path = unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")
        if path == "":
            self._list({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
        elif path in self.archive.files:
            self._file(self.archive.files[path])
        else:
            self._plain(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")

    def _list(self, asked: dict[str, str]) -> None:
        assert asked["list-type"] == "2"
        found = sorted(key for key in self.archive.files if key.startswith(asked["prefix"]))
        start = int(asked.get("continuation-token", "0"))
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2023-04-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(str(self.archive.files[key].etag), {chr(34): '&quot;'})}</ETag>"
            f"<Size>{len(self.archive.files[key].content)}</Size></Contents>"
            for key in found[start : start + PAGE]
        )
        more = start + PAGE < len(found)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{rows}{token}</ListBucketResult>"
        )
        self._plain(200, body.encode(), "application/xml")


@cache
def _schema() -> graphql.GraphQLSchema:
    return graphql.build_schema(
        importlib.resources.files("cryoet_data_portal").joinpath("data/schema.graphql").read_text()
    )


def _chosen(archive: StandIn, table: str, where: Any) -> list[dict[str, Any]]:
    rows = getattr(archive, table)
    return [_required(_TYPES[table]) | row for row in rows if _fits(archive, row, where or {})]


@cache
def _required(kind: str) -> dict[str, Any]:
    """A value for every field that the schema does not let be null; a test gives those that it cares about."""
    values = {"Int": 1, "Float": 1.0, "String": "x", "Boolean": False, "DateTime": "2023-01-01T00:00:00+00:00"}
    found = {}
    for name, one in _schema().type_map[kind].fields.items():  # type: ignore[attr-defined]
        if graphql.is_non_null_type(one.type):
            inner = one.type.of_type
            found[name] = next(iter(inner.values)) if graphql.is_enum_type(inner) else values.get(inner.name)
    return found


def _fits(archive: StandIn, row: dict[str, Any], where: dict[str, Any]) -> bool:
    for name, condition in where.items():
        if name == "run":
            run = next(one for one in archive.runs if one["id"] == row["runId"])
            if not _fits(archive, run, condition):
                return False
        elif set(condition) != {"_eq"}:
            raise NotImplementedError(condition)
        elif row[name] != condition["_eq"]:
            return False
    return True


def yeast_image(folder: Path, voxel_nm: float, *, seed: int = 1, shape: tuple[int, int, int] = (40, 70, 80)) -> Path:
    """A multiscale OME-Zarr 0.5 image of noise, written by this package."""
    noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    write_image(folder, noise, voxel_nm=(voxel_nm,) * 3, name="tomogram", chunk=32)
    return folder


def old_image(folder: Path, voxel_a: float, *, levels: int = 3, seed: int = 2) -> Path:
    """The same of OME-Zarr 0.4 as the portal has it: Zarr 2, chunks in folders, sides in angstrom."""
    import zarr

    noise = np.random.default_rng(seed).standard_normal((32, 48, 64)).astype(np.float32)
    group = zarr.open_group(str(folder), mode="w", zarr_format=2)
    datasets = []
    for number, factor in enumerate(itertools.islice((1, 2, 4, 8), levels)):
        array = group.create_array(
            str(number), data=np.ascontiguousarray(noise[::factor, ::factor, ::factor]), chunks=(16, 16, 16),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )  # fmt: skip
        assert array.ndim == 3
        scale = [{"type": "scale", "scale": [voxel_a * factor] * 3}]
        datasets.append({"path": str(number), "coordinateTransformations": scale})
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "name": "/", "axes": axes, "datasets": datasets}]
    return folder
