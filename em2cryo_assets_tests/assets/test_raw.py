"""What the asset `tomogram` records of a raw file, beside its density."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.automation.batches import Chain, materialize_chain
from em2cryo_assets.automation.register import register
from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.store.images import read_image
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets_tests.cryoet.stand_ins import install
from em2cryo_assets_tests.integration.tiny_study import SETTINGS, opened


def made(root: Path, *raws: Path, settings: str = "") -> list[Artifact]:
    """The tomograms of some raw files in a study of their own."""
    root.mkdir()
    (root / "study.toml").write_text(SETTINGS + settings)
    with opened(root) as tiny, pytest.MonkeyPatch.context() as patch:
        patch.setenv("EM2CRYO_DATA", str(root))
        keys = [tiny.study.inbox.add("tomogram", raw).key for raw in raws]
        register(tiny.study, tiny.instance)
        found = []
        for key in keys:
            assert materialize_chain(Chain(key, ("tomogram",)), tiny.instance).materialized == ("tomogram",)
            artifact = tiny.study.store.current("tomogram", key)
            assert artifact is not None
            found.append(artifact)
        assert not [path for path in (root / "store").rglob(".*") if path.name.startswith((".imod", ".aretomo"))]
        return found


def volume(path: Path, data: np.ndarray, sidecar: dict[str, Any]) -> Path:
    with mrcfile.new(path) as out:
        out.set_data(data.astype(np.float32))
        out.voxel_size = 80.0
    write_sidecar(path, {"simulated": True} | sidecar)
    return path


def test_the_compression_of_a_cryo_section_is_recorded_or_said_to_be_assumed(tmp_path: Path) -> None:
    cases = {"a": ("cryo-section", 0.35), "b": ("cryo-section", None), "c": ("lamella", None)}
    raws = [
        volume(
            tmp_path / f"{name}.mrc",
            np.random.default_rng(ord(name)).standard_normal((8, 20, 20)),
            {"modality": modality, "compression": given},
        )
        for name, (modality, given) in cases.items()
    ]
    for artifact, (modality, given) in zip(made(tmp_path / "study", *raws), cases.values(), strict=True):
        assert read_record(artifact)["compression"] == given
        said = [line for line in artifact.provenance.fallbacks if "30% to 60%" in line]
        assert len(said) == (modality == "cryo-section" and given is None)


def test_an_external_reconstruction_is_stored_with_its_version_and_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "programs").mkdir()
    install(tmp_path / "programs", "AreTomo2")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    views = 1000 + np.random.default_rng(0).standard_normal((7, 24, 32))
    path = volume(tmp_path / "a.ali", views, {"section_thickness_nm": 64.0, "modality": "lamella"})
    (tmp_path / "a.tlt").write_text("".join(f"{tilt}\n" for tilt in range(-60, 61, 20)))
    (artifact,) = made(tmp_path / "study", path, settings='reconstruction = "aretomo"\n')
    assert read_image(artifact.path / "image.ome.zarr").data.shape == (12, 24, 32)
    parameters = artifact.provenance.parameters
    assert (parameters["reconstruction"], parameters["reconstruction_version"]) == ("aretomo", "7.7")
    assert parameters["commands"][0].startswith("AreTomo2 -InMrc views.mrc -AngFile tilts.tlt")
    assert str(tmp_path) not in str(parameters["commands"])
    assert any("Reconstructed by AreTomo2" in line for line in artifact.provenance.fallbacks)
