"""Labels that a person drew: what is read of them, and what is refused in words."""

import numpy as np
import pytest
import tifffile

from em2cryo_assets.cryoet.drawn_labels import read_drawn_labels
from em2cryo_assets.formats.errors import InputError

SHAPE = (6, 20, 24)


@pytest.fixture
def drawn():
    return np.random.default_rng(0).integers(0, 6, SHAPE).astype(np.uint8)


def test_labels_of_the_tomograms_own_voxels_come_back_unchanged(tmp_path, drawn):
    tifffile.imwrite(tmp_path / "a.labels.tif", drawn, photometric="minisblack")
    np.testing.assert_array_equal(read_drawn_labels(tmp_path / "a.labels.tif", SHAPE, SHAPE), drawn)


def test_a_coarse_voxel_has_the_label_of_its_middle(tmp_path):
    blocks = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    fine = blocks.repeat(3, 0).repeat(5, 1).repeat(7, 2)
    tifffile.imwrite(tmp_path / "a.labels.tif", fine, photometric="minisblack", compression="zlib")
    np.testing.assert_array_equal(read_drawn_labels(tmp_path / "a.labels.tif", fine.shape, blocks.shape), blocks)


def test_what_cannot_be_used_is_refused_with_the_remedy(tmp_path, drawn):
    path = tmp_path / "a.labels.tif"
    for bad, words in (
        (drawn[:, :10], "export them unscaled"),
        (drawn + np.uint8(9), "has no meaning"),
        (drawn.astype(np.float32), "8- or 16-bit integers"),
    ):
        tifffile.imwrite(path, bad, photometric="minisblack")
        with pytest.raises(InputError, match=words):
            read_drawn_labels(path, SHAPE, SHAPE)
    path.write_bytes(b"no TIFF")
    with pytest.raises(InputError, match="multi-page TIFF"):
        read_drawn_labels(path, SHAPE, SHAPE)
