"""From an MRC file to OME-Zarr: values, sides and order by independent readers and writers, in bounded memory."""

import bz2
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mrcfile
import ngff_zarr
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.store import mrc_to_ome_zarr
from em2cryo_assets.store.digest import digest_folder
from em2cryo_assets.store.images import read_image, write_image
from em2cryo_assets_tests.memory import PEAK_MIB

_STORED = {"i1": "i1", "i2": "i2", "u2": "u2", "f2": "f4", "f4": "f4"}
"""Type in the file to type in the image."""


def write(path: Path, volume: np.ndarray, voxel_angstrom: float = 10.0) -> Path:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(volume)
        mrc.voxel_size = voxel_angstrom
    return path


@settings(deadline=None, max_examples=40)
@given(
    volume=st.sampled_from(sorted(_STORED)).flatmap(
        lambda code: hnp.arrays(
            code, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 100)
        )
    ),
    order=st.sampled_from("<>"),
)
def test_grey_values_of_every_mode_and_order_come_through(volume: np.ndarray, order: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "a.mrc", volume.astype(volume.dtype.newbyteorder(order)))
        told = mrc_to_ome_zarr(source, Path(folder) / "a.ome.zarr")
        assert (told.voxel_source, told.warnings, told.fallbacks) == ("MRC header", [], [])
        image = read_image(Path(folder) / "a.ome.zarr")
        assert image.data.dtype == np.dtype(_STORED[volume.dtype.str[1:]])
        np.testing.assert_array_equal(image.data.compute(), volume)
        assert image.voxel_nm == told.voxel_nm == pytest.approx((1, 1, 1))


def test_independent_readers_accept_it(tmp_path: Path) -> None:
    from ome_zarr_models.v05 import Image

    volume = np.random.default_rng(0).integers(-3000, 3000, (40, 300, 150)).astype("i2")
    mrc_to_ome_zarr(write(tmp_path / "TS_01.mrc", volume, 13.48), tmp_path / "a")
    read = ngff_zarr.from_ome_zarr(tmp_path / "a", validate=True)
    np.testing.assert_array_equal(read.images[0].data.compute(), volume)
    assert read.images[0].scale == pytest.approx(dict.fromkeys("zyx", 1.348))
    assert set(read.images[0].axes_units.values()) == {"nanometer"}
    assert [image.data.shape for image in read.images] == [(40, 300, 150), (20, 150, 75), (10, 75, 38)]
    image = Image.from_zarr(zarr.open_group(str(tmp_path / "a"), mode="r"))
    assert image.attributes.ome.multiscales[0].name == "TS_01"


def test_coarser_levels_are_integer_means_as_write_image_makes_them(tmp_path: Path) -> None:
    volume = np.random.default_rng(1).integers(-30000, 30000, (70, 261, 140)).astype("i2")
    mrc_to_ome_zarr(write(tmp_path / "a.mrc", volume), tmp_path / "a")
    write_image(tmp_path / "b", volume, voxel_nm=read_image(tmp_path / "a").voxel_nm, name="a")
    assert digest_folder(tmp_path / "a") == digest_folder(tmp_path / "b")
    coarse = zarr.open_array(str(tmp_path / "a" / "1"), mode="r")[...]
    blocks = volume[:70, :260].reshape(35, 2, 130, 2, 70, 2).mean(axis=(1, 3, 5))
    np.testing.assert_array_equal(coarse[:, :130], np.floor(blocks + 0.5))


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_packed_files_give_the_same_bytes(tmp_path: Path, ending: str, pack) -> None:
    plain = write(tmp_path / "a.mrc", np.random.default_rng(2).random((5, 40, 300), np.float32))
    (tmp_path / f"a.mrc{ending}").write_bytes(pack(plain.read_bytes()))
    mrc_to_ome_zarr(plain, tmp_path / "plain")
    mrc_to_ome_zarr(tmp_path / f"a.mrc{ending}", tmp_path / "packed")
    assert digest_folder(tmp_path / "plain") == digest_folder(tmp_path / "packed")


def test_a_voxel_size_is_needed_and_may_stand_in_a_sidecar(tmp_path: Path) -> None:
    source = write(tmp_path / "a.rec", np.arange(60, dtype="i2").reshape(3, 4, 5), 1.0)
    with pytest.raises(InputError, match=r"into a\.rec\.toml"):
        mrc_to_ome_zarr(source, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    Path(f"{source}.toml").write_text("voxel_size_nm = 1.35\n")
    assert mrc_to_ome_zarr(source, tmp_path / "a").voxel_source == "sidecar"
    assert read_image(tmp_path / "a").voxel_nm == (1.35, 1.35, 1.35)
    with pytest.raises(ValueError, match="already"):
        mrc_to_ome_zarr(source, tmp_path / "a")


_LONG = f"""{PEAK_MIB}
import sys
from pathlib import Path
import numpy as np
from em2cryo_assets.cryoet.mrc import open_tomogram
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets.store import mrc_to_ome_zarr
from em2cryo_assets.store.images import write_image
peaks = []
for number, source in enumerate(map(Path, sys.argv[1:])):
    mrc_to_ome_zarr(source, source.with_suffix(".zarr"))
    tomogram = open_tomogram(source, Sidecar(modality="lamella"))
    write_image(source.with_suffix(".density"), tomogram.density, voxel_nm=tomogram.voxel_nm, name="a")
    peaks.append(peak_mib())
print(*peaks)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Sparse files of 32 and 1024 MiB, of which a few voxels are set."""
    sources = []
    for depth in (32, 1024):
        source = write(tmp_path / f"{depth}.mrc", np.zeros((1, 1024, 512), "i2"))
        with mrcfile.open(source, mode="r+") as mrc:
            mrc.data[0, :2, :2] = 7
            mrc.header.nz = mrc.header.mz = depth
            mrc.header.cella.z *= depth
        os.truncate(source, 1024 + depth * 1024 * 512 * 2)
        sources.append(str(source))
    done = subprocess.run([sys.executable, "-c", _LONG, *sources], capture_output=True, text=True, check=True)
    small, large = map(float, done.stdout.split())
    assert large < 700
    assert large - small < 200
