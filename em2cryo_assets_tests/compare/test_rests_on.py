"""A row rests on exactly the keys whose numbers entered it."""

import json

import pandas as pd

from em2cryo_assets.compare.drying import DRIED
from em2cryo_assets.compare.rests_on import rests_on
from em2cryo_assets.compare.table import comparison_table
from em2cryo_assets_tests.compare.made_up_study import EMPTY, measured, paired


def test_units_of_the_table_are_the_keys_it_rests_on() -> None:
    sem = pd.concat(
        [measured("sem", "axis_ratio", [1.1, 1.2, 1.3]), measured("sem", "sphericity", [0.9], reason="cut")]
    )
    sem = sem.assign(assessable=sem["assessable"] & (sem["key"] != "sem001"), reason="occluded")
    cryo = pd.concat(
        [measured("cryo", "axis_ratio", [1.1, 1.2]), measured("cryo", "axis_ratio", [1.0], modality="lamella")]
    )
    cryo.loc[cryo["modality"] == "lamella", ["key", "unit"]] = "slab"
    table = comparison_table(sem, cryo, EMPTY, EMPTY).set_index("characteristic").loc["axis_ratio"]
    keys = rests_on(sem, cryo, EMPTY)
    mine = keys[keys["characteristic"] == "axis_ratio"]
    assert (
        set(mine.loc[mine["side"] == "model", "key"]) == set(json.loads(table["units_model"])) == {"sem000", "sem002"}
    )
    assert set(mine.loc[mine["side"] == "reference", "key"]) == set(json.loads(table["units_reference"]))
    assert "slab" not in set(mine["key"])
    assert not len(keys[keys["characteristic"] == "sphericity"])


def test_sizes_rest_on_the_cells_whose_drying_is_undone() -> None:
    dried = measured("sem", "log_volume", [3.0, 3.1, 3.2, 3.3], reason=DRIED)
    live_um = dict.fromkeys(dried["key"], 4.5)
    for known, wanted in (({}, set()), (live_um, set(dried["key"]))):
        assert (
            set(json.loads(comparison_table(dried, EMPTY, EMPTY, EMPTY, live_um=known)["units_model"].iloc[0]))
            == wanted
        )
        keys = rests_on(dried, EMPTY, EMPTY, live_um=known)
        assert set(keys.loc[keys["characteristic"] == "log_volume", "key"]) == wanted


def test_slabs_are_no_part_of_what_whole_cells_were_compared_by() -> None:
    cryo = pd.concat(
        [
            measured("cryo", "log_wall_radius", [7.6, 7.7, 7.7, 7.8]),
            measured("slab", "log_wall_radius", [7.2, 7.9], modality="lamella"),
        ]
    )
    sem = measured("sem", "log_wall_radius", [7.6, 7.7, 7.7, 7.8])
    table = comparison_table(sem, cryo, EMPTY, EMPTY).set_index("characteristic").loc["log_wall_radius"]
    keys = rests_on(sem, cryo, EMPTY)
    assert set(keys.loc[keys["side"] == "reference", "key"]) == set(json.loads(table["units_reference"]))


def test_distances_rest_on_their_pairs_without_tomograms_that_are_barred() -> None:
    pairs = paired("power_spectrum", n=3, shifts={"model": 0.1})
    cryo = measured("cryo", "power_spectrum", [0.0, 0.0, 0.0], modality="lamella")
    cryo.loc[cryo["key"] == "cryo001", ["assessable", "reason"]] = [False, "denoised"]
    keys = rests_on(EMPTY, cryo, pairs)
    mine = keys[keys["characteristic"] == "power_spectrum"]
    wanted = pairs[pairs["tomogram"] != "cryo001"]
    assert set(zip(mine["cell"], mine["key"], strict=True)) == set(zip(wanted["cell"], wanted["tomogram"], strict=True))


def test_an_empty_study_rests_on_its_atlas_at_most() -> None:
    assert set(rests_on(EMPTY, EMPTY, EMPTY)["asset"]) == {"interior_atlas"}
