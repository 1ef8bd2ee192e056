"""Opening tomograms: containers, voxel sizes, axes, signs, and everything that can be wrong with a file."""

import gzip
import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from em2cryo_assets.cryoet.labels import label_tomogram
from em2cryo_assets.cryoet.mrc import ASSUMED_TILTS_DEG, open_tomogram
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar

VOLUME = np.random.default_rng(0).integers(-100, 100, size=(6, 10, 12)).astype(np.int16)
LAMELLA = Sidecar(modality="lamella", contrast="bright-is-dense", tilts_deg=ASSUMED_TILTS_DEG)


def write(path: Path, volume=VOLUME, voxel_angstrom=80.0, axes=(1, 2, 3)):
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(volume)
        mrc.voxel_size = voxel_angstrom
        mrc.header.mapc, mrc.header.mapr, mrc.header.maps = axes
    return path


def test_voxels_and_size_come_from_the_header(tmp_path):
    tomogram = open_tomogram(write(tmp_path / "a.mrc"), LAMELLA)
    np.testing.assert_array_equal(tomogram.data.compute(), VOLUME.astype(np.float32))
    assert tomogram.voxel_nm == pytest.approx((8, 8, 8))
    assert (tomogram.voxel_source, tomogram.warnings, tomogram.denoised) == ("MRC header", [], False)
    assert [line.split(";")[0] for line in tomogram.fallbacks] == ["The handedness was not recorded"]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("big_endian", [False, True])
def test_every_mode_and_byte_order(tmp_path, dtype, big_endian):
    volume = np.abs(VOLUME).astype(dtype)
    volume = volume.astype(volume.dtype.newbyteorder(">")) if big_endian else volume
    read = open_tomogram(write(tmp_path / "a.rec", volume), LAMELLA).data.compute()
    np.testing.assert_array_equal(read, volume.astype(np.float32))


def test_gzip_reads_like_the_plain_file(tmp_path):
    plain = write(tmp_path / "a.mrc")
    packed = tmp_path / "a.mrc.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one, two = (open_tomogram(path, LAMELLA) for path in (plain, packed))
    np.testing.assert_array_equal(one.data.compute(), two.data.compute())
    assert one.voxel_nm == two.voxel_nm


def test_plain_files_are_read_lazily_and_travel_as_a_path(tmp_path):
    import pickle

    tomogram = open_tomogram(
        write(tmp_path / "a.mrc", np.random.default_rng(1).random((64, 64, 64), np.float32)), LAMELLA
    )
    assert len(pickle.dumps(tomogram.data)) < 100_000


@pytest.mark.parametrize("axes", [(1, 2, 3), (3, 1, 2), (2, 1, 3), (1, 3, 2)])
def test_axis_order_of_the_header_is_honoured(tmp_path, axes):
    """mapc, mapr, maps say which of x, y, z the columns, rows and sections are."""
    path = write(tmp_path / "a.map", axes=axes)
    with mrcfile.open(path, mode="r+") as mrc:
        mrc.header.mx, mrc.header.my, mrc.header.mz = 10, 10, 10
        mrc.header.cella.x, mrc.header.cella.y, mrc.header.cella.z = 100, 200, 300
    tomogram = open_tomogram(path, Sidecar(modality="fib-sem", contrast="bright-is-dense"))
    stored = {axes[2]: 0, axes[1]: 1, axes[0]: 2}
    np.testing.assert_array_equal(tomogram.data.compute(), VOLUME.transpose(stored[3], stored[2], stored[1]))
    assert tomogram.voxel_nm == pytest.approx((3, 2, 1))


