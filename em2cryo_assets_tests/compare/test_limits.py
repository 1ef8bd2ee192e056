"""Bounds in closed form, and a table that says only what the study's numbers bear."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.compare.bounds import (
    log_height_sd,
    log_shrinkage_half_width,
    opaque_wall_widening,
    unsampled_share,
    wedge_elongation,
)
from em2cryo_assets.compare.limits import StudyNumbers, limitations
from em2cryo_assets.compare.tables import LIMITATIONS

SIXTY = (-60.0, 0.0, 60.0)


def test_the_published_numbers() -> None:
    assert unsampled_share(SIXTY) == pytest.approx(1 / 3)
    assert wedge_elongation(SIXTY) == pytest.approx(1.55, abs=0.005)
    assert log_shrinkage_half_width(1.0) == pytest.approx(0.155, abs=0.001)
    assert log_shrinkage_half_width(3.0) == pytest.approx(0.46, abs=0.006)
    assert [round(log_height_sd(1.0, a), 1) for a in (10, 30, 45)] == [39.8, 4.1, 1.7]
    assert unsampled_share(SIXTY, both_axes=True) == pytest.approx(0.16, abs=0.01)


def test_two_axes_agree_with_directions_drawn_at_random() -> None:
    rng = np.random.default_rng(0)
    k = rng.normal(size=(200_000, 3))
    seen = [np.abs(k[:, 0]) <= np.tan(np.deg2rad(50)) * np.abs(k[:, axis]) for axis in (1, 2)]
    assert unsampled_share((-50.0, 50.0), both_axes=True) == pytest.approx(np.mean(~seen[0] & ~seen[1]), abs=0.005)


@given(st.floats(5, 85), st.floats(0.5, 4))
def test_more_tilt_leaves_less_unsampled(alpha: float, more: float) -> None:
    narrow, wide = (-alpha, alpha), (-alpha - more, alpha + more)
    assert unsampled_share(wide) < unsampled_share(narrow)
    assert wedge_elongation(wide) < wedge_elongation(narrow)
    assert unsampled_share(narrow, both_axes=True) <= unsampled_share(narrow) + 1e-3
    assert log_height_sd(0.01, alpha + more) < log_height_sd(0.01, alpha)


def test_the_wall_is_widened_as_random_planes_widen_it() -> None:
    sine = np.random.default_rng(1).random(100_000)
    cosine = np.sqrt(1 - sine**2)
    wide = 150 / cosine + 80 * sine / cosine
    assert opaque_wall_widening(80, 150) == pytest.approx(np.median(wide * cosine / 150) - 1, rel=0.01)


@pytest.mark.parametrize("tilts", [(), (3.0,), (-100.0, 100.0)])
def test_no_tilt_series(tilts: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="tilt series"):
        unsampled_share(tilts)


def test_an_empty_study_has_no_bounds() -> None:
    table = limitations(StudyNumbers())
    assert len(LIMITATIONS.validate(table)) == 0


def test_each_bound_has_its_number_and_its_way_out() -> None:
    verdicts = pd.DataFrame(
        {
            "characteristic": ["log_volume", "axis_ratio"],
            "verdict": ["captured", "inconclusive"],
            "power": [0.9, 0.3],
            "n": ["SEM 16 / TEM 0 / cryo 12"] * 2,
            "reason": ["", "power 0.30"],
            "would_change": ["", "about 44 SEM cells"],
        }
    )
    numbers = StudyNumbers(
        cell_um3=[40.0, 60.0], slab_um3=[0.2, 0.3], tilts_deg=[SIXTY], slabs=3, cryo_sections=1, with_halves=1,
        imposed=["axial symmetry"], axis_error=0.006, section_nm=80.0, wall_nm=150.0, fused_voxel_nm=40.0,
        verdicts=verdicts,
    )  # fmt: skip
    table = LIMITATIONS.validate(limitations(numbers))
    by_bound = table.groupby("bound")["value"].apply(list)
    assert by_bound["coverage"] == [pytest.approx(0.005)]
    assert by_bound["compression"] == [pytest.approx(0.7 / 0.4)]
    assert by_bound["number of units"] == [0.3]
    assert by_bound["resolution"] == [80.0]
    assert by_bound["noise"] == [1.0]
    assert (table["would_move_it"] != "").all()
    heights = table[table["quantity"].str.contains("half-height")].iloc[0]
    assert heights["value_then"] < heights["value"] / 4


def test_smaller_voxels_are_advised_only_where_sections_hold_finer_detail() -> None:
    for voxel_nm, advice, then in ((60.0, "a smaller fused_voxel_nm", 80.0), (40.0, "thinner sections", float("nan"))):
        table = limitations(StudyNumbers(cell_um3=[50.0], fused_voxel_nm=voxel_nm, section_nm=80.0))
        row = table[table["bound"] == "resolution"].iloc[0]
        assert row["would_move_it"].startswith(advice)
        assert row["value_then"] == pytest.approx(then, nan_ok=True)


def test_live_diameters_lift_the_bound_of_drying() -> None:
    for known, width in ((False, log_shrinkage_half_width(3.0)), (True, 0.0)):
        table = limitations(StudyNumbers(cell_um3=[50.0], live_diameters=known))
        row = table[(table["bound"] == "drying") & (table["concerns"] == "log_volume")].iloc[0]
        assert row["value"] == pytest.approx(width)
