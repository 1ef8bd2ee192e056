"""The tomogram network as an asset, what a study says of the labels that it makes, and labels that a person drew."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from em2cryo_assets.cryoet.label_network import WEIGHTS
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, opened, put_demo

KEY = "lamella-02"


def artifact(tiny: TinyStudy, asset: str, key: str | None = None) -> Artifact:
    found = tiny.study.store.current(asset, key)
    assert found is not None, (asset, key)
    return found


def record(tiny: TinyStudy, asset: str = "tomogram_labels") -> dict[str, Any]:
    return dict(json.loads((artifact(tiny, asset, KEY).path / "record.json").read_text()))


@pytest.mark.slow
def test_a_study_uses_its_model_follows_the_setting_and_takes_drawn_labels_first(tmp_path: Path) -> None:
    with opened(tmp_path) as tiny:
        raw = put_demo(tiny.inbox, "tomogram", f"{KEY}.mrc")
        # It passes for a real file here.
        sidecar = Path(f"{raw}.toml")
        sidecar.write_text(sidecar.read_text().replace("simulated = true\n", ""))
        tiny.run()
        model = artifact(tiny, "tomogram_model")
        assert (model.path / "tomogram_labels.safetensors").read_bytes() == WEIGHTS.read_bytes()
        labels = artifact(tiny, "tomogram_labels", KEY)
        assert ("tomogram_model", None) in {(ref.asset, ref.key) for ref in labels.provenance.inputs}
        assert record(tiny)["validation"] == "unvalidated here"
        assert any("unvalidated" in line for line in record(tiny)["warnings"])
        shape = read_image(artifact(tiny, "tomogram", KEY).path / "image.ome.zarr").data.shape
        found = record(tiny, "tomogram_features")
        assert 100 < found["thickness_nm"] < 400
        settings = tmp_path / "study.toml"
        settings.write_text(settings.read_text() + 'tomogram_labeller = "layers"\n')
    with opened(tmp_path) as tiny:
        assert tiny.plan()["tomogram_labels", KEY].state == "outdated"
        tiny.make(KEY, "tomogram_labels")
        assert artifact(tiny, "tomogram_labels", KEY).provenance.parameters["tomogram_labeller"] == "layers"
        drawn = np.full(shape, LABELS["cytoplasm"], np.uint8)
        drawn[:, :, : shape[2] // 2] = LABELS["vacuole"]
        tifffile.imwrite(f"{raw}.labels.tif", drawn, photometric="minisblack")
        assert tiny.plan()["tomogram_labels", KEY].state == "outdated"
        tiny.make(KEY, "tomogram_labels")
        assert record(tiny)["human"]
        assert record(tiny)["validation"] == "drawn by a person"
        stored = read_labels(artifact(tiny, "tomogram_labels", KEY).path / "labels.ome.zarr", "interior")
        assert set(np.unique(np.asarray(stored))) == {LABELS["cytoplasm"], LABELS["vacuole"]}
