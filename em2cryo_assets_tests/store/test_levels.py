"""The writer of levels against zarr's own, byte by byte."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, Crc32cCodec

from em2cryo_assets.store import levels
from em2cryo_assets.store.levels import write_levels
from em2cryo_assets.store.pyramid import halve_image, halve_labels, level_shapes


def by_zarr(group: zarr.Group, data: np.ndarray, side: int, axes: list[str], halve) -> None:
    """Each level as a whole, by zarr."""
    for number, shape in enumerate(level_shapes(data.shape, side)):
        data = data if number == 0 else halve(data)
        assert data.shape == shape
        group.create_array(
            str(number),
            data=data,
            chunks=tuple(min(side, n) for n in shape),
            compressors=[BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"), Crc32cCodec()],
            dimension_names=axes,
            fill_value=0,
        )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(deadline=None, max_examples=60)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 40)] * 3)),
    dtype=st.sampled_from(["i1", "u1", "u2", "i2", "i4", "f4"]),
    side=st.sampled_from([3, 4, 8]),
    room=st.sampled_from([1, 4096, 16384, 1 << 20]),
    labels=st.booleans(),
    seed=st.integers(0, 99),
)
def test_bytes_are_those_of_zarr(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, ...],
    dtype: str,
    side: int,
    room: int,
    labels: bool,
    seed: int,
) -> None:
    """Whatever the boxes; with stretches of zeros, whose chunks zarr leaves out, and of negative zeros, which it keeps."""
    data = (np.random.default_rng(seed).standard_normal(shape) * 100).astype(dtype)
    data[: shape[0] // 2] = -0.0 if dtype == "f4" and seed % 2 else 0
    halve = halve_labels if labels else halve_image
    axes = ["z", "y", "x"][-len(shape) :]
    folder = tmp_path_factory.mktemp("levels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "_BOX_BYTES", room)
        patch.setattr(levels, "_ROW_BYTES", room)
        write_levels(zarr.create_group(folder / "ours"), data, side, axes, halve)
    by_zarr(zarr.create_group(folder / "zarr"), data, side, axes, halve)
    assert files(folder / "ours") == files(folder / "zarr")


def test_every_voxel_is_read_once_and_in_small_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_BOX_BYTES", 1 << 16)
    monkeypatch.setattr(levels, "_ROW_BYTES", 1 << 16)

    class Counted:
        shape, dtype = (70, 90, 130), np.dtype("i2")
        times = np.zeros(shape, int)

        def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
            sides = [part.stop - part.start for part in box]
            assert np.prod(sides) * 2 <= 1 << 16
            self.times[box] += 1
            return np.ones(sides, self.dtype)

    counted = Counted()
    write_levels(zarr.create_group(tmp_path / "a"), counted, 16, ["z", "y", "x"], halve_image)
    assert (counted.times == 1).all()


def test_rows_are_read_whole_where_memory_allows(tmp_path: Path) -> None:
    boxes = []

    class Recorded:
        shape, dtype = (10, 20, 300), np.dtype("i2")

        def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
            boxes.append(box)
            return np.ones([part.stop - part.start for part in box], self.dtype)

    write_levels(zarr.create_group(tmp_path / "a"), Recorded(), 8, ["z", "y", "x"], halve_image)
    assert all((box[2].start, box[2].stop) == (0, 300) for box in boxes)
