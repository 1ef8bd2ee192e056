"""How a study's archive is to be cited, and what it rests on: ``CITATION.cff``.

Belongs here: the Citation File Format 1.2.0, the owner's own file, references to public entries. Does not belong
here: publishing, or asking an archive anything.
"""

import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.resources.inbox import KINDS
from em2cryo_assets.resources.study import Study

__all__ = ["NAME", "NO_AUTHORS", "citation", "citation_text", "public_entries"]

NAME: Final = "CITATION.cff"
NO_AUTHORS: Final = "Authors of this study (not named yet)"

_DATA_DOI: Final = re.compile(r"\bData doi (10\.\d{4,9}/[^\s,;]*[^\s,;.])")
_DOI: Final = re.compile(r"(10\.\d{4,9}/[^\s,;]*[^\s,;.])")
_ENTRY: Final = re.compile(r"(EMPIAR-\d+|CZCDP-\d+) ")


def citation(study: Study, *, simulated: bool) -> dict[str, Any]:
    """The content of the citation file.

    A ``CITATION.cff`` in the study's folder says title, authors and all else that its owner wants to say; what the
    study rests on is added to its references.

    Parameters
    ----------
    study : Study
        The study.
    simulated : bool
        Whether its files are simulated: then the title says so.

    Raises
    ------
    InputError
        If the owner's file cannot be read, or names no title or authors.
    """
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this archive, cite it, and the public entries and the software under references.",
        "type": "dataset",
        "title": f"{study.root.name}: pseudo-3D yeast cells from SEM and TEM, judged against cryo-ET",
        "authors": [{"name": NO_AUTHORS}],
    }
    content |= _own(study.root / NAME)
    if simulated and "simulated" not in content["title"].lower():
        content["title"] = f"SIMULATED DATA: {content['title']}"
    references = [*content.pop("references", []), *public_entries(study), _software()]
    return content | {"references": references}


def citation_text(content: dict[str, Any]) -> str:
    """The file, in the order of the content."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def public_entries(study: Study) -> list[dict[str, Any]]:
    """A reference for each public entry that raw files came from, as their sidecars say; with DOIs where these do."""
    notes: dict[str, set[str]] = {}
    licences: dict[str, set[str]] = {}
    for kind in KINDS:
        for raw in study.inbox.files(kind).values():  # type: ignore[arg-type]
            try:
                sidecar = read_sidecar(raw.path)
            except InputError:
                continue  # no table rests on such a file
            found = _ENTRY.match(f"{sidecar.source or ''} ")
            if found is not None:
                notes.setdefault(found[1], set()).add(sidecar.notes or "")
                licences.setdefault(found[1], set()).update(filter(None, [sidecar.licence]))
    return [_entry(name, notes[name], licences[name]) for name in sorted(notes)]


def _entry(name: str, notes: Iterable[str], licences: Iterable[str]) -> dict[str, Any]:
    said = sorted(filter(None, notes))
    title = said[0].split(". ")[0] if said else name
    entry: dict[str, Any] = {"type": "data", "title": f"{name}: {title}" if title != name else name}
    entry["authors"] = [{"name": f"Depositors of {name}"}]
    own = sorted({doi for text in said for doi in _DATA_DOI.findall(text)})
    others = sorted({doi for text in said for doi in _DOI.findall(text)} - set(own))
    if own:
        entry["doi"] = own[0]
    if others:
        entry["identifiers"] = [
            {"type": "doi", "value": doi, "description": "a publication on these data"} for doi in others
        ]
    remarks = [*said[:1], *(f"Licence: {licence}." for licence in sorted(licences))]
    if remarks:
        entry["notes"] = " ".join(remarks)
    return entry


def _software() -> dict[str, Any]:
    return {
        "type": "software",
        "title": "EM2Cryo",
        "version": version("em2cryo-assets"),
        "authors": [{"name": "EM2Cryo maintainers"}],
        "license": "Apache-2.0",
    }


def _own(path: Path) -> dict[str, Any]:
    """What the owner of the study says of it; nothing if there is no file."""
    if not path.is_file():
        return {}
    remedy = "see docs/publish.md, or take the file away"
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(path, f"it is not YAML ({' '.join(str(error).split())}).", remedy) from error
    if not isinstance(given, dict) or not isinstance(given.get("title"), str) or not given.get("authors"):
        raise InputError(path, "it names no title, or no authors.", remedy)
    if not isinstance(given.get("references", []), list):
        raise InputError(path, "its references are no list.", remedy)
    return given
