"""What the code location promises to Dagster and to those who look at it there."""

import re
import subprocess
import sys

import dagster as dg
import pytest

from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.definitions import defs

GRAPH = defs.resolve_asset_graph()
NAMES = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())
BLOCKING = {
    ("phantom_cells", "volumes_agree"),
    ("sem_field", "pixel_size_plausible"),
    ("tem_section", "pixel_size_plausible"),
    ("tomogram", "pixel_size_plausible"),
    ("cell_masks", "not_empty"),
    ("section_labels", "not_empty"),
    ("cell_mesh", "watertight"),
    ("cell_mesh", "oriented"),
    ("interior_atlas", "fractions_sum_to_one"),
    ("fused_volume", "volume_matches_mesh"),
    ("comparison_table", "table_schema"),
    ("verdicts", "table_schema"),
}
REPORTED_ONLY = {
    ("section_model", "beats_the_baseline"),
    ("section_model", "labels_simulated_cells"),
    ("sem_mask_model", "beats_the_baseline"),
    ("sem_mask_model", "finds_simulated_cells"),
    ("tomogram_labels", "not_empty"),
    ("tomogram_model", "beats_the_baseline"),
    ("tomogram_model", "labels_simulated_cells"),
    ("limitations", "every_bound_has_a_way_out"),
    ("virtual_tem", "order_is_no_accident"),
    ("verdict_calibration", "errors_as_promised"),
    ("verdicts", "controls_in_order"),
}


def test_loading_the_code_location_loads_no_heavy_library() -> None:
    code = "import sys, em2cryo_assets.definitions; print({'torch', 'open3d', 'skimage'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


def test_dagster_can_load_it() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_assets_are_those_of_the_lineage() -> None:
    assert sorted((*STAGES, "cell_view")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_asset_says_what_it_is_and_whose(name: str) -> None:
    spec = GRAPH.get(dg.AssetKey(name)).to_asset_spec()
    assert spec.description
    assert spec.group_name
    assert spec.owners
    assert spec.kinds
    assert spec.tags["em2cryo/microscopy"] in {"sem", "tem", "cryo-et", "sem-tem-and-cryo-et", "all"}
    words = re.findall(r"[A-Za-z]+", spec.description)
    assert len(words) >= 8  # a sentence, and none of a programmer's words in it
    assert not {"partition", "dataframe", "array", "parquet", "zarr", "tensor"} & {word.lower() for word in words}
    if name == "cell_view":  # logged by the run of cell_masks, so nothing of its own can change version
        assert not GRAPH.get(dg.AssetKey(name)).is_materializable
    else:
        assert spec.code_version == STAGES[name].code_version


def test_groups_sort_in_the_order_of_the_work() -> None:
    # Dagster sorts groups by name: an input never stands in a group behind that of its reader.
    for name in NAMES:
        one = GRAPH.get(dg.AssetKey(name))
        for parent in one.parent_keys:
            assert GRAPH.get(parent).group_name <= one.group_name, (parent, name)


def test_dependencies_are_those_of_the_lineage() -> None:
    for stage in STAGES.values():
        declared = {up.asset for up in stage.upstream if up.via not in ("raw", "labels")}
        assert {key.to_user_string() for key in GRAPH.get(dg.AssetKey(stage.name)).parent_keys} == declared


def test_checks_are_partitioned_like_their_assets_and_only_those_meant_to_block_do() -> None:
    found = {}
    for key in GRAPH.asset_check_keys:
        check = GRAPH.get(key)
        found[key.asset_key.to_user_string(), key.name] = check.blocking
        assert check.partitions_def == GRAPH.get(key.asset_key).partitions_def, key
    assert found == dict.fromkeys(BLOCKING, True) | dict.fromkeys(REPORTED_ONLY, False)


def test_nothing_starts_by_itself_before_it_is_switched_on() -> None:
    repository = defs.get_repository_def()
    assert {one.name for one in repository.sensor_defs} >= {"inbox_sensor"}
    for one in (*repository.sensor_defs, *repository.schedule_defs):
        assert one.default_status.value == "STOPPED", one.name
