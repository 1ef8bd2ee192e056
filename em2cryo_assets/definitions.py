"""Everything the code location holds, and nothing else.

Importing this loads no torch, open3d or scikit-image: it is the cost of every step's start.
"""

import dagster as dg

from em2cryo_assets.assets import ASSETS
from em2cryo_assets.automation.conditions import condition_of
from em2cryo_assets.automation.schedules import nightly, update_study
from em2cryo_assets.automation.sensors import FIELD_JOB, SECTION_JOB, TOMOGRAM_JOB, follow_changes, inbox_sensor
from em2cryo_assets.resources.compute import ComputeResource, compute_from_environment
from em2cryo_assets.resources.study import StudyResource

__all__ = ["build_definitions", "defs"]


def build_definitions(study: StudyResource, compute: ComputeResource) -> dg.Definitions:
    """Assets, checks, jobs, sensors and schedules over one study.

    Parameters
    ----------
    study : StudyResource
        Where the data folder is.
    compute : ComputeResource
        What computes.
    """
    return dg.Definitions(
        assets=dg.map_asset_specs(_with_condition, ASSETS),  # type: ignore[arg-type]
        jobs=[FIELD_JOB, SECTION_JOB, TOMOGRAM_JOB, update_study],
        sensors=[follow_changes, inbox_sensor],
        schedules=[nightly],
        resources={"study": study, "compute": compute},
        executor=dg.in_process_executor,
    )


def _with_condition(spec: dg.AssetSpec) -> dg.AssetSpec:
    name = spec.key.to_user_string()
    return spec if name == "cell_view" else spec.replace_attributes(automation_condition=condition_of(name))


defs = build_definitions(StudyResource(), compute_from_environment())
