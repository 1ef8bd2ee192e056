"""Where a user has IMOD or AreTomo and asks for it, their volume is read as this package's own would be.

The programs are played by stand-ins (`stand_ins`); the real ones were not at hand.
"""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet import external_reconstruction
from em2cryo_assets.cryoet.external_reconstruction import reconstruct_with
from em2cryo_assets.cryoet.from_tilt_series import reconstruct_series
from em2cryo_assets.cryoet.reconstruct import project
from em2cryo_assets.cryoet.tilt_series_file import RecordedSeries, read_tilt_series
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets_tests.cryoet.stand_ins import install

TILTS = np.arange(-60.0, 61.0, 10.0)
SHAPE = (16, 40, 48)
VOXEL_NM = 2.5
THICKNESS_NM = SHAPE[0] * VOXEL_NM / 1.5


@pytest.fixture(scope="module")
def views() -> NDArray[np.float32]:
    specks = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 1.5)
    volume = np.clip(specks / specks.std(), 0, None).astype(np.float32)
    return np.asarray(np.exp(-0.004 * project(volume, TILTS.tolist(), edges="continued")) * 1000.0, dtype=np.float32)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def series(path: Path, views: NDArray[np.float32], binned: int = 1) -> RecordedSeries:
    path.parent.mkdir(exist_ok=True)
    with mrcfile.new(path) as out:
        out.set_data(views.repeat(binned, axis=1).repeat(binned, axis=2))
        out.voxel_size = 10 * VOXEL_NM / binned
    path.with_suffix(".rawtlt").write_text("".join(f"{tilt:.2f}\n" for tilt in TILTS))
    return read_tilt_series(path, Sidecar())


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def everything(view: external_reconstruction.VolumeView) -> NDArray[np.float32]:
    return np.asarray(view[:, :, :])


def test_slices_along_y_become_the_same_volume_turned_and_never_mirrored(
    tmp_path: Path, programs: Path, views: NDArray[np.float32]
) -> None:
    install(programs, "newstack", "tilt")
    # Shifts that an .xf undoes, in pixels of the unbinned stack.
    shifts = 2.0 * np.random.default_rng(1).standard_normal((len(TILTS), 2))
    crooked = np.stack([ndimage.shift(v, s, order=3, mode="reflect") for v, s in zip(views, shifts, strict=True)])
    (tmp_path / "raw folder").mkdir()
    (tmp_path / "raw folder" / "a.xf").write_text("".join(f"1 0 0 1 {-3 * x:.4f} {-3 * y:.4f}\n" for y, x in shifts))
    recorded = series(tmp_path / "raw folder" / "a.st", crooked.astype(np.float32), binned=3)
    ours = reconstruct_series(recorded, thickness_nm=THICKNESS_NM)
    theirs = reconstruct_with("imod", recorded, tmp_path, thickness_nm=THICKNESS_NM)
    assert theirs.voxel_nm == pytest.approx(ours.voxel_nm)
    density = everything(theirs.density)
    assert density.shape == SHAPE
    turned = density[::-1, ::-1]  # by 180 degrees about x
    assert likeness(turned, ours.density.compute()) > 0.98
    assert likeness(density[:, ::-1], ours.density.compute()) < 0.5
    assert theirs.even is not None
    assert theirs.odd is not None
    assert likeness(everything(theirs.even)[::-1, ::-1], ours.even.compute()) > 0.98
    assert likeness(everything(theirs.odd)[::-1, ::-1], ours.odd.compute()) > 0.98
    assert (theirs.version, theirs.tilts_deg) == ("9.9.9-stand-in", ours.tilts_deg)
    assert [command.split()[0] for command in theirs.commands] == ["newstack", "tilt", "tilt", "tilt"]
    assert "BinByFactor 3" in theirs.commands[0]
    assert "LOG 0.0" in theirs.commands[1]
    assert str(tmp_path) not in " ".join(theirs.commands)
    assert any("Aligned by the .xf" in note for note in theirs.notes)
    # What the program wrote goes with the volume.
    assert list(tmp_path.glob(".imod-*"))
    del theirs, density, turned
    assert not list(tmp_path.glob(".imod-*"))


