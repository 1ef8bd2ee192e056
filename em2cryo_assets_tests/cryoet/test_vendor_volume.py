"""Volumes of microscopes' own programs come in as any tomogram does."""

from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.cryoet.mrc import open_tomogram
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets_tests.formats.vendor_writers import write_berkeley, write_dm, write_velox

pytest.importorskip("rsciio", reason="the extra vendor-formats is not installed")

VOLUME = (np.arange(6 * 20 * 30).reshape(6, 20, 30) * 13 % 997).astype(np.int16)
_RECORDED = Sidecar(modality="fib-sem", contrast="bright-is-dense", denoised=False)


@pytest.mark.parametrize("name", ["a.dm4", "a.dm3", "a.emd"])
def test_a_volume_keeps_its_voxels_and_their_size(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_berkeley(path, VOLUME, 1.5, "[n_m]") if name == "a.emd" else write_dm(path, VOLUME, 1.5, "nm")
    found = open_tomogram(path, _RECORDED)
    np.testing.assert_array_equal(found.density[:, :, :], VOLUME)
    assert found.voxel_nm == pytest.approx((1.5, 1.5, 1.5), rel=1e-6)
    assert found.voxel_source in ("DM3 tags", "DM4 tags", "EMD metadata")
    assert found.fallbacks == []


def test_a_series_without_a_distance_of_planes_needs_a_sidecar(tmp_path: Path) -> None:
    path = write_velox(tmp_path / "a.emd", {"Ceta": VOLUME}, 1.5e-9)
    with pytest.raises(InputError, match="voxel_size_nm"):
        open_tomogram(path, _RECORDED)
    found = open_tomogram(path, Sidecar(modality="fib-sem", voxel_size_nm=(4.0, 1.5, 1.5)))
    assert found.voxel_nm == (4.0, 1.5, 1.5)
    assert any("no distance between planes" in warning for warning in found.warnings)


def test_an_image_is_a_volume_of_one_plane(tmp_path: Path) -> None:
    found = open_tomogram(write_dm(tmp_path / "a.dm4", VOLUME[0], 40.0, "nm"), Sidecar(modality="overview"))
    assert found.density.shape == (1, 20, 30)
    assert found.voxel_nm == (40.0, 40.0, 40.0)
