"""What a study found, for its archive: tables, meshes, and how each artifact was made.

Belongs here: reading artifacts and writing them in forms that other programs read. Does not belong here: raw files
(`export.raw_files`), citation (`export.citation`).
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from em2cryo_assets.assets.exports import INNER_TABLES, TABLES, HandedOn
from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.assets.methods import Found
from em2cryo_assets.compare.dictionary import characteristics_list, dictionary_of, type_name
from em2cryo_assets.resources.machine import needed
from em2cryo_assets.store.publish import Artifact, Store
from em2cryo_assets.store.tables import read_table, write_csv, write_table

__all__ = ["behind", "software", "write_json", "write_meshes", "write_provenance", "write_tables"]


def behind(store: Store, artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Artifacts and all that they were made from, sorted by asset, key and digest."""
    found: dict[tuple[str, str, str], Artifact] = {}
    waiting = [*artifacts]
    while waiting:
        one = waiting.pop()
        place = (one.asset, one.key or "", one.digest)
        if place not in found:
            found[place] = one
            made_from = one.provenance.inputs
            inputs = (store.get(ref.asset, ref.key, ref.digest) for ref in made_from if len(ref.digest) == 64)
            waiting += [each for each in inputs if each is not None]
    return [found[place] for place in sorted(found)]


def write_tables(folder: Path, found: Found) -> None:
    """Write every table as CSV and Parquet, and what their columns mean as text and as a table."""
    folder.mkdir()
    meanings, texts = [], []
    for one in (*TABLES, *INNER_TABLES):
        schema = _with_key(one)
        frame = _joined(one, found)
        if frame is None:
            continue
        name = f"{one.asset}-{one.file}"
        write_table(folder / f"{name}.parquet", frame, schema)
        write_csv(folder / f"{name}.csv", frame)
        texts.append(dictionary_of(f"{name}.csv, {name}.parquet", one.row, schema))
        for column, declared in schema.columns.items():
            row = {"table": name, "column": column, "type": type_name(declared), "may_be_empty": declared.nullable}
            meanings.append(row | {"meaning": declared.description})
    write_csv(folder / "columns.csv", pd.DataFrame(meanings))
    introduction = "# Tables\n\nLengths are nm, volumes µm³, where a column does not say otherwise.\n"
    (folder / "columns.md").write_text("\n".join([introduction, characteristics_list(), *texts]), encoding="utf-8")


def write_meshes(folder: Path, found: Found) -> int:
    """Copy the GLB (1 unit = 1 µm) and PLY (nm) of every cell; returns how many cells."""
    meshes = found("cell_mesh")
    for key, artifact in sorted(meshes.items()):
        folder.mkdir(exist_ok=True)
        for ending in ("glb", "ply"):
            shutil.copyfile(artifact.path / f"mesh.{ending}", folder / f"{key}.{ending}")
    return len(meshes)


def write_provenance(path: Path, artifacts: list[Artifact]) -> None:
    """Write what each artifact was made from and how; runs, which differ each time, are left out."""
    records: list[dict[str, Any]] = []
    for one in artifacts:
        record = asdict(one.provenance) | {"digest": one.digest}
        del record["run_id"]
        records.append(record)
    write_json(path, records)


def software(artifacts: list[Artifact]) -> dict[str, Any]:
    """Versions: of the packages recorded with the artifacts, of their code, and of what is installed now."""
    recorded: defaultdict[str, set[str]] = defaultdict(set)
    code: defaultdict[str, set[str]] = defaultdict(set)
    for one in artifacts:
        code[one.asset].add(one.provenance.code_version)
        for name, used in one.provenance.software.items():
            recorded[name].add(used)
    return {
        "em2cryo-assets": version("em2cryo-assets"),
        "recorded_with_the_artifacts": {name: sorted(used) for name, used in recorded.items()},
        "code_versions_of_assets": {name: sorted(used) for name, used in code.items()},
        "installed_at_export": {one.name: version(one.name) for one in needed()},
    }


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON with sorted keys."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _with_key(one: HandedOn) -> pa.DataFrameSchema:
    """Schema of a table in an archive, where the rows of all keys are in one: the key must be told."""
    if STAGES[one.asset].key_set is None or "key" in one.schema.columns:
        return one.schema
    key = pa.Column(str, description=f"key of {one.asset} that the row is of")
    return pa.DataFrameSchema({"key": key, **one.schema.columns}, strict=True)


def _joined(one: HandedOn, found: Found) -> pd.DataFrame | None:
    """All rows of a table; None if the study has none."""
    frames = []
    for key, artifact in sorted(found(one.asset).items()):
        path = artifact.path / f"{one.file}.parquet"
        if not path.is_file():  # such as volumes to expect, where there is no atlas
            continue
        frame = read_table(path)
        if key and "key" not in frame:
            frame.insert(0, "key", key)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else None
