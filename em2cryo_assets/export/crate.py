"""``ro-crate-metadata.json``: what an archive holds, for programs (RO-Crate 1.1, https://w3id.org/ro/crate/1.1).

Belongs here: files of an archive as entities. Does not belong here: what the files hold.
"""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from em2cryo_assets.export.results import write_json

__all__ = ["CRATE", "write_crate"]

CRATE: Final = "ro-crate-metadata.json"

_TYPES: Final = {
    ".cff": "application/yaml",
    ".glb": "model/gltf-binary",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".ply": "model/ply",
    ".toml": "application/toml",
}
_FOLDERS: Final = {
    "raw/": "Raw files with their sidecars, as they lie in the inbox of the study",
    "tables/": "Every table as CSV and Parquet; columns.csv says what each column means",
    "meshes/": "The cells as meshes: GLB (1 unit = 1 µm) and PLY (nm)",
    "parameters/": "Settings, software versions, and how every artifact was made",
}


def write_crate(folder: Path, files: Mapping[str, tuple[int, str]], citation: Mapping[str, Any], made: str) -> None:
    """Describe the files of an archive.

    Parameters
    ----------
    folder : pathlib.Path
        Of the archive.
    files : mapping of str to (int, str)
        Bytes and SHA-256 by path in the archive, sorted.
    citation : mapping
        Of `export.citation.citation`: title, authors, references.
    made : str
        Day on which the study's report was made, ISO 8601.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")  # the version that most readers know
    crate.name = citation["title"]
    crate.description = "A study by EM2Cryo: raw files by checksum, parameters, software versions, tables and meshes."
    crate.datePublished = made
    crate.root_dataset["license"] = citation.get("license") or "Not stated. Raw files: parameters/raw-files.csv"
    authors = [_person(crate, number, one) for number, one in enumerate(citation["authors"])]
    cited = [
        crate.add(
            ContextEntity(
                crate,
                f"https://doi.org/{one['doi']}" if "doi" in one else f"#reference-{number}",
                {"@type": "CreativeWork", "name": one["title"]},
            )
        )
        for number, one in enumerate(citation["references"])
        if "title" in one
    ]
    crate.root_dataset["author"] = authors if len(authors) > 1 else authors[0]
    crate.root_dataset["citation"] = cited if len(cited) > 1 else cited[0]
    for name, says in _FOLDERS.items():
        if any(path.startswith(name) for path in files):
            crate.add_dataset(dest_path=name, properties={"name": says})
    for path, (size, digest) in files.items():
        crate.add_file(
            folder / path,
            dest_path=path,
            properties={"contentSize": str(size), "sha256": digest, "encodingFormat": _type_of(path)},
        )
    write_json(folder / CRATE, crate.metadata.generate())


def _person(crate: Any, number: int, said: Mapping[str, Any]) -> Any:
    from rocrate.model.contextentity import ContextEntity

    person = " ".join(str(said[part]) for part in ("given-names", "family-names") if part in said)
    kind = "Person" if person else "Organization"
    name = person or str(said.get("name", ""))
    return crate.add(ContextEntity(crate, str(said.get("orcid") or f"#author-{number}"), {"@type": kind, "name": name}))


def _type_of(path: str) -> str:
    """Media type; a table of our own, as that of the system differs between machines."""
    ending = Path(path).suffix.lower()
    known = _TYPES.get(ending) or mimetypes.types_map.get(ending)  # not guess_type, which reads the system's files
    return known or "application/octet-stream"
