"""One reader of SerialEM's metadata: what is there is read, and what is unusable is no opinion."""

import os
from pathlib import Path

import mdocfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.cryoet.mdoc import read_mdoc
from em2cryo_assets.cryoet.tilt_series_file import recorded_tilts
from em2cryo_assets.formats.errors import InputError

REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")


def written(folder: Path, views: str, head: str = "PixelSpacing = 5.4\nImageSize = 48 40\n") -> Path:
    path = folder / "a.mdoc"
    path.write_text(f"{head}\n[T =     Tilt axis angle = -85.3, binning = 1]\n\n{views}")
    return path


def view(number: object, tilt: object) -> str:
    return f"[ZValue = {number}]\nTiltAngle = {tilt}\nPixelSpacing = 5.4\n\n"


@pytest.mark.skipif(REFERENCE is None, reason="EM2CRYO_REFERENCE_DATA is not set: no real mdoc here")
@pytest.mark.parametrize(
    ("name", "pixel_nm", "image_px", "axis_deg"),
    [("tilt_series.mdoc", 0.54, (924, 958), 85.3), ("frame_set_single.mdoc", 0.12827, None, None)],
)
def test_real_ones_are_read_as_by_another_reader(
    name: str, pixel_nm: float, image_px: tuple[int, int] | None, axis_deg: float | None
) -> None:
    path = Path(str(REFERENCE)) / "cryoet" / "mdoc" / name
    found = read_mdoc(path)
    assert (found.pixel_nm, found.image_px) == (pytest.approx(pixel_nm), image_px)
    assert (found.axis_deg, found.problem) == (axis_deg, "")
    np.testing.assert_array_equal(found.tilts_deg, mdocfile.read(path)["TiltAngle"])


@given(order=st.permutations(range(7)), tilts=st.lists(st.floats(-70, 70), min_size=7, max_size=7))
def test_tilts_come_in_the_order_of_the_stack(
    order: list[int], tilts: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("mdoc"), "".join(view(number, tilts[number]) for number in order))
    found = read_mdoc(path)
    assert found.tilts_deg.tolist() == tilts
    assert (found.pixel_nm, found.image_px, found.axis_deg) == (pytest.approx(0.54), (48, 40), -85.3)


@pytest.mark.parametrize(
    ("views", "said"),
    [
        (view(0, 0.0) + view(1, "three"), "is no number"),
        (view(0, "nan"), "is no number"),
        (view("first", 0.0), "is no number"),
        (view(0, 0.0) + "[ZValue = 1]\nDefocus = 2\n", "1 of its 2 views have no TiltAngle"),
    ],
)
def test_damaged_tilts_are_refused_and_the_pixel_size_is_still_read(tmp_path: Path, views: str, said: str) -> None:
    path = written(tmp_path, views)
    found = read_mdoc(path)
    assert said in found.problem
    assert found.tilts_deg.size == 0
    assert found.pixel_nm == pytest.approx(0.54)
    with pytest.raises(InputError, match=r"no SerialEM metadata.*Remedy: copy it again"):
        recorded_tilts(tmp_path / "a.st")


def test_a_head_alone_has_a_pixel_size_and_no_tilts(tmp_path: Path) -> None:
    found = read_mdoc(written(tmp_path, ""))
    assert (found.problem, found.tilts_deg.size, found.pixel_nm) == ("", 0, pytest.approx(0.54))
    assert recorded_tilts(tmp_path / "a.st") is None


@given(content=st.binary(max_size=300))
def test_whatever_lies_there_is_read_without_a_crash(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("mdoc") / "a.mdoc"
    path.write_bytes(content)
    found = read_mdoc(path)
    assert found.pixel_nm is None or found.pixel_nm > 0
    assert np.isfinite(found.tilts_deg).all()


def test_one_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, view(0, 0.0) + " " * (1 << 22))
    assert read_mdoc(path).problem == "it is larger than 4 MiB"
