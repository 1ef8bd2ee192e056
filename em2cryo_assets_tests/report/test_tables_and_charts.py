import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.compare.characteristics import CHARACTERISTICS as COMPARED
from em2cryo_assets.report import tables
from em2cryo_assets.report.charts import depth_chart, fractions_chart, interval_chart, number
from em2cryo_assets.report.words import DISTANCES, LOGARITHMS, RATIOS, VERDICTS


def row(**other):
    base = {"characteristic": "sphericity", "difference": 0.0, "low": -0.5, "high": 0.5, "margin": 1.0}
    return base | other


def band(svg: str) -> tuple[float, float]:
    x, width = re.search(r'class="band1" x="([\d.]+)" y="3" width="([\d.]+)"', svg).groups()
    return float(x), float(x) + float(width)


@given(st.floats(-3, 3), st.floats(0.01, 3), st.floats(1e-4, 1e4))
def test_an_interval_is_inside_the_band_exactly_when_it_is_inside_the_margin(middle, half, margin):
    low, high = middle - half, middle + half
    svg = interval_chart(row(difference=middle * margin, low=low * margin, high=high * margin, margin=margin))
    left, right = band(svg)
    ends = re.search(r'class="span" x1="([\d.]+)" x2="([\d.]+)"', svg)
    drawn = float(ends[1]) >= left - 0.06, float(ends[2]) <= right + 0.06
    if min(abs(low + 1), abs(high - 1)) > 0.01:
        assert drawn == (low >= -1, high <= 1)


def test_what_lies_beyond_the_frame_ends_in_an_arrow_and_a_distance_has_one_side():
    assert 'class="tip"' in interval_chart(row(high=9.0))
    assert 'class="tip"' not in interval_chart(row())
    unbounded = interval_chart(row(low=-float("inf")))
    assert unbounded.count('class="tip"') == 1
    assert 'class="span"' in unbounded
    beyond = interval_chart(row(low=-30.0, difference=-25.0, high=-20.0))
    assert beyond.count('class="tip"') == 1  # and no second end at the frame
    assert beyond.count('class="span"') == 1
    assert band(interval_chart(row(characteristic="power_spectrum")))[0] < band(interval_chart(row()))[0]


@pytest.mark.parametrize("gone", ["margin", "all"])
def test_nothing_is_drawn_without_numbers(gone):
    nan = float("nan")
    missing = {"margin": nan} if gone == "margin" else {"difference": nan, "low": nan, "high": None}
    assert interval_chart(row(**missing)) == ""


def test_numbers_are_short_and_their_minus_is_a_minus():
    assert [number(-0.00123456), number(143.27), number(float("nan")), number(None)] == [
        "−0.00123",
        "143",
        "–",
        "–",
    ]
    assert number(12345.6) == "12346"


def test_the_tally_counts_each_verdict_once_and_leaves_exploratory_ones_apart(made_up):
    table = made_up.verdict_table()
    counts = {name: count for name, _, count in tables.tally(table)}
    assert list(counts) == list(VERDICTS)
    assert counts["inconclusive"] == 2
    assert sum(counts.values()) == len(table) - 1
    assert tables.verdict_rows(table)[-1].exploratory
    assert sum(count for _, _, count in tables.tally(pd.DataFrame())) == 0


def test_a_table_with_the_two_needed_columns_is_enough():
    bare = pd.DataFrame({"characteristic": ["something_new"], "verdict": ["missed"]})
    only = tables.verdict_rows(bare)[0]
    assert only.name.en == "Something new"
    assert only.chart == ""
    assert only.facts == ()


def test_a_measurement_that_cannot_be_assessed_says_why(made_up):
    rows = {name.en: (value, why) for name, value, why in tables.measurement_rows(made_up.measured("sem", "a"))}
    assert rows["Wall thickness"] == ("142.3 ± 6 nm", "")
    assert "µm³)" in rows["Cell volume (log)"][0]
    assert rows["Axial asymmetry η"] == ("–", "imposed by the estimator: axial symmetry")


