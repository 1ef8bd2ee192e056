"""Files of microscopes' own programs give their pixels, their pixel size and what the microscope wrote, or a reason."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.image import read_image
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets.formats.vendor_files import read_vendor_file
from em2cryo_assets_tests.formats.drawn import blobs
from em2cryo_assets_tests.formats.vendor_writers import write_berkeley, write_dm, write_emi, write_ser, write_velox

pytest.importorskip("rsciio", reason="the extra vendor-formats is not installed")
h5py = pytest.importorskip("h5py", reason="the extra vendor-formats is not installed")

_ROOM = 1 << 30
IMAGE = (np.arange(40 * 50).reshape(40, 50) * 7 % 1000).astype(np.uint16)
WRITERS: dict[str, Callable[[Path, NDArray[np.uint16]], Path]] = {
    "a.dm3": lambda path, pixels: write_dm(path, pixels, 2.5, "nm"),
    "a.dm4": lambda path, pixels: write_dm(path, pixels, 0.0025, "µm"),
    "a_1.ser": lambda path, pixels: write_ser(path, pixels, 2.5e-9),
    "velox.emd": lambda path, pixels: write_velox(path, {"Ceta": pixels}, 2.5e-9),
    "berkeley.emd": lambda path, pixels: write_berkeley(path, pixels, 2.5, "[n_m]"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_pixels_and_their_size_arrive_as_written(tmp_path: Path, name: str) -> None:
    read = read_image(WRITERS[name](tmp_path / name, IMAGE), Sidecar(), data_bar=False)
    np.testing.assert_array_equal(read.pixels, IMAGE)
    assert read.pixel_size_nm == pytest.approx(2.5, rel=1e-6)
    assert read.pixel_size_source.split()[0] in ("DM3", "DM4", "SER", "EMD")
    assert read.warnings == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_sidecar_of_another_pixel_size_is_refused(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / name, IMAGE)
    with pytest.raises(InputError, match=r"2\.5 nm, by the sidecar 3 nm"):
        read_image(path, Sidecar(pixel_size_nm=3.0), data_bar=False)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_types_of_pixels_survive(tmp_path: Path, kind: type) -> None:
    pixels = (IMAGE % 100).astype(kind)
    for path in (write_dm(tmp_path / "a.dm3", pixels), write_ser(tmp_path / "a_1.ser", pixels, 1e-9)):
        np.testing.assert_array_equal(read_vendor_file(path, _ROOM).pixels, pixels)


@pytest.mark.parametrize("name", ["a.dm3", "velox.emd"])
def test_what_the_microscope_wrote_is_kept(tmp_path: Path, name: str) -> None:
    tags = read_image(WRITERS[name](tmp_path / name, IMAGE), Sidecar(), data_bar=False).tags
    assert float(tags["voltage_kv"]) == {"a.dm3": 120, "velox.emd": 300}[name]
    if name == "velox.emd":
        assert float(tags["tilt_deg"]) == pytest.approx(np.degrees(0.1), abs=0.01)


@pytest.mark.parametrize("name", ["field.emi", "field_1.ser.emi"])
def test_the_emi_beside_a_ser_is_read_whatever_the_inbox_calls_it(tmp_path: Path, name: str) -> None:
    path = write_ser(tmp_path / "field_1.ser", IMAGE, 2e-9)
    assert read_image(path, Sidecar(), data_bar=False).tags == {}
    write_emi(tmp_path / name)
    tags = read_image(path, Sidecar(), data_bar=False).tags
    assert (float(tags["voltage_kv"]), float(tags["tilt_deg"]), float(tags["magnification"])) == (200, -3.5, 29000)


def test_a_pixel_without_a_unit_is_no_pixel_size(tmp_path: Path) -> None:
    path = write_dm(tmp_path / "a.dm3", IMAGE, 1.0, "")
    with pytest.raises(InputError, match="nothing says how large a pixel is"):
        read_image(path, Sidecar(), data_bar=False)
    assert read_image(path, Sidecar(pixel_size_nm=4.0), data_bar=False).pixel_size_source == "sidecar"


def test_several_images_are_named_and_not_chosen_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 images: “image 1”, 40 × 50, nm; “image 2”.*Remedy: save the one"):
        read_image(write_dm(tmp_path / "a.dm4", [IMAGE, IMAGE]), Sidecar(), data_bar=False)
    path = write_velox(tmp_path / "a.emd", {"Ceta": IMAGE, "HAADF": IMAGE})
    with pytest.raises(InputError, match=r"“Ceta”.*“HAADF”"):
        read_image(path, Sidecar(), data_bar=False)


def test_a_series_is_no_image(tmp_path: Path) -> None:
    stack = np.stack([IMAGE, IMAGE + 1, IMAGE])
    for path in (
        write_dm(tmp_path / "a.dm4", stack),
        write_ser(tmp_path / "a_1.ser", stack, 1e-9),
        write_velox(tmp_path / "a.emd", {"Ceta": stack}),
    ):
        with pytest.raises(InputError, match="3 images of 40 × 50"):
            read_image(path, Sidecar(), data_bar=False)


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    for path in (
        write_dm(tmp_path / "diffraction.dm3", IMAGE, 0.1, "1/nm"),
        write_dm(tmp_path / "transform.dm3", IMAGE.astype(np.complex64)),
    ):
        with pytest.raises(InputError, match="holds no image"):
            read_vendor_file(path, _ROOM)
    write_emi(tmp_path / "b.emi", mode="TEM uP Diffraction")
    with pytest.raises(InputError, match=r"holds no image .*1 / nm"):
        read_vendor_file(write_ser(tmp_path / "b_1.ser", IMAGE, 2e-9), _ROOM)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dm(tmp_path / "a.dm4", IMAGE)
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    with pytest.raises(InputError, match=r"not installed.*vendor-formats.*TIFF or MRC"):
        read_image(path, Sidecar(), data_bar=False)


# ---- hostile files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_truncated_files_are_errors(tmp_path: Path, name: str, kept: float) -> None:
    path = WRITERS[name](tmp_path / name, blobs().astype(np.uint16))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError) as caught:
        read_image(path, Sidecar(), data_bar=False)
    assert caught.value.file.name == name
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["a.dm3", "a.dm4", "a.emd", "a.ser"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 40, b"\x89HDF\r\n\x1a\n" + b"\xff" * 500])
def test_what_is_no_such_file_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        read_image(tmp_path / name, Sidecar(), data_bar=False)


@pytest.mark.parametrize("name", ["a.dm3", "a.dm4", "a_1.ser", "a.emd"])
def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    import tracemalloc

    path = tmp_path / name
    if name.endswith("emd"):
        write_velox(path, {"Ceta": IMAGE})
        with h5py.File(path, "r+") as file:  # never written, so the file stays small
            group = file[f"Data/Image/{0:032x}"]
            del group["Data"]
            group.create_dataset("Data", shape=(60_000, 60_000, 1), dtype="u2", chunks=(600, 600, 1))
    elif name.endswith("ser"):
        write_ser(path, IMAGE, 1e-9, claimed=60_000)
    else:
        write_dm(path, IMAGE, claimed=60_000)
    tracemalloc.start()
    with pytest.raises(InputError):
        read_vendor_file(path, _ROOM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_hdf5_that_leads_out_of_the_file_is_refused(tmp_path: Path) -> None:
    write_velox(tmp_path / "secret.emd", {"Ceta": IMAGE})
    key = f"Data/Image/{0:032x}"
    for how in ("link", "external", "virtual"):
        path = write_velox(tmp_path / f"{how}.emd", {"Ceta": IMAGE})
        with h5py.File(path, "r+") as file:
            del file[key]["Data"]
            if how == "link":
                file[key]["Data"] = h5py.ExternalLink("secret.emd", f"{key}/Data")
            elif how == "external":
                outside = [(str(tmp_path / "secret.emd"), 0, IMAGE.nbytes)]
                file[key].create_dataset("Data", shape=(40, 50, 1), dtype="u2", external=outside)
            else:
                layout = h5py.VirtualLayout(shape=(40, 50, 1), dtype="u2")
                layout[:] = h5py.VirtualSource(tmp_path / "secret.emd", f"{key}/Data", shape=(40, 50, 1))
                file[key].create_virtual_dataset("Data", layout)
        with pytest.raises(InputError, match=r"other files|another file"):
            read_vendor_file(path, _ROOM)


def test_texts_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    path = write_velox(tmp_path / "a.emd", {"Ceta": IMAGE})
    with h5py.File(path, "r+") as file:
        group = file[f"Data/Image/{0:032x}"]
        del group["Metadata"]
        group.create_dataset("Metadata", shape=(1 << 40, 1), dtype="u1", chunks=(1 << 20, 1))
    with pytest.raises(InputError, match="64 MiB of text"):
        read_vendor_file(path, _ROOM)


def test_an_emi_that_defines_entities_is_refused(tmp_path: Path) -> None:
    path = write_ser(tmp_path / "a_1.ser", IMAGE, 1e-9)
    write_emi(tmp_path / "a.emi", extra='<!DOCTYPE a [<!ENTITY a "aaaa">]>')
    with pytest.raises(InputError, match=r"a\.emi: its XML defines entities"):
        read_vendor_file(path, _ROOM)


def test_a_ser_of_spectra_is_told_by_its_header(tmp_path: Path) -> None:
    path = write_ser(tmp_path / "a_1.ser", IMAGE, 1e-9)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 6, 0x4120)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="spectra"):
        read_vendor_file(path, _ROOM)
