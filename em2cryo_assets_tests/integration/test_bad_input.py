"""A study full of bad files: each is named with its remedy, and nothing else suffers."""

import shutil
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from em2cryo_assets.automation.batches import Outcome
from em2cryo_assets.automation.register import new_and_gone
from em2cryo_assets_tests.integration.tiny_study import (
    DEMO,
    OF_A_CELL,
    TABLES,
    TinyStudy,
    cells_in_rows,
    opened,
    put_demo,
    put_field,
)

pytestmark = pytest.mark.slow

LONG = "x" * 120


def tiff_that_claims(path: Path, side: int) -> None:
    """A little-endian grey TIFF of a few bytes whose header claims side × side pixels."""
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 150), (277, 3, 1)]
    tags += [(278, 4, side), (279, 4, 16)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4
    path.write_bytes(header.ljust(150, b"\0") + b"\0" * 16)


def put_volume(inbox: Path, name: str, voxels: np.ndarray, keep_bytes: int | None = None) -> None:
    path = inbox / "tomogram" / name
    with mrcfile.new(path) as mrc:
        mrc.set_data(voxels.astype(np.float32))
        mrc.voxel_size = 80.0
    if keep_bytes is not None:
        path.write_bytes(path.read_bytes()[:keep_bytes])
    Path(f"{path}.toml").write_text('modality = "lamella"\nsimulated = true\n')


def put_bad_files(inbox: Path) -> None:
    image = cells_in_rows(1, 1)[0]
    put_field(inbox, "no-size.tif", image)
    (inbox / "sem" / "no-size.tif.toml").write_text("simulated = true\n")
    put_field(inbox, "black.tif", np.zeros_like(image))
    put_field(inbox, "huge.tif", image)
    tiff_that_claims(inbox / "sem" / "huge.tif", 10**6)
    put_field(inbox, "same name.tif", image)
    put_field(inbox, "same-name.tif", image)
    put_field(inbox, f"{LONG}.tif", image)
    (inbox / "sem" / "notes.docx").write_text("not an image")
    voxels = np.random.default_rng(0).normal(size=(8, 32, 32))
    put_volume(inbox, "cut-short.mrc", voxels, keep_bytes=5000)
    put_volume(inbox, "nan.mrc", voxels)
    with (inbox / "tomogram" / "nan.mrc").open("r+b") as file:
        file.seek(1024 + 4 * 1000)
        file.write(np.float32(np.nan).tobytes())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TinyStudy, Outcome]]:
    """One good field and one good section among bad files."""
    with opened(tmp_path_factory.mktemp("bad") / "study") as tiny:
        put_field(tiny.inbox, "good.tif", *cells_in_rows(1, 1))
        put_demo(tiny.inbox, "tem", "section-01.png")
        put_demo(tiny.inbox, "tem", "section-02.png")
        put_bad_files(tiny.inbox)
        yield tiny, tiny.run()[0]


@pytest.mark.parametrize(
    ("asset", "key", "problem", "remedy"),
    [
        ("sem_field", "no-size", "no-size.tif: nothing says how large a pixel is", "no-size.tif.toml"),
        ("sem_field", "black", "black.tif: all pixels have the value 0", "replace it"),
        ("sem_field", "huge", "huge.tif: it claims 1000000 × 1000000 pixels", "crop it"),
        ("sem_field", "same-name", "same name.tif, same-name.tif all give the key 'same-name'", "rename"),
        ("tomogram", "cut-short", "cut-short.mrc: ", "again"),
        ("tomogram", "nan", "nan.mrc: voxels in sections 0 to 7 are NaN", "Reconstruct the volume again"),
    ],
)
def test_a_bad_file_is_named_with_its_problem_and_remedy(
    study: tuple[TinyStudy, Outcome], asset: str, key: str, problem: str, remedy: str
) -> None:
    tiny, outcome = study
    told = [line for line in outcome.problems if line.startswith(f"{asset} of {key} failed: ")]
    assert len(told) == 1
    before, _, after = told[0].partition("Remedy: ")
    assert problem in before
    assert remedy in after
    step = tiny.plan()[asset, key]
    assert step.state == "failed"
    assert told[0].endswith(step.why)


