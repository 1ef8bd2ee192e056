"""Simulated cells and studies as assets: marked, true to their scenes, made when due or when asked for."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from em2cryo_assets.definitions import defs
from em2cryo_assets.resources.inbox import Inbox
from em2cryo_assets.resources.study import open_study
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.tables import read_table
from em2cryo_assets_tests.integration.tiny_study import opened, put_demo


def make(name: str, root: Path, monkeypatch: pytest.MonkeyPatch, **config: int) -> dg.ExecuteInProcessResult:
    monkeypatch.setenv("EM2CRYO_DATA", str(root))
    with opened(root) as tiny:
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=tiny.instance, asset_selection=[dg.AssetKey(name)],
            run_config={"ops": {name: {"config": config}}} if config else None,
        )  # fmt: skip


def test_phantom_cells_are_marked_and_their_volumes_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = make("phantom_cells", tmp_path, monkeypatch)
    (event,) = result.get_asset_materialization_events()
    assert "SIMULATED" in str(event.materialization.metadata["simulated"].value)
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]
    artifact = open_study(tmp_path).store.current("phantom_cells", None)
    assert artifact is not None
    assert artifact.provenance.simulated
    table = read_table(artifact.path / "cells.parquet")
    assert len(table) == 1
    labels = np.asarray(read_labels(artifact.path / "cell-01-scene.ome.zarr", "interior"))
    scene = read_image(artifact.path / "cell-01-scene.ome.zarr")
    volume = float((labels > 0).sum()) * np.prod(scene.voxel_nm) / 1e9
    assert volume == pytest.approx(table["volume_um3"][0], rel=0.01)


def test_the_plan_wants_phantom_cells_of_a_study_that_holds_something_and_never_a_simulated_study(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as tiny:
        assert tiny.plan()["phantom_cells", None].state == "waiting"
        assert ("simulated_study", None) not in tiny.plan()
        put_demo(tiny.inbox, "tem", "section-01.png")
        tiny.instance.add_dynamic_partitions("sections", ["section-01"])
        assert tiny.plan()["phantom_cells", None].state == "missing"


@pytest.mark.slow
def test_a_simulated_study_is_what_was_asked_for_and_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"sem_cells": 2, "tem_sections": 1, "lamellae": 1, "whole_cells": 0, "seed": 5}
    make("simulated_study", tmp_path, monkeypatch, **asked)
    artifact = open_study(tmp_path).store.current("simulated_study", None)
    assert artifact is not None
    assert artifact.provenance.simulated
    assert artifact.provenance.parameters["seed"] == 5
    inbox = Inbox(artifact.path / "inbox")
    assert {kind: len(inbox.files(kind)) for kind in ("sem", "tem", "tomogram")} == {"sem": 1, "tem": 1, "tomogram": 1}
    assert inbox.simulated() is True
    assert json.loads((artifact.path / "truth.json").read_text())["seed"] == 5
