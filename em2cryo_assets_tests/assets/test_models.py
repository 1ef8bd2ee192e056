"""Simulated cells and studies as assets: marked, true to their scenes, made when due or when asked for."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.definitions import defs
from em2cryo_assets.resources.inbox import Inbox
from em2cryo_assets.resources.study import open_study
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.tables import read_table
from em2cryo_assets.vocabulary import LABELS
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
    lamella = artifact.path / "cell-01-lamella.ome.zarr"
    assert read_labels(lamella, "interior").shape == read_image(lamella).data.shape
    normals = [np.asarray(read_image(artifact.path / f"cell-01-sem-normal_{axis}.ome.zarr").data) for axis in "zyx"]
    assert np.allclose(np.linalg.norm(normals, axis=0), 1, atol=1e-4)
    assert read_image(artifact.path / "cell-01-sem-depth.ome.zarr").data.shape == normals[0].shape
    angle = np.asarray(read_image(artifact.path / "cell-01-section-wall-angle.ome.zarr").data)
    section = np.asarray(read_labels(artifact.path / "cell-01-section.ome.zarr", "interior"))
    assert np.array_equal(np.isfinite(angle), section == LABELS["wall"])
    planes = read_record(artifact)["planes"]["cell-01"]
    for plane in (planes["section"], planes["lamella"]):
        assert np.allclose(np.array(plane["axes"]) @ np.array(plane["axes"]).T, np.eye(3))


def test_the_plan_wants_phantom_cells_of_a_study_that_holds_something_and_never_a_simulated_study(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as tiny:
        assert tiny.plan()["phantom_cells", None].state == "waiting"
        assert ("simulated_study", None) not in tiny.plan()
        put_demo(tiny.inbox, "tem", "section-01.png")
        tiny.instance.add_dynamic_partitions("sections", ["section-01"])
        assert tiny.plan()["phantom_cells", None].state == "missing"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sem_cells": -1}, "sem_cells: -1 is not within 0 to 1287"),
        ({"lamellae": 100}, "lamellae: 100 is not within 0 to 99"),
        ({"seed": -5}, "seed: -5 is not within 0 to"),
        ({"sem_cells": 0, "tem_sections": 0, "lamellae": 0, "whole_cells": 0}, "all 0"),
    ],
)
def test_an_impossible_simulated_study_is_refused_with_the_field_and_its_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, int], said: str
) -> None:
    with pytest.raises(dg.Failure, match=said):
        make("simulated_study", tmp_path, monkeypatch, **asked)
    assert open_study(tmp_path).store.current("simulated_study", None) is None


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
    assert (artifact.path / "truth" / "field-01.masks.tif").is_file()
    assert (artifact.path / "more" / "tilt-series.mrc.mdoc").is_file()
    assert json.loads((artifact.path / "truth.json").read_text())["seed"] == 5
