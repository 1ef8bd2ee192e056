"""The interior atlas as files: its tables and one typical section.

Belongs here: writing and reading them. Does not belong here: computing the atlas (`tem.atlas`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.compare.tables import MEASUREMENTS
from em2cryo_assets.report.raster import colour_codes, grey
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table, write_csv, write_table
from em2cryo_assets.tem.atlas import Atlas
from em2cryo_assets.tem.tables import ATLAS_TABLES

__all__ = ["AtlasFiles", "ExampleSection", "read_atlas", "write_atlas"]


@dataclass(frozen=True)
class ExampleSection:
    """The section whose profile stands for the others in the cutaway.

    Parameters
    ----------
    key : str
        Its key.
    density : numpy.ndarray, float32, shape (y, x)
        High where matter is dense.
    labels : numpy.ndarray, uint8, shape (y, x)
        Vocabulary codes.
    profile : numpy.ndarray, bool, shape (y, x)
        The cell profile that is warped.
    pixel_size_nm : float
        Pixel side.
    """

    key: str
    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    profile: NDArray[np.bool_]
    pixel_size_nm: float


@dataclass(frozen=True)
class AtlasFiles:
    """An atlas as stored: tables, and the example section if any profile was whole."""

    atlas: Atlas
    example: ExampleSection | None


def write_atlas(folder: Any, atlas: Atlas, sections: Mapping[str, Artifact]) -> list[NDArray[Any]]:
    """Write the tables and the typical section; return its picture's panels (empty without one).

    Typical is the whole profile of median area among those with a nucleus or vacuole in view: the largest
    would flatter, a random one may graze the wall.
    """
    names = sorted(atlas.tables)
    for name in names:
        write_table(folder / f"{name}.parquet", atlas.tables[name], ATLAS_TABLES.get(name, MEASUREMENTS))
        write_csv(folder / f"{name}.csv", atlas.tables[name])
    example = _typical(sections)
    record: dict[str, Any] = {"tables": names, "warnings": list(atlas.warnings), "example": None}
    panels: list[NDArray[Any]] = []
    if example is not None:
        side = example.pixel_size_nm
        write_image(
            folder / "example.ome.zarr", example.density, voxel_nm=(side, side), name=example.key, chunk=512,
            labels={"interior": example.labels, "profile": example.profile.astype(np.uint8)},
        )  # fmt: skip
        record["example"] = {"key": example.key, "pixel_size_nm": side}
        panels = [grey(example.density), colour_codes(example.labels)]
    write_record(folder, record)
    return panels


def read_atlas(artifact: Artifact) -> AtlasFiles:
    """Inverse of `write_atlas`."""
    record = read_record(artifact)
    tables = {name: read_table(artifact.path / f"{name}.parquet") for name in record["tables"]}
    example = None
    if record["example"] is not None:
        path = artifact.path / "example.ome.zarr"
        example = ExampleSection(
            record["example"]["key"],
            np.asarray(read_image(path).data),
            np.asarray(read_labels(path, "interior")),
            np.asarray(read_labels(path, "profile")) > 0,
            float(record["example"]["pixel_size_nm"]),
        )
    return AtlasFiles(Atlas(tables, record["warnings"]), example)


def _typical(sections: Mapping[str, Artifact]) -> ExampleSection | None:
    candidates: list[tuple[bool, float, str, int]] = []
    for key, artifact in sections.items():
        areas = read_table(artifact.path / "areas.parquet")
        for profile, rows in areas[~areas["touches_border"]].groupby("profile"):
            has_body = bool(rows.loc[rows["label"].isin(["nucleus", "vacuole"]), "area_um2"].gt(0).any())
            candidates.append((has_body, float(rows["cell_um2"].iloc[0]), key, int(profile)))  # type: ignore[arg-type]
    if not candidates:
        return None
    best = [c for c in candidates if c[0]] or candidates
    best.sort(key=lambda c: (c[1], c[2], c[3]))
    _, _, key, number = best[len(best) // 2]
    path = sections[key].path / "labels.ome.zarr"
    image = read_image(path)
    return ExampleSection(
        key,
        np.asarray(image.data),
        np.asarray(read_labels(path, "interior")),
        np.asarray(read_labels(path, "profiles")) == number,
        float(image.voxel_nm[0]),
    )
