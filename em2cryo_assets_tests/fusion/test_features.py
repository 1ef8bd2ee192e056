import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.fusion.features import DRIED_LINEAR, expected_depth, expected_volumes
from em2cryo_assets.tem.atlas import Atlas


@pytest.fixture
def atlas(make_atlas):
    made = make_atlas()
    fractions = made.tables["fractions"].assign(n_units=30, reason="")
    return Atlas({**made.tables, "fractions": fractions}, [])


def test_volumes_are_shares_of_the_mesh_with_the_intervals_of_the_atlas(atlas):
    table = expected_volumes(atlas, 40.0, 1).set_index("label")
    assert table.loc["vacuole", "dried_um3"] == pytest.approx(4.0)
    assert table.loc["vacuole", "dried_low"] == pytest.approx(3.2)
    assert (table["independent_cells"] == 30).all()
    for label in table.index:
        assert table.loc[label, "living_low"] < table.loc[label, "living_um3"] < table.loc[label, "living_high"]


def test_drying_makes_living_cells_larger_and_less_certain(atlas):
    row = expected_volumes(atlas, 40.0, 1).set_index("label").loc["nucleus"]
    assert row["living_um3"] == pytest.approx(row["dried_um3"] / DRIED_LINEAR[0] ** 3, rel=0.05)
    dried = (row["dried_high"] - row["dried_low"]) / row["dried_um3"]
    assert (row["living_high"] - row["living_low"]) / row["living_um3"] > 1.5 * dried


def test_without_an_interval_the_reason_is_said(atlas):
    few = atlas.tables["fractions"].assign(low=np.nan, high=np.nan)
    table = expected_volumes(Atlas({**atlas.tables, "fractions": few}, []), 40.0, 1)
    assert table["living_low"].isna().all()
    assert (table["living_um3"] > table["dried_um3"]).all()
    assert table["reason"].str.contains("too few").all()


def test_depth_is_in_nanometres_of_this_shape_and_shares_add_up(atlas):
    table = expected_depth(atlas, 2000.0)
    assert table["depth_nm"].iloc[0] == pytest.approx(50.0)
    assert table["depth_nm"].iloc[-1] == pytest.approx(1950.0)
    shares = table.drop(columns=["s_bin", "depth_nm", "density"])
    assert np.allclose(shares.sum(axis=1), 1.0)


def test_no_depth_gives_no_rows(atlas):
    empty = pd.DataFrame(columns=atlas.tables["depth"].columns)
    assert len(expected_depth(Atlas({**atlas.tables, "depth": empty}, []), 2000.0)) == 0
