"""A written series is what an independent reader of SerialEM's metadata and of MRC finds."""

import mdocfile
import mrcfile
import numpy as np
import pytest

from em2cryo_assets.phantom.raw_files import write_stack
from em2cryo_assets.phantom.tilt_files import mdoc_text, write_tilt_series
from em2cryo_assets.phantom.tilt_series import Camera, record

TILTS = [-6.0, -3.0, 0.0, 3.0, 6.0]


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(0)
    return record(0.3 + 0.1 * rng.random((6, 20, 24)), 0.54, TILTS, Camera(dose_e_per_nm2=6000.0), seed=1)


def test_stack_holds_the_views_in_the_order_in_which_they_were_taken(series, tmp_path):
    stack, rawtlt, _, even, odd = write_tilt_series(tmp_path, "TS_01", series, halves=True)
    taken = [float(line) for line in rawtlt.read_text().split()]
    assert taken == [0.0, 3.0, -3.0, -6.0, 6.0]
    with mrcfile.open(stack) as mrc:
        assert mrc.data.dtype == np.int16
        assert mrc.is_image_stack()
        assert float(mrc.voxel_size.x) == pytest.approx(5.4)
        for view, tilt in zip(mrc.data, taken, strict=True):
            assert np.array_equal(view, series.counts[TILTS.index(tilt)])
        assert np.array_equal(mrc.data, mrcfile.read(even) + mrcfile.read(odd))
    assert mrcfile.validate(stack)


def test_metadata_are_read_by_mdocfile(series, tmp_path):
    table = mdocfile.read(write_tilt_series(tmp_path, "TS_01", series)[2])
    assert table["ZValue"].tolist() == [0, 1, 2, 3, 4]
    assert table["TiltAngle"].tolist() == [0.0, 3.0, -3.0, -6.0, 6.0]
    assert table["ExposureDose"].tolist() == [12.0] * 5
    assert table["PriorRecordDose"].tolist() == [0.0, 12.0, 24.0, 36.0, 48.0]
    assert table["PixelSpacing"].tolist() == pytest.approx([5.4] * 5)
    assert table["Defocus"].tolist() == [-4.0] * 5
    assert set(table["ImageSize"]) == {(24, 20)}
    assert [str(name) for name in set(table["ImageFile"])] == ["TS_01.mrc"]
    assert set(table["Voltage"]) == {300.0}
    assert table["DateTime"].tolist()[:2] == ["01-Jan-24  12:00:00", "01-Jan-24  12:01:00"]
    least, most, mean = table["MinMaxMean"][0]
    view = series.counts[2]
    assert (least, most, mean) == pytest.approx((view.min(), view.max(), view.mean()), rel=1e-4)
    assert "SubFramePath" not in mdoc_text(series, "TS_01.mrc")


def test_same_series_same_bytes(series, tmp_path):
    (tmp_path / "again").mkdir()
    first = write_tilt_series(tmp_path, "a", series)
    second = write_tilt_series(tmp_path / "again", "a", series)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_counts_too_large_for_the_format_are_refused(series, tmp_path):
    bright = record(np.full((2, 8, 8), 0.3), 10.0, [0.0], Camera(dose_e_per_nm2=1000.0), seed=0)
    with pytest.raises(ValueError, match="int16"):
        write_tilt_series(tmp_path, "b", bright)
    assert write_stack(tmp_path / "c.mrc", np.ones((1, 4, 4), dtype=np.int16), pixel_nm=1.0, label="x").exists()
