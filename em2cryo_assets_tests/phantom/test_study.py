"""The study on disk: same bytes again, readable, small enough, and made by this code."""

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from PIL import Image

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import read_sidecar, write_sidecar
from em2cryo_assets.phantom import study as study_module
from em2cryo_assets.phantom.planes import Plane, centred
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.study import spread_over_fields, write_study, write_whole_study
from em2cryo_assets.phantom.study_plan import Seeds, check_folder, picture_names
from em2cryo_assets.vocabulary import LABELS

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


def test_raw_files_and_truth_json_are_all_that_the_demo_gets(study):
    assert sorted(p.name for p in study[0].iterdir()) == ["inbox", "truth.json"]


def test_lamellae_show_no_wall_by_their_number_whatever_their_count(tmp_path, monkeypatch):
    monkeypatch.setattr(
        study_module, "cryo_slab", lambda cell, plane, shape, *_, **__: np.random.default_rng(0).random(shape)
    )
    shown = {}
    for count in (7, 9):
        write_study(tmp_path / str(count), cells_of_fields=(), sections=0, lamellae=count, whole_cells=0)
        pictures = json.loads((tmp_path / str(count) / "truth.json").read_text())["pictures"]
        shown[count] = [pictures[name]["wall_in_view"] for name in sorted(pictures, key=lambda n: n[8:10])]
    assert shown[9] == [True] * 6 + [False, False, True]
    assert shown[7] == shown[9][:7]


def test_fields_are_filled_in_turn():
    assert [spread_over_fields(n) for n in (0, 3, 13, 26, 27)] == [[], [3], [13], [13, 13], [13, 13, 1]]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"sem_cells": -1}, "sem_cells: -1 is not within 0 to 1287: a field holds 13"),
        ({"sem_cells": 1288}, "sem_cells: 1288 is not within"),
        ({"tem_sections": 100}, "tem_sections: 100 is not within 0 to 99: numbers in file names have two digits"),
        ({"lamellae": -8}, "lamellae: -8 is not within"),
        ({"whole_cells": 10**9}, "whole_cells: 1000000000 is not within"),
        ({"seed": -1}, "seed: -1 is not within 0 to 4294967295"),
        ({"seed": 2**32}, "seed: 4294967296 is not within"),
        ({"sem_cells": 0, "tem_sections": 0, "lamellae": 0, "whole_cells": 0}, "are all 0"),
    ],
)
def test_impossible_counts_are_refused_by_name_before_anything_is_written(tmp_path, counts, said):
    with pytest.raises(InputError, match=said):
        write_whole_study(tmp_path / "out", **counts)
    assert not (tmp_path / "out").exists()


ONE_SECTION = {"cells_of_fields": (), "sections": 1, "lamellae": 0, "whole_cells": 0}


@pytest.fixture
def one_section(study, tmp_path):
    """A study of one section, as `write_study` leaves it."""
    write_study(tmp_path / "one", seed=7, **ONE_SECTION)
    return tmp_path / "one"


def test_the_same_call_may_be_repeated_in_its_folder(one_section):
    before = files_of(one_section)
    write_study(one_section, seed=7, **ONE_SECTION)
    assert files_of(one_section) == before


def test_another_simulation_in_the_same_folder_is_refused_and_changes_nothing(one_section):
    before = files_of(one_section)
    for other in ({"seed": 8}, {"seed": 7, "sections": 2}, {"seed": 7, "sections": 0, "whole_cells": 1}):
        with pytest.raises(InputError, match=r"one: it holds another simulation.*section-01\.png.*delete inbox"):
            write_study(one_section, **{**ONE_SECTION, **other})
    assert files_of(one_section) == before


def test_what_its_truth_does_not_list_is_refused(one_section):
    (one_section / "inbox/sem/notes.pdf").write_bytes(b"x")
    write_sidecar(one_section / "inbox/sem/notes.pdf", {"simulated": True})
    with pytest.raises(InputError, match=r"does not list notes\.pdf"):
        write_study(one_section, seed=7, **ONE_SECTION)


def test_truth_without_its_pictures_is_not_mixed_with_another(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "field-03.masks.tif").write_bytes(b"")
    with pytest.raises(InputError, match=r"field-03\.masks\.tif"):
        check_folder(tmp_path, 7, picture_names((3,), 1, 0, 0))


@pytest.mark.parametrize("sidecar", [None, {"simulated": False}, {"strain": "BY4741"}])
def test_files_not_surely_simulated_are_left_alone(one_section, sidecar):
    real = one_section / "inbox/tem/section-01.png"
    Path(f"{real}.toml").unlink()
    if sidecar is not None:
        write_sidecar(real, sidecar)
    before = real.read_bytes()
    with pytest.raises(InputError, match=r"no sidecar marks as simulated: section-01\.png.*of their own"):
        write_study(one_section, seed=7, **ONE_SECTION)
    assert real.read_bytes() == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_whole_study(folder, seed=7, sem_cells=3, tem_sections=1, lamellae=1, whole_cells=0)
    return folder


