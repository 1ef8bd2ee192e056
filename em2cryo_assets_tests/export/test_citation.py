"""Citation files keep the rules of their format, and name what a study rests on."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from em2cryo_assets.export.citation import NAME, NO_AUTHORS, citation, citation_text
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.resources.empiar.choose import sidecar_of
from em2cryo_assets.resources.empiar.entries import parse_entry
from em2cryo_assets.resources.empiar.header import VolumeHeader
from em2cryo_assets.resources.study import Study, open_study

ROOT = Path(__file__).parents[2]
DOI = r"^10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-\.\(\)\[\]\\]+$"
TEXT = {"type": "string", "minLength": 1}
AUTHORS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "name": TEXT, "family-names": TEXT, "given-names": TEXT, "affiliation": TEXT,
            "orcid": {"pattern": r"^https://orcid\.org/[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]$"},
        },
    },
}  # fmt: skip
WORK = {
    "title": TEXT, "authors": AUTHORS, "version": TEXT, "license": TEXT, "abstract": TEXT, "notes": TEXT, "url": TEXT,
    "doi": {"pattern": DOI},
    "keywords": {"type": "array", "minItems": 1, "items": TEXT},
    "date-released": {"type": "string", "format": "date"},
    "identifiers": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["type", "value"],
            "properties": {"type": {"enum": ["doi", "url", "swh", "other"]}, "value": TEXT, "description": TEXT},
            "additionalProperties": False,
        },
    },
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["cff-version", "message", "title", "authors"],
    "additionalProperties": False,
    "properties": {
        **WORK,
        "cff-version": {"pattern": r"^1\.2\.0$"},
        "message": TEXT,
        "type": {"enum": ["software", "dataset"]},
        "references": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "title", "authors"],
                "properties": {**WORK, "type": {"enum": ["article", "data", "dataset", "software"]}},
                "additionalProperties": False,
            },
        },
    },
}
"""What the guide to the Citation File Format 1.2.0 says of the fields that are written here; others are refused."""


def valid(text: str) -> dict[str, Any]:
    content = yaml.load(text, Loader=yaml.BaseLoader)  # all as text: the schema wants dates as text
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(content)
    found: dict[str, Any] = content
    return found


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "barley & <malt>")


def test_the_rules_refuse_what_is_no_citation() -> None:
    with pytest.raises(jsonschema.ValidationError, match="authors"):
        valid("cff-version: 1.2.0\nmessage: m\ntitle: t\n")


def test_the_repository_has_a_valid_one_of_this_version() -> None:
    content = valid((ROOT / NAME).read_text(encoding="utf-8"))
    assert content["version"] == version("em2cryo-assets")


def test_an_empty_study_is_valid_and_says_that_nobody_is_named(study: Study) -> None:
    content = valid(citation_text(citation(study, simulated=True)))
    assert content["title"].startswith("SIMULATED DATA: barley & <malt>")
    assert content["authors"] == [{"name": NO_AUTHORS}]
    assert [one["title"] for one in content["references"]] == ["EM2Cryo"]


def test_public_entries_are_cited_with_their_dois(study: Study) -> None:
    answer = {
        "EMPIAR-99999": {
            "title": "Tomograms of yeast.",
            "status": "REL",
            "entry_doi": "10.6019/EMPIAR-99999",
            "licence": "CC0",
            "citation": [
                {"authors": [{"name": "Lee A"}, {"name": "Kim B"}], "title": "Yeast in situ", "doi": "10.1000/xyz.1"}
            ],
            "imagesets": [],
        }
    }
    entry = parse_entry("EMPIAR-99999", answer)
    header = VolumeHeader((4, 4, 4), 2, None, False, 1280)
    for name in ("a.mrc", "b.mrc"):
        raw = study.inbox.root / "tomogram" / name
        raw.write_bytes(b"no tomogram, and none is read")
        write_sidecar(raw, sidecar_of(entry, name, f"/empiar/world_availability/99999/data/{name}", header))
    (study.inbox.root / "tomogram" / "c.mrc").write_bytes(b"of our own")
    content = valid(citation_text(citation(study, simulated=False)))
    found = [one for one in content["references"] if one["type"] == "data"]
    assert len(found) == 1
    assert found[0]["title"] == "EMPIAR-99999: Tomograms of yeast"
    assert found[0]["doi"] == "10.6019/EMPIAR-99999"
    assert [one["value"] for one in found[0]["identifiers"]] == ["10.1000/xyz.1"]
    assert "Licence: CC0." in found[0]["notes"]


def test_the_owner_of_a_study_names_title_authors_and_references(study: Study) -> None:
    own = study.root / NAME
    shutil.copy(ROOT / NAME, own)
    content = valid(citation_text(citation(study, simulated=False)))
    assert content["authors"] == [{"name": "EM2Cryo maintainers"}]
    assert content["title"].startswith("EM2Cryo: pseudo-3D")
    own.write_text(
        "title: Barley\nauthors:\n- family-names: Kim\n  given-names: Ara\n  orcid: https://orcid.org/0000-0002-1825-0097\n"
        "date-released: 2026-11-25\nreferences:\n- type: article\n  title: Malt\n  authors:\n  - name: Someone\n"
    )
    content = valid(citation_text(citation(study, simulated=True)))
    assert content["title"] == "SIMULATED DATA: Barley"
    assert content["date-released"] == "2026-11-25"
    assert [one["title"] for one in content["references"]] == ["Malt", "EM2Cryo"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title: [", "not YAML"),
        ("title: Barley\n", "no authors"),
        ("title: a\nauthors: [b]\nreferences: c\n", "no list"),
    ],
)
def test_an_owners_file_that_cannot_be_used_is_told(study: Study, text: str, problem: str) -> None:
    (study.root / NAME).write_text(text)
    with pytest.raises(InputError, match=problem):
        citation(study, simulated=False)
