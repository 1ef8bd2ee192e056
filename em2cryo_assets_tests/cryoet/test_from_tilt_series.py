"""A series on disk becomes the volume it was recorded from, whatever it takes to align it."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.from_tilt_series import reconstruct_series
from em2cryo_assets.cryoet.fsc import shell_correlation
from em2cryo_assets.cryoet.reconstruct import project
from em2cryo_assets.cryoet.tilt_series_file import read_tilt_series
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar

TILTS = np.arange(-60.0, 61.0, 3.0)
VOXEL_NM = 2.5
SHAPE = (32, 96, 96)
# Slabs are recorded with a margin of half their thickness about them.
THICKNESS_NM = SHAPE[0] * VOXEL_NM / 1.5


@pytest.fixture(scope="module")
def volume() -> NDArray[np.float32]:
    specks = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 2.0)
    return (np.clip(specks / specks.std(), 0, None)).astype(np.float32)


def recorded(
    path: Path,
    volume: NDArray[np.float32],
    *,
    shifts: NDArray[np.float64] | None = None,
    turned: bool = False,
    binned: int = 1,
    **companion: str,
) -> Path:
    """Write counts of a thin absorber, moved by (y, x) `shifts` and, if `turned`, with the tilt axis along -x."""
    views = np.exp(-0.004 * project(volume, TILTS.tolist(), edges="continued")) * 1000.0
    if shifts is not None:
        views = np.stack([ndimage.shift(v, s, order=3, mode="reflect") for v, s in zip(views, shifts, strict=True)])
    if turned:
        views = np.rot90(views, axes=(1, 2), k=-1)  # rows count upwards: y turns onto -x
    views = views.repeat(binned, axis=1).repeat(binned, axis=2)
    with mrcfile.new(path) as out:
        out.set_data(np.ascontiguousarray(views, dtype=np.float32))
        out.voxel_size = 10.0 * VOXEL_NM / binned
    path.with_suffix(".rawtlt").write_text("".join(f"{tilt:.2f}\n" for tilt in TILTS))
    for ending, text in companion.items():
        path.with_suffix(f".{ending}").write_text(text)
    return path


def axis_at(degrees: float) -> str:
    views = "".join(f"[ZValue = {i}]\nTiltAngle = {t}\n\n" for i, t in enumerate(TILTS))
    return f"PixelSpacing = {10 * VOXEL_NM}\n\n[T =     Tilt axis angle = {degrees}, binning = 1]\n\n{views}"


def likeness(made: NDArray[np.float32], volume: NDArray[np.float32]) -> float:
    """Mean shell correlation up to half the Nyquist frequency, after the rigid shift that no alignment can know."""
    from skimage.registration import phase_cross_correlation

    shift = phase_cross_correlation(volume, made, normalization=None)[0]
    made = ndimage.shift(made, shift, order=1, mode="reflect")
    inner = (slice(4, -4), slice(12, -12), slice(12, -12))
    frequency, correlation = shell_correlation(made[inner], volume[inner], VOXEL_NM, within_deg=60.0)[:2]
    return float(np.mean(np.asarray(correlation)[np.asarray(frequency) < 0.25 / VOXEL_NM]))


def test_an_aligned_stack_gives_the_volume_and_halves_of_it(tmp_path: Path, volume: NDArray[np.float32]) -> None:
    series = read_tilt_series(recorded(tmp_path / "a.ali", volume), Sidecar())
    made = reconstruct_series(series, thickness_nm=THICKNESS_NM)
    density = made.density.compute()
    assert density.shape == SHAPE
    assert made.voxel_nm == pytest.approx(VOXEL_NM)
    assert made.residual_nm is None
    assert likeness(density, volume) > 0.9
    even, odd = made.even.compute(), made.odd.compute()
    assert not np.array_equal(even, odd)
    assert np.corrcoef(even.ravel(), odd.ravel())[0, 1] > 0.7


def test_without_an_xf_the_views_are_correlated_and_the_residual_told(
    tmp_path: Path, volume: NDArray[np.float32]
) -> None:
    shifts = 3.0 * np.random.default_rng(3).standard_normal((len(TILTS), 2))
    crooked = recorded(tmp_path / "a.st", volume, shifts=shifts, mdoc=axis_at(0.0))
    made = reconstruct_series(read_tilt_series(crooked, Sidecar()), thickness_nm=THICKNESS_NM)
    assert made.residual_nm is not None
    assert made.residual_nm < 2 * VOXEL_NM
    assert any("cross-correlation" in note for note in made.notes)
    assert likeness(made.density.compute(), volume) > 0.85
    # As they are, the same views do not give the volume.
    path = recorded(tmp_path / "b.ali", volume, shifts=shifts)
    blurred = reconstruct_series(read_tilt_series(path, Sidecar()), thickness_nm=THICKNESS_NM).density.compute()
    assert likeness(blurred, volume) < 0.7


def test_an_xf_undoes_shift_and_turn(tmp_path: Path, volume: NDArray[np.float32]) -> None:
    shifts = 3.0 * np.random.default_rng(4).standard_normal((len(TILTS), 2))
    # Rows count upwards in an MRC: after the turn the axis lies at +90 degrees, and x' = y, y' = -x brings it back.
    lines = "".join(f"0 1 -1 0 {-x:.4f} {-y:.4f}\n" for y, x in shifts)
    path = recorded(tmp_path / "a.st", volume, shifts=shifts, turned=True, xf=lines)
    made = reconstruct_series(read_tilt_series(path, Sidecar()), thickness_nm=THICKNESS_NM)
    assert likeness(made.density.compute(), volume) > 0.85
    by_axis = recorded(tmp_path / "b.st", volume, shifts=shifts, turned=True, mdoc=axis_at(90.0))
    made = reconstruct_series(read_tilt_series(by_axis, Sidecar()), thickness_nm=THICKNESS_NM)
    assert likeness(made.density.compute(), volume) > 0.85


def test_fine_pixels_are_binned_and_that_is_said(tmp_path: Path, volume: NDArray[np.float32]) -> None:
    path = recorded(tmp_path / "a.ali", volume, binned=3)
    made = reconstruct_series(read_tilt_series(path, Sidecar()))
    assert made.voxel_nm == pytest.approx(VOXEL_NM)
    assert made.density.shape == (160, *SHAPE[1:])
    said = " ".join(made.notes)
    assert "binned 3 times" in said
    assert "400 nm was reconstructed" in said


def test_what_cannot_be_aligned_is_refused(tmp_path: Path, volume: NDArray[np.float32]) -> None:
    path = recorded(tmp_path / "a.st", volume)
    with pytest.raises(InputError, match=r"direction of its tilt axis.*put a.xf"):
        reconstruct_series(read_tilt_series(path, Sidecar()))
    noise = recorded(tmp_path / "b.st", volume, mdoc=axis_at(0.0))
    with mrcfile.open(noise, "r+") as out:
        out.set_data(np.random.default_rng(0).normal(1000, 10, out.data.shape).astype(np.float32))
    with pytest.raises(InputError, match="could not be aligned"):
        reconstruct_series(read_tilt_series(noise, Sidecar()))
    blank = recorded(tmp_path / "c.ali", volume)
    with mrcfile.open(blank, "r+") as out:
        out.data[3] = 7.0
    with pytest.raises(InputError, match="view 3 is blank"):
        reconstruct_series(read_tilt_series(blank, Sidecar()))
