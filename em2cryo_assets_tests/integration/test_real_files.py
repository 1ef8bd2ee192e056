"""Files that microscopes and archives wrote, through the whole pipeline: each ends in a row or in a reason."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import ngff_zarr
import numpy as np
import pytest

from em2cryo_assets.geometry.mesh import is_outward, is_watertight, volume_um3
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets.store.images import read_image, read_labels
from em2cryo_assets.store.meshes import read_mesh
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table

REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REFERENCE, reason="EM2CRYO_REFERENCE_DATA is not set: no real files here"),
]

FIELD = "saccharomyces_field"
INDENTS = ("detector_A", "detector_B", "detector_C")
FLY_SECTIONS = ("isbi2012_0", "isbi2012_12")
VOLUMES_NM = {
    "microtubule_13pf": (1.052, 1.052, 1.052),
    "yeast_npc_spoke": (0.53, 0.53, 0.53),
    "EMD-3197": (1.14, 1.14, 1.14),
    "EMD-3001": (0.045875, 0.03925, 0.044825),
}
FILES = {
    "sem": {"sem/saccharomyces_field.jpg": 21.4, **{f"sem/vickers_bse/{name}.tif": None for name in INDENTS}},
    "tem": {f"tem/{name}.png": 4.0 for name in FLY_SECTIONS},
    "tomogram": {
        "cryoet/microtubule_13pf.tif": None,
        "cryoet/yeast_npc_spoke.mrc.gz": None,
        "cryoet/EMD-3197.map": None,
        "cryoet/EMD-3001.map": None,
    },
}
"""Kind to file to the pixel side that its sidecar states, nm; None where the file itself does."""


@dataclass(frozen=True)
class Run:
    """The study after one run, what the run said, and each partition's state with its reason."""

    study: Study
    said: str
    states: dict[tuple[str, str | None], tuple[str, str]]

    def artifact(self, asset: str, key: str | None = None) -> Artifact:
        found = self.study.store.current(asset, key)
        assert found is not None, (asset, key)
        return found


