import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.image import read_image, read_label_image
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets.vocabulary import LABEL_NAMES
from em2cryo_assets_tests.formats.drawn import blobs, with_data_bar, with_plain_bar

_REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")
needs_reference = pytest.mark.skipif(not _REFERENCE, reason="EM2CRYO_REFERENCE_DATA is not set")
_TEN = Sidecar(pixel_size_nm=10.0)


def _mrc(path: Path, data: NDArray[np.float32], side_angstrom: float) -> Path:
    import mrcfile

    with mrcfile.new(path) as mrc:
        mrc.set_data(data)
        mrc.voxel_size = side_angstrom
    return path


def _fei(path: Path, pixels: NDArray[np.uint8], side_nm: tuple[float, float], size: tuple[int, int]) -> Path:
    """A TIFF as Thermo/FEI microscopes write it; ``size`` is the recorded (rows, columns)."""
    text = (
        "[User]\r\nUser=a\r\n[System]\r\nType=SEM\r\n[EBeam]\r\nHV=5000\r\n[EScan]\r\n"
        f"PixelWidth={side_nm[1] * 1e-9:.6e}\r\nPixelHeight={side_nm[0] * 1e-9:.6e}\r\n"
        f"[Image]\r\nResolutionX={size[1]}\r\nResolutionY={size[0]}\r\n"
    )
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        metadata=None,
        resolution=(56, 56),
        extratags=[(34682, 2, 0, text.encode(), True)],
    )
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.PNG"])
def test_pixels_arrive_as_written(tmp_path: Path, name: str) -> None:
    image = blobs()
    if "tif" in name:
        tifffile.imwrite(tmp_path / name, image)
    else:
        Image.fromarray(image).save(tmp_path / name, format="PNG")
    read = read_image(tmp_path / name, _TEN, data_bar=False)
    assert read.pixels.dtype == np.float32
    np.testing.assert_array_equal(read.pixels, image)
    assert (read.pixel_size_nm, read.pixel_size_source) == (10.0, "sidecar")
    assert not read.excluded.any()
    assert read.warnings == []


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_survive(tmp_path: Path, name: str) -> None:
    image = blobs().astype(np.uint16) * 257
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, image)
    else:
        Image.fromarray(image).save(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name, _TEN, data_bar=False).pixels, image)


def test_palettes_and_inverted_files_show_what_a_viewer_shows(tmp_path: Path) -> None:
    image = blobs()
    picture = Image.fromarray(255 - image).convert("P")
    picture.putpalette(np.repeat(np.arange(255, -1, -1), 3).astype(np.uint8).tobytes())
    picture.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png", _TEN, data_bar=False).pixels, image)
    tifffile.imwrite(tmp_path / "white.tif", 255 - image, photometric="miniswhite")
    white = read_image(tmp_path / "white.tif", _TEN, data_bar=False).pixels
    np.testing.assert_array_equal(white - white.min(), image - float(image.min()))


def test_a_coloured_image_is_warned_of_and_a_grey_rgb_is_not(tmp_path: Path) -> None:
    image = np.repeat(blobs()[..., None], 3, axis=2)
    Image.fromarray(image).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png", _TEN, data_bar=False).warnings == []
    image[..., 0] //= 2
    Image.fromarray(image).save(tmp_path / "red.png")
    assert "colour" in read_image(tmp_path / "red.png", _TEN, data_bar=False).warnings[0]


def test_dots_per_inch_are_no_pixel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", blobs(), resolution=(1e6, 1e6), resolutionunit="CENTIMETER")
    with pytest.raises(InputError, match=r"pixel_size_nm = .* into a\.tif\.toml"):
        read_image(tmp_path / "a.tif", Sidecar(), data_bar=False)


def test_the_scale_bar_gives_the_pixel_size_and_is_drawn(tmp_path: Path) -> None:
    Image.fromarray(with_plain_bar(blobs(), 125)).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", Sidecar(scale_bar="5 um"), data_bar=True)
    assert read.pixel_size_source == "scale bar"
    assert read.pixel_size_nm == pytest.approx(40.0, rel=0.005)
    assert read.overlay is not None
    assert read.overlay.shape == (*read.pixels.shape, 3)
    assert np.ptp(read.overlay.astype(int), axis=2).max() > 100  # something coloured on the grey
    assert "confirm" in read.warnings[0]
    assert 0.01 < read.excluded.mean() < 0.2