@pytest.mark.parametrize("name", ["notes.docx", f"{LONG}.tif"])
def test_a_file_that_no_key_can_be_made_for_is_named(study: tuple[TinyStudy, Outcome], name: str) -> None:
    tiny, outcome = study
    told = [line for line in outcome.problems if line.startswith(f"{name}: ")]
    assert len(told) == 1
    assert "Remedy: rename it" in told[0]
    assert told[0] in new_and_gone(tiny.study, tiny.instance).problems  # what `em2cryo status` prints


def test_there_are_no_other_problems(study: tuple[TinyStudy, Outcome]) -> None:
    assert len(study[1].problems) == 8


def test_all_good_files_are_done(study: tuple[TinyStudy, Outcome]) -> None:
    states = {place: step.state for place, step in study[0].plan().items()}
    good = {
        ("sem_field", "good"),
        ("cell_masks", "good"),
        ("interior_atlas", None),
        ("phantom_cells", None),
        ("section_model", None),
        ("sem_mask_model", None),
        ("tomogram_model", None),
        ("virtual_tem", None),
        *TABLES,
    }
    good |= {(asset, "good-c001") for asset in OF_A_CELL if asset != "cell_view"}
    good |= {(asset, key) for asset in ("tem_section", "section_labels") for key in ("section-01", "section-02")}
    assert {place for place, state in states.items() if state == "current"} == good


def test_a_failure_is_tried_again_once_a_run_and_makes_nothing(study: tuple[TinyStudy, Outcome]) -> None:
    tiny, first = study
    outcome, computed = tiny.run()
    assert not computed
    assert outcome == Outcome(0, first.problems)


def test_a_claim_of_a_million_squared_pixels_costs_no_memory(tmp_path: Path) -> None:
    from em2cryo_assets.formats.errors import InputError
    from em2cryo_assets.formats.image import read_image
    from em2cryo_assets.formats.sidecar import Sidecar

    path = tmp_path / "huge.tif"
    tiff_that_claims(path, 10**6)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="claims"):
            read_image(path, Sidecar(pixel_size_nm=10.0), data_bar=True)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_mended_file_is_read_and_a_deleted_one_forgotten(study: tuple[TinyStudy, Outcome], tmp_path: Path) -> None:
    root = tmp_path / "study"
    shutil.copytree(study[0].study.root, root)
    with opened(root) as tiny:
        (tiny.inbox / "sem" / "no-size.tif.toml").write_text("pixel_size_nm = 60.0\nsimulated = true\n")
        (tiny.inbox / "sem" / "black.tif").unlink()
        (tiny.inbox / "tem" / "section-02.png").unlink()
        before = tiny.digests()
        outcome, computed = tiny.run()
        assert tiny.plan()["cell_masks", "no-size"].state == "current"
        assert not [line for line in outcome.problems if "no-size" in line or "black" in line]
        assert ("section_labels", "section-02") not in tiny.read_by("interior_atlas")
        assert not [place for place in computed if place[0] in ("tem_section", "section_labels")]
        after = tiny.digests()
        assert set(before) <= set(after)  # nothing that was ever made is lost


def test_a_corrupted_new_version_leaves_the_last_good_one_in_use(
    study: tuple[TinyStudy, Outcome], tmp_path: Path
) -> None:
    root = tmp_path / "study"
    shutil.copytree(study[0].study.root, root)
    with opened(root) as tiny:
        before = tiny.digests()
        path = tiny.inbox / "tem" / "section-01.png"
        path.write_bytes(path.read_bytes()[:3000])
        outcome, computed = tiny.run()
        assert not computed
        assert [line for line in outcome.problems if "section-01.png: it cannot be read" in line]
        assert tiny.digests() == before
        shutil.copy(DEMO / "tem" / "section-01.png", path)
        outcome, computed = tiny.run()
        assert not computed  # the good version was never given up
        assert not [line for line in outcome.problems if "section-01" in line]
