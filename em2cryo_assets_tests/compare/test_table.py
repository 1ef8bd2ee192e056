"""The comparison table: who is compared with whom, over which units, and why not."""

import json

import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.compare.characteristics import CHARACTERISTICS
from em2cryo_assets.compare.descriptors import OF_ONE_CELL
from em2cryo_assets.compare.table import TABLE_COLUMNS, comparison_table
from em2cryo_assets_tests.compare.made_up_study import EMPTY, exact, measured, paired


def row(table: pd.DataFrame, name: str) -> pd.Series:
    return table.set_index("characteristic").loc[name]


def test_nothing_at_all_still_gives_every_row() -> None:
    table = comparison_table(EMPTY, EMPTY, EMPTY, EMPTY)
    assert tuple(table.columns) == TABLE_COLUMNS
    assert table["characteristic"].tolist() == list(CHARACTERISTICS)
    assert (table["reason"] != "").all()


def test_a_study_of_sem_only_says_what_is_missing() -> None:
    sem = measured("sem", "axis_ratio", exact(1.2, 0.1, 6))
    table = comparison_table(sem, EMPTY, EMPTY, EMPTY)
    assert row(table, "axis_ratio")["cause"] == "no_cryo"
    assert row(table, "axis_ratio")["estimate_model"] == pytest.approx(1.2)
    assert row(table, "wall_thickness")["cause"] == "no_tem"
    assert row(table, "depth_profile")["cause"] == "no_tem"


@pytest.mark.parametrize("modality", ["lamella", "cryo-section", "overview"])
def test_shape_is_never_read_from_a_part_of_a_cell(modality: str) -> None:
    sem = measured("sem", "axis_ratio", exact(1.2, 0.1, 6))
    cryo = measured("cryo", "axis_ratio", exact(1.2, 0.1, 6), modality=modality)
    found = row(comparison_table(sem, cryo, EMPTY, EMPTY), "axis_ratio")
    assert found["cause"] == "not_in_slab"
    assert "whole-cell" in found["reason"]


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("imposed by the surface estimator: axial symmetry", "imposed"),
        (
            "drying changed the size by an unknown factor; live-cell diameters of the strain are needed",
            "drying",
        ),
        ("the mesh is not closed", "unmeasured_model"),
    ],
)
def test_the_models_own_reason_is_kept(reason: str, cause: str) -> None:
    sem = pd.concat(
        [
            measured("sem", "log_volume", [3.0, 3.1], reason=f"{OF_ONE_CELL}cut by the border"),
            measured("sem", "log_volume", [3.2], reason=reason),
        ]
    )
    cryo = measured("cryo", "log_volume", exact(4, 0.2, 6))
    found = row(comparison_table(sem, cryo, EMPTY, EMPTY), "log_volume")
    assert (found["cause"], found["reason"]) == (cause, reason)


def test_cells_that_may_not_count_are_left_out_and_counted() -> None:
    good = measured("sem", "axis_ratio", exact(1.2, 0.1, 5))
    bad = measured("sem", "axis_ratio", [9.0, 8.0, 7.0], reason=f"{OF_ONE_CELL}more than 10 % of it hidden")
    bad["unit"] = ["x", "y", "z"]
    bad.iloc[0, bad.columns.get_loc("reason")] = f"{OF_ONE_CELL}perhaps a bud"
    cryo = measured("cryo", "axis_ratio", exact(1.2, 0.1, 6))
    found = row(comparison_table(pd.concat([good, bad]), cryo, EMPTY, EMPTY), "axis_ratio")
    assert found["n_model"] == 5
    assert found["estimate_model"] == pytest.approx(1.2)
    assert found["note"] == "3 of 8 on the model's side left out: 2 more than 10 % of it hidden, 1 perhaps a bud"


def test_undefined_values_are_no_units() -> None:
    sem = measured("sem", "axis_ratio", [1.1, np.nan, 1.3])
    cryo = measured("cryo", "axis_ratio", [1.1, np.inf, 1.3])
    found = row(comparison_table(sem, cryo, EMPTY, EMPTY), "axis_ratio")
    assert (found["n_model"], found["n_reference"]) == (2, 2)


def test_several_volumes_of_one_cell_are_one_unit() -> None:
    sem = measured("sem", "axis_ratio", exact(1.2, 0.1, 6))
    cryo = measured("cryo", "axis_ratio", [1.0, 1.2, 1.4, 1.6]).assign(unit=["a", "a", "b", "b"])
    found = row(comparison_table(sem, cryo, EMPTY, EMPTY), "axis_ratio")
    assert json.loads(found["units_reference"]) == {"a": pytest.approx(1.1), "b": pytest.approx(1.5)}


def test_whole_cells_and_arcs_in_slabs_are_not_averaged_together() -> None:
    sem = measured("sem", "log_wall_radius", exact(7.7, 0.05, 6))
    arcs = measured("cryo", "log_wall_radius", exact(7.5, 0.3, 9), modality="lamella")
    few = measured("cryo", "log_wall_radius", exact(7.7, 0.05, 3), modality="soft-x-ray")
    many = measured("cryo", "log_wall_radius", exact(7.7, 0.05, 4), modality="soft-x-ray")
    for part in (few, many):
        part["unit"] = part["key"] = [f"whole-{k}" for k in range(len(part))]
    found = row(comparison_table(sem, pd.concat([arcs, many]), EMPTY, EMPTY), "log_wall_radius")
    assert (found["n_reference"], found["estimate_reference"]) == (4, pytest.approx(7.7))
    assert "9 measured in slabs left out" in found["note"]
    found = row(comparison_table(sem, pd.concat([arcs, few]), EMPTY, EMPTY), "log_wall_radius")
    assert found["n_reference"] == 12
    assert row(comparison_table(sem, arcs, EMPTY, EMPTY), "log_wall_radius")["n_reference"] == 9


