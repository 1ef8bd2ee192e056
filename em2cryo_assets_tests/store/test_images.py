import json
import subprocess
import sys
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

from em2cryo_assets.colours import LABEL_COLOURS
from em2cryo_assets.store.digest import digest_folder
from em2cryo_assets.store.images import read_image, read_labels, write_image
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS, SOURCE_NAMES
from em2cryo_assets_tests.memory import PEAK_MIB

_RNG = np.random.default_rng(1)
_VOLUME = _RNG.random((70, 45, 33)).astype(np.float32)
_LABELS = _RNG.integers(0, 8, _VOLUME.shape).astype(np.uint8)
_VOXEL = (40.0, 20.0, 20.5)


def _write(path: Path, **more: object) -> Path:
    labels = {"labels": _LABELS, "source": (_LABELS % 5).astype(np.uint8)}
    names = {"labels": LABEL_NAMES, "source": SOURCE_NAMES}
    write_image(path, _VOLUME, voxel_nm=_VOXEL, name="cell", labels=labels, label_names=names, chunk=32, **more)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("shape", [(5, 7), (40, 300), (9, 20, 33), (1, 64, 1)])
def test_values_come_back(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    data = (_RNG.standard_normal(shape) * 100).astype(dtype)
    voxel = tuple(float(k + 2) for k in range(len(shape)))
    write_image(tmp_path / "a", data, voxel_nm=voxel, name="a", chunk=16)
    image = read_image(tmp_path / "a")
    assert (image.voxel_nm, image.name, image.data.dtype) == (voxel, "a", np.dtype(dtype))
    np.testing.assert_array_equal(image.data.compute(), data)


def test_big_endian_input_is_stored_right(tmp_path: Path) -> None:
    data = np.arange(600, dtype=">i2").reshape(20, 30)
    write_image(tmp_path / "a", data, voxel_nm=(1, 1), name="a")
    np.testing.assert_array_equal(read_image(tmp_path / "a").data.compute(), data)


def test_reading_is_lazy(tmp_path: Path) -> None:
    image = read_image(_write(tmp_path / "a"))
    assert isinstance(image.data, da.Array)
    assert image.data.chunksize == (32, 32, 32)
    for chunk in (tmp_path / "a" / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    image = read_image(tmp_path / "a")  # no chunk was touched
    assert image.levels[1].mean().compute() == pytest.approx(_VOLUME.mean(), rel=0.01)


def test_an_independent_reader_accepts_image_and_labels(tmp_path: Path) -> None:
    import ngff_zarr

    path = _write(tmp_path / "a")
    read = ngff_zarr.from_ome_zarr(path, validate=True)
    np.testing.assert_array_equal(read.images[0].data.compute(), _VOLUME)
    assert read.images[0].scale == dict(zip("zyx", _VOXEL, strict=True))
    assert set(read.images[0].axes_units.values()) == {"nanometer"}
    for name, expected in (("labels", _LABELS), ("source", _LABELS % 5)):
        labels = ngff_zarr.from_ome_zarr(path / "labels" / name, validate=True)
        np.testing.assert_array_equal(labels.images[0].data.compute(), expected)
        assert len(labels.images) == len(read.images) == 3
        np.testing.assert_array_equal(read_labels(path, name).compute(), expected)


def test_the_model_of_the_specification_accepts_it(tmp_path: Path) -> None:
    from ome_zarr_models.v05 import Image, ImageLabel

    group = zarr.open_group(str(_write(tmp_path / "a")), mode="r")
    image = Image.from_zarr(group)
    assert image.labels is not None
    assert image.labels.label_paths == ["labels", "source"]
    labels = ImageLabel.from_zarr(zarr.open_group(str(tmp_path / "a" / "labels" / "labels"), mode="r"))
    assert labels.attributes.ome.multiscales[0].axes[0].unit == "nanometer"
    shown = json.loads((tmp_path / "a" / "labels" / "labels" / "zarr.json").read_text())
    properties = shown["attributes"]["ome"]["image-label"]["properties"]
    assert {item["label-value"]: item["name"] for item in properties} == dict(LABEL_NAMES)
    colors = shown["attributes"]["ome"]["image-label"]["colors"]
    assert len({tuple(item["rgba"]) for item in colors}) == len(LABEL_NAMES)
    in_pictures = {LABELS[name]: [*bytes.fromhex(colour[1:])] for name, colour in LABEL_COLOURS.items()}
    assert {item["label-value"]: item["rgba"][:3] for item in colors} == in_pictures


def test_a_plane_is_accepted_too(tmp_path: Path) -> None:
    import ngff_zarr

    plane = _RNG.integers(0, 9000, (700, 300)).astype(np.uint16)
    write_image(tmp_path / "a", plane, voxel_nm=(10.0, 10.0), name="plane", labels={"excluded": plane > 8000})
    read = ngff_zarr.from_ome_zarr(tmp_path / "a", validate=True)
    np.testing.assert_array_equal(read.images[0].data.compute(), plane)
    np.testing.assert_array_equal(read_labels(tmp_path / "a", "excluded").compute(), plane > 8000)


def test_a_point_stays_where_it_is_at_every_level(tmp_path: Path) -> None:
    voxel = (8.0, 4.0, 2.0)
    blob = np.exp(-((np.indices((64, 96, 128)).T - (30.2, 51.7, 60.4)) ** 2).sum(axis=-1).T / (2 * 5**2))
    labels = (blob > 0.3).astype(np.uint8)
    write_image(tmp_path / "a", blob.astype(np.float32), voxel_nm=voxel, name="a", labels={"labels": labels}, chunk=32)
    for folder, tolerance in ((tmp_path / "a", 0.02), (tmp_path / "a" / "labels" / "labels", 0.5)):
        ome = json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]
        for dataset in ome["multiscales"][0]["datasets"]:
            scale, shift = (np.array(list(item.values())[1]) for item in dataset["coordinateTransformations"])
            level = np.asarray(zarr.open_array(str(folder / dataset["path"]), mode="r")[...], dtype=float)
            centre = (np.indices(level.shape) * level).sum(axis=(1, 2, 3)) / level.sum()
            np.testing.assert_allclose((centre * scale + shift) / voxel, (30.2, 51.7, 60.4), atol=tolerance)


def test_bytes_depend_on_the_values_only(tmp_path: Path) -> None:
    digests = set()
    chunkings = [(70, 45, 33), (32, 32, 32), (7, 45, 33), (70, 5, 11)]
    for number, chunks in enumerate(chunkings):
        for scheduler in ("threads", "synchronous"):
            with dask.config.set(scheduler=scheduler):
                path = tmp_path / f"{number}{scheduler}"
                lazy = da.from_array(_VOLUME, chunks=chunks)
                write_image(path, lazy, voxel_nm=_VOXEL, name="a", labels={"l": _LABELS}, chunk=32)
                digests.add(digest_folder(path))
    write_image(tmp_path / "numpy", _VOLUME, voxel_nm=_VOXEL, name="a", labels={"l": _LABELS}, chunk=32)
    assert digests == {digest_folder(tmp_path / "numpy")}


@pytest.mark.parametrize(
    ("data", "voxel", "labels", "message"),
    [
        (np.zeros((2, 2, 2)), (1, 1, 1), {}, "float64"),
        (np.zeros(5, "u1"), (1,), {}, "shape"),
        (np.zeros((0, 4), "u1"), (1, 1), {}, "empty"),
        (np.zeros((4, 4), "u1"), (1, 1, 1), {}, "2 positive"),
        (np.zeros((4, 4), "u1"), (1, 0), {}, "2 positive"),
        (np.zeros((4, 4), "u1"), (1, np.nan), {}, "2 positive"),
        (np.zeros((4, 4), "u1"), (1, 1), {"l": np.zeros((4, 5), "u1")}, "shape"),
        (np.zeros((4, 4), "u1"), (1, 1), {"l": np.zeros((4, 4), "f4")}, "float32"),
        (np.zeros((4, 4), "u1"), (1, 1), {"../l": np.zeros((4, 4), "u1")}, "letters"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, data: np.ndarray, voxel: tuple, labels: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / "a", data, voxel_nm=voxel, name="a", labels=labels)
    assert not (tmp_path / "a").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    with pytest.raises(ValueError, match="already"):
        _write(tmp_path / "a")


def test_what_is_no_image_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an OME-Zarr"):
        read_image(tmp_path)
    with pytest.raises(ValueError, match="not an OME-Zarr"):
        read_labels(_write(tmp_path / "a"), "other")
    path = tmp_path / "a" / "zarr.json"
    path.write_text(path.read_text().replace('"nanometer"', '"micrometer"'))
    with pytest.raises(ValueError, match="micrometer"):
        read_image(tmp_path / "a")


_BIG = (
    PEAK_MIB
    + """
import resource, sys
import dask.array as da, numpy as np
from em2cryo_assets.store.images import write_image
write_image(sys.argv[1] + "/warm", np.zeros((200, 200, 200), "u2"), voxel_nm=(1, 1, 1), name="a", chunk=128)
before = peak_mib()
def block(block_info=None):
    z = block_info[None]["array-location"][0][0]
    return (np.arange(128**3, dtype="u2") * 7 + z).reshape(128, 128, 128)
data = da.map_blocks(block, chunks=((128,) * 4,) * 3, dtype="u2", meta=np.empty((0, 0, 0), "u2"))
used = resource.getrusage(resource.RUSAGE_SELF)
write_image(sys.argv[1] + "/a", data, voxel_nm=(1, 1, 1), name="a")
after = resource.getrusage(resource.RUSAGE_SELF)
print(peak_mib() - before, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
"""
)


def test_half_a_thousand_cubed_takes_bounded_memory_and_few_seconds(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _BIG, str(tmp_path)], capture_output=True, text=True, check=True)
    mebibytes, cpu_s = map(float, done.stdout.split())
    assert mebibytes < 400  # the volume has 256; a 64 MiB piece, its dask blocks and its halves are in use
    assert cpu_s < 15  # about 2 on an idle machine; generous because CI is not


def test_a_coarser_level_lies_where_its_voxels_were(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(64.0), np.add.outer(np.arange(64.0), np.arange(64.0))).astype(np.float32)
    write_image(tmp_path / "fine", ramp, voxel_nm=(2.0, 2.0, 2.0), name="a", chunk=16)
    image = read_image(tmp_path / "fine")
    coarse, origin = image.coarsened(8.0, 10**9)
    assert coarse.voxel_nm == (8.0, 8.0, 8.0)
    assert coarse.data.shape == (16, 16, 16)
    # On a ramp the value says where a voxel's centre is, in fine voxels along the three axes together.
    assert float(coarse.data[0, 0, 0].compute()) * 2.0 == pytest.approx(sum(origin))
    write_image(tmp_path / "labels", coarse.data, voxel_nm=coarse.voxel_nm, name="b", origin_nm=origin, chunk=16)
    ome = json.loads((tmp_path / "labels" / "zarr.json").read_text())["attributes"]["ome"]
    first = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert first == [{"type": "scale", "scale": [8.0] * 3}, {"type": "translation", "translation": list(origin)}]


@pytest.mark.parametrize(
    ("largest_nm", "most", "side"), [(8.0, 10**9, 8.0), (7.9, 10**9, 4.0), (1.0, 10**9, 2.0), (1.0, 4096, 8.0)]
)
def test_levels_are_passed_over_for_their_voxel_or_their_size(
    tmp_path: Path, largest_nm: float, most: int, side: float
) -> None:
    write_image(tmp_path / "a", np.zeros((64, 64, 64), np.uint8), voxel_nm=(2.0,) * 3, name="a", chunk=16)
    image, _ = read_image(tmp_path / "a").coarsened(largest_nm, most)
    assert max(image.voxel_nm) == side
