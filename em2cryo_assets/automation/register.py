"""Keeping Dagster's partition keys in step with the inbox.

Belongs here: adding keys for new raw files, retiring keys whose file or cell is gone.
Does not belong here: reading pixels, or numbering the cells of a field (`assets.masks`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

from em2cryo_assets.partitions import MAX_PAIRS
from em2cryo_assets.resources.inbox import KINDS
from em2cryo_assets.resources.study import Study

__all__ = ["KEY_SET_OF_KIND", "Registered", "new_and_gone", "register"]

KEY_SET_OF_KIND = {"sem": "fields", "tem": "sections", "tomogram": "tomograms"}


@dataclass(frozen=True)
class Registered:
    """What changed among the keys.

    Parameters
    ----------
    added, retired : tuple of (str, str)
        Partition set and key.
    problems : tuple of str
        Files that could not be given a key, each with the remedy.
    """

    added: tuple[tuple[str, str], ...]
    retired: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def new_and_gone(study: Study, instance: dg.DagsterInstance) -> Registered:
    """Compare inbox and keys without changing anything."""
    added: list[tuple[str, str]] = []
    retired: list[tuple[str, str]] = []
    problems: list[str] = []
    live: dict[str, set[str]] = {}
    for kind in KINDS:
        key_set = KEY_SET_OF_KIND[kind]
        known = set(instance.get_dynamic_partitions(key_set))
        found = study.inbox.files(kind)  # type: ignore[arg-type]
        new = [key for key in found if key not in known]
        if key_set == "tomograms":
            new, refused = _within_limit(instance, known & set(found), new)
            problems += [_too_many(key) for key in refused]
        added += [(key_set, key) for key in new]
        retired += [(key_set, key) for key in sorted(known - set(found))]
        live[key_set] = set(found)
        problems += [
            f"{path.name}: not a {kind} file by its name. Remedy: rename it, or convert it to one of "
            f"{', '.join(KINDS[kind])}."
            for path in study.inbox.unusable(kind)  # type: ignore[arg-type]
        ]
    back, gone = _changed_cells(study, instance, live["fields"])
    added += [("cells", cell) for cell in back]
    retired += [("cells", cell) for cell in gone]
    return Registered(tuple(added), tuple(retired), tuple(problems))


def register(study: Study, instance: dg.DagsterInstance) -> Registered:
    """Add keys for new raw files and retire those whose file or cell is gone.

    A retired key leaves the partition set and so every table; its artifacts stay in the store.
    """
    change = new_and_gone(study, instance)
    for key_set in {key_set for key_set, _ in change.added}:
        instance.add_dynamic_partitions(key_set, [key for name, key in change.added if name == key_set])
    for key_set, key in change.retired:
        instance.delete_dynamic_partition(key_set, key)
    return change


def _within_limit(instance: dg.DagsterInstance, staying: Iterable[str], new: list[str]) -> tuple[list[str], list[str]]:
    cells = max(1, len(instance.get_dynamic_partitions("cells")))
    room = max(0, MAX_PAIRS // cells - len(set(staying)))
    return new[:room], new[room:]


def _too_many(key: str) -> str:
    return (
        f"{key}: one study holds at most {MAX_PAIRS:,} cell × tomogram pairs. Remedy: split the study, "
        "with another EM2CRYO_DATA for each part."
    )


def _changed_cells(study: Study, instance: dg.DagsterInstance, fields: Iterable[str]) -> tuple[list[str], list[str]]:
    """Cells without a key (their file was put back, and nothing needs to be made), and keys without a cell."""
    masks = (study.store.current("cell_masks", field) for field in sorted(fields))
    listed = {cell for one in masks if one is not None for cell in one.provenance.parameters["cells"]}
    known = set(instance.get_dynamic_partitions("cells"))
    return sorted(listed - known), sorted(known - listed)
