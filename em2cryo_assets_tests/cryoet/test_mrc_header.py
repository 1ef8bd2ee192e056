"""The MRC container: every mode, order and packing, and headers that claim what cannot be."""

import bz2
import gzip
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mrcfile.dtypes import HEADER_DTYPE

from em2cryo_assets.cryoet import mrc_header
from em2cryo_assets.cryoet.mrc_header import read_mrc
from em2cryo_assets.cryoet.raw_volume import FileArray, VolumeView, check_values
from em2cryo_assets.formats.errors import InputError

MODES = {"i1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}
PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}
VOLUME = np.random.default_rng(0).integers(-100, 100, size=(6, 10, 12)).astype("i2")


def mrc(volume: np.ndarray, order: str = "<", *, extended: bytes = b"", **fields: object) -> bytes:
    """An MRC2014 file in the given byte order, with header fields as wanted."""
    header = np.zeros((), HEADER_DTYPE.newbyteorder(order))  # type: ignore[call-overload]
    nz, ny, nx = volume.shape
    given: dict[str, object] = {
        "nx": nx, "ny": ny, "nz": nz, "mx": nx, "my": ny, "mz": nz, "mode": MODES[volume.dtype.str[1:]],
        "mapc": 1, "mapr": 2, "maps": 3, "cella": (80.0 * nx, 80.0 * ny, 80.0 * nz), "nsymbt": len(extended),
        "map": b"MAP ", "machst": (0x11, 0x11, 0, 0) if order == ">" else (0x44, 0x44, 0, 0),
    }  # fmt: skip
    for name, value in (given | fields).items():
        header[name] = value
    return header.tobytes() + extended + volume.astype(volume.dtype.newbyteorder(order)).tobytes()


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


_SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)


@settings(deadline=None, max_examples=150)
@given(
    volume=st.sampled_from(sorted(MODES)).flatmap(
        lambda code: hnp.arrays(
            code, _SHAPES, elements={"allow_nan": False, "allow_infinity": False} if code[0] == "f" else None
        )
    ),
    order=st.sampled_from("<>"),
    packing=st.sampled_from(sorted(PACK)),
    extended=st.binary(max_size=3000),
    axes=st.permutations([1, 2, 3]),
)
def test_what_was_written_is_read(
    volume: np.ndarray, order: str, packing: str, extended: bytes, axes: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fields = dict(zip(("mapc", "mapr", "maps"), axes, strict=True))
        content = PACK[packing](mrc(volume, order, extended=extended, **fields))
        raw = read_mrc(put(Path(folder) / f"a.mrc{packing}", content))
        assert raw.warnings == []
        assert raw.array.dtype == volume.dtype.newbyteorder(order)
        everything = (slice(None),) * 3
        np.testing.assert_array_equal(raw.array[everything], volume)
        stored = {axes[2]: 0, axes[1]: 1, axes[0]: 2}
        turned = volume.transpose(stored[3], stored[2], stored[1])
        view = VolumeView(raw.array, raw.axes)
        assert view.shape == turned.shape
        np.testing.assert_array_equal(view[everything], turned)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), turned=st.booleans(), axes=st.permutations([0, 1, 2]), sign=st.sampled_from([None, 1.0, -1.0]))
def test_any_box_is_that_of_the_whole(data: st.DataObject, turned: bool, axes: list[int], sign: float | None) -> None:
    view = VolumeView(VOLUME, (axes[0], axes[1], axes[2]), sign, turned)
    whole = VOLUME.transpose(axes)
    whole = whole.transpose(1, 0, 2)[:, ::-1] if turned else whole
    whole = whole if sign is None else sign * whole.astype("f4")
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in view.shape]
    box = tuple(slice(start, stop) for start, stop in ends)
    read = view[box]  # type: ignore[index]
    assert (view.shape, read.dtype, view.dtype) == (whole.shape, whole.dtype, whole.dtype)
    np.testing.assert_array_equal(read, whole[box])


def test_a_file_array_reads_long_runs_and_any_other_index(tmp_path: Path) -> None:
    path = put(tmp_path / "a.mrc", mrc(VOLUME, ">", extended=b"x" * 100))
    array = read_mrc(path).array
    assert isinstance(array, FileArray)
    for index in (
        (slice(1, 5), slice(2, 7), slice(None)),
        (slice(0, 6), slice(0, 10), slice(0, 12)),
        (slice(1, 5), slice(2, 7), slice(3, 4)),
        (slice(None, None, 2), slice(None), slice(None)),
        (slice(3, 3), slice(None), slice(None)),
        2,
    ):
        np.testing.assert_array_equal(array[index], VOLUME[index])


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = put(tmp_path / "a.mrc", mrc(VOLUME))
    array = read_mrc(path).array
    put(path, path.read_bytes()[:1500])
    with pytest.raises(InputError, match="shorter while it was read"):
        array[:, :, :]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_stamp_decides_where_both_orders_make_sense(tmp_path: Path, order: str) -> None:
    """Mode 0 without axis fields: 0 is 0 in either order."""
    volume = VOLUME.astype("i1")
    raw = read_mrc(put(tmp_path / "a.mrc", mrc(volume, order, mapc=0, mapr=0, maps=0)))
    np.testing.assert_array_equal(raw.array[0], volume[0])
    assert raw.voxel_nm == pytest.approx((8, 8, 8))


