"""What SEM vendors write in and beside an image: pixel size, tilt, detector, voltage, working distance."""

from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.exposure import exposure
from em2cryo_assets.formats.image import CalibratedImage, read_image
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets_tests.formats.drawn import with_data_bar
from em2cryo_assets_tests.formats.sem_writers import HITACHI, JEOL, TESCAN, field, write_plain, write_tagged, zeiss_text


def _read(path: Path, sidecar: Sidecar | None = None) -> CalibratedImage:
    return read_image(path, sidecar or Sidecar(), data_bar=True)


def _beside(path: Path, name: str, text: str, encoding: str = "cp1252") -> None:
    path.with_name(name).write_bytes(text.encode(encoding))


@pytest.mark.parametrize("old", [False, True])
def test_zeiss_tags(tmp_path: Path, old: bool) -> None:
    text = zeiss_text(12.5, (240, 320), tilt=45.0, correction="On", old=old)
    read = _read(write_tagged(tmp_path / "a.tif", field(), 34118, text))
    assert read.pixel_size_nm == pytest.approx(12.5, rel=1e-4)
    assert read.pixel_size_source == "Zeiss tags"
    assert {name: read.tags[name] for name in ("voltage_kv", "working_distance_mm", "tilt_deg", "detector")} == {
        "voltage_kv": "5", "working_distance_mm": "4.1", "tilt_deg": "45", "detector": "SE2",
    }  # fmt: skip
    assert read.tags["tilt_correction"] == "on"


def test_the_data_zone_of_zeiss_is_drawn_into_the_image(tmp_path: Path) -> None:
    image = with_data_bar(field(), 30, 120)
    read = _read(write_tagged(tmp_path / "a.tif", image, 34118, zeiss_text(10.0, image.shape)))
    assert read.excluded[-30:].all()
    assert not read.excluded[:150].any()


