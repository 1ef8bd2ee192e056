"""The study on disk: same bytes again, readable, small enough, and made by this code."""

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from PIL import Image

from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.phantom.study import write_study

DEMO = Path(__file__).parents[2] / "data" / "demo"
COUNTS = {"cells_of_fields": (3, 3), "sections": 1, "lamellae": 1, "whole_cells": 1}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, write_study(folder, seed=7, **COUNTS)


def test_second_run_writes_the_same_bytes(study, tmp_path):
    write_study(tmp_path, seed=7, **COUNTS)
    assert files_of(tmp_path) == files_of(study[0])


def test_a_file_depends_on_its_own_number_only(study, tmp_path):
    write_study(tmp_path, seed=7, cells_of_fields=(), sections=2, lamellae=0, whole_cells=0)
    name = "inbox/tem/section-01.png"
    assert (tmp_path / name).read_bytes() == (study[0] / name).read_bytes()
    assert (tmp_path / "inbox/tem/section-02.png").read_bytes() != (study[0] / name).read_bytes()


def test_another_seed_gives_other_cells(study, tmp_path):
    write_study(tmp_path, seed=8, cells_of_fields=(), sections=1, lamellae=0, whole_cells=0)
    name = "inbox/tem/section-01.png"
    assert (tmp_path / name).read_bytes() != (study[0] / name).read_bytes()


def test_files_are_readable_and_marked_as_simulated(study):
    folder, paths = study
    assert len(paths) == 5
    for path in paths:
        sidecar = read_sidecar(path)
        assert sidecar.simulated is True
        assert sidecar.licence == "CC0-1.0"
    png, tif = (folder / "inbox/sem" / name for name in ("field-01.png", "field-02.tif"))
    with Image.open(png) as image:
        assert image.size == (1024, 768)
    assert read_sidecar(png).scale_bar == "5 um"
    with tifffile.TiffFile(tif) as file:
        assert file.fei_metadata["Scan"]["PixelWidth"] == pytest.approx(22e-9)
        assert file.pages[0].shape == (768 + file.fei_metadata["PrivateFei"]["DatabarHeight"], 1024)
        assert "DateTime" not in file.pages[0].tags
    lamella = folder / "inbox/tomogram/lamella-01.mrc.gz"
    with mrcfile.open(lamella) as mrc:
        assert mrc.data.shape == (30, 120, 120)
        assert mrc.data.dtype == np.int8
        assert float(mrc.voxel_size.x) == pytest.approx(80.0)
        assert mrcfile.validate(lamella)


def test_truth_lies_outside_the_inbox_and_covers_every_picture(study):
    folder, paths = study
    truth = json.loads((folder / "truth.json").read_text())
    assert not list((folder / "inbox").rglob("*truth*"))
    for path in paths:
        assert any(key.split("/")[0] == path.name for key in truth["pictures"])
    assert truth["population"]["cells"] == len(truth["pictures"]) == 2 * 3 + 3


needs_demo = pytest.mark.skipif(not (DEMO / "truth.json").exists(), reason="no demo study in data/demo")


@needs_demo
def test_sections_cut_what_their_population_holds():
    pictures = json.loads((DEMO / "truth.json").read_text())["pictures"]
    cut = [v for k, v in pictures.items() if k.startswith("section")]
    area = np.array([v["profile_area_um2"] for v in cut])
    for name, tolerance in (("wall", 0.15), ("nucleus", 0.6), ("mitochondrion", 0.5)):
        share = np.sum(area * [v["area_fractions"][name] for v in cut]) / area.sum()
        volume = np.array([v["volume_um3"] for v in cut])
        held = np.sum(volume * [v["fractions"][name] for v in cut]) / volume.sum()
        assert share == pytest.approx(held, rel=tolerance), name


@needs_demo
def test_demo_study_is_small_and_complete():
    raw = {kind: [p for p in (DEMO / "inbox" / kind).iterdir() if p.suffix != ".toml"] for kind in ("sem", "tem")}
    assert (len(raw["sem"]), len(raw["tem"])) == (2, 20)
    tomograms = [p for p in (DEMO / "inbox/tomogram").iterdir() if p.suffix != ".toml"]
    whole = [p for p in tomograms if p.name.startswith("whole-cell")]
    assert (len(tomograms), len(whole)) == (20, 12)
    assert max(p.stat().st_size for p in whole) <= 300_000
    assert sum(p.stat().st_size for p in (DEMO / "inbox").rglob("*") if p.is_file()) < 12e6
    truth = json.loads((DEMO / "truth.json").read_text())
    for field in ("field-01.png", "field-02.tif"):
        visible = [v["visible"] for k, v in truth["pictures"].items() if k.startswith(field)]
        assert len(visible) == 13
        assert sum(v > 0.985 for v in visible) >= 5
        assert sum(v < 0.9 for v in visible) >= 2


@needs_demo
def test_demo_study_is_what_the_code_makes(tmp_path):
    write_study(tmp_path, cells_of_fields=(), sections=1, lamellae=1, whole_cells=0)
    section = "inbox/tem/section-01.png"
    made, kept = (grey(root / section) for root in (tmp_path, DEMO))
    assert _share_of_other_pixels(made, kept) < 1e-3
    lamella = "inbox/tomogram/lamella-01.mrc.gz"
    made, kept = (mrcfile.read(root / lamella).astype(int) for root in (tmp_path, DEMO))
    assert _share_of_other_pixels(made, kept) < 1e-3


def _share_of_other_pixels(made, kept):
    """Pixels off by more than one grey level: another processor may round one the other way, or a count."""
    return (np.abs(made - kept) > 1).mean()
