"""Raw files in an archive: copied or only listed, each with its checksum.

Belongs here: which files, their rows, copying them. Does not belong here: reading them (`formats`, `cryoet`).
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.inbox import KINDS, RawFile
from em2cryo_assets.resources.study import Study

__all__ = ["RAW_COLUMNS", "RawRow", "copy_raw", "raw_bytes", "raw_table"]

RAW_COLUMNS: Final = {
    "kind": "sem, tem or tomogram",
    "key": "key of the raw file in every table",
    "role": "raw, sidecar (what was recorded of it), labels (drawn by a person) or companion (of microscope or alignment)",
    "file": "path in the archive, and in the inbox of a study made from it",
    "bytes": "size",
    "sha256": "checksum",
    "included": "whether the bytes are in the archive",
    "simulated": "whether it is simulated",
    "source": "public entry and path that it came from; empty if not recorded",
    "licence": "as recorded; empty if not",
}
"""What the columns of the list mean."""

_BLOCK: Final = 1 << 20
_BY_A_PERSON: Final = ("sidecar", "labels")


@dataclass(frozen=True)
class RawRow:
    """One file; the fields are explained in `RAW_COLUMNS`, `bytes` and `sha256` apart."""

    kind: str
    key: str
    role: str
    file: str
    bytes: int
    sha256: str
    included: bool
    simulated: bool
    source: str
    licence: str


def raw_bytes(study: Study) -> int:
    """Bytes of all raw files of a study and of what lies beside them."""
    return sum(path.stat().st_size for raw in _raw_files(study) for _, path in _files(study, raw))


def copy_raw(study: Study, target: Path, *, with_raw: bool) -> list[RawRow]:
    """Copy what belongs to a study's raw files into ``raw/``, as it lies in the inbox.

    Parameters
    ----------
    study : Study
        The study.
    target : pathlib.Path
        Folder of the archive.
    with_raw : bool
        Otherwise raw files and companions are only listed; sidecars and labels, which a person made and which are
        nowhere else, are copied in any case.

    Returns
    -------
    list of RawRow
        In order of kind, key and path.
    """
    rows = []
    for raw in _raw_files(study):
        said = _said(raw)
        for role, path in _files(study, raw):
            inner = Path("raw") / path.relative_to(study.inbox.root)
            included = with_raw or role in _BY_A_PERSON
            size, digest = _read(path, target / inner if included else None)
            rows.append(RawRow(raw.kind, raw.key, role, inner.as_posix(), size, digest, included, *said))
    return rows


def raw_table(rows: list[RawRow]) -> pd.DataFrame:
    """The list as a table."""
    return pd.DataFrame([asdict(row) for row in rows], columns=list(RAW_COLUMNS))


def _raw_files(study: Study) -> Iterator[RawFile]:
    for kind in KINDS:
        yield from study.inbox.files(kind).values()  # type: ignore[arg-type]


def _files(study: Study, raw: RawFile) -> Iterator[tuple[str, Path]]:
    """Role and path of every file of a raw file; a Zarr folder is many."""
    if raw.path.is_dir():
        yield from (("raw", path) for path in sorted(raw.path.rglob("*")) if path.is_file())
    else:
        yield "raw", raw.path
    for path, role in sorted(study.inbox.belongings(raw).items()):
        yield role, path


def _said(raw: RawFile) -> tuple[bool, str, str]:
    try:
        sidecar = read_sidecar(raw.path)
    except InputError:  # such a file is in no table; left-out.csv says why
        return False, "", ""
    return bool(sidecar.simulated), sidecar.source or "", sidecar.licence or ""


def _read(source: Path, target: Path | None) -> tuple[int, str]:
    """Size and SHA-256 of a file, which is copied on the way if there is a target."""
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as given, open(target or os.devnull, "wb") as out:
        while block := given.read(_BLOCK):
            digest.update(block)
            size += len(block)
            out.write(block)
    return size, digest.hexdigest()