def test_the_scale_may_stand_in_the_data_bar(tmp_path: Path) -> None:
    Image.fromarray(with_data_bar(blobs(shape=(240, 480)), 40, 200)).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", Sidecar(scale_bar="4 um"), data_bar=True)
    assert read.pixel_size_nm == pytest.approx(20.0, rel=0.006)
    assert read.excluded[-40:].all()
    assert not read.excluded[:-44].any()


def test_a_promised_scale_bar_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    Image.fromarray(blobs()).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="no scale bar"):
        read_image(tmp_path / "a.png", Sidecar(scale_bar="5 um"), data_bar=True)


def test_the_tags_of_the_microscope_come_first(tmp_path: Path) -> None:
    image = with_data_bar(blobs(shape=(240, 480)), 40, 200)
    path = _fei(tmp_path / "a.tif", image, (20.0, 20.0), (240, 480))
    read = read_image(path, Sidecar(pixel_size_nm=20.1), data_bar=True)
    assert read.pixel_size_source == "Thermo/FEI tags"
    assert read.pixel_size_nm == pytest.approx(20.0)
    assert read.excluded[-40:].all()
    assert not read.excluded[:200].any()
    assert read.tags["voltage_kv"] == "5"


def test_tags_and_sidecar_must_agree(tmp_path: Path) -> None:
    path = _fei(tmp_path / "a.tif", blobs(), (20.0, 20.0), (240, 320))
    with pytest.raises(InputError, match=r"20 nm.*21 nm"):
        read_image(path, Sidecar(pixel_size_nm=21.0), data_bar=True)


def test_unequal_pixels_are_refused(tmp_path: Path) -> None:
    path = _fei(tmp_path / "a.tif", blobs(), (20.0, 25.0), (240, 320))
    with pytest.raises(InputError, match="25 nm wide and 20 nm high"):
        read_image(path, Sidecar(), data_bar=True)


def test_tags_of_a_scaled_image_are_not_believed(tmp_path: Path) -> None:
    path = _fei(tmp_path / "a.tif", blobs(), (20.0, 20.0), (480, 640))
    with pytest.raises(InputError, match="nothing says"):
        read_image(path, Sidecar(), data_bar=True)
    read = read_image(path, Sidecar(pixel_size_nm=40.0), data_bar=True)
    assert (read.pixel_size_nm, read.pixel_size_source) == (40.0, "sidecar")
    assert "cropped or scaled" in read.warnings[0]


def test_a_two_dimensional_mrc(tmp_path: Path) -> None:
    data = blobs().astype(np.float32)
    read = read_image(_mrc(tmp_path / "a.mrc", data, 45.0), Sidecar(), data_bar=False)
    assert read.pixel_size_nm == pytest.approx(4.5)
    assert read.pixel_size_source == "MRC header"
    np.testing.assert_array_equal(read.pixels, data)


@pytest.mark.parametrize("side", [0.0, 1.0])
def test_an_mrc_header_that_says_nothing(tmp_path: Path, side: float) -> None:
    path = _mrc(tmp_path / "a.mrc", blobs().astype(np.float32), side)
    with pytest.raises(InputError, match="nothing says"):
        read_image(path, Sidecar(), data_bar=False)
    assert read_image(path, _TEN, data_bar=False).pixel_size_nm == 10.0


def test_a_volume_is_no_image(tmp_path: Path) -> None:
    path = _mrc(tmp_path / "a.mrc", np.ones((4, 20, 20), np.float32), 10.0)
    with pytest.raises(InputError, match="4 slices"):
        read_image(path, _TEN, data_bar=False)


# ---- hostile files ----------------------------------------------------------------------------------------


def _tiff_header(path: Path, side: int) -> Path:
    """A TIFF of a few bytes whose header claims ``side`` x ``side`` 8-bit pixels."""
    entries = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, side),
        (279, 8),
    ]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 16) + b"\0" * 8 + struct.pack("<H", len(entries)) + body + b"\0" * 4
    )
    return path


