"""Virtual sections of plane walls whose width is known, and both sides in one table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.compare.tables import VIRTUAL_TEM
from em2cryo_assets.compare.virtual_tem import (
    EDGE_COLUMNS,
    RANDOM,
    SECTION,
    SINGLE,
    VIRTUAL,
    edge_row,
    random_plane_row,
    virtual_section,
    virtual_sections,
    virtual_tem_table,
)
from em2cryo_assets.tem.compression import wall_stretch
from em2cryo_assets.vocabulary import LABELS

PIXEL_NM = 8.0
LEVEL = {"outside": 0.1, "wall": 0.4, "cytoplasm": 0.8}


def slab(width_nm, tan_beta=0.0, *, planes=20, noise=0.0, seed=0):
    """A plane wall along y, as wide as it is cut, whose outer edge moves by tan β along z."""
    z = (np.arange(planes) - (planes - 1) / 2) * PIXEL_NM
    x = (np.arange(120) + 0.5) * PIXEL_NM
    edge = 320.0 + tan_beta * z[:, None, None]
    depth = np.broadcast_to(x[None, None, :] - edge, (planes, 60, 120))
    labels = np.full(depth.shape, LABELS["outside"], np.uint8)
    labels[depth >= 0] = LABELS["wall"]
    labels[depth >= width_nm] = LABELS["cytoplasm"]
    density = np.full(depth.shape, LEVEL["outside"])
    # Edges as pixels see them.
    for low, high, at in (("outside", "wall", 0.0), ("wall", "cytoplasm", width_nm)):
        density += (LEVEL[high] - LEVEL[low]) * np.clip((depth - at) / PIXEL_NM + 0.5, 0, 1)
    return density + np.random.default_rng(seed).normal(0, noise, depth.shape), labels


def edge(kind, density, labels, *, key="a", unit="", block="", thickness_nm=70.0, stretch=1.0, seed=0):
    return edge_row(kind, key, unit, block, thickness_nm, density, labels, PIXEL_NM, stretch=stretch, seed=seed)


@settings(max_examples=12, deadline=None)
@given(width=st.floats(90.0, 220.0), tan_beta=st.floats(-0.5, 0.5))
def test_projection_keeps_the_distance_of_the_edges_and_the_level_between_them(width, tan_beta):
    density, labels = slab(width, tan_beta, noise=0.02)
    seen = virtual_section(density, labels, PIXEL_NM, 72.0)
    assert seen.thickness_nm == 72.0
    row = edge(VIRTUAL, seen.density, seen.labels)
    # Each edge is smeared over t tan β, about the same middle: what widens is the blur and not the distance.
    assert row["width_nm"] == pytest.approx(width, abs=8.0)
    assert row["level"] == pytest.approx(3 / 7, abs=0.06)
    assert (row["in_order"], row["permuted_in_order"], row["reason"]) == (1.0, 0.0, "")


@settings(max_examples=20, deadline=None)
@given(
    wall_nm=st.floats(90.0, 160.0),
    beta_deg=st.floats(5.0, 45.0),
    planes=st.integers(1, 12),
    sign=st.sampled_from([-1, 1]),
)
def test_an_inclined_wall_is_widened_by_its_inclination_and_an_opaque_one_by_the_thickness_too(
    wall_nm, beta_deg, planes, sign
):
    beta = np.deg2rad(beta_deg)
    as_cut = wall_nm / np.cos(beta)
    density, labels = slab(as_cut, sign * np.tan(beta))
    seen = virtual_section(density, labels, PIXEL_NM, planes * PIXEL_NM)
    across = seen.density[0]
    # Neither outside nor inside through the whole thickness: what an opaque wall would darken, and pixels' own edges.
    mixed = (across > LEVEL["outside"] + 1e-3) & (across < LEVEL["cytoplasm"] - 1e-3)
    smear = (seen.thickness_nm - PIXEL_NM) * np.tan(beta)
    assert mixed.sum() * PIXEL_NM == pytest.approx(as_cut + smear, abs=2.1 * PIXEL_NM)
    # Most of the thickness is wall over w / cos beta, as long as the smear is less than that.
    assert (seen.labels[0] == LABELS["wall"]).sum() * PIXEL_NM == pytest.approx(as_cut, abs=1.6 * PIXEL_NM)


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(1, 40), asked=st.floats(1.0, 200.0))
def test_sections_of_a_slab_share_no_plane_and_add_up(depth, asked):
    rng = np.random.default_rng(depth)
    density, labels = rng.normal(size=(depth, 3, 4)), rng.integers(0, 4, (depth, 3, 4))
    parts = virtual_sections(density, labels, PIXEL_NM, asked)
    each = {part.thickness_nm for part in parts}
    assert len(each) == 1
    used = round(len(parts) * parts[0].thickness_nm / PIXEL_NM)
    assert depth - used < parts[0].thickness_nm / PIXEL_NM
    first = (depth - used) // 2
    together = np.mean([part.density for part in parts], axis=0)
    np.testing.assert_allclose(together, density[first : first + used].mean(axis=0), atol=1e-5)


def test_a_slab_thinner_than_a_section_gives_one_of_its_own_thickness():
    density, labels = slab(150.0, planes=5)
    (seen,) = virtual_sections(density, labels, PIXEL_NM, 70.0)
    assert seen.thickness_nm == 40.0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_picture_changes_nothing(turns):
    density, labels = slab(150.0, 0.3, noise=0.02)
    seen = virtual_section(density, labels, PIXEL_NM, 72.0)
    straight = edge(VIRTUAL, seen.density, seen.labels)
    turned = edge(VIRTUAL, np.rot90(seen.density, turns), np.rot90(seen.labels, turns))
    assert turned["width_nm"] == pytest.approx(straight["width_nm"], abs=1e-6)
    assert turned["level"] == pytest.approx(straight["level"], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(1, 30), asked=st.floats(1.0, 300.0))
def test_a_projection_is_a_mean_of_what_is_there(depth, asked):
    rng = np.random.default_rng(0)
    density, labels = rng.normal(size=(depth, 6, 7)), rng.integers(0, 4, (depth, 6, 7))
    seen = virtual_section(density, labels, PIXEL_NM, asked)
    count = round(seen.thickness_nm / PIXEL_NM)
    assert 1 <= count <= depth
    first = (depth - count) // 2
    np.testing.assert_allclose(seen.density, density[first : first + count].mean(axis=0), atol=1e-6)
    agreed = (labels[first : first + count] == seen.labels).sum(axis=0)
    for code in range(4):
        assert (agreed >= (labels[first : first + count] == code).sum(axis=0)).all()


def test_no_wall_and_no_slab_are_said():
    density, labels = slab(150.0)
    for nothing in (np.full_like(labels[0], LABELS["cytoplasm"]), np.zeros_like(labels[0])):
        row = edge(SECTION, density[0], nothing)
        assert np.isnan([row["width_nm"], row["level"], row["in_order"]]).all()
        assert row["reason"] == "no wall borders on outside"
    with pytest.raises(ValueError, match="have shape"):
        virtual_section(density, labels[:, 1:], PIXEL_NM, 70.0)
    with pytest.raises(ValueError, match="cannot be seen"):
        virtual_section(density[:0], labels[:0], PIXEL_NM, 70.0)


def test_a_wall_as_dense_as_the_inside_has_no_layers_in_order():
    density, labels = slab(150.0, noise=0.01)
    density = np.where(labels == LABELS["wall"], 0.8, density)
    row = edge(SECTION, density[0], labels[0])
    assert row["in_order"] == 0.0
    assert np.isnan(row["width_nm"])
    assert "does not rise twice" in row["reason"]


def test_a_cut_along_the_wall_has_no_width_even_where_its_density_rises_twice():
    density, labels = slab(150.0, noise=0.01)
    labels = np.where(labels == LABELS["cytoplasm"], LABELS["wall"], labels)
    row = edge(SECTION, density[0], labels[0])
    assert np.isnan([row["width_nm"], row["in_order"], row["permuted_in_order"]]).all()
    assert "along the wall" in row["reason"]


def test_the_knife_is_undone_in_widths_and_unknown_where_one_wall_was_cut():
    density, labels = slab(150.0, noise=0.01)
    plain = edge(SECTION, density[0], labels[0])
    stretch = float(wall_stretch(0.1))
    assert edge(SECTION, density[0], labels[0], stretch=stretch)["width_nm"] == pytest.approx(
        plain["width_nm"] * stretch
    )
    frozen = edge(VIRTUAL, density[0], labels[0], stretch=float("nan"))
    assert np.isnan(frozen["width_nm"])
    assert (frozen["in_order"], frozen["level"]) == (1.0, plain["level"])
    assert "knife" in frozen["reason"]


def test_random_planes_cut_a_wall_as_wide_as_random_planes_through_a_sphere_do():
    rng = np.random.default_rng(3)
    width = 150.0 / np.sqrt(1 - rng.uniform(0, 1, 200_000) ** 2)
    row = random_plane_row("a", "", 80.0, 150.0)
    assert row["kind"] == RANDOM
    assert row["width_nm"] == pytest.approx(width[width < 340.0].mean(), rel=0.003)
    assert np.isnan(random_plane_row("a", "", 80.0, float("nan"))["width_nm"])


def test_lamellae_through_the_middle_of_cells_seem_to_have_thinner_walls_until_they_are_cut_at_random():
    rng = np.random.default_rng(4)
    rows = []
    for k in range(60):
        true = rng.normal(150.0, 10.0)
        as_cut = true / np.sqrt(1 - rng.uniform(0, 0.9) ** 2)
        blank = edge(SECTION, np.zeros((4, 4)), np.zeros((4, 4), int), key=f"s{k}")
        rows.append({**blank, "width_nm": as_cut, "in_order": 1.0} if as_cut < 340.0 else blank)
        rows.append({**blank, "kind": VIRTUAL, "key": f"t{k}", "width_nm": true, "in_order": 1.0})
        rows.append(random_plane_row(f"t{k}", "", 70.0, true))
    table = virtual_tem_table(pd.DataFrame(rows, columns=list(EDGE_COLUMNS)))
    widths = table[table["quantity"] == "wall_width"].set_index("compared")
    assert widths.loc[VIRTUAL, "low"] > 0.05
    assert "not the difference of walls alone" in widths.loc[VIRTUAL, "sentence"]
    assert "not the difference" not in widths.loc[RANDOM, "sentence"]
    assert widths.loc[RANDOM, "low"] < 0 < widths.loc[RANDOM, "high"]


def study(tem_nm, cryo_nm, n=8):
    rng = np.random.default_rng(1)
    rows = []
    for k in range(n):
        for kind, wide in ((SECTION, tem_nm), (VIRTUAL, cryo_nm), (SINGLE, cryo_nm)):
            density, labels = slab(wide * rng.uniform(0.97, 1.03), noise=0.02, seed=k, planes=8)
            seen = virtual_section(density, labels, PIXEL_NM, PIXEL_NM if kind == SINGLE else 64.0)
            name = f"{kind}-{k}"
            block = f"b{k % 4}" if kind == SECTION else ""
            rows.append(edge(kind, seen.density, seen.labels, key=name, unit=name, block=block, seed=k))
    return pd.DataFrame(rows, columns=list(EDGE_COLUMNS))


def test_the_ratio_of_walls_is_found_and_controls_stand_beside():
    table = VIRTUAL_TEM.validate(virtual_tem_table(study(165.0, 150.0)))
    row = table[(table["quantity"] == "wall_width") & (table["compared"] == VIRTUAL)].iloc[0]
    assert row["difference"] == pytest.approx(np.log(1.1), abs=0.04)
    assert row["low"] < np.log(1.1) < row["high"]
    # Resin blocks are the units of sections, cells those of tomograms.
    assert (row["n_tem"], row["n_cryo"]) == (4, 8)
    order = table[table["quantity"] == "layers_in_order"].set_index("control")
    assert order.loc[False, ["estimate_tem", "estimate_cryo"]].tolist() == [1.0, 1.0]
    assert order.loc[True, ["estimate_tem", "estimate_cryo"]].tolist() == [0.0, 0.0]
    assert order.loc[False, "low"] < 0 < order.loc[False, "high"]  # four units prove little, and it shows


def test_few_units_and_none_at_all_give_no_interval():
    few = virtual_tem_table(study(150.0, 150.0, n=3))
    assert few["low"].isna().all()
    assert few["sentence"].str.contains("no interval|cannot be compared").all()
    nothing = VIRTUAL_TEM.validate(virtual_tem_table(pd.DataFrame(columns=list(EDGE_COLUMNS))))
    assert (nothing["n_cryo"] == 0).all()
    assert nothing["sentence"].str.contains("cannot be compared").all()