def test_unsigned_bytes_of_old_imod_files(tmp_path):
    path = write(tmp_path / "a.mrc", np.array([[[1, -1], [2, -2]]] * 2, dtype=np.int8))
    raw = bytearray(path.read_bytes())
    raw[152:160] = np.array([1146047817, 0], dtype="<i4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_array_equal(open_tomogram(path, LAMELLA).data.compute()[0], [[1, 255], [2, 254]])


@pytest.mark.parametrize("missing", [0.0, 1.0])
def test_header_voxel_of_zero_or_one_angstrom_is_missing(tmp_path, missing):
    path = write(tmp_path / "a.mrc", voxel_angstrom=missing)
    with pytest.raises(InputError, match=r"voxel_size_nm = .* into a\.mrc\.toml"):
        open_tomogram(path, LAMELLA)
    tomogram = open_tomogram(path, Sidecar(voxel_size_nm=1.35))
    assert tomogram.voxel_nm == (1.35, 1.35, 1.35)
    assert tomogram.voxel_source == "sidecar"


def test_disagreement_over_one_percent_is_told_and_the_header_kept(tmp_path):
    path = write(tmp_path / "a.mrc")
    assert open_tomogram(path, Sidecar(voxel_size_nm=8.05)).warnings == []
    tomogram = open_tomogram(path, Sidecar(voxel_size_nm=8.2))
    assert tomogram.voxel_nm == pytest.approx((8, 8, 8))
    assert "8.2" in tomogram.warnings[0]


def test_density_is_high_where_matter_is_dense(tmp_path):
    path = write(tmp_path / "a.mrc")
    dark = open_tomogram(path, Sidecar(contrast="dark-is-dense", modality="lamella"))
    np.testing.assert_array_equal(dark.data.compute(), -VOLUME.astype(np.float32))
    guessed = open_tomogram(path, Sidecar(modality="lamella"))
    np.testing.assert_array_equal(guessed.data.compute(), -VOLUME.astype(np.float32))
    assert any("contrast" in line for line in guessed.fallbacks)
    assert any("Tilt angles" in line for line in guessed.fallbacks)


def test_slab_with_thin_y_is_turned_without_mirroring(tmp_path):
    volume = np.random.default_rng(2).normal(size=(40, 8, 30)).astype(np.float32)
    tomogram = open_tomogram(write(tmp_path / "a.rec", volume), LAMELLA)
    assert tomogram.data.shape == (8, 40, 30)
    # A rotation about x: (z, y) -> (y, -z); its determinant is +1.
    np.testing.assert_array_equal(tomogram.data.compute(), volume.transpose(1, 0, 2)[:, ::-1])
    assert "turned by 90 degrees" in tomogram.fallbacks[0]
    assert "nothing was mirrored" in tomogram.fallbacks[1]


def damage(path: Path, how: str):
    raw = bytearray(path.read_bytes())
    if how == "truncated":
        raw = raw[:-100]
    elif how == "header only in part":
        raw = raw[:500]
    elif how == "huge":
        raw[0:12] = np.array([10**6, 10**6, 10**6], dtype="<i4").tobytes()
    elif how == "complex":
        raw[12:16] = np.array([4], dtype="<i4").tobytes()
    elif how == "text":
        raw = bytearray(b"voxels " * 400)
    elif how == "axes":
        raw[64:76] = np.array([1, 1, 3], dtype="<i4").tobytes()
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", "truncated"),
        ("header only in part", "1024"),
        ("huge", "1000000"),
        ("complex", "mode 4"),
        ("text", "not an MRC"),
        ("axes", "permutation"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_files_end_in_a_sentence(tmp_path, how, words, packed):
    path = damage(write(tmp_path / "a.mrc"), how)
    if packed:
        (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "a.mrc.gz"
    with pytest.raises(InputError, match=words):
        open_tomogram(path, LAMELLA)


def test_cut_gzip_stream(tmp_path):
    packed = gzip.compress(write(tmp_path / "a.mrc").read_bytes())
    path = tmp_path / "b.mrc.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="cut short"):
        open_tomogram(path, LAMELLA)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (np.inf, "infinite"), (None, "every voxel")])
def test_unusable_voxels(tmp_path, value, words):
    volume = np.zeros((4, 5, 6), dtype=np.float32)
    if value is not None:
        volume[0, 0, 0] = 1
        volume[3, 2, 1] = value
    with pytest.warns(RuntimeWarning) if value is not None else _nothing():
        path = write(tmp_path / "a.mrc", volume)
    with pytest.raises(InputError, match=words):
        open_tomogram(path, LAMELLA)


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_unknown_missing_and_misnamed(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_tomogram(tmp_path / "a.mrc", LAMELLA)
    (tmp_path / "a.em").write_bytes(b"x" * 2000)
    with pytest.raises(InputError, match="no known tomogram format"):
        open_tomogram(tmp_path / "a.em", LAMELLA)
    with pytest.raises(InputError, match="no tomogram"):
        open_tomogram(write(tmp_path / "b.mrc"), Sidecar(modality="sem"))


def imagej(path: Path, unit="nm", **kwargs):
    volume = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
    metadata = {"spacing": 2.0, "unit": unit, "axes": "ZYX"}
    tifffile.imwrite(path, volume, imagej=True, resolution=(0.5, 0.25), metadata=metadata, **kwargs)
    return volume


def test_imagej_stack(tmp_path):
    volume = imagej(tmp_path / "a.tif")
    tomogram = open_tomogram(tmp_path / "a.tif", LAMELLA)
    np.testing.assert_array_equal(tomogram.data.compute(), volume)
    assert tomogram.voxel_nm == pytest.approx((2, 4, 2))
    assert "differ" in tomogram.warnings[0]


def test_tiff_dots_per_inch_are_no_voxel_size(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.arange(120, dtype=np.uint8).reshape(4, 5, 6),
        resolution=(300, 300),
        photometric="minisblack",
    )
    with pytest.raises(InputError, match="voxel_size_nm"):
        open_tomogram(tmp_path / "a.tif", LAMELLA)


def test_colour_and_broken_tiffs(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((5, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="axes"):
        open_tomogram(tmp_path / "rgb.tif", LAMELLA)
    imagej(tmp_path / "a.tif")
    raw = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(raw[:400])
    with pytest.raises(InputError, match="4 planes"):
        open_tomogram(tmp_path / "b.tif", LAMELLA)


def test_a_single_image_is_no_volume_unless_it_is_an_overview(tmp_path):
    path = write(tmp_path / "map.mrc", VOLUME[:1])
    for sidecar in (LAMELLA, Sidecar()):
        with pytest.raises(InputError, match=r'single image.*modality = "overview"'):
            open_tomogram(path, sidecar)
    assert open_tomogram(path, Sidecar(modality="overview")).density.shape == (1, *VOLUME.shape[1:])


REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")


@pytest.mark.skipif(REFERENCE is None, reason="EM2CRYO_REFERENCE_DATA is not set: no real tomograms here")
@pytest.mark.parametrize(
    ("name", "shape", "voxel_nm"),
    [
        ("EMD-3197.map", (20, 20, 20), (1.14, 1.14, 1.14)),
        ("EMD-3001.map", (73, 25, 43), (0.045875, 0.03925, 0.044825)),
        ("yeast_npc_spoke.mrc.gz", (115, 130, 80), (0.53, 0.53, 0.53)),
        ("microtubule_13pf.tif", (36, 206, 94), (1.052, 1.052, 1.052)),
    ],
)
def test_real_files_open_and_say_that_they_hold_no_cell(name, shape, voxel_nm):
    tomogram = open_tomogram(Path(str(REFERENCE)) / "cryoet" / name, Sidecar())
    assert tomogram.data.shape == shape
    assert tomogram.voxel_nm == pytest.approx(voxel_nm, rel=1e-4)
    result = label_tomogram(tomogram.data.compute(), tomogram.voxel_nm, tomogram.modality)
    assert not result.labels.any()
    assert result.warnings[0].startswith("no cell found: ")


def test_tilts_beside_a_slab_are_read_and_a_damaged_list_is_told(tmp_path):
    path = tmp_path / "TS_01.mrc"
    with mrcfile.new(path) as out:
        out.set_data(np.random.default_rng(0).normal(size=(8, 20, 20)).astype(np.float32))
        out.voxel_size = 8.0
    path.with_suffix(".rawtlt").write_text("-20\n0\n20\n")
    assert open_tomogram(path, Sidecar()).tilts_deg == (-20.0, 0.0, 20.0)
    assert open_tomogram(path, Sidecar(tilts_deg=(-5.0, 5.0))).tilts_deg == (-5.0, 5.0)
    assert open_tomogram(path, Sidecar(modality="soft-x-ray")).tilts_deg is None
    path.with_suffix(".rawtlt").write_text("-20\nzero\n")
    damaged = open_tomogram(path, Sidecar())
    assert damaged.tilts_deg is None
    assert any("TS_01.rawtlt" in warning for warning in damaged.warnings)
