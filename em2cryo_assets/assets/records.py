"""Small JSON records that lie beside the arrays of an artifact.

Belongs here: writing and reading them, the same bytes for the same content.
Does not belong here: tables (`store.tables`) and provenance (`store.provenance`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets.store.publish import Artifact

__all__ = ["read_record", "sidecar_record", "write_record"]

_NAME = "record.json"


def write_record(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``record.json``; numbers must be finite."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / _NAME).write_text(text + "\n", encoding="utf-8")


def read_record(artifact: Artifact) -> dict[str, Any]:
    """The record of an artifact."""
    content: dict[str, Any] = json.loads((artifact.path / _NAME).read_text(encoding="utf-8"))
    return content


def sidecar_record(sidecar: Sidecar) -> dict[str, Any]:
    """What the sidecar says, without what it leaves open."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(sidecar).items()
        if value is not None and value != ()
    }
