"""What every asset of the lineage has in common: inputs, publishing, provenance, failures.

Belongs here: turning a row of `assets.lineage` and a plain function into a Dagster asset.
Does not belong here: anything about one stage in particular.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dagster as dg

from em2cryo_assets.assets.lineage import GROUPS, STAGES, KeySet, Stage
from em2cryo_assets.assets.snapshot import Snapshot, UpstreamMissingError
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.partitions import CELLS, FIELDS, PAIRS, SECTIONS, TOMOGRAMS
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.study import Study, StudyResource
from em2cryo_assets.store.provenance import InputRef, Provenance, inputs_digest, software_versions
from em2cryo_assets.store.publish import Artifact

__all__ = ["INPUTS_TAG", "PARTITIONS", "Work", "stage_asset"]

INPUTS_TAG: Final = "em2cryo/inputs"
"""Tag of a materialization with the digest of all its inputs, fan-ins included, where Dagster's own
comparison gives up at 100 upstream partitions."""

PARTITIONS: Final[Mapping[KeySet, dg.PartitionsDefinition[str]]] = {
    "fields": FIELDS,
    "cells": CELLS,
    "sections": SECTIONS,
    "tomograms": TOMOGRAMS,
    "pairs": PAIRS,  # type: ignore[dict-item]
}

_SOFTWARE = ("dask", "numpy", "open3d-cpu", "scikit-image", "scipy", "torch", "zarr")


@dataclass
class Work:
    """What a stage's function works with: its inputs, a folder to write into, and what to say about it.

    Parameters
    ----------
    stage, key : Stage, str or None
        What is being made.
    study, compute : Study, ComputeResource
        Where things lie, and what computes.
    snapshot : Snapshot
        What the study holds.
    refs : list of InputRef
        The inputs, exactly as they will be recorded.
    folder : pathlib.Path
        Write the artifact here; it is published whole when the function returns.
    context : dagster.AssetExecutionContext
        For log lines and for events of other assets.
    config : mapping
        What a person asked for in the launchpad; the defaults of `stage_asset`'s `config` otherwise.
    metadata, checks, fallbacks, parameters : dict, list, list, dict
        Shown in the UI; results of checks; assumptions made; facts recorded in the provenance.
    """

    stage: Stage
    key: str | None
    study: Study
    compute: ComputeResource
    snapshot: Snapshot
    refs: list[InputRef]
    folder: Path
    context: dg.AssetExecutionContext
    config: Mapping[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    checks: list[dg.AssetCheckResult] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    simulated: bool = False

    @property
    def slug(self) -> str:
        """The key of a partitioned stage."""
        assert self.key is not None
        return self.key

    def all(self, asset: str) -> dict[str, Artifact]:
        """Artifacts of one input asset by key (the empty key for an asset without partitions)."""
        found = (self.study.store.get(r.asset, r.key, r.digest) for r in self.refs if r.asset == asset)
        return {artifact.key or "": artifact for artifact in found if artifact is not None}

    def one(self, asset: str) -> Artifact:
        """Return the one artifact of an input asset.

        Raises
        ------
        UpstreamMissingError
            If it does not exist.
        """
        artifact = self.maybe(asset)
        if artifact is None:
            raise UpstreamMissingError(f"{asset} has not been made.")
        return artifact

    def maybe(self, asset: str) -> Artifact | None:
        """Return the one artifact of an input asset, or None where the study has none."""
        return next(iter(self.all(asset).values()), None)

    def check(self, name: str, passed: bool, sentence: str, **numbers: float | int | str) -> None:
        """Record the result of one of the stage's checks."""
        self.checks.append(
            dg.AssetCheckResult(
                passed=bool(passed),
                check_name=name,
                asset_key=self.stage.name,
                description=sentence,
                metadata=numbers,
            )
        )


def stage_asset(
    name: str, checks: tuple[dg.AssetCheckSpec, ...] = (), config: Mapping[str, dg.Field] | None = None
) -> Callable[[Callable[[Work], None]], dg.AssetsDefinition]:
    """Make a Dagster asset of a function that fills a folder.

    Parameters
    ----------
    name : str
        A row of `STAGES`.
    checks : tuple of dagster.AssetCheckSpec
        The checks that the function reports.
    config : mapping of str to dagster.Field, optional
        What a person may ask for in the launchpad, with defaults: `Work.config`.
    """
    stage = STAGES[name]

    def decorate(function: Callable[[Work], None]) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            group_name=GROUPS[stage.group],
            partitions_def=PARTITIONS[stage.key_set] if stage.key_set else None,
            deps=list(_deps(stage)),
            code_version=stage.code_version,
            description=stage.description,
            kinds=set(stage.kinds),
            tags=stage.tags,
            owners=["team:em2cryo"],
            check_specs=checks,
            config_schema=dict(config or {}),
        )
        def asset(
            context: dg.AssetExecutionContext, study: StudyResource, compute: ComputeResource
        ) -> dg.MaterializeResult:
            return _make(stage, function, context, study.open(), compute)

        return asset

    return decorate