def em2cryo(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EM2CRYO_DATA": str(root), "EM2CRYO_COMPUTE": "processes:2"}
    result = subprocess.run(
        [sys.executable, "-m", "em2cryo_assets.cli", *arguments], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    assert REFERENCE is not None
    outside, root = tmp_path_factory.mktemp("from_the_microscope"), tmp_path_factory.mktemp("real")
    for kind, files in FILES.items():
        copies = []
        for name, pixel_nm in files.items():
            copies.append(outside / Path(name).name)
            shutil.copyfile(Path(REFERENCE) / name, copies[-1])
            if pixel_nm is not None:
                Path(f"{copies[-1]}.toml").write_text(f"pixel_size_nm = {pixel_nm}\n")
        em2cryo(root, "add", kind, *map(str, copies))
    (root / "study.toml").write_text("fused_voxel_nm = 60\nrealisations = 1\ncalibration_studies = 1\n")
    result = em2cryo(root, "run")
    rows = json.loads(em2cryo(root, "status", "--json").stdout)
    states = {(row["asset"], row["key"]): (row["state"], row["why"]) for row in rows}
    return Run(open_study(root), result.stdout + result.stderr, states)


def test_every_stop_has_a_reason_and_only_crumbs_fail(run: Run) -> None:
    counts = Counter(state for state, _ in run.states.values())
    assert set(counts) <= {"current", "stopped", "waiting", "failed"}
    assert counts["failed"] <= 3  # outlines so small that a wall would fill them
    for (asset, key), (state, why) in run.states.items():
        if state == "stopped":
            assert "Remedy: " in why, (asset, key)
            assert f"{asset} of {key} was stopped by a check: {why}" in run.said
        elif state == "failed":
            assert asset == "fused_volume", (asset, key, why)
            assert "its wall and membrane" in why
            assert "Remedy: " in why
            assert f"{asset} of {key} failed: {why}" in run.said
        elif state == "waiting":
            failed = run.states.get(("fused_volume", key), ("", ""))[0] == "failed"
            assert failed or "stopped" in why or "did not pass" in why, (asset, key, why)


def test_cells_of_the_field_become_closed_meshes(run: Run) -> None:
    keys = [key for key in run.study.store.keys("cell_mesh") if key.startswith(f"{FIELD}-c")]
    meshes = [read_mesh(run.artifact("cell_mesh", key).path / "mesh.zarr") for key in keys]
    good = [mesh for mesh in meshes if is_watertight(mesh) and is_outward(mesh)]
    assert len(good) == len(meshes) >= 10
    assert all(0.05 < volume_um3(mesh) < 200 for mesh in meshes)  # the least is a bud, 0.6 µm across
    measured = [key for key in keys if run.states["cell_features", key][0] == "current"]
    assert len(measured) >= 10
    tables = [read_table(run.artifact("cell_features", key).path / "features.parquet") for key in measured]
    assert sum(bool(table["assessable"].any()) for table in tables) >= 10


def test_no_cell_lies_on_the_scale_bar(run: Run) -> None:
    excluded = read_labels(run.artifact("sem_field", FIELD).path / "image.ome.zarr", "excluded").compute() > 0
    cells = read_labels(run.artifact("cell_masks", FIELD).path / "masks.ome.zarr", "cells").compute()
    rows, columns = np.nonzero(excluded)
    assert rows.min() > 700
    assert columns.min() > 900
    assert not cells[excluded].any()


def test_hand_drawn_outlines_are_found(run: Run) -> None:
    from PIL import Image, ImageDraw

    assert REFERENCE is not None
    drawn = json.loads((Path(REFERENCE) / "sem" / "saccharomyces_field_outlines.json").read_text())["cells"]
    cells = read_labels(run.artifact("cell_masks", FIELD).path / "masks.ome.zarr", "cells").compute()
    found = {}
    for name, outline in drawn.items():
        canvas = Image.new("1", cells.shape[::-1])
        ImageDraw.Draw(canvas).polygon([(x, y) for x, y in outline], fill=1)
        inside = np.array(canvas)
        best = np.bincount(cells[inside & (cells > 0)]).argmax()
        found[name] = np.sum(inside & (cells == best)) / np.sum(inside | (cells == best))
    assert min(found.values()) > 0.75, found
    assert sum(overlap > 0.9 for overlap in found.values()) >= 10, found
    assert np.mean(list(found.values())) > 0.93, found


@pytest.mark.parametrize("key", INDENTS)
def test_an_indent_in_steel_is_no_cell(run: Run, key: str) -> None:
    image = read_image(run.artifact("sem_field", key).path / "image.ome.zarr")
    assert image.voxel_nm == pytest.approx((65.1042, 65.1042), rel=1e-5)
    state, why = run.states["cell_masks", key]
    assert state == "stopped"
    assert why.startswith(f"{key}.tif: no cell was found in it. Remedy: ")
    assert not [cell for cell in run.study.store.keys("cell_view") if cell.startswith(key)]


@pytest.mark.parametrize("key", FLY_SECTIONS)
def test_fly_tissue_is_no_yeast_section(run: Run, key: str) -> None:
    image = read_image(run.artifact("tem_section", key).path / "image.ome.zarr")
    assert image.voxel_nm == (4.0, 4.0)
    state, why = run.states["section_labels", key]
    if state == "current":  # it may be labelled, but then never without the doubt
        warnings = json.loads((run.artifact("section_labels", key).path / "record.json").read_text())["warnings"]
        assert any("unvalidated on real sections" in warning for warning in warnings)
    else:
        assert state == "stopped"
        assert why.startswith(f"{key}.png: ")


@pytest.mark.parametrize("key", VOLUMES_NM)
def test_a_volume_without_a_cell_is_not_assessable_in_its_own_words(run: Run, key: str) -> None:
    image = read_image(run.artifact("tomogram", key).path / "image.ome.zarr")
    assert image.voxel_nm == pytest.approx(VOLUMES_NM[key], rel=1e-4)
    assert run.states["tomogram_features", key][0] == "current"
    features = read_table(run.artifact("tomogram_features", key).path / "features.parquet")
    assert len(features) > 10
    assert not features["assessable"].any()
    field = " x ".join(f"{n * side:.0f}" for n, side in zip(image.data.shape[1:], image.voxel_nm[1:], strict=True))
    assert set(features["reason"]) == {
        f"no cell found: the field is {field} nm, and below 400 nm no wall or cytoplasm can be told"
    }
    assert not [pair for pair in run.study.store.keys("comparison") if key in pair]


def test_three_different_voxel_sides_are_told(run: Run) -> None:
    image = ngff_zarr.from_ome_zarr(run.artifact("tomogram", "EMD-3001").path / "image.ome.zarr", validate=True)
    assert [image.images[0].scale[axis] for axis in "zyx"] == pytest.approx(list(VOLUMES_NM["EMD-3001"]), rel=1e-4)
    record = json.loads((run.artifact("tomogram", "EMD-3001").path / "record.json").read_text())
    assert any("voxel sides differ" in warning for warning in record["warnings"])


def test_every_verdict_has_its_reason(run: Run) -> None:
    rows = json.loads(em2cryo(run.study.root, "verdicts", "--json").stdout)
    assert len(rows) > 10
    for row in rows:
        assert row["verdict"].lower() == "not assessable", row["characteristic"]  # no frozen cell, no labelled section
        assert len(row["reason"]) > 10
    assert "no TEM sections with a cell were imaged" in {row["reason"] for row in rows}


def test_the_page_says_what_was_left_out_and_is_not_marked_simulated(run: Run) -> None:
    page = (run.study.report / "index.html").read_text(encoding="utf-8")
    assert "SIMULATED" not in page
    left_out = page[page.index('id="left-out"') :]
    for key in (*INDENTS, *FLY_SECTIONS):
        assert f"<td>{key}</td>" in left_out
    assert "no cell was found in it" in left_out


def test_every_image_is_read_by_an_independent_reader(run: Run) -> None:
    images = [path for path in run.study.root.joinpath("store").rglob("*.ome.zarr") if path.is_dir()]
    assert len(images) > 60
    for path in images:
        for each in (path, *(one for one in (path / "labels").glob("*") if one.is_dir())):
            read = ngff_zarr.from_ome_zarr(each, validate=True)
            assert set(read.images[0].axes_units.values()) == {"nanometer"}, each


def test_a_second_run_makes_nothing(run: Run) -> None:
    assert em2cryo(run.study.root, "run").stdout.strip().splitlines()[-1] == "0 materializations"
