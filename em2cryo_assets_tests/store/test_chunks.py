"""A damaged chunk is an error when it is read, never other numbers."""

import pickle
import shutil
from pathlib import Path

import dask
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.store.chunks import DamagedChunkError
from em2cryo_assets.store.images import read_image, read_labels, write_image

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(0, 300, (20, 20, 20)).astype(np.int16)
LABELS = (IMAGE > 200).astype(np.uint8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "a.ome.zarr"
    write_image(path, IMAGE, voxel_nm=(1, 1, 1), name="a", labels={"l": LABELS}, chunk=10)
    return path


@given(st.sampled_from(["0/c/0/1/0", "1/c/0/0/0", "labels/l/0/c/1/1/1"]), st.integers(0, 10**6), st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, name: str, at: int, bit: int
) -> None:
    copy = tmp_path_factory.mktemp("copy") / "a.ome.zarr"
    shutil.copytree(whole, copy)
    chunk = copy / name
    content = bytearray(chunk.read_bytes())
    content[at % len(content)] ^= 1 << bit
    chunk.write_bytes(content)
    with pytest.raises(DamagedChunkError, match="em2cryo store verify --set-aside") as told:
        dask.compute(*read_image(copy).levels, read_labels(copy, "l"), scheduler="synchronous")
    assert str(chunk).startswith(told.value.folder)
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)  # noqa: S301 - our own, just made
    shutil.rmtree(copy.parent)


@pytest.mark.parametrize("length", [0, 3, 100])
def test_a_shortened_chunk_is_noticed(whole: Path, tmp_path: Path, length: int) -> None:
    copy = tmp_path / "a.ome.zarr"
    shutil.copytree(whole, copy)
    chunk = copy / "0/c/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:length])
    with pytest.raises(DamagedChunkError):
        read_image(copy).data.compute(scheduler="synchronous")
    assert (read_image(copy).data[10:].compute() == IMAGE[10:]).all()  # the others are read as ever
