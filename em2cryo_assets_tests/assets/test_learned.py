"""The mask network as an asset: released weights by default, trained ones when asked for, and kept from then on."""

from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.definitions import defs
from em2cryo_assets.resources.study import open_study
from em2cryo_assets.sem.mask_network import WEIGHTS
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table
from em2cryo_assets_tests.integration.tiny_study import cells_in_rows, opened, put_field


def make(root: Path, monkeypatch: pytest.MonkeyPatch, *assets: str, **config: object) -> dg.ExecuteInProcessResult:
    monkeypatch.setenv("EM2CRYO_DATA", str(root))
    with opened(root) as tiny:
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=tiny.instance, asset_selection=[dg.AssetKey(name) for name in assets],
            run_config={"ops": {"sem_mask_model": {"config": config}}} if config else None,
        )  # fmt: skip


def model(root: Path) -> Artifact:
    artifact = open_study(root).store.current("sem_mask_model", None)
    assert artifact is not None
    return artifact


@pytest.mark.slow
def test_released_weights_until_someone_trains_and_trained_ones_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = make(tmp_path, monkeypatch, "phantom_cells", "sem_mask_model")
    released = model(tmp_path)
    assert (released.path / "sem_masks.safetensors").read_bytes() == WEIGHTS.read_bytes()
    assert {check.check_name: check.passed for check in result.get_asset_check_evaluations()} == {
        "volumes_agree": True, "beats_the_baseline": True, "finds_simulated_cells": True,
    }  # fmt: skip
    make(tmp_path, monkeypatch, "sem_mask_model", weights="train", steps=2, examples=2, seed=3)
    trained = model(tmp_path)
    assert trained.digest != released.digest
    assert read_record(trained)["origin"] == "trained here"
    assert len(read_table(trained.path / "curve.parquet")) == 2
    make(tmp_path, monkeypatch, "sem_mask_model")
    assert model(tmp_path).digest == trained.digest
    make(tmp_path, monkeypatch, "sem_mask_model", weights="released")
    assert model(tmp_path).digest == released.digest


@pytest.mark.slow
def test_a_study_uses_its_model_and_real_masks_stay_real(tmp_path: Path) -> None:
    with opened(tmp_path) as tiny:
        path = put_field(tiny.inbox, "field-01.tif", *cells_in_rows(1, 2)[:1])
        Path(f"{path}.toml").write_text("pixel_size_nm = 60.0\n")
        _, computed = tiny.run()
        assert computed["sem_mask_model", None] == 1
        masks = tiny.study.store.current("cell_masks", "field-01")
        assert masks is not None
        assert not masks.provenance.simulated
        assert ("sem_mask_model", None) in {(ref.asset, ref.key) for ref in masks.provenance.inputs}
        assert len(masks.provenance.parameters["cells"]) == 2
        (tmp_path / "study.toml").write_text((tmp_path / "study.toml").read_text() + 'segmenter = "regions"\n')
    with opened(tmp_path) as tiny:
        assert tiny.plan()["cell_masks", "field-01"].state == "outdated"
        tiny.run()
        masks = tiny.study.store.current("cell_masks", "field-01")
        assert masks is not None
        assert masks.provenance.parameters["segmenter"] == "regions"
