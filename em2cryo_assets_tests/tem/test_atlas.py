import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.tem.atlas import MEASUREMENT_COLUMNS, SectionMeta, build_atlas
from em2cryo_assets.tem.measure import measure_section
from em2cryo_assets.vocabulary import LABELS

PIXEL_NM = 20.0
OUTER, WALL, NUCLEUS = 2000.0, 150.0, 800.0


def _ball_sections(n: int) -> dict[str, dict[str, pd.DataFrame]]:
    """Evenly spaced cuts of a ball with wall and nucleus: the mean over planes without its noise."""
    radius = np.hypot(*(np.indices((220, 220)) - 109.5)) * PIXEL_NM
    result = {}
    for i in range(n):
        height = OUTER * (i + 0.5) / n
        distance = np.hypot(radius, height)
        labels = np.zeros(radius.shape, np.uint8)
        labels[distance < OUTER] = LABELS["wall"]
        labels[distance < OUTER - WALL] = LABELS["cytoplasm"]
        labels[distance < NUCLEUS] = LABELS["nucleus"]
        result[f"s{i:02d}"] = measure_section(labels, (labels > 0).astype(np.int32), labels * 0.1, PIXEL_NM, 80.0)
    return result


def _meta(keys, **changes) -> dict[str, SectionMeta]:
    base = {"sampling": "random", "thickness_nm": 80.0, "compression": (0.0, 0.0), **changes}
    return {k: SectionMeta(unit=f"c{k}", block=f"b{i % 5}", **base) for i, k in enumerate(keys)}


@pytest.fixture(scope="module")
def ball():
    return _ball_sections(24)


def test_fractions_of_a_ball(ball):
    table = build_atlas(ball, _meta(ball), seed=1).tables["fractions"].set_index("label")
    assert table["v_v"].sum() == pytest.approx(1.0)
    assert table.loc["nucleus", "v_v"] == pytest.approx((NUCLEUS / OUTER) ** 3, rel=0.03)
    assert table.loc["wall", "v_v"] == pytest.approx(1 - (1 - WALL / OUTER) ** 3, rel=0.03)
    assert (table["low"] <= table["v_v"]).all()
    assert (table["high"] >= table["v_v"]).all()
    assert table.loc["nucleus", "n_needed"] > table.loc["cytoplasm", "n_needed"] > 0


def test_wall_of_a_ball(ball):
    wall = build_atlas(ball, _meta(ball), seed=1).tables["wall"].iloc[0]
    assert wall["mean_nm"] == pytest.approx(WALL, rel=0.03)
    assert wall["median_nm"] == pytest.approx(WALL, rel=0.08)
    assert wall["low"] < WALL < wall["high"]


def test_compression_of_the_section_is_taken_out_of_the_wall(ball):
    plain = build_atlas(ball, _meta(ball), seed=1).tables["wall"].iloc[0]
    pressed = build_atlas(ball, _meta(ball, compression=(0.2, 0.05)), seed=1).tables["wall"].iloc[0]
    assert pressed["mean_nm"] == pytest.approx(plain["mean_nm"] * 0.9 / 0.8)
    assert pressed["high"] - pressed["low"] > plain["high"] - plain["low"]


def test_opaque_outlines_are_corrected_and_half_density_ones_are_not(ball):
    half = build_atlas(ball, _meta(ball), seed=1).tables["fractions"].set_index("label")
    opaque = build_atlas(ball, _meta(ball, outline="opaque"), seed=1).tables["fractions"].set_index("label")
    shift = opaque["v_v"] - half["v_v"]
    assert shift["wall"] == pytest.approx(-half.loc["wall", "thickness_bias"])
    assert shift["nucleus"] == pytest.approx(half.loc["nucleus", "thickness_bias"])


def test_measurement_rows_weighted_by_support_give_the_estimate(ball):
    atlas = build_atlas(ball, _meta(ball), seed=1)
    rows = atlas.tables["measurements"]
    assert tuple(rows.columns) == MEASUREMENT_COLUMNS
    nucleus = rows[rows["characteristic"] == "fraction_nucleus"]
    estimate = atlas.tables["fractions"].set_index("label").loc["nucleus", "v_v"]
    assert np.average(nucleus["value"], weights=nucleus["n_support"]) == pytest.approx(estimate, rel=1e-3)
    wall = rows[rows["characteristic"] == "wall_thickness"]
    assert wall["value"].mean() == pytest.approx(atlas.tables["wall"]["mean_nm"].iloc[0])


def test_order_of_sections_and_repetition_change_nothing(ball):
    one = build_atlas(ball, _meta(ball), seed=4)
    other = build_atlas(dict(reversed(ball.items())), _meta(ball), seed=4)
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name], check_exact=True)


def test_selected_sections_give_no_assessable_fraction(ball):
    atlas = build_atlas(ball, _meta(ball, sampling="selected"), seed=1)
    rows = atlas.tables["measurements"]
    fractions = rows[rows["characteristic"].str.startswith("fraction")]
    assert not fractions["assessable"].any()
    assert fractions["reason"].str.contains("random").all()
    assert rows.loc[rows["characteristic"] == "wall_thickness", "assessable"].all()


def test_selected_sections_are_left_out_where_random_ones_exist(ball):
    meta = _meta(ball)
    mixed = dict(meta)
    for key in list(meta)[:10]:
        mixed[key] = SectionMeta("x" + key, "b", "selected", 80.0, (0.0, 0.0))
    atlas = build_atlas(ball, mixed, seed=1)
    assert atlas.tables["fractions"]["n_sections"].iloc[0] == len(ball) - 10
    assert any("10 section(s)" in w for w in atlas.warnings)


def test_three_cells_have_no_interval(ball):
    few = {k: ball[k] for k in list(ball)[:3]}
    table = build_atlas(few, _meta(few), seed=1).tables["fractions"]
    assert table["low"].isna().all()
    assert (table["n_needed"] == 0).all()


def test_no_sections_make_an_empty_atlas_that_says_so():
    atlas = build_atlas({}, {}, seed=1)
    assert atlas.tables["fractions"]["v_v"].isna().all()
    assert not atlas.tables["fractions"]["assessable"].any()
    assert len(atlas.tables["measurements"]) == 0
    assert "No sections" in atlas.warnings[0]


def test_a_section_without_meta_is_refused(ball):
    with pytest.raises(ValueError, match="s00"):
        build_atlas(ball, {}, seed=1)