def _deps(stage: Stage) -> Iterator[dg.AssetDep]:
    for upstream in stage.upstream:
        if upstream.via in ("raw", "labels"):
            continue
        mapping: dg.PartitionMapping | None = None
        if upstream.via == "every" and stage.key_set is None:
            mapping = dg.AllPartitionMapping()
        elif upstream.via in ("cell", "tomogram"):
            with warnings.catch_warnings():  # beta: its tests are ours (only the changed pair is recomputed)
                warnings.simplefilter("ignore", dg.BetaWarning)
                mapping = dg.MultiToSingleDimensionPartitionMapping(upstream.via)
        yield dg.AssetDep(upstream.asset, partition_mapping=mapping)


def _make(
    stage: Stage,
    function: Callable[[Work], None],
    context: dg.AssetExecutionContext,
    study: Study,
    compute: ComputeResource,
) -> dg.MaterializeResult[Any]:
    key = context.partition_key if context.has_partition_key else None
    snapshot = Snapshot(study, live_keys(context.instance))
    try:
        refs = snapshot.inputs(stage, key)
    except UpstreamMissingError as error:
        raise dg.Failure(f"{error} Materialize it first, or type: em2cryo run", allow_retries=False) from error
    digest = inputs_digest(refs)
    provenance = Provenance(stage.name, key, code_version=stage.code_version, run_id=context.run.run_id)
    try:
        # All arrays in this process: on a worker, dask would send them to the cluster that waits for this very task.
        with compute.arrays(), study.store.publish(stage.name, key, provenance) as staging:
            asked = context.op_execution_context.op_config or {}
            work = Work(stage, key, study, compute, snapshot, refs, staging.path, context, asked)
            work.simulated = _simulated_upstream(study, stage, refs)
            function(work)
            blocked = next((c for c in work.checks if not c.passed and _blocks(context, c)), None)
            if blocked is not None:  # published, so that it can be looked at; `Snapshot` keeps it from what follows
                work.parameters["blocked"] = str(blocked.description)
            staging.provenance = Provenance(
                stage.name,
                key,
                inputs=tuple(refs),
                parameters={**study.parameters(stage.settings), **work.parameters},
                code_version=stage.code_version,
                seed=study.settings.seed if "seed" in stage.settings else None,
                run_id=context.run.run_id,
                fallbacks=tuple(work.fallbacks),
                simulated=work.simulated,
                software=software_versions(*_SOFTWARE),
            )
    except OSError:
        # A full disk, a read-only store, a damaged chunk: no fault of the inputs, so the next run tries again.
        raise
    except Exception as error:
        study.store.record_failure(stage.name, key, _sentence(error), digest, stage.code_version)
        if isinstance(error, InputError):
            raise dg.Failure(str(error), allow_retries=False) from error
        raise
    assert staging.artifact is not None
    return dg.MaterializeResult(
        metadata=_common_metadata(work, staging.artifact),
        check_results=work.checks,
        data_version=dg.DataVersion(staging.artifact.digest),
        tags={INPUTS_TAG: digest[:32]},
    )


def live_keys(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Live keys of the four dynamic sets, sorted: tables must not depend on the order in which files came."""
    return {
        name: sorted(instance.get_dynamic_partitions(name)) for name in ("fields", "cells", "sections", "tomograms")
    }


def _simulated_upstream(study: Study, stage: Stage, refs: list[InputRef]) -> bool:
    if stage.group != "models":  # what a network learned from does not make what it is used on simulated
        refs = [ref for ref in refs if ref.asset not in STAGES or STAGES[ref.asset].group != "models"]
    found = (study.store.get(r.asset, r.key, r.digest) for r in refs if r.asset in STAGES or r.asset == "cell_view")
    return any(artifact is not None and artifact.provenance.simulated for artifact in found)


def _blocks(context: dg.AssetExecutionContext, result: dg.AssetCheckResult) -> bool:
    specs = context.assets_def.check_specs
    return any(spec.name == result.check_name and spec.blocking for spec in specs)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _rounded(value: Any) -> Any:
    """Numbers as people read them; the artifact holds all digits."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def _common_metadata(work: Work, artifact: Artifact) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if work.simulated:
        shown["simulated"] = dg.MetadataValue.md("**SIMULATED DATA** — not a real specimen")
    shown |= {name: _rounded(value) for name, value in work.metadata.items()}
    shown["digest"] = artifact.digest
    shown["folder"] = dg.MetadataValue.path(os.fspath(artifact.path))
    if work.fallbacks:
        shown["assumed"] = dg.MetadataValue.md("\n".join(f"- {line}" for line in work.fallbacks))
    return shown
