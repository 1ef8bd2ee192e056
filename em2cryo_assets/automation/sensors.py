"""Sensors: the inbox.

Belongs here: noticing what arrived and asking for runs. Stopped until switched on in the UI.
Does not belong here: deciding what is out of date (`automation.plan`).
"""

import dagster as dg

from em2cryo_assets.automation.register import KEY_SET_OF_KIND, new_and_gone
from em2cryo_assets.partitions import CELLS, FIELDS, SECTIONS, TOMOGRAMS
from em2cryo_assets.resources.inbox import KINDS
from em2cryo_assets.resources.study import StudyResource

__all__ = ["FIELD_JOB", "SECTION_JOB", "TOMOGRAM_JOB", "inbox_sensor"]

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


@dg.sensor(
    jobs=[FIELD_JOB, SECTION_JOB, TOMOGRAM_JOB],
    minimum_interval_seconds=30,
    description="Gives new raw files in the inbox a key and runs them; retires those that were deleted.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, study: StudyResource) -> dg.SensorResult | dg.SkipReason:
    """One run for each new or changed raw file; run keys carry the file's version, so none comes twice."""
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
            made = here.store.current(_first_asset(kind), key)
            version = here.inbox.digest(raw)
            read = made is not None and any(r.asset == "inbox" and r.digest == version for r in made.provenance.inputs)
            if not read and key not in refused:
                runs.append(
                    dg.RunRequest(
                        run_key=f"{kind}:{key}:{version[:16]}", partition_key=key, job_name=_JOB_OF_KIND[kind].name
                    )
                )
    if not runs and not requests:
        return dg.SkipReason("Nothing new in the inbox.")
    return dg.SensorResult(run_requests=runs, dynamic_partitions_requests=requests)


def _first_asset(kind: str) -> str:
    return {"fields": "sem_field", "sections": "tem_section", "tomograms": "tomogram"}[KEY_SET_OF_KIND[kind]]
