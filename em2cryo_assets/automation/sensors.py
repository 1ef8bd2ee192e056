"""Sensors: the inbox.

Belongs here: noticing what arrived and asking for runs. Stopped until switched on in the UI.
Does not belong here: deciding what is out of date (`automation.plan`).
"""

import dagster as dg

from em2cryo_assets.assets.lineage import STAGES, Upstream
from em2cryo_assets.automation.register import new_and_gone
from em2cryo_assets.partitions import CELLS, FIELDS, SECTIONS, TOMOGRAMS
from em2cryo_assets.resources.inbox import KINDS, RawFile
from em2cryo_assets.resources.study import Study, StudyResource

__all__ = ["FIELD_JOB", "SECTION_JOB", "TOMOGRAM_JOB", "follow_changes", "inbox_sensor"]

FIELD_JOB = dg.define_asset_job(
    "read_field", selection=["sem_field", "cell_masks"], description="Read one SEM field and find its cells."
)
SECTION_JOB = dg.define_asset_job(
    "read_section", selection=["tem_section", "section_labels"], description="Read and label one TEM section."
)
TOMOGRAM_JOB = dg.define_asset_job(
    "read_tomogram",
    selection=["tomogram", "tomogram_labels", "tomogram_features"],
    description="Read, label and measure one tomogram or whole-cell volume.",
)
_JOB_OF_KIND = {"sem": FIELD_JOB, "tem": SECTION_JOB, "tomogram": TOMOGRAM_JOB}
_SETS = {"fields": FIELDS, "sections": SECTIONS, "tomograms": TOMOGRAMS, "cells": CELLS}


follow_changes = dg.AutomationConditionSensorDefinition(
    "follow_changes",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Makes anew what follows from a changed input, by the conditions of the assets; pairs and the interior "
    "atlas wait for the nightly run.",
)


@dg.sensor(
    jobs=[FIELD_JOB, SECTION_JOB, TOMOGRAM_JOB],
    minimum_interval_seconds=30,
    description="Gives new raw files in the inbox a key and runs them; retires those that were deleted.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, study: StudyResource) -> dg.SensorResult | dg.SkipReason:
    """One run for each new or changed raw file or its labels; run keys carry the version, so none comes twice."""
    here = study.open()
    change = new_and_gone(here, context.instance)
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    for key_set, definition in _SETS.items():
        added = [key for name, key in change.added if name == key_set]
        retired = [key for name, key in change.retired if name == key_set]
        requests += [definition.build_add_request(added)] if added else []
        requests += [definition.build_delete_request(retired)] if retired else []
    for problem in change.problems:
        context.log.warning(problem)
    refused = {problem.partition(":")[0] for problem in change.problems}
    runs = []
    for kind in KINDS:
        for key, raw in here.inbox.files(kind).items():  # type: ignore[arg-type]
            run_key = None if key in refused else _unread(here, raw)
            if run_key is not None:
                runs.append(dg.RunRequest(run_key=run_key, partition_key=key, job_name=_JOB_OF_KIND[kind].name))
    if not runs and not requests:
        return dg.SkipReason("Nothing new in the inbox.")
    return dg.SensorResult(run_requests=runs, dynamic_partitions_requests=requests)


def _unread(study: Study, raw: RawFile) -> str | None:
    """Run key of what lies in the inbox and was never read, None if everything was.

    It also carries the runs that made what there is: a file that is put back as it was before must run again.
    """
    readers = [stage for stage in STAGES.values() if any(_reads(one, raw.kind) for one in stage.upstream)]
    drawn = any(one.via == "labels" for stage in readers for one in stage.upstream)
    versions = [study.inbox.digest(raw), (study.inbox.labels_digest(raw) if drawn else None) or ""]
    made = [one for one in (study.store.current(stage.name, raw.key) for stage in readers) if one is not None]
    read = {ref.digest for one in made for ref in one.provenance.inputs if ref.asset in ("inbox", "human_labels")}
    if read == set(filter(None, versions)):
        return None
    runs = [one.provenance.run_id for one in made]
    return ":".join([raw.kind, raw.key, *(version[:16] for version in versions), *(run[:8] for run in runs)])


def _reads(upstream: Upstream, kind: str) -> bool:
    return upstream.via in ("raw", "labels") and upstream.asset == kind