@pytest.mark.parametrize("packing", ["", ".gz", ".bz2"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nx": 2**23}, "no volume has"),
        ({"nz": -6}, "no volume has"),
        ({"ny": 0}, "no volume has"),
        ({"nx": 60_000, "ny": 60_000, "nz": 60_000}, "the limit is 256 GiB"),
        ({"nx": 6_000, "ny": 6_000, "nz": 900}, "truncated: 900 x 6000 x 6000"),
        ({"nsymbt": -1}, "extended header claims -1"),
        ({"nsymbt": 2**31 - 1}, "extended header claims"),
        ({"nsymbt": 2**29}, "truncated"),
        ({"mode": 4}, "mode 4"),
        ({"mode": 101}, "mode 101"),
        ({"maps": 1}, "permutation"),
    ],
)
def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(
    tmp_path: Path, fields: dict, words: str, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mrc_header, "_unpacked", None)  # calling it would be taking memory
    path = put(tmp_path / f"a.rec{packing}", PACK[packing](mrc(VOLUME, **fields)))
    with pytest.raises(InputError, match=words) as refused:
        read_mrc(path)
    assert "Remedy: " in str(refused.value)


@pytest.mark.parametrize("packing", [".gz", ".bz2"])
def test_packed_files_that_are_damaged_end_in_a_sentence(tmp_path: Path, packing: str) -> None:
    content = bytearray(PACK[packing](mrc(VOLUME)))
    with pytest.raises(InputError, match="cut short"):
        read_mrc(put(tmp_path / f"a.mrc{packing}", bytes(content[: len(content) // 2])))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(InputError, match=r"damaged|truncated"):
        read_mrc(put(tmp_path / f"b.mrc{packing}", bytes(content)))
    with pytest.raises(InputError, match="damaged"):
        read_mrc(put(tmp_path / f"c.mrc{packing}", mrc(VOLUME)))
    with pytest.raises(InputError, match="truncated: 1440 bytes of voxels were announced, 1400 came"):
        read_mrc(put(tmp_path / f"d.mrc{packing}", PACK[packing](mrc(VOLUME)[:-40])))


@pytest.mark.parametrize("packing", ["", ".gz", ".bz2"])
def test_what_follows_the_voxels_is_told_and_left(tmp_path: Path, packing: str) -> None:
    raw = read_mrc(put(tmp_path / f"a.mrc{packing}", PACK[packing](mrc(VOLUME) + b"more")))
    assert "after the last voxel" in raw.warnings[0]
    np.testing.assert_array_equal(raw.array[:, :, :], VOLUME)


def test_large_packed_files_go_to_a_temporary_file_that_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mrc_header, "_PACKED_IN_MEMORY", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    raw = read_mrc(put(tmp_path / "a.mrc.gz", gzip.compress(mrc(VOLUME))))
    assert isinstance(raw.array, FileArray)
    unpacked = raw.array.path
    assert unpacked.parent == tmp_path
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(raw.array))[:, :, :], VOLUME)  # noqa: S301 (our own)
    assert unpacked.exists()
    del raw
    assert not unpacked.exists()
    cut = put(tmp_path / "b.mrc.gz", gzip.compress(mrc(VOLUME)[:-40]))
    with pytest.raises(InputError, match="1400 came"):
        read_mrc(cut)
    assert list(tmp_path.glob("em2cryo-*")) == []
    monkeypatch.setattr(mrc_header.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(InputError, match="Set TMPDIR"):
        read_mrc(tmp_path / "a.mrc.gz")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ((960.0, 800.0, 480.0), (8.0, 8.0, 8.0)),
        ((0.0, 0.0, 0.0), None),
        ((12.0, 10.0, 6.0), None),
        ((960.0, 800.0, 0.0), None),
        ((np.nan, 800.0, 480.0), None),
        ((-960.0, 800.0, 480.0), None),
        ((12.0, 10.0, 12.0), (0.2, 0.1, 0.1)),
    ],
)
def test_voxel_sides_of_zero_or_one_angstrom_are_missing(tmp_path: Path, cell: tuple, expected: tuple | None) -> None:
    found = read_mrc(put(tmp_path / "a.mrc", mrc(VOLUME, cella=cell))).voxel_nm
    assert found == (None if expected is None else pytest.approx(expected))


def test_labels_of_the_header_are_kept(tmp_path: Path) -> None:
    label = np.zeros(10, "S80")
    label[:2] = b"tilt: made  ", b"\xe9 denoised"
    raw = read_mrc(put(tmp_path / "a.mrc", mrc(VOLUME, label=label)))
    assert raw.labels == ("tilt: made", "é denoised")


def test_integers_are_read_no_further_than_their_second_value() -> None:
    class Counted:
        shape, dtype, reads = (4096, 1024, 1024), np.dtype("i2"), 0

        def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
            self.reads += 1
            sides = [part.stop - part.start for part in box]
            assert np.prod(sides) * 2 <= 2**25
            return np.arange(np.prod(sides)).astype("i2").reshape(sides)

    counted = Counted()
    check_values(Path("a.mrc"), counted)
    assert counted.reads == 1


@pytest.mark.parametrize("shape", [(5, 7, 9), (1, 3000, 4000), (3000, 40, 2)])
def test_nan_is_found_wherever_it_is(shape: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(1).random(shape, np.float32)
    check_values(Path("a.mrc"), volume)
    for corner in ((0, 0, 0), tuple(n - 1 for n in shape)):
        spoilt = volume.copy()
        spoilt[corner] = np.nan
        with pytest.raises(InputError, match="NaN"):
            check_values(Path("a.mrc"), spoilt)
