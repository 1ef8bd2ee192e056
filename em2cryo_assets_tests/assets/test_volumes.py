"""Atlas, fused volume and features of a cell, as a study holds them."""

import base64
import io
from pathlib import Path

import dagster as dg
import numpy as np
import PIL.Image
import pytest
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table
from em2cryo_assets.vocabulary import LABELS, ORGANELLES
from em2cryo_assets_tests.integration.tiny_study import copied, opened


def _artifact(root: Path, asset: str) -> Artifact:
    with opened(root) as tiny:
        keys = tiny.study.store.keys(asset) or [None]
        found = tiny.study.store.current(asset, keys[0])
    assert found is not None
    return found


def test_all_four_layers_are_valid_and_lie_on_one_grid_in_nanometres(one_cell: Path) -> None:
    import zarr

    path = _artifact(one_cell, "fused_volume").path
    layers = {
        "density": (path / "fused.ome.zarr", Image),
        "labels": (path / "fused.ome.zarr" / "labels" / "interior", ImageLabel),
        "source": (path / "fused.ome.zarr" / "labels" / "source", ImageLabel),
        "uncertainty": (path / "uncertainty.ome.zarr", Image),
    }
    grids = {}
    for name, (folder, model) in layers.items():
        group = zarr.open_group(str(folder), mode="r")
        multiscale = model.from_zarr(group).ome_attributes.multiscales[0]
        first = multiscale.datasets[0]
        scale, translation = first.coordinateTransformations
        grids[name] = (
            tuple(scale.scale), tuple(translation.translation), tuple(axis.unit for axis in multiscale.axes),
            group[first.path].shape,
        )  # fmt: skip
    assert len(set(grids.values())) == 1, grids
    assert grids["density"][2] == ("nanometer",) * 3
    assert grids["density"][0] == (60.0,) * 3


def test_its_picture_shows_the_cell_across_and_along_the_beam(one_cell: Path) -> None:
    with opened(one_cell) as tiny:
        record = tiny.instance.fetch_materializations(dg.AssetKey("fused_volume"), limit=1).records[0]
    assert record.asset_materialization is not None
    large = str(record.asset_materialization.metadata["picture_large"].value)
    shown = PIL.Image.open(io.BytesIO(base64.b64decode(large.split("base64,")[1].split(")")[0])))
    assert shown.width > 4 * shown.height  # density, labels and cutaway across; labels in two cuts along
    assert "cuts along the beam, far half below. Wall orange" in large


def test_layers_agree_with_one_another(one_cell: Path) -> None:
    path = _artifact(one_cell, "fused_volume").path
    labels = np.asarray(read_labels(path / "fused.ome.zarr", "interior"))
    source = np.asarray(read_labels(path / "fused.ome.zarr", "source"))
    bits = np.asarray(read_image(path / "uncertainty.ome.zarr").data)
    outside = labels == LABELS["outside"]
    assert ((source == 0) == outside).all()
    assert (bits[outside] == 0).all()
    assert bits[labels > LABELS["membrane"]].mean() > 0


def test_features_hold_the_volumes_that_the_population_lets_one_expect(one_cell: Path) -> None:
    features = _artifact(one_cell, "cell_features")
    volumes = read_table(features.path / "expected_volumes.parquet").set_index("label")
    fractions = read_table(_artifact(one_cell, "interior_atlas").path / "fractions.parquet").set_index("label")
    shape = read_table(features.path / "features.parquet").set_index("characteristic")
    mesh_um3 = float(np.exp(shape.loc["log_volume", "value"]))
    for name in ORGANELLES:
        assert volumes.loc[name, "dried_um3"] == pytest.approx(fractions.loc[name, "v_v"] * mesh_um3, rel=1e-6)
    # Two sections say nothing about precision, and the table says that.
    assert volumes["living_low"].isna().all()
    assert (volumes["reason"] != "").all()
    depth = read_table(features.path / "expected_depth.parquet")
    assert np.allclose(depth.drop(columns=["s_bin", "depth_nm", "density"]).sum(axis=1), 1.0)
    assert depth["depth_nm"].between(0, 1300).all()


def test_two_strains_and_a_volume_beyond_the_budget_are_refused_with_a_remedy(one_cell: Path, tmp_path: Path) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        sidecar = tiny.inbox / "tem" / "section-02.png.toml"
        sidecar.write_text(sidecar.read_text().replace("simulated haploid yeast", "another strain"))
        settings = tiny.study.root / "study.toml"
        settings.write_text(
            settings.read_text().replace("fused_voxel_nm = 60", "fused_voxel_nm = 15\nfused_megavoxels = 1")
        )
    with opened(tmp_path / "study") as tiny:
        outcome, _ = tiny.run()
    said = "\n".join(outcome.problems)
    assert "section-02.png" in said or "section-01.png" in said
    assert "of 2 strains (another strain: 1; simulated haploid yeast: 1)" in said
    assert "give each strain a study of its own" in said
    assert "study.toml: At 15 nm this cell takes" in said
    assert "It fits with fused_voxel_nm = " in said
