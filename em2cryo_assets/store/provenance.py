"""Where a stored artifact came from.

Belongs here: the record written beside each artifact, its JSON form, and the digest of a set of inputs.
Does not belong here: the artifact's own bytes (`store.publish` digests those) and anything Dagster records.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["InputRef", "Provenance", "inputs_digest", "software_versions"]


@dataclass(frozen=True, order=True)
class InputRef:
    """One input of a computation, named by what it is and by its exact bytes.

    Parameters
    ----------
    asset : str
        Name of the asset, e.g. ``"cell_mesh"``.
    key : str or None
        Partition key; None where the asset has no partitions.
    digest : str
        Digest of the artifact that was read.
    """

    asset: str
    key: str | None
    digest: str


@dataclass(frozen=True)
class Provenance:
    """How an artifact was made. Kept outside its digest: the same inputs give the same bytes in every run.

    Parameters
    ----------
    asset, key : str, str or None
        What was made.
    inputs : tuple of InputRef
        What it was made from.
    parameters : dict
        Settings of the computation; must be JSON without NaN.
    code_version : str
        Version of the code of the asset.
    seed : int or None
        Seed of everything random in it.
    run_id : str
        The run that made it.
    fallbacks : tuple of str
        One sentence for each assumption made because something was not given.
    simulated : bool
        True if any raw file upstream was simulated.
    software : dict of str to str
        Versions of the libraries that decide the bytes.
    """

    asset: str
    key: str | None
    inputs: tuple[InputRef, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    code_version: str = ""
    seed: int | None = None
    run_id: str = ""
    fallbacks: tuple[str, ...] = ()
    simulated: bool = False
    software: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Readable, key-sorted JSON.

        Raises
        ------
        ValueError, TypeError
            If a parameter has no JSON form (NaN, arrays, paths).
        """
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """Inverse of `to_json`; fields unknown to this version are ignored, missing ones keep defaults."""
        raw = json.loads(text)
        known = {name: raw[name] for name in cls.__dataclass_fields__ if name in raw}
        known["inputs"] = tuple(InputRef(**ref) for ref in known.get("inputs", ()))
        known["fallbacks"] = tuple(known.get("fallbacks", ()))
        return cls(**known)


def inputs_digest(inputs: Iterable[InputRef]) -> str:
    """Digest of a set of inputs, whatever their order.

    Parameters
    ----------
    inputs : iterable of InputRef
        Duplicates count once.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    lines = sorted({json.dumps([ref.asset, ref.key, ref.digest]) for ref in inputs})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def software_versions(*distributions: str) -> dict[str, str]:
    """Installed versions of the named distributions, e.g. ``software_versions("numpy", "zarr")``."""
    return {name: importlib.metadata.version(name) for name in sorted(distributions)}