@pytest.mark.slow
def test_a_whole_study_holds_the_same_raw_files_and_their_truth(study, whole):
    for name in ("inbox/sem/field-01.png", "inbox/tem/section-01.png", "inbox/tomogram/lamella-01.mrc.gz"):
        assert (whole / name).read_bytes() == (study[0] / name).read_bytes()
    pictures = json.loads((whole / "truth.json").read_text())["pictures"]
    masks, depth, half, normals = (
        tifffile.imread(whole / f"truth/field-01.{name}.tif")
        for name in ("masks", "depth_nm", "half_thickness_nm", "normals")
    )
    assert masks.dtype == np.int32
    assert set(np.unique(masks)) == {0, 1, 2, 3}
    assert not half[masks == 0].any()
    assert (half[masks > 0] > 0).mean() > 0.999
    assert np.allclose(np.linalg.norm(normals, axis=0), 1, atol=1e-4)
    assert np.allclose(normals[0][masks == 0], 1)
    # The support lies deepest, a whole dried cell above it at most.
    assert depth.min() == 0
    assert depth[masks == 0].min() == depth.max()
    # What lies between the two surfaces of a cell that is wholly visible is its dried volume.
    for number in (n for n in (1, 2, 3) if pictures[f"field-01.png/{n}"]["visible"] > 0.999):
        cell = pictures[f"field-01.png/{number}"]
        volume = 2 * half[masks == number].sum() * 22.0**2 / 1e9
        assert volume == pytest.approx(cell["volume_um3"] * cell["shrink"] ** 3, rel=0.03)


def plane_of(record) -> Plane:
    return Plane(np.array(record["centre_nm"]), np.array(record["axes"]))


@pytest.mark.slow
def test_labels_lie_in_the_planes_that_truth_names(whole):
    pictures = json.loads((whole / "truth.json").read_text())["pictures"]
    section, lamella = pictures["section-01.png"], pictures["lamella-01.mrc.gz"]
    labels, angle = (tifffile.imread(whole / f"truth/section-01.{name}.tif") for name in ("labels", "wall_angle_deg"))
    assert np.array_equal(np.isfinite(angle), labels == LABELS["wall"])
    assert np.nanmin(angle) >= 0
    assert np.nanmax(angle) <= 90
    assert section["wall_angle_mean_deg"] == pytest.approx(np.nanmean(angle), abs=0.01)
    cut = (labels != LABELS["outside"]).sum()
    assert (labels == LABELS["wall"]).sum() / cut == pytest.approx(section["area_fractions"]["wall"], rel=0.05)
    slab = tifffile.imread(whole / "truth/lamella-01.labels.tif")
    cell, plane = draw_cell(Seeds(7)("lamella", 0)), plane_of(lamella["plane"])
    assert np.array_equal(slab, cell.labels(plane.points_nm(*(centred(n, 8.0) for n in slab.shape))))


@pytest.mark.slow
def test_the_other_instruments_files_are_marked_and_true(whole):
    names = {p.name for p in (whole / "more").iterdir()}
    raw = {n for n in names if n.endswith((".png", ".mrc"))}
    assert raw == {
        "tilt-0.png", "tilt-45.png", "tilt-45-turned.png", *(f"quadrant-{n}.png" for n in (1, 2, 3, 4)), "crowd.png",
        "tilt-series.mrc", "tilt-series_even.mrc", "tilt-series_odd.mrc", "cryo-section.mrc", "overview.mrc",
    }  # fmt: skip
    assert names - raw == {f"{n}.toml" for n in raw} | {"tilt-series.rawtlt", "tilt-series.mrc.mdoc"}
    assert all(read_sidecar(whole / "more" / n).simulated is True for n in raw)
    truth = json.loads((whole / "truth/more.json").read_text())
    stack, even, odd = (mrcfile.read(whole / f"more/tilt-series{end}.mrc").astype(int) for end in ("", "_even", "_odd"))
    assert np.array_equal(stack, even + odd)
    tilts = np.loadtxt(whole / "more/tilt-series.rawtlt")
    assert np.allclose(tilts, read_sidecar(whole / "more/tilt-series.mrc").tilts_deg)
    # Dose-symmetric: the first view is flat and, through the least ice, the brightest of its neighbourhood.
    assert tilts[0] == 0
    assert stack[0].mean() > stack[np.abs(tilts) == 60].mean()
    assert len(truth["tilt-series.mrc"]["shifts_px"]) == len(stack)
    assert np.std(truth["tilt-series.mrc"]["shifts_px"]) == pytest.approx(1.5, rel=0.3)


@pytest.mark.slow
def test_a_crowd_covers_its_support_and_tilted_views_show_the_same_cells(whole):
    crowd = tifffile.imread(whole / "truth/crowd.masks.tif")
    assert (crowd > 0).mean() > 0.95
    seen = [
        set(np.unique(tifffile.imread(whole / f"truth/{n}.masks.tif"))) for n in ("tilt-0", "tilt-45", "tilt-45-turned")
    ]
    assert len(seen[0] & seen[1] & seen[2]) >= 4
    # A quadrant at +x lights what faces it.
    normals, masks = (tifffile.imread(whole / f"truth/tilt-0.{n}.tif") for n in ("normals", "masks"))
    right, left = (grey(whole / f"more/quadrant-{n}.png") for n in (1, 3))
    east, west = ((masks > 0) & (sign * normals[2] > 0.5) for sign in (1, -1))
    assert right[east].mean() > 1.5 * left[east].mean()
    assert left[west].mean() > 1.5 * right[west].mean()


@pytest.mark.slow
def test_the_map_is_dark_where_its_cells_are_and_the_section_is_compressed(whole):
    counts = mrcfile.read(whole / "more/overview.mrc").astype(float)
    outlines = tifffile.imread(whole / "truth/overview.outlines.tif")
    assert set(np.unique(outlines)) == {0, 1, 2, 3, 4}
    assert counts.reshape(outlines.shape)[outlines > 0].mean() < 0.2 * counts.reshape(outlines.shape)[0].mean()
    labels = tifffile.imread(whole / "truth/cryo-section.labels.tif")
    volume = mrcfile.read(whole / "more/cryo-section.mrc").astype(float)
    assert labels.shape == volume.shape
    assert volume[labels == LABELS["wall"]].mean() < volume[labels == LABELS["outside"]].mean()  # dark is dense


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
