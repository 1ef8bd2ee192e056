"""Virtual sections of plane walls whose width is known, and both sides in one table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.compare.tables import VIRTUAL_TEM
from em2cryo_assets.compare.virtual_tem import (
    EDGE_COLUMNS,
    SECTION,
    SINGLE,
    VIRTUAL,
    edge_row,
    virtual_section,
    virtual_tem_table,
)
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


def edge(kind, density, labels, *, key="a", unit="", block="", thickness_nm=70.0, seed=0):
    return edge_row(kind, key, unit, block, thickness_nm, density, labels, PIXEL_NM, seed=seed)


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
    assert row["in_order"]
    assert not row["permuted_in_order"]


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
    assert edge(SECTION, density[0], np.full_like(labels[0], LABELS["cytoplasm"])) is None
    assert edge(SECTION, density[0], np.zeros_like(labels[0])) is None
    with pytest.raises(ValueError, match="cannot be seen"):
        virtual_section(density[:0], labels[:0], PIXEL_NM, 70.0)


def test_a_wall_as_dense_as_the_inside_has_no_layers_in_order():
    density, labels = slab(150.0, noise=0.01)
    density = np.where(labels == LABELS["wall"], 0.8, density)
    row = edge(SECTION, density[0], labels[0])
    assert not row["in_order"]
    assert np.isnan(row["width_nm"])


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
