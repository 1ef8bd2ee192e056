"""Scenes of a real study: every layer can be opened, lies where the others lie, and says what its colours mean."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from em2cryo_assets.cli import main
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.study import open_study
from em2cryo_assets.store.images import read_image
from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets.viewers.layers import cell_scene, tomogram_scene
from em2cryo_assets.vocabulary import LABELS, SOURCES

CELL, SLAB = "field-01-c001", "lamella-02"


@pytest.mark.slow
def test_a_cell_is_shown_with_its_mesh_around_its_voxels(one_cell: Path) -> None:
    scene = cell_scene(open_study(one_cell), CELL)
    assert scene.title == f"SIMULATED DATA: cell {CELL}"
    plain = {layer.name.removesuffix(" (simulated data)"): layer for layer in scene.layers}
    assert list(plain) == ["density", "labels", "source", "uncertainty, bits", "mesh"]
    assert [layer.visible for layer in scene.layers] == [True, True, False, False, True]
    labels, mesh = plain["labels"], plain["mesh"]
    assert set(labels.names.values()) == set(LABELS) - {"outside"}
    assert set(plain["source"].names.values()) == set(SOURCES) - {"none"}
    assert len(set(labels.colors.values())) == len(labels.names)
    density = np.asarray(read_image(plain["density"].path).data)
    low, high = plain["density"].window or (0.0, 0.0)
    assert density.min() <= low < high <= density.max()
    where = np.argwhere(np.asarray(read_image(labels.path).data) != LABELS["outside"]) * np.array(scene.voxel_nm)
    points = read_mesh(mesh.path).vertices_nm + np.array(mesh.origin_nm)
    for found, bound in ((where.min(0), points.min(0)), (where.max(0), points.max(0))):
        np.testing.assert_allclose(found, bound, atol=scene.voxel_nm[0])  # within a voxel, on every side


@pytest.mark.slow
def test_a_tomogram_is_shown_with_its_labels_and_what_is_not_there_is_told(one_cell: Path) -> None:
    study = open_study(one_cell)
    scene = tomogram_scene(study, SLAB)
    image, labels = (read_image(layer.path) for layer in scene.layers)
    assert scene.shape == image.data.shape
    ends = [
        np.array(layer.origin_nm) + np.array(voxels.voxel_nm) * (np.array(voxels.data.shape) - 0.5)
        for layer, voxels in zip(scene.layers, (image, labels), strict=True)
    ]
    np.testing.assert_allclose(ends[0], ends[1], atol=max(labels.voxel_nm))
    with pytest.raises(InputError, match=rf"no fused_volume of this cell. Remedy: these can be shown: {CELL}\."):
        cell_scene(study, "nothing")
    with pytest.raises(InputError, match=r"not usable"):
        tomogram_scene(study, "../../etc")


def test_an_empty_study_and_a_missing_viewer_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EM2CRYO_DATA", str(tmp_path))
    pytest.importorskip("neuroglancer")
    empty = CliRunner().invoke(main, ["view", "cell", CELL])
    assert empty.exit_code == 1
    assert "there is no fused_volume in the study yet. Remedy: type: em2cryo run" in empty.stderr
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "neuroglancer" else found(name))
    absent = CliRunner().invoke(main, ["view", "tomogram", SLAB])
    assert absent.exit_code == 1
    assert "pip install 'em2cryo-assets[viewers]'" in absent.stderr


@pytest.mark.slow
def test_napari_gets_every_layer_in_nm(one_cell: Path) -> None:
    components = pytest.importorskip("napari.components", reason="napari is not installed")
    from em2cryo_assets.viewers.in_napari import fill

    study = open_study(one_cell)
    for scene in (cell_scene(study, CELL), tomogram_scene(study, SLAB)):
        viewer = components.ViewerModel()
        fill(viewer, scene)
        assert [layer.name for layer in viewer.layers] == [layer.name for layer in scene.layers]
        assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"nanometer"}
        first, last = viewer.layers[0].extent.world, viewer.layers[-1].extent.world
        assert (first[0] <= last[0]).all()
        assert (last[1] <= first[1]).all()