def test_aretomo_aligns_what_came_unaligned(tmp_path: Path, programs: Path, views: NDArray[np.float32]) -> None:
    install(programs, "AreTomo2", "AreTomo3")  # the newer one is taken
    raw = series(tmp_path / "raw" / "a.st", views, binned=2)
    made = reconstruct_with("aretomo", raw, tmp_path, thickness_nm=THICKNESS_NM)
    aligned = series(tmp_path / "raw" / "b.ali", views)
    ours = reconstruct_series(aligned, thickness_nm=THICKNESS_NM).density.compute()
    assert likeness(everything(made.density), ours) > 0.95
    assert (made.voxel_nm, made.version, made.even) == (pytest.approx(VOXEL_NM), "7.7", None)
    assert made.commands[0].startswith("AreTomo3 -Cmd 1")
    assert "-Align 1" in made.commands[0]
    assert any("aligned by AreTomo3" in note for note in made.notes)


def test_aretomo_does_not_align_what_came_aligned(tmp_path: Path, programs: Path, views: NDArray[np.float32]) -> None:
    install(programs, "AreTomo2")
    aligned = series(tmp_path / "raw" / "b.ali", views)
    made = reconstruct_with("aretomo", aligned, tmp_path, thickness_nm=THICKNESS_NM)
    assert "-Align 0" in made.commands[0]
    assert (
        likeness(everything(made.density), reconstruct_series(aligned, thickness_nm=THICKNESS_NM).density.compute())
        > 0.95
    )


@pytest.mark.parametrize(
    ("program", "there", "said"),
    [
        ("imod", (), "not on PATH: newstack, tilt"),
        ("imod", ("tilt",), "not on PATH: newstack"),
        ("aretomo", (), "not on PATH: AreTomo3 or AreTomo2"),
    ],
)
def test_a_program_that_is_not_there_is_named_with_the_remedy(
    program: str, there: tuple[str, ...], said: str, tmp_path: Path, programs: Path, views: NDArray[np.float32]
) -> None:
    install(programs, *there, body="raise SystemExit(0)")
    with pytest.raises(InputError, match=rf"{said}\. Remedy: install it.*built-in"):
        reconstruct_with(program, series(tmp_path / "raw" / "a.ali", views), tmp_path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "print('no licence for this host', flush=True)\nraise SystemExit(3)",
            "ended with status 3.*no licence for this host",
        ),
        ("raise SystemExit(0)", "left no volume.mrc"),
        (
            "import mrcfile, numpy as np\nout = mrcfile.new('volume.mrc')\n"
            "out.set_data(np.eye(5, dtype='f4')[None])\nout.close()",
            r"made a volume of \(1, 5, 5\) voxels, not of \(16, 40, 48\)",
        ),
    ],
)
def test_a_failure_is_told_with_its_last_lines_and_leaves_nothing(
    body: str, said: str, tmp_path: Path, programs: Path, views: NDArray[np.float32]
) -> None:
    install(programs, "AreTomo2", body=body)
    with pytest.raises(InputError, match=f"AreTomo2 .*{said}.*Remedy: .*built-in"):
        reconstruct_with("aretomo", series(tmp_path / "raw" / "a.ali", views), tmp_path, thickness_nm=THICKNESS_NM)
    assert not list(tmp_path.glob(".aretomo-*"))


def test_a_program_that_never_ends_is_ended(
    tmp_path: Path, programs: Path, views: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_reconstruction, "LONGEST_S", 0.5)
    install(programs, "AreTomo2", body="import time\nprint('still here', flush=True)\ntime.sleep(600)")
    with pytest.raises(InputError, match="AreTomo2 did not end within"):
        reconstruct_with("aretomo", series(tmp_path / "raw" / "a.ali", views), tmp_path, thickness_nm=THICKNESS_NM)
