"""What a simulated study consists of, before anything is drawn: counts, names, seeds, and where it may be written.

Belongs here: limits of the counts, file names, sidecar fields that all simulated files share, and the guard that
keeps simulations apart from each other and from real files.
Does not belong here: drawing cells and writing files (`study`, `study_more`).
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.wording import first_of

__all__ = [
    "CELLS_OF_A_FIELD", "COMMON", "SEM_COMMON", "Seeds", "check_count", "check_folder", "field_name", "lamella_name",
    "picture_names", "section_name", "spread_over_fields", "whole_cell_name",
]  # fmt: skip

CELLS_OF_A_FIELD: Final = 13
_MOST_FILES: Final = 99
_LIMITS: Final = {
    "cells of one field": (1, CELLS_OF_A_FIELD, "more would not lie apart in one picture"),
    "sem_cells": (
        0, CELLS_OF_A_FIELD * _MOST_FILES,
        f"a field holds {CELLS_OF_A_FIELD} and numbers in file names have two digits",
    ),
    **{
        name: (0, _MOST_FILES, "numbers in file names have two digits")
        for name in ("SEM fields", "tem_sections", "lamellae", "whole_cells")
    },
    "seed": (0, 2**32 - 1, "a seed has 32 bits"),
}  # fmt: skip

COMMON: Final = {
    "strain": "simulated haploid yeast",
    "medium": "YPD, 30 °C, stationary phase",
    "licence": "CC0-1.0",
    "source": "em2cryo_assets.phantom",
    "simulated": True,
}
"""Fields of every simulated sidecar."""

SEM_COMMON: Final = {
    **COMMON,
    "modality": "sem",
    "tilt_deg": 0.0,
    "detector": "ETD, secondary electrons",
    "coating": "8 nm Pt",
    "fixation": "glutaraldehyde, osmium",
    "drying": "critical point",
}

_PURPOSES: Final = ("live", "sem", "tem", "lamella", "whole-cell", "layout", "picture", "more")


class Seeds:
    """One independent seed for every purpose, so that asking for more files leaves the others as they are.

    Parameters
    ----------
    seed : int
        Of the study.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, purpose: str, *index: int) -> int:
        """Seed of 64 bits for a purpose and its numbers."""
        words = np.random.SeedSequence([self.seed, _PURPOSES.index(purpose), *index]).generate_state(2)
        return int(words[0]) << 32 | int(words[1])


def check_count(name: str, value: int) -> int:
    """Return a count or a seed that is possible.

    Parameters
    ----------
    name : str
        ``sem_cells``, ``tem_sections``, ``lamellae``, ``whole_cells``, ``seed``, ``SEM fields`` or
        ``cells of one field``.
    value : int
        What was asked for.

    Raises
    ------
    InputError
        With the range and its reason, if the value lies outside.
    """
    least, most, reason = _LIMITS[name]
    if not least <= value <= most:
        raise InputError(
            name, f"{value} is not within {least} to {most}: {reason}.",
            "give a number in that range; another seed gives another study.",
        )  # fmt: skip
    return value


def spread_over_fields(cells: int) -> list[int]:
    """Fill SEM fields with 13 cells in turn, so that more cells leave all full fields as they are.

    Raises
    ------
    InputError
        If the number of cells is negative or needs more than 99 fields.
    """
    check_count("sem_cells", cells)
    full, rest = divmod(cells, CELLS_OF_A_FIELD)
    return [CELLS_OF_A_FIELD] * full + [rest] * (rest > 0)


def field_name(number: int) -> str:
    """File name of an SEM field, numbers from 0: PNG and TIFF alternate."""
    return f"field-{number + 1:02d}.{'tif' if number % 2 else 'png'}"


def section_name(number: int) -> str:
    """File name of a TEM section, numbers from 0."""
    return f"section-{number + 1:02d}.png"


def lamella_name(number: int) -> str:
    """File name of a lamella's tomogram, numbers from 0: packed and plain alternate."""
    return f"lamella-{number + 1:02d}.{'mrc' if number % 2 else 'mrc.gz'}"


def whole_cell_name(number: int) -> str:
    """File name of a soft X-ray volume, numbers from 0."""
    return f"whole-cell-{number + 1:02d}.mrc.gz"


def picture_names(cells_of_fields: Sequence[int], sections: int, lamellae: int, whole_cells: int) -> list[str]:
    """Keys of ``truth.json``: every file, and every cell of a field as ``<file>/<number>``.

    Raises
    ------
    InputError
        If a count is impossible, or all are 0.
    """
    check_count("sem_cells", sum(cells_of_fields))
    check_count("SEM fields", len(cells_of_fields))
    for cells in cells_of_fields:
        check_count("cells of one field", cells)
    names = [f"{field_name(i)}/{j + 1}" for i, cells in enumerate(cells_of_fields) for j in range(cells)]
    names += [section_name(i) for i in range(check_count("tem_sections", sections))]
    names += [lamella_name(i) for i in range(check_count("lamellae", lamellae))]
    names += [whole_cell_name(i) for i in range(check_count("whole_cells", whole_cells))]
    if not names:
        raise InputError(
            "simulated study", "sem_cells, tem_sections, lamellae and whole_cells are all 0.", "ask for one at least."
        )
    return names


def check_folder(folder: Path, seed: int, pictures: Iterable[str]) -> None:
    """Allow writing into an empty folder, or again what already lies there.

    Parameters
    ----------
    folder : pathlib.Path
        Study folder.
    seed : int
        Of the simulation to be written.
    pictures : iterable of str
        From `picture_names`.

    Raises
    ------
    InputError
        If the inbox holds a file that is not certainly simulated, or if inbox, ``truth/`` or ``more/`` hold files
        of another simulation, which would lose their truth.
    """
    from em2cryo_assets.resources.inbox import KINDS, Inbox  # here: the phantom itself needs no study

    inbox = Inbox(folder / "inbox")
    raw: list[Path] = []
    for kind in KINDS:
        raw += [path for one in inbox.files(kind).values() for path in (one.path, *one.rivals)]  # type: ignore[arg-type]
        raw += inbox.unusable(kind)  # type: ignore[arg-type]
    real = [path.name for path in raw if not _simulated(path)]
    if real:
        raise InputError(
            folder.resolve(), f"its inbox holds files that no sidecar marks as simulated: {first_of(real)}.",
            "write simulated files into a folder of their own.",
        )  # fmt: skip
    beside = [path for name in ("truth", "more") for path in (folder / name).glob("*")]
    if not raw and not beside:
        return
    pictures = set(pictures)
    remedy = "name another folder, or delete inbox, truth, more and truth.json of this one first."
    if _written(folder / "truth.json") != (seed, pictures):
        names = first_of([path.name for path in (*raw, *beside)])
        raise InputError(folder.resolve(), f"it holds another simulation, or part of one: {names}.", remedy)
    planned = {name.split("/")[0] for name in pictures}
    strange = [path.name for path in raw if path.name not in planned]
    if strange:
        raise InputError(folder.resolve(), f"its truth.json does not list {first_of(strange)}.", remedy)


def _simulated(path: Path) -> bool:
    try:
        return read_sidecar(path).simulated is True
    except InputError:
        return False


def _written(path: Path) -> tuple[Any, set[str]] | None:
    """Seed and pictures of the simulation that a ``truth.json`` belongs to; None where none can be read."""
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
        return truth["seed"], set(truth["pictures"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
