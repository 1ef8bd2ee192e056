import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.tem.atlas import MEASUREMENT_COLUMNS, SectionMeta, build_atlas
from em2cryo_assets.tem.compression import Compression
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
    base = {"sampling": "random", "thickness_nm": 80.0, "compression": Compression(0.0, 0.0, ""), **changes}
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
    pressed = (
        build_atlas(ball, _meta(ball, compression=Compression(0.2, 0.05, "assumed")), seed=1).tables["wall"].iloc[0]
    )
    assert pressed["mean_nm"] == pytest.approx(plain["mean_nm"] * 0.9 / 0.8, rel=0.01)
    assert pressed["high"] - pressed["low"] > plain["high"] - plain["low"]


def test_opaque_outlines_are_corrected_and_half_density_ones_are_not(ball):
    half = build_atlas(ball, _meta(ball), seed=1).tables["fractions"].set_index("label")
    opaque = build_atlas(ball, _meta(ball, outline="opaque"), seed=1).tables["fractions"].set_index("label")
    assert opaque["v_v"].sum() == pytest.approx(1.0)
    # The nucleus is small: its rim is a larger share of it than the cell's rim is of the cell.
    assert opaque.loc["nucleus", "v_v"] < half.loc["nucleus", "v_v"]
    shift = half["v_v"] - opaque["v_v"]
    assert shift["nucleus"] == pytest.approx(half.loc["nucleus", "thickness_bias"])
    assert opaque["thickness_bias"].abs().max() == pytest.approx(0.0, abs=1e-12)


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
        mixed[key] = SectionMeta("x" + key, "b", "selected", 80.0, Compression(0.0, 0.0, ""))
    atlas = build_atlas(ball, mixed, seed=1)
    assert atlas.tables["fractions"]["n_sections"].iloc[0] == len(ball) - 10
    assert any("10 section(s)" in w for w in atlas.warnings)


@pytest.mark.parametrize("count", [1, 3])
def test_few_cells_have_no_interval_and_the_atlas_says_so(ball, count):
    few = {k: ball[k] for k in list(ball)[10 : 10 + count]}
    atlas = build_atlas(few, _meta(few), seed=1)
    table = atlas.tables["fractions"]
    assert table["v_v"].notna().all()
    assert table["low"].isna().all()
    assert (table["n_needed"] == 0).all()
    assert any(f"Only {count} cell(s)" in w for w in atlas.warnings)


def test_few_blocks_are_said(ball):
    meta = {k: SectionMeta(k, f"b{i % 2}", "random", 80.0) for i, k in enumerate(ball)}
    atlas = build_atlas(ball, meta, seed=1)
    assert atlas.tables["fractions"]["low"].notna().all()
    assert any("Only 2 resin block(s)" in w for w in atlas.warnings)
    assert any("Compression by the knife is not known for 24" in w for w in atlas.warnings)


def test_blocks_that_differ_widen_the_interval(ball):
    sections = list(ball)
    # The same sections, once sorted into blocks by their nucleus and once spread over them.
    area = {k: ball[k]["areas"].set_index("label").loc["nucleus", "area_um2"] for k in sections}
    order = sorted(sections, key=lambda k: area[k])
    width = {}
    for name, block in (("alike", lambda i: i % 4), ("apart", lambda i: i // 6)):
        meta = {k: SectionMeta(k, f"b{block(i)}", "random", 80.0) for i, k in enumerate(order)}
        row = build_atlas(ball, meta, seed=1).tables["fractions"].set_index("label").loc["nucleus"]
        width[name] = row["high"] - row["low"]
    assert width["apart"] > 2 * width["alike"]


def test_a_section_without_a_cell_counts_for_nothing_and_is_said(ball):
    nothing = np.zeros((40, 40), np.uint8)
    more = {**ball, "empty": measure_section(nothing, nothing.astype(np.int32), nothing * 1.0, PIXEL_NM, 80.0)}
    atlas = build_atlas(more, {**_meta(ball), "empty": SectionMeta("e", "b0", "random", 80.0)}, seed=1)
    pd.testing.assert_frame_equal(atlas.tables["fractions"], build_atlas(ball, _meta(ball), seed=1).tables["fractions"])
    assert any("1 section(s) show no cell" in w for w in atlas.warnings)


def test_two_strains_make_no_atlas(ball):
    meta = {k: SectionMeta(k, "b", "random", 80.0, strain="BY4741" if i % 2 else "W303") for i, k in enumerate(ball)}
    with pytest.raises(ValueError, match="BY4741, W303"):
        build_atlas(ball, meta, seed=1)


def test_no_sections_make_an_empty_atlas_that_says_so():
    atlas = build_atlas({}, {}, seed=1)
    assert atlas.tables["fractions"]["v_v"].isna().all()
    assert not atlas.tables["fractions"]["assessable"].any()
    assert len(atlas.tables["measurements"]) == 0
    assert "No sections" in atlas.warnings[0]


def test_a_section_without_meta_is_refused(ball):
    with pytest.raises(ValueError, match="s00"):
        build_atlas(ball, {}, seed=1)
