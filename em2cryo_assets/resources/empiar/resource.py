"""EMPIAR for Dagster, and what the owner of a study may set about it.

Belongs here: the resource, and ``empiar.toml`` of the data folder. Importing this loads no HTTP library.
Does not belong here: asking (`client`).
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.empiar.archive import archive_at, check_entry_id

if TYPE_CHECKING:
    from em2cryo_assets.resources.empiar.client import EmpiarClient

__all__ = ["EmpiarResource", "EmpiarSettings", "read_empiar_settings"]


@dataclass(frozen=True)
class EmpiarSettings:
    """What ``empiar.toml`` of the data folder may set.

    Parameters
    ----------
    entries : tuple of str
        Accessions that are watched.
    query : str
        Search for further entries, in the words of the archive's own search.
    max_gb : float
        Largest download of one entry that nobody asked for by hand, GB.
    """

    entries: tuple[str, ...] = ("EMPIAR-10227",)
    query: str = '(yeast OR "Saccharomyces cerevisiae") AND (tomography OR tomogram)'
    max_gb: float = 50.0


class EmpiarResource(dg.ConfigurableResource["EmpiarClient"]):
    """The archive that tomograms come from.

    Parameters
    ----------
    url : str
        Its address; empty means what ``EM2CRYO_EMPIAR_URL`` names, else the real one.
    """

    url: str = ""

    def client(self, deadline_s: float | None = None) -> "EmpiarClient":
        """A client, to be used as a context manager.

        Parameters
        ----------
        deadline_s : float, optional
            Seconds from now after which every question fails.
        """
        from em2cryo_assets.resources.empiar.client import EmpiarClient

        return EmpiarClient(archive_at(self.url), deadline_s=deadline_s)


def read_empiar_settings(root: Path) -> EmpiarSettings:
    """Settings of a data folder; the defaults where its ``empiar.toml`` is silent.

    Raises
    ------
    InputError
        If it cannot be read or sets something unknown or impossible.
    """
    path = root / "empiar.toml"
    if not path.is_file():
        return EmpiarSettings()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, f"it is not TOML ({error}).", "correct that line or delete the file.") from error
    known = [one.name for one in fields(EmpiarSettings)]
    for name in given:
        if name not in known:
            raise InputError(path, f"{name!r} is not a setting.", f"known are {', '.join(known)}.")
    return EmpiarSettings(**{name: _CHECKS[name](path, value) for name, value in given.items()})


def _entries(path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(path, f"entries = {value!r} is not a list.", 'write entries = ["EMPIAR-10227"].')
    return tuple(dict.fromkeys(check_entry_id(one) for one in value))


def _query(path: Path, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(path, f"query = {value!r} is not text.", 'put the words into quotes: "…".')
    return value


def _max_gb(path: Path, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise InputError(path, f"max_gb = {value!r} is not possible.", "give a positive number.")
    return float(value)


_CHECKS: dict[str, Callable[[Path, Any], Any]] = {"entries": _entries, "query": _query, "max_gb": _max_gb}