def test_sections_of_a_block_are_one_unit_where_there_are_blocks_enough() -> None:
    cryo = measured("cryo", "wall_thickness", exact(150, 10, 6), modality="lamella")
    tem = measured("tem", "wall_thickness", exact(150, 20, 18), blocks=5)
    found = row(comparison_table(EMPTY, cryo, tem, EMPTY), "wall_thickness")
    assert (found["n_model"], found["n_tem"]) == (5, 18)
    # Blocks of four and of three cells: the mean stays that of the cells.
    assert found["estimate_model"] == pytest.approx(150)
    few = row(comparison_table(EMPTY, cryo, tem.assign(block="one"), EMPTY), "wall_thickness")
    assert few["n_model"] == 18
    assert "fewer than 4 blocks" in few["note"]


def test_shares_of_the_reference_are_weighted_by_volume_as_sections_weight_them() -> None:
    volume, share = np.array([10.0, 20.0, 60.0, 90.0]), np.array([0.2, 0.15, 0.08, 0.05])
    cryo = pd.concat([measured("cryo", "fraction_nucleus", share), measured("cryo", "log_volume", np.log(volume))])
    tem = measured("tem", "fraction_nucleus", exact(0.08, 0.03, 10))
    found = row(comparison_table(EMPTY, cryo, tem, EMPTY), "fraction_nucleus")
    assert found["estimate_reference"] == pytest.approx((volume * share).sum() / volume.sum())
    # A cell with a bud is no shape to compare, but holds what it holds.
    budded = cryo.assign(assessable=cryo["characteristic"] == "fraction_nucleus")
    again = row(comparison_table(EMPTY, budded, tem, EMPTY), "fraction_nucleus")
    assert again["estimate_reference"] == found["estimate_reference"]
    unweighted = row(comparison_table(EMPTY, cryo.iloc[:4], tem, EMPTY), "fraction_nucleus")
    assert unweighted["estimate_reference"] == pytest.approx(share.mean())
    assert "not by volume" in unweighted["note"]


def test_walls_are_not_read_from_volumes_too_coarse_for_them() -> None:
    tem = measured("tem", "wall_thickness", exact(150, 20, 8))
    cryo = measured("cryo", "wall_thickness", exact(150, 20, 8), modality="soft-x-ray")
    assert row(comparison_table(EMPTY, cryo, tem, EMPTY), "wall_thickness")["cause"] == "not_in_slab"


def study_of_pairs(modalities: list[str], **kwargs: object) -> pd.DataFrame:
    sem, tem = measured("sem", "axis_ratio", [1.2]), measured("tem", "wall_thickness", exact(150, 20, 8))
    n = len(modalities)
    cryo = measured("cryo", "depth_profile", np.full(n, np.nan)).assign(modality=modalities)
    pairs = paired("depth_profile", n=n, shifts={"model": 0.0, "homogeneous": 0.5}, **kwargs)
    return comparison_table(sem, cryo, tem, pairs)


def test_vectors_of_unlike_instruments_are_not_averaged() -> None:
    found = row(study_of_pairs(["lamella"] * 6 + ["soft-x-ray"] * 9), "depth_profile")
    assert found["n_cryo"] == 6
    assert "lamella" in found["note"]
    found = row(study_of_pairs(["lamella"] * 2 + ["soft-x-ray"] * 9), "depth_profile")
    assert found["n_cryo"] == 9


def test_a_tomogram_that_may_not_be_used_is_not() -> None:
    sem, tem = measured("sem", "axis_ratio", [1.2]), measured("tem", "wall_thickness", exact(150, 20, 8))
    pairs = paired("depth_profile", n=6, shifts={"model": 0.0})
    cryo = measured("cryo", "depth_profile", np.full(6, np.nan), modality="lamella")
    cryo.loc[0, ["assessable", "reason"]] = [False, "no outer surface in view"]
    found = row(comparison_table(sem, cryo, tem, pairs), "depth_profile")
    assert found["n_cryo"] == 5
    assert "no outer surface in view" in found["note"]
    all_bad = cryo.assign(assessable=False, reason="no outer surface in view")
    found = row(comparison_table(sem, all_bad, tem, pairs), "depth_profile")
    assert (found["cause"], found["reason"]) == ("unmeasured_reference", "no outer surface in view")


def test_the_order_of_contrasts_is_reported_and_not_judged() -> None:
    sem, tem = measured("sem", "axis_ratio", [1.2]), measured("tem", "wall_thickness", exact(150, 20, 8))
    pairs = paired("contrast_order", n=5, shifts={"model": 0.0}, bins=1).assign(value=0.6)
    cryo = measured("cryo", "depth_profile", np.full(5, np.nan), modality="lamella")
    found = row(comparison_table(sem, cryo, tem, pairs), "contrast_order")
    assert found["estimate_model"] == pytest.approx(0.6)
    assert found["cause"] == "modality"


def test_same_input_same_table() -> None:
    pd.testing.assert_frame_equal(study_of_pairs(["lamella"] * 6), study_of_pairs(["lamella"] * 6))


def test_a_table_without_its_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="cell_features lacks the columns"):
        comparison_table(pd.DataFrame({"key": ["a"]}), EMPTY, EMPTY, EMPTY)