def test_a_tiff_that_claims_a_terapixel_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    import tracemalloc

    path = _tiff_header(tmp_path / "a.tif", 10**6)
    tracemalloc.start()
    with pytest.raises(InputError, match="1000000 × 1000000"):
        read_image(path, _TEN, data_bar=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_a_tiff_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more pixels than the file holds"):
        read_image(_tiff_header(tmp_path / "a.tif", 1000), _TEN, data_bar=True)


def test_a_png_that_claims_too_much(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    import zlib

    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(InputError):
        read_image(tmp_path / "a.png", _TEN, data_bar=True)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "b.tif", "a.mrc"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.98])
def test_truncated_files_are_errors(tmp_path: Path, name: str, kept: float) -> None:
    path, image = tmp_path / name, blobs()
    if name == "a.mrc":
        _mrc(path, image.astype(np.float32), 10.0)
    elif name.endswith("tif"):
        tifffile.imwrite(path, image, compression="zlib" if name == "b.tif" else None, rowsperstrip=16)
    else:
        Image.fromarray(image).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError) as caught:
        read_image(path, _TEN, data_bar=True)
    assert caught.value.file.name == name
    assert caught.value.remedy


@pytest.mark.parametrize("value", [0, 255, 17])
def test_images_of_one_grey_show_nothing(tmp_path: Path, value: int) -> None:
    Image.fromarray(np.full((100, 100), value, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=f"all pixels have the value {value}"):
        read_image(tmp_path / "a.png", _TEN, data_bar=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: float) -> None:
    image = blobs().astype(np.float32)
    image[3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", image)
    with pytest.raises(InputError, match="1 pixels are NaN or infinite"):
        read_image(tmp_path / "a.tif", _TEN, data_bar=True)


@pytest.mark.parametrize("content", [b"hello", b"", b"\x89PNG\r\n\x1a\n", bytes(range(256)) * 40])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.mrc"])
def test_what_is_no_image_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        read_image(tmp_path / name, _TEN, data_bar=True)


def test_several_pages_are_warned_of(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([blobs(), blobs(seed=1)]), photometric="minisblack")
    read = read_image(tmp_path / "a.tif", _TEN, data_bar=False)
    np.testing.assert_array_equal(read.pixels, blobs())
    assert "2 pages" in read.warnings[0]


# ---- labels by people -------------------------------------------------------------------------------------


def test_labels_keep_their_numbers_also_in_a_palette(tmp_path: Path) -> None:
    labels = (np.arange(48 * 64).reshape(48, 64) % 7).astype(np.uint8)
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette([5, 6, 7] * 256)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.png", (48, 64), codes=LABEL_NAMES), labels)
    with pytest.raises(InputError, match=r"label 6 has no meaning\. Remedy: use 0 resin, 1 cell"):
        read_label_image(tmp_path / "a.png", (48, 64), codes={0: "resin", 1: "cell"})
    with pytest.raises(InputError, match="shape"):
        read_label_image(tmp_path / "a.png", (64, 48), codes=None)
    picture.convert("RGB").save(tmp_path / "a.png")
    with pytest.raises(InputError, match="a colour picture"):
        read_label_image(tmp_path / "a.png", (48, 64), codes=LABEL_NAMES)


# ---- real files -------------------------------------------------------------------------------------------


@needs_reference
@pytest.mark.parametrize("detector", "ABC")
def test_a_real_microscope_file(detector: str) -> None:
    path = Path(_REFERENCE or "", f"sem/vickers_bse/detector_{detector}.tif")
    read = read_image(path, Sidecar(), data_bar=True)
    assert read.pixel_size_source == "Thermo/FEI tags"
    assert read.pixel_size_nm == pytest.approx(65.1042, rel=1e-4)
    assert read.excluded[-79:].all()
    assert not read.excluded[:-79].any()


@needs_reference
def test_a_real_field_with_a_burnt_in_bar() -> None:
    path = Path(_REFERENCE or "", "sem/saccharomyces_field.jpg")
    read = read_image(path, Sidecar(scale_bar="5 um"), data_bar=True)
    assert read.pixel_size_nm == pytest.approx(21.4, rel=0.01)
    assert read.excluded[734:770, 960:1190].all()  # box and caption
    assert not read.excluded[:720].any()
    assert not read.excluded[:, :940].any()
