"""The nightly run that brings a study up to date.

Belongs here: the job and its schedule. Does not belong here: what it does (`automation.batches`).
"""

import dagster as dg

from em2cryo_assets.automation.batches import bring_up_to_date
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.study import StudyResource

__all__ = ["bring_study_up_to_date", "nightly", "update_study"]


@dg.op(
    ins={"fetched": dg.In(dg.Nothing)},  # in `fetch_empiar`; the nightly job waits for nothing
    description="Register what lies in the inbox, then make everything that is missing or outdated.",
)
def bring_study_up_to_date(context: dg.OpExecutionContext, study: StudyResource, compute: ComputeResource) -> None:
    """Do what ``em2cryo run`` does, with its lines in this run's log."""
    outcome = bring_up_to_date(study.open(), context.instance, compute, context.log.info)
    for problem in outcome.problems:
        context.log.warning(problem)
    context.add_output_metadata({"materializations": outcome.materialized, "problems": len(outcome.problems)})


@dg.job(description="The same as typing: em2cryo run", executor_def=dg.in_process_executor)
def update_study() -> None:
    """One run that starts all others it needs in its own process."""
    bring_study_up_to_date()


nightly = dg.ScheduleDefinition(
    name="nightly", job=update_study, cron_schedule="0 2 * * *", description="Bring the study up to date at 02:00."
)