def test_long_atlas_tables_say_what_they_leave_off():
    table = tables.atlas({"meta": pd.DataFrame({"x": np.arange(50)})})[0]
    assert (len(table.rows), table.left_off) == (40, 10)


def test_a_bar_of_a_fraction_is_as_long_as_the_fraction():
    svg = fractions_chart(pd.DataFrame({"label": ["wall", "nucleus"], "v_v": [0.2, 0.05]}))
    wall, nucleus = (float(width) for width in re.findall(r'class="fill"[^>]* width="([\d.]+)"', svg))
    assert wall / nucleus == pytest.approx(4, rel=0.01)


def test_shares_of_depth_add_up_to_the_whole_height():
    depth = pd.DataFrame({"s_bin": [0, 0, 1, 1], "label": ["wall", "cytoplasm"] * 2, "p": [3.0, 1.0, 1.0, 1.0]})
    polygons = [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'<polygon points="([^"]+)"', depth_chart(depth))
    ]
    assert polygons[0][0][1] == pytest.approx(174 - 160 * 0.75, abs=0.1)
    assert polygons[-1][0][1] == pytest.approx(14, abs=0.1)
    assert depth_chart(depth.iloc[:0]) == ""


def test_which_rows_are_distances_ratios_and_logarithms_is_as_the_comparison_has_it():
    by_scale = {scale: {one.name for one in COMPARED.values() if one.scale == scale} for scale in ("distance", "ratio")}
    assert by_scale["distance"] == DISTANCES
    assert by_scale["ratio"] == RATIOS
    assert {one.name for one in COMPARED.values() if one.name.startswith("log_")} == LOGARITHMS


def test_each_number_of_a_verdict_has_its_own_unit():
    """Differences of ratios are logarithms: with the unit of the estimates they would be lies."""
    wall = {"characteristic": "wall_thickness", "unit": "nm", "estimate_model": 145.19, "estimate_reference": 155.5}
    volume = {"characteristic": "log_volume", "unit": "ln µm³", "estimate_model": 3.86, "estimate_reference": np.nan}
    rows = tables.verdict_rows(
        pd.DataFrame(
            [
                wall | {"difference": -0.0686, "margin": np.log(1.15), "verdict": "captured"},
                volume | {"difference": 0.00344, "margin": np.log(1.25), "verdict": "captured"},
            ]
        )
    )
    first, second = ({name.en: text for name, text in one.facts} for one in rows)
    assert first == {"model": "145 nm", "reference": "156 nm", "difference": "−6.63 %", "margin δ": "±15 %"}
    assert second["model"] == "3.86 ln µm³ (= 47.5 µm³)"
    assert second["difference"] == "0.00344 ln µm³ (= +0.345 %)"
    assert second["margin δ"] == "0.223 ln µm³ (= ±25 %)"
    assert "reference" not in second


def test_verdicts_stand_best_first_and_exploratory_ones_last():
    verdicts = ["inconclusive", "captured", "missed", "captured", "captured"]
    table = pd.DataFrame({"characteristic": list("abcde"), "verdict": verdicts, "exploratory": [False] * 4 + [True]})
    assert [one.characteristic for one in tables.verdict_rows(table)] == ["b", "d", "c", "a", "e"]


def test_a_table_of_one_row_reads_downwards():
    table = tables.atlas({"wall": pd.DataFrame({"mean_nm": [145.0], "n_units": [20]})})[0]
    assert table.rows == (("mean, nm", "145"), ("cells", "20"))


def test_words_take_the_place_of_column_names_and_codes():
    frame = pd.DataFrame({"label": ["lipid_droplet", "wall"], "v_v": [0.02, 0.2], "my_own": ["x", "y"]})
    table = tables.atlas({"fractions": frame})[0]
    assert table.columns == ("part of the cell", "volume fraction", "my own")
    assert [row[0] for row in table.rows] == ["lipid droplet", "wall"]
    profile = {"characteristic": "depth_profile", "value": np.nan, "assessable": True, "reason": ""}
    assert tables.measurement_rows(pd.DataFrame([profile]))[0][1] == "a profile: compared in the pairs"
