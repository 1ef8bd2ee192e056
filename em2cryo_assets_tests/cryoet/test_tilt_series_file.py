"""What lies beside a stack is found, checked against it, and refused by name where it does not fit."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from em2cryo_assets.cryoet.tilt_series_file import is_tilt_series, read_tilt_series
from em2cryo_assets.formats.companions import companions
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar

TILTS = (-40.0, -20.0, 0.0, 20.0, 40.0)


def stack(path: Path, *, views: int = 5, pixel_nm: float = 0.8) -> Path:
    data = np.random.default_rng(0).integers(100, 200, (views, 12, 16)).astype(np.int16)
    with mrcfile.new(path) as out:
        out.set_data(data)
        out.voxel_size = 10.0 * pixel_nm
    return path


def beside(path: Path, name: str, text: str) -> None:
    path.with_name(name).write_text(text)


def listed(tilts: tuple[float, ...] = TILTS) -> str:
    return "".join(f"{tilt:8.2f}\n" for tilt in tilts)


def mdoc(axis: float, tilts: tuple[float, ...] = TILTS, spacing: float = 8.0) -> str:
    head = f"PixelSpacing = {spacing}\nImageFile = a.mrc\n\n[T =     Tilt axis angle = {axis}, binning = 1]\n\n"
    views = (f"[ZValue = {i}]\nTiltAngle = {t}\nPixelSpacing = {spacing}\n\n" for i, t in enumerate(tilts))
    return head + "".join(views)


def test_refined_tilts_come_before_recorded_ones_and_those_before_metadata(tmp_path: Path) -> None:
    path = stack(tmp_path / "a.st")
    beside(path, "a.st.mdoc", mdoc(85.3, tuple(t + 2 for t in TILTS)))
    assert read_tilt_series(path, Sidecar()).tilts_deg == tuple(t + 2 for t in TILTS)
    beside(path, "a.rawtlt", listed())
    assert read_tilt_series(path, Sidecar()).tilts_deg == TILTS
    beside(path, "a.tlt", listed(tuple(t + 1 for t in TILTS)))
    read = read_tilt_series(path, Sidecar())
    assert read.tilts_deg == tuple(t + 1 for t in TILTS)
    assert read.tilts_from == "a.tlt"
    assert read.axis_deg == 85.3
    assert read.pixel_nm == pytest.approx(0.8, rel=1e-6)
    assert read.warnings == []
    assert [one.name for one in companions(path).values()] == ["a.tlt", "a.rawtlt", "a.st.mdoc"]


def test_an_xf_is_read_as_imod_writes_it(tmp_path: Path) -> None:
    path = stack(tmp_path / "a.st")
    beside(path, "a.rawtlt", listed())
    beside(path, "a.xf", "   0.8000000   0.6000000  -0.6000000   0.8000000       3.000      -5.000\n" * 5)
    transforms = read_tilt_series(path, Sidecar()).transforms
    assert transforms is not None
    assert transforms.shape == (5, 2, 3)
    assert transforms[2].tolist() == [[0.8, 0.6, 3.0], [-0.6, 0.8, -5.0]]


def test_pixel_sizes_that_disagree_are_said(tmp_path: Path) -> None:
    path = stack(tmp_path / "a.st")
    beside(path, "a.rawtlt", listed())
    beside(path, "a.mdoc", mdoc(0.0, spacing=9.0))
    read = read_tilt_series(path, Sidecar())
    assert read.pixel_nm == pytest.approx(0.8, rel=1e-6)
    assert "0.9 nm" in read.warnings[0]
    unknown = stack(tmp_path / "b.st", pixel_nm=0.0)
    beside(unknown, "b.mdoc", mdoc(0.0, spacing=9.0))
    assert read_tilt_series(unknown, Sidecar()).pixel_nm == pytest.approx(0.9)


def test_a_volume_is_no_series_because_metadata_lie_beside_it(tmp_path: Path) -> None:
    volume = stack(tmp_path / "a.mrc", views=7)
    assert not is_tilt_series(volume)
    beside(volume, "a.mrc.mdoc", mdoc(0.0))
    assert not is_tilt_series(volume)
    beside(volume, "a.tlt", listed())  # five tilts, seven sections: those of the series it was made from
    assert not is_tilt_series(volume)
    series = stack(tmp_path / "b.mrc")
    beside(series, "b.rawtlt", listed())
    assert is_tilt_series(series)
    assert is_tilt_series(stack(tmp_path / "c.st"))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "tilts were not recorded.*put a.rawtlt"),
        ({"a.rawtlt": listed((0.0, 3.0))}, "gives 2 tilts for 5 views"),
        ({"a.rawtlt": listed((0.0, 3.0, 6.0, 9.0, 90.0))}, "beyond ±80°"),
        ({"a.rawtlt": listed((0.0,) * 5)}, "fewer than three"),
        ({"a.rawtlt": "0\nzero\n1\n2\n3\n"}, "no list of numbers"),
        ({"a.rawtlt": "nan\n" * 5}, "finite numbers"),
        ({"a.rawtlt": listed(), "a.xf": "1 0 0 1 0 0\n" * 4}, "4 transforms for 5 views"),
        ({"a.rawtlt": listed(), "a.xf": "1 0 0 1 0\n" * 5}, "6 finite numbers"),
        ({"a.rawtlt": listed(), "a.xf": "1 0 1 0 0 0\n" * 5}, "flattens"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, files: dict[str, str], told: str) -> None:
    path = stack(tmp_path / "a.st")
    for name, text in files.items():
        beside(path, name, text)
    with pytest.raises(InputError, match=told):
        read_tilt_series(path, Sidecar())
