"""A tilt series in the inbox becomes a tomogram with features, and an alignment put beside it makes it anew."""

from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.phantom.planes import wall_plane
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.tilt_files import write_tilt_series
from em2cryo_assets.phantom.tilt_series import Camera, tilt_series
from em2cryo_assets.store.images import read_image
from em2cryo_assets_tests.integration.tiny_study import opened

VOXEL_NM, SHAPE = 8.0, (26, 112, 112)
TILTS = np.arange(-60.0, 61.0, 3.0).tolist()


@pytest.mark.slow
def test_a_tilt_series_is_reconstructed_measured_and_made_anew_when_its_alignment_comes(tmp_path: Path) -> None:
    cell = draw_cell(5)
    plane = wall_plane(cell.body, np.random.default_rng(1), 300.0)
    series = tilt_series(cell, plane, SHAPE, VOXEL_NM, TILTS, Camera(dose_e_per_nm2=14000.0, shift_px=1.5), seed=3)
    (tmp_path / "microscope").mkdir()
    stack = write_tilt_series(tmp_path / "microscope", "TS_01", series)[0]
    write_sidecar(stack, {"simulated": True, "modality": "lamella", "section_thickness_nm": SHAPE[0] * VOXEL_NM / 1.5})
    with opened(tmp_path / "study") as tiny:
        tiny.study.inbox.add("tomogram", stack)
        assert tiny.study.inbox.unusable("tomogram") == []
        outcome, computed = tiny.run()
        assert outcome.problems == ()
        assert computed["tomogram", "TS_01"] == 1
        artifact = tiny.study.store.current("tomogram", "TS_01")
        assert artifact is not None
        image = read_image(artifact.path / "image.ome.zarr")
        assert image.data.shape == SHAPE
        assert image.voxel_nm == pytest.approx((VOXEL_NM,) * 3)
        record = read_record(artifact)
        assert record["voxel_source"] == "tilt series"
        assert len(record["tilts_deg"]) == len(TILTS)
        assert any("cross-correlation" in line for line in artifact.provenance.fallbacks)
        features = tiny.study.store.current("tomogram_features", "TS_01")
        assert features is not None
        assert read_record(features)["snr"] > 0.1
        assert not any("spatial split" in line for line in features.provenance.fallbacks)
        assert tiny.run()[1].total() == 0
        order = np.argsort(series.ranks)
        lines = "".join(f"1 0 0 1 {-x:.3f} {-y:.3f}\n" for y, x in series.shifts_px[order])
        (tiny.inbox / "tomogram" / "TS_01.mrc.xf").write_text(lines)
        _, computed = tiny.run()
        assert computed["tomogram", "TS_01"] == 1
        artifact = tiny.study.store.current("tomogram", "TS_01")
        assert artifact is not None
        assert any(".xf" in line for line in artifact.provenance.fallbacks)
