"""A study at the size of a facility: every key and version of one, with artifacts that hold next to nothing.

What is planned, watched and asked for depends on keys, provenance and Dagster's events alone; these are written by the
store and by Dagster themselves. Nothing is computed, so nothing here says anything about cells.
"""

from pathlib import Path

import dagster as dg

from em2cryo_assets.assets.lineage import STAGES, Stage
from em2cryo_assets.assets.snapshot import Snapshot
from em2cryo_assets.assets.stage import live_keys
from em2cryo_assets.partitions import cell_key
from em2cryo_assets.resources.dagster_home import open_instance, write_settings
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets.store.provenance import Provenance

__all__ = ["furnish", "put_tomograms"]

FIELD = "field-01"


def put_tomograms(study: Study, names: list[str]) -> None:
    """Lay files that no one will read into the inbox, as a copy by hand does."""
    folder = study.root / "inbox" / "tomogram"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.mrc").write_bytes(name.encode().ljust(2048, b"\0"))


def furnish(root: Path, cells: int, tomograms: int) -> Study:
    """Write a study in which everything is made.

    Parameters
    ----------
    root : pathlib.Path
        Empty folder.
    cells, tomograms : int
        How many of each; pairs are those that the plan draws.

    Returns
    -------
    Study
        Of one field and one section beside them.
    """
    (root / "inbox" / "sem").mkdir(parents=True)
    (root / "inbox" / "tem").mkdir()
    (root / "inbox" / "sem" / f"{FIELD}.tif").write_bytes(b"a field")
    (root / "inbox" / "tem" / "section-01.tif").write_bytes(b"a section")
    study = open_study(root)
    names = [f"ts{number:05d}" for number in range(tomograms)]
    put_tomograms(study, names)
    write_settings(study.dagster_home)
    with open_instance(study.dagster_home) as instance:
        instance.add_dynamic_partitions("fields", [FIELD])
        instance.add_dynamic_partitions("sections", ["section-01"])
        instance.add_dynamic_partitions("tomograms", names)
        instance.add_dynamic_partitions("cells", [cell_key(FIELD, number) for number in range(1, cells + 1)])
        for stage in STAGES.values():
            if not stage.on_request:
                _make(study, instance, stage)
                if stage.name == "cell_masks":
                    _views(study, instance)
    return study


def _make(study: Study, instance: dg.DagsterInstance, stage: Stage) -> None:
    """Publish one artifact a key, with the inputs that the plan will look for, and tell Dagster."""
    live = live_keys(instance)
    snapshot = Snapshot(study, live)
    for key in snapshot.keys(stage.key_set) if stage.key_set else [None]:
        refs = tuple(snapshot.inputs(stage, key))
        facts = {"comparable": True, "pairable": True, "cells": live["cells"]}
        provenance = Provenance(
            stage.name, key, inputs=refs, code_version=stage.code_version, parameters=facts, simulated=True
        )
        _publish(study, instance, provenance)


def _views(study: Study, instance: dg.DagsterInstance) -> None:
    version = STAGES["cell_masks"].code_version
    for key in live_keys(instance)["cells"]:
        _publish(study, instance, Provenance("cell_view", key, inputs=(), code_version=version, simulated=True))


def _publish(study: Study, instance: dg.DagsterInstance, provenance: Provenance) -> None:
    with study.store.publish(provenance.asset, provenance.key, provenance) as staging:
        (staging / "record.json").write_text(f'{{"of": "{provenance.asset} {provenance.key}"}}')
    assert staging.artifact is not None
    tags = {"dagster/data_version": staging.artifact.digest}
    event = dg.AssetMaterialization(provenance.asset, partition=provenance.key, tags=tags)
    instance.report_runless_asset_event(event)
