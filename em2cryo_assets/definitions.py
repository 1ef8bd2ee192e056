"""Everything the code location holds, and nothing else.

Importing this loads no torch, open3d, scikit-image or HTTP library: it is the cost of every step's start.
"""

import dagster as dg

from em2cryo_assets.assets import ASSETS
from em2cryo_assets.automation.conditions import condition_of
from em2cryo_assets.automation.empiar import fetch_empiar, find_empiar_entries, watch_empiar_entries, weekly_empiar
from em2cryo_assets.automation.schedules import nightly, update_study
from em2cryo_assets.automation.sensors import FIELD_JOB, SECTION_JOB, TOMOGRAM_JOB, follow_changes, inbox_sensor
from em2cryo_assets.resources.compute import ComputeResource, compute_from_environment
from em2cryo_assets.resources.empiar.resource import EmpiarResource
from em2cryo_assets.resources.study import StudyResource

__all__ = ["build_definitions", "defs"]


def build_definitions(study: StudyResource, compute: ComputeResource, empiar: EmpiarResource) -> dg.Definitions:
    """Assets, checks, jobs, sensors and schedules over one study.

    Parameters
    ----------
    study : StudyResource
        Where the data folder is.
    compute : ComputeResource
        What computes.
    empiar : EmpiarResource
        Where tomograms of others come from.
    """
    return dg.Definitions(
        assets=dg.map_asset_specs(_with_condition, ASSETS),  # type: ignore[arg-type]
        jobs=[FIELD_JOB, SECTION_JOB, TOMOGRAM_JOB, update_study, fetch_empiar],
        sensors=[follow_changes, inbox_sensor, watch_empiar_entries, find_empiar_entries],
        schedules=[nightly, weekly_empiar],
        resources={"study": study, "compute": compute, "empiar": empiar},
        executor=dg.in_process_executor,
    )


def _with_condition(spec: dg.AssetSpec) -> dg.AssetSpec:
    name = spec.key.to_user_string()
    return spec if name == "cell_view" else spec.replace_attributes(automation_condition=condition_of(name))


defs = build_definitions(StudyResource(), compute_from_environment(), EmpiarResource())
