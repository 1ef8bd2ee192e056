"""One study as one folder, published whole or not at all; the same study gives the same bytes.

Belongs here: what the folder holds, its README, manifest, and the move to its place. Does not belong here: its parts
(`export.raw_files`, `export.results`, `export.citation`, `export.crate`).
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

import pandas as pd

from em2cryo_assets.assets.methods import methods
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.automation.plan import Step
from em2cryo_assets.export import citation as cff
from em2cryo_assets.export.crate import write_crate
from em2cryo_assets.export.raw_files import RawRow, copy_raw, raw_bytes, raw_table
from em2cryo_assets.export.results import (
    behind,
    software,
    write_json,
    write_meshes,
    write_provenance,
    write_tables,
)
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.budget import GB, free_bytes, size_text
from em2cryo_assets.resources.study import Study
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table, write_csv

__all__ = ["MANIFEST", "Exported", "export_study"]

MANIFEST: Final = "manifest-sha256.txt"

_SIMULATED: Final = """
*** SIMULATED DATA. The raw files are simulated: nothing in here says anything about real cells. ***
"""
_NETWORKS: Final = """
Networks that were trained for this study and are not released with EM2Cryo lie in parameters/ as .safetensors; put
one back by training it with the settings in parameters/provenance.json."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    folder : pathlib.Path
        Where.
    files, size : int
        Number of files, and their bytes.
    named : bool
        Whether the owner of the study named authors.
    """

    folder: Path
    files: int
    size: int
    named: bool


def export_study(study: Study, target: Path, steps: Sequence[Step], made: str, *, with_raw: bool) -> Exported:
    """Write the archive of a study.

    Parameters
    ----------
    study : Study
        The study, up to date.
    target : pathlib.Path
        Folder to make; may exist if it is empty.
    steps : sequence of Step
        The plan: what failed or was stopped is listed.
    made : str
        Day on which the report was made, ISO 8601.
    with_raw : bool
        Whether raw files are copied, or only listed with their checksums.

    Raises
    ------
    InputError
        If the target holds something or lies in the study, the study has no report, the disk is too small, or its
        ``CITATION.cff`` cannot be used.
    """
    target = target.resolve()
    report = _checked(study, target, with_raw=with_raw)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as holder:
        folder = Path(holder) / "archive"
        folder.mkdir()
        named = _fill(study, folder, report, steps, made, with_raw=with_raw)
        everything = [path for path in folder.rglob("*") if path.is_file()]
        count, size = len(everything), sum(path.stat().st_size for path in everything)
        try:
            os.rename(folder, target)  # takes the place of an empty folder
        except OSError as error:
            raise InputError(target, f"it cannot be made ({error.strerror}).", "name another folder.") from error
    return Exported(target, count, size, named)


def _checked(study: Study, target: Path, *, with_raw: bool) -> Artifact:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(target, "it exists and is not empty.", "name another folder, or delete it.")
    if target.is_relative_to(study.root):
        raise InputError(target, "it lies inside the study.", "name a folder outside of it.")
    report = study.store.current("report", None)
    if report is None:
        raise InputError(study.root, "the study has no report yet.", "type: em2cryo run")
    needed = (raw_bytes(study) if with_raw else 0) + GB
    parent = next(one for one in target.parents if one.exists())
    if free_bytes(parent) < needed:
        raise InputError(
            target,
            f"the archive needs up to {size_text(needed)}, and {size_text(free_bytes(parent))} are free.",
            "make room, or add --no-raw.",
        )
    return report


def _fill(study: Study, folder: Path, report: Artifact, steps: Sequence[Step], made: str, *, with_raw: bool) -> bool:
    # The views of cells do not lead back to the masks that found them.
    masks = (study.store.current("cell_masks", key) for key in study.inbox.files("sem"))
    artifacts = behind(study.store, [report, *(one for one in masks if one is not None)])
    direct = {(ref.asset, ref.key, ref.digest) for ref in report.provenance.inputs}

    def found(asset: str) -> dict[str, Artifact]:
        return {one.key or "": one for one in artifacts if one.asset == asset}

    def shown(asset: str) -> dict[str, Artifact]:  # as the report counts, so that both say the same
        return {key: one for key, one in found(asset).items() if (asset, one.key, one.digest) in direct}

    simulated = report.provenance.simulated
    parameters = folder / "parameters"
    parameters.mkdir()
    raw = copy_raw(study, folder, with_raw=with_raw)
    write_csv(parameters / "raw-files.csv", raw_table(raw))
    write_json(parameters / "settings.json", asdict(study.settings))
    if (study.root / "study.toml").is_file():
        shutil.copyfile(study.root / "study.toml", parameters / "study.toml")
    write_json(parameters / "software.json", software(artifacts))
    write_provenance(parameters / "provenance.json", artifacts)
    trained = _copy_trained(parameters, artifacts)
    write_tables(folder / "tables", found)
    cells = write_meshes(folder / "meshes", found)
    paragraph = methods(study.settings, shown, simulated=simulated)
    (folder / "methods.txt").write_text(f"{paragraph.en}\n\n{paragraph.ko}\n", encoding="utf-8")
    left_out = [step.as_row() for step in steps if step.state in ("failed", "stopped")]
    write_csv(folder / "left-out.csv", pd.DataFrame(left_out, columns=["asset", "key", "state", "why"]))
    content = cff.citation(study, simulated=simulated)
    (folder / cff.NAME).write_text(cff.citation_text(content), encoding="utf-8")
    verdicts = read_table(found("verdicts")[""].path / "verdicts.parquet")["verdict"].value_counts(sort=False)
    text = files("em2cryo_assets.export").joinpath("readme.txt").read_text(encoding="utf-8")
    readme = text.format(
        title=content["title"],
        rule="=" * len(content["title"]),
        simulated=_SIMULATED if simulated else "",
        version=version("em2cryo-assets"),
        tally=", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())) or "none",
        left_out="nothing" if not left_out else f"{len(left_out)} rows",
        cells=cells,
        raw=_about_raw(raw, with_raw=with_raw),
        networks=_NETWORKS if trained else "",
    )
    (folder / "README.txt").write_text(readme, encoding="utf-8")
    sums = {row.file: (row.bytes, row.sha256) for row in raw if row.included}  # many GB: read once
    sums = _sums(folder, sums)
    write_crate(folder, sums, content, made)
    lines = (f"{digest}  {name}\n" for name, (_, digest) in _sums(folder, sums).items())
    (folder / MANIFEST).write_text("".join(lines), encoding="utf-8")
    return content["authors"] != [{"name": cff.NO_AUTHORS}]


def _copy_trained(folder: Path, artifacts: Sequence[Artifact]) -> int:
    """Weights that nobody else has; the released ones come with the package."""
    count = 0
    for one in artifacts:
        weights = sorted(one.path.glob("*.safetensors"))
        if weights and read_record(one)["origin"] != "released":
            count += 1
            for path in weights:
                shutil.copyfile(path, folder / f"{one.asset}-{one.digest[:12]}.safetensors")
    return count


def _about_raw(raw: Sequence[RawRow], *, with_raw: bool) -> str:
    number = sum(row.role == "raw" for row in raw)
    if with_raw:
        return f"{number} raw files, with what was recorded of them beside each"
    return f"sidecars and drawn labels only; the {number} raw files are listed in parameters/raw-files.csv"


def _sums(folder: Path, known: Mapping[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    """Bytes and SHA-256 of all files, by path, sorted; those that are known are not read again."""
    sums = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in known:
            sums[name] = known[name]
            continue
        with path.open("rb") as handle:
            sums[name] = (path.stat().st_size, hashlib.file_digest(handle, "sha256").hexdigest())
    return sums