@pytest.mark.parametrize("name", ["a.txt", "a.TXT", "a.tif.txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_jeol_text_with_a_bar(tmp_path: Path, name: str, encoding: str) -> None:
    path = write_plain(tmp_path / "a.tif", field((272, 320)))
    text = JEOL.format(across=320, down=240, bar_px=100, marker="5µm", angles="0.0 0.0")
    _beside(path, name, text, encoding)
    read = _read(path)
    assert read.pixel_size_nm == pytest.approx(50.0)
    assert read.pixel_size_source == f"JEOL text {name}"
    assert read.excluded[-32:].all()  # the file is higher than the image by the bar
    assert not read.excluded[:240].any()
    tags = {name: read.tags[name] for name in ("voltage_kv", "working_distance_mm", "tilt_deg", "detector")}
    assert tags == {"voltage_kv": "15", "working_distance_mm": "10", "tilt_deg": "0", "detector": "SEI"}


def test_jeol_field_of_view_goes_before_its_bar_and_the_named_tilt_is_read(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    text = JEOL.format(across=320, down=240, bar_px=33, marker="1um", angles="10.0 45.0").replace(
        "CM_STAGE_POS ", "CM_X "
    )
    text += "$CM_IMAGE_SIZE 320 240\r\n$CM_FIELD_OF_VIEW 9.6µm 7.2µm\r\n"
    text += "$CM_STAGE_POSITION X=37.17, Y=44.93, R=354.9, Z=16.90, T=45.00\r\n"
    _beside(path, "a.txt", text, "utf-8")
    read = _read(path)
    assert read.pixel_size_nm == pytest.approx(30.0)
    assert read.tags["tilt_deg"] == "45"
    assert read.warnings == []


def test_two_unnamed_angles_of_jeol_are_not_guessed_at(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    _beside(path, "a.txt", JEOL.format(across=320, down=240, bar_px=100, marker="500nm", angles="11.0 45.0"))
    read = _read(path)
    assert "tilt_deg" not in read.tags
    assert any("11.0 and 45.0 degrees" in warning and "tilt_deg" in warning for warning in read.warnings)
    assert read.pixel_size_nm == pytest.approx(5.0)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_hitachi_text(tmp_path: Path, encoding: str) -> None:
    path = write_plain(tmp_path / "a.tif", field((260, 320)))
    _beside(path, "a.txt", HITACHI.format(across=320, down=240, side=24.80469, tilt=30), encoding)
    read = _read(path)
    assert read.pixel_size_nm == pytest.approx(24.80469)
    assert read.excluded[-20:].all()
    assert read.tags["working_distance_mm"] == "8.1"
    assert (read.tags["voltage_kv"], read.tags["detector"], read.tags["tilt_deg"]) == ("5", "SE(U)", "30")
    assert any("no unit" in warning for warning in read.warnings)


@pytest.mark.parametrize("name", ["a-tif.hdr", "a.hdr", "a.tif.hdr"])
def test_tescan_header(tmp_path: Path, name: str) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    _beside(path, name, TESCAN.format(side_m=1.53e-8, strip=40, tilt=55.0), "utf-8")
    read = _read(path)
    assert read.pixel_size_nm == pytest.approx(15.3)
    assert read.pixel_size_source == f"TESCAN header {name}"
    assert read.excluded[-40:].all()
    assert (read.tags["voltage_kv"], read.tags["tilt_deg"], read.tags["detector"]) == ("10", "55", "SE")


def test_tescan_tag(tmp_path: Path) -> None:
    text = TESCAN.format(side_m=1.53e-8, strip=0, tilt=-10.0)
    read = _read(write_tagged(tmp_path / "a.tif", field(), 50431, text))
    assert (read.pixel_size_nm, read.pixel_size_source) == (pytest.approx(15.3), "TESCAN tags")
    assert read.tags["tilt_deg"] == "-10"


def test_tags_go_before_texts_and_the_difference_is_told(tmp_path: Path) -> None:
    path = write_tagged(tmp_path / "a.tif", field(), 34118, zeiss_text(12.5, (240, 320)))
    _beside(path, "a.hdr", TESCAN.format(side_m=2e-8, strip=0, tilt=0), "utf-8")
    read = _read(path)
    assert read.pixel_size_nm == pytest.approx(12.5)
    assert any("20 nm" in warning and "12.5 nm; the latter was kept" in warning for warning in read.warnings)


def test_texts_and_sidecar_must_agree(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    _beside(path, "a.txt", HITACHI.format(across=320, down=240, side=20, tilt=0))
    with pytest.raises(InputError, match=r"Hitachi text a\.txt.*20 nm, by the sidecar 25 nm"):
        _read(path, Sidecar(pixel_size_nm=25.0))


def test_a_text_of_a_scaled_image_is_not_believed(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    _beside(path, "a.txt", HITACHI.format(across=640, down=480, side=20, tilt=0))
    read = _read(path, Sidecar(pixel_size_nm=40.0))
    assert (read.pixel_size_nm, read.pixel_size_source) == (40.0, "sidecar")
    assert "cropped or scaled" in read.warnings[0]


@pytest.mark.parametrize("text", ["Fixed on Monday.\n$5 a grid\n", "", "[Notes]\nPixelSize=3\n", "\xff\xfe\x00"])
def test_notes_beside_an_image_are_left_alone(tmp_path: Path, text: str) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    _beside(path, "a.txt", text, "latin-1")
    _beside(path, "a.hdr", "[MAIN]\nnothing=1\n", "utf-8")
    read = _read(path, Sidecar(pixel_size_nm=40.0))
    assert (read.pixel_size_source, read.tags, read.warnings) == ("sidecar", {}, [])


def test_odd_lines_do_no_harm(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    odd = TESCAN.format(side_m=1.53e-8, strip=0, tilt=0) + "a note\r\n  [of several lines\r\nDevi"
    _beside(path, "a.hdr", odd, "utf-8")
    assert _read(path).pixel_size_nm == pytest.approx(15.3)


@pytest.mark.parametrize("value", ["nan", "inf", "-5", "0", "1e400", "many"])
def test_impossible_pixel_sizes_are_none(tmp_path: Path, value: str) -> None:
    path = write_plain(tmp_path / "a.tif", field())
    _beside(path, "a.txt", HITACHI.format(across=320, down=240, side=value, tilt="nan"))
    with pytest.raises(InputError, match="nothing says how large a pixel is"):
        _read(path)


def test_the_sidecar_says_how_it_was_taken_before_the_microscope_does() -> None:
    warnings: list[str] = []
    tags = {"tilt_deg": "45", "detector": "SE2", "tilt_correction": "on"}
    assert exposure(tags, Sidecar(), warnings) == {
        "tilt_deg": 45.0, "tilt_source": "microscope", "detector": "SE2", "detector_source": "microscope",
        "tilt_correction": True,
    }  # fmt: skip
    assert any("stretched" in warning for warning in warnings)
    warnings.clear()
    taken = exposure(tags, Sidecar(tilt_deg=54.0, detector="quadrant 1"), warnings)
    assert (taken["tilt_deg"], taken["tilt_source"], taken["detector"]) == (54.0, "sidecar", "quadrant 1")
    assert any("54°, the microscope 45°" in warning for warning in warnings)
    assert any("'quadrant 1', the microscope 'SE2'" in warning for warning in warnings)
    assert set(exposure({}, Sidecar(), []).values()) == {None}


def test_tags_that_agree_with_the_sidecar_raise_no_doubt() -> None:
    warnings: list[str] = []
    exposure({"tilt_deg": "44.8", "detector": "se2"}, Sidecar(tilt_deg=45.0, detector="SE2"), warnings)
    assert warnings == []


def test_pixels_are_not_touched_by_any_of_it(tmp_path: Path) -> None:
    path = write_tagged(tmp_path / "a.tif", field(), 34118, zeiss_text(12.5, (240, 320)))
    np.testing.assert_array_equal(_read(path).pixels, field())
