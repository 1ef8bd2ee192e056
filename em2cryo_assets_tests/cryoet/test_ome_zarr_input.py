"""OME-Zarr folders as others write them, and what a hostile one may try."""

import json
import shutil
from pathlib import Path

import ngff_zarr
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec

from em2cryo_assets.cryoet.mrc import open_tomogram
from em2cryo_assets.cryoet.ome_zarr_input import read_ome_zarr
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets.store.images import write_image

VOLUME = np.random.default_rng(0).integers(-100, 100, size=(12, 20, 30)).astype("i2")
LAMELLA = Sidecar(modality="lamella", contrast="bright-is-dense")


def by_ngff_zarr(path: Path, version: str, *, unit: str = "angstrom", side: float = 80.0) -> Path:
    image = ngff_zarr.to_ngff_image(
        VOLUME, dims=["z", "y", "x"], scale=dict.fromkeys("zyx", side), axes_units=dict.fromkeys("zyx", unit)
    )
    scales = ngff_zarr.to_multiscales(image, scale_factors=[2], chunks=8, method=ngff_zarr.Methods.DASK_BIN_SHRINK)
    ngff_zarr.to_ome_zarr(path, scales, version=version)
    return path


def by_hand(
    path: Path, *, zarr_format: int = 3, data: np.ndarray = VOLUME, axes: object = None, **array: object
) -> Path:
    """A group with one level, as small as the specification allows; units nm, voxels of 2 x 3 x 4 nm."""
    array = {"chunks": (*(1,) * (data.ndim - 3), 8, 8, 8), **array}
    group = zarr.create_group(path, zarr_format=zarr_format)  # type: ignore[arg-type]
    group.create_array("a/b", data=data, **array)  # type: ignore[arg-type]
    names = "tczyx"[-data.ndim :]
    axes = axes or [{"name": n, "type": "space", "unit": "nanometer"} for n in names]
    scale = [1.0] * (data.ndim - 3) + [2.0, 3.0, 4.0]
    datasets = [{"path": "a/b", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
    multiscales = [{"axes": axes, "datasets": datasets, "version": "0.4"}]
    if zarr_format == 2:
        group.attrs["multiscales"] = multiscales
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("unit", "side"), [("angstrom", 80.0), ("nanometer", 8.0), ("micrometer", 0.008)])
def test_what_another_program_wrote_is_read(tmp_path: Path, version: str, unit: str, side: float) -> None:
    tomogram = open_tomogram(by_ngff_zarr(tmp_path / "a.ome.zarr", version, unit=unit, side=side), LAMELLA)
    np.testing.assert_array_equal(tomogram.data.compute(), VOLUME.astype("f4"))
    assert tomogram.voxel_nm == pytest.approx((8, 8, 8))
    assert (tomogram.voxel_source, tomogram.warnings) == ("OME-Zarr metadata", [])


def test_what_this_package_wrote_is_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", VOLUME, voxel_nm=(4.0, 3.0, 2.0), name="a", chunk=16)
    tomogram = open_tomogram(tmp_path / "a.zarr", LAMELLA)
    np.testing.assert_array_equal(tomogram.density[3:9, :, 5:28], VOLUME[3:9, :, 5:28])
    assert tomogram.voxel_nm == (4.0, 3.0, 2.0)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("leading", [0, 1, 2])
def test_one_time_point_and_one_channel_may_come_first(tmp_path: Path, zarr_format: int, leading: int) -> None:
    data = VOLUME.reshape((1,) * leading + VOLUME.shape)
    raw = read_ome_zarr(by_hand(tmp_path / "a.zarr", zarr_format=zarr_format, data=data))
    assert raw.voxel_nm == (2, 3, 4)
    np.testing.assert_array_equal(raw.array[2:7, :, 3:4], VOLUME[2:7, :, 3:4])
    assert raw.array.shape == VOLUME.shape


def test_scales_of_the_whole_image_count_too(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.zarr")
    content = json.loads((path / "zarr.json").read_text())
    content["attributes"]["ome"]["multiscales"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [10.0, 10.0, 10.0]}
    ]
    (path / "zarr.json").write_text(json.dumps(content))
    assert read_ome_zarr(path).voxel_nm == (20, 30, 40)


@pytest.mark.parametrize("axes", [["z", "y", "x"], [{"name": n, "type": "space"} for n in "zyx"]])
def test_axes_without_a_unit_give_no_voxel_size(tmp_path: Path, axes: list) -> None:
    path = by_hand(tmp_path / "a.zarr", axes=axes)
    with pytest.raises(InputError, match=r"voxel_size_nm = .* into a\.zarr\.toml"):
        open_tomogram(path, LAMELLA)
    assert open_tomogram(path, Sidecar(voxel_size_nm=1.5)).voxel_nm == (1.5, 1.5, 1.5)


def test_one_angstrom_along_all_sides_is_missing(tmp_path: Path) -> None:
    assert read_ome_zarr(by_ngff_zarr(tmp_path / "a.zarr", "0.4", side=1.0)).voxel_nm is None


def test_absent_chunks_are_told(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.zarr")
    (path / "a" / "b" / "c" / "0" / "0" / "1").unlink()
    tomogram = open_tomogram(path, LAMELLA)
    assert any("1 of 24 chunks are absent and read as 0" in line for line in tomogram.warnings)


def test_a_damaged_chunk_ends_in_a_sentence(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.zarr", compressors=BloscCodec())
    for chunk in (path / "a" / "b" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"no blosc")
    with pytest.raises(InputError, match="cannot be decoded"):
        open_tomogram(path, LAMELLA)


def _no_group(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _metadata(path: Path, edit: str, into: str) -> None:
    file = path / "zarr.json"
    text = file.read_text()
    assert edit in text
    file.write_text(text.replace(edit, into))


def _array(path: Path, **fields: object) -> None:
    file = path / "a" / "b" / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def _grid(side: int) -> dict[str, object]:
    return {"name": "regular", "configuration": {"chunk_shape": [side, side, side]}}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_no_group, "no Zarr group"),
        (lambda path: (path / "zarr.json").write_text("{"), "cannot be read"),
        (lambda path: (path / "zarr.json").write_text("[" * 100_000), "cannot be read"),
        (lambda path: _metadata(path, '"multiscales"', '"plates"'), "no multiscale image"),
        (lambda path: _metadata(path, '"datasets"', '"data"'), "not those of OME-Zarr"),
        (lambda path: _metadata(path, '"z"', '"c"'), "its axes are c, y, x"),
        (lambda path: _metadata(path, '"a/b"', '"a/../../other"'), "outside the folder"),
        (lambda path: _metadata(path, '"a/b"', '"/etc"'), "outside the folder"),
        (lambda path: _metadata(path, '"a/b"', '"c"'), "is missing"),
        (lambda path: (path / "a" / "b" / "c" / "x").symlink_to("/etc/hostname"), "a link or a special file"),
        (lambda path: (path / "more").symlink_to(path.parent, target_is_directory=True), "a link or a special file"),
        (lambda path: _array(path, shape=[2**17, 20, 30]), "no volume has"),
        (lambda path: _array(path, shape=[60_000] * 3), "the limit is"),
        (lambda path: _array(path, chunk_grid=_grid(4096)), "GiB each"),
        (lambda path: _array(path, codecs=[{"name": "numcodecs.pickle", "configuration": {}}]), "packed with pickle"),
        (lambda path: _array(path, data_type="complex64", fill_value=[0, 0]), "no density"),
        (lambda path: _array(path, data_type="nonsense"), "cannot be opened"),
    ],
)
def test_what_cannot_or_must_not_be_read_is_refused(tmp_path: Path, damage, words: str) -> None:
    path = by_hand(tmp_path / "a.zarr")
    damage(path)
    with pytest.raises(InputError, match=words) as refused:
        read_ome_zarr(path)
    assert "Remedy: " in str(refused.value)


def test_a_codec_that_would_run_code_is_refused_in_either_version(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.zarr", zarr_format=2)
    file = path / "a" / "b" / ".zarray"
    for fields in ({"compressor": {"id": "pickle"}}, {"filters": [{"id": "delta"}, {"id": "pickle"}]}):
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
        with pytest.raises(InputError, match="pickle"):
            read_ome_zarr(path)


def test_two_channels_are_refused(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.zarr", data=np.stack([VOLUME, VOLUME]))
    with pytest.raises(InputError, match="more than one volume"):
        read_ome_zarr(path)


def test_a_folder_of_another_name_is_no_tomogram(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_tomogram(by_hand(tmp_path / "a.folder"), LAMELLA)
