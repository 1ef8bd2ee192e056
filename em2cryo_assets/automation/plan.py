"""The one plan: which partitions are missing, outdated, failed or retired, and why.

Belongs here: comparing what is recorded with what the inputs are now. `em2cryo run`, `status`, the
nightly schedule and the report's list of what was left out all use it.
Does not belong here: running anything (`automation.batches`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import dagster as dg

from em2cryo_assets.assets.lineage import STAGES, Stage
from em2cryo_assets.assets.snapshot import Snapshot, UpstreamMissingError
from em2cryo_assets.assets.stage import live_keys
from em2cryo_assets.partitions import field_of_cell
from em2cryo_assets.resources.study import Study
from em2cryo_assets.store.provenance import InputRef, inputs_digest
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.wording import first_of

__all__ = ["TO_DO", "Step", "make_plan"]

TO_DO = ("missing", "outdated", "failed")
"""States that a run can do something about."""


@dataclass(frozen=True)
class Step:
    """State of one asset and key.

    Parameters
    ----------
    asset, key : str, str or None
        What.
    state : str
        ``current``, ``missing``, ``outdated``, ``failed``, ``stopped`` (current, but a check keeps it from what
        follows), ``waiting`` (for an input) or ``retired``.
    why : str
        One sentence.
    inputs : str
        Digest of the inputs that it would be made from now; empty while waiting.
    """

    asset: str
    key: str | None
    state: str
    why: str
    inputs: str = ""

    def as_row(self) -> dict[str, str | None]:
        """Asset, key, state and why, for ``em2cryo status``."""
        row = asdict(self)
        del row["inputs"]
        return row


def make_plan(study: Study, instance: dg.DagsterInstance) -> list[Step]:
    """Look at every asset and live key of a study, upstream before downstream.

    Nothing is changed and no array is read. An input that is itself outdated counts as it is now;
    its successor becomes outdated only when the new version differs (early cut-off).
    """
    snapshot = Snapshot(study, live_keys(instance))
    steps: list[Step] = []
    for stage in STAGES.values():
        if stage.on_request:
            continue
        recorded = _recorded_versions(instance, stage)
        for key in snapshot.keys(stage.key_set) if stage.key_set else [None]:
            steps.append(_look_at(snapshot, stage, key, recorded))
        steps.extend(_retired(snapshot, stage))
    return steps


def _look_at(snapshot: Snapshot, stage: Stage, key: str | None, recorded: Mapping[str | None, str]) -> Step:
    try:
        refs = snapshot.inputs(stage, key)
    except UpstreamMissingError as error:
        return Step(stage.name, key, "waiting", str(error))
    if not stage.upstream and not any(snapshot.live.values()):
        return Step(stage.name, key, "waiting", "The study holds no file yet.")
    if stage.upstream and not [ref for ref in refs if ref.asset != "settings"]:
        return Step(stage.name, key, "waiting", _nothing_to_read(snapshot, stage))
    step = Step(stage.name, key, "current", "Made from the present inputs.", inputs_digest(refs))
    failure = snapshot.study.store.failure(stage.name, key)
    if failure and failure["inputs_digest"] == step.inputs and failure["code_version"] == stage.code_version:
        return replace(step, state="failed", why=str(failure["message"]))
    artifact = snapshot.artifact(stage.name, key)
    if artifact is None:
        return replace(step, state="missing", why="It was never made.")
    if artifact.provenance.code_version != stage.code_version:
        old = artifact.provenance.code_version
        return replace(step, state="outdated", why=f"The code changed from version {old} to {stage.code_version}.")
    if inputs_digest(artifact.provenance.inputs) != step.inputs:
        return replace(step, state="outdated", why=_difference(artifact.provenance.inputs, refs))
    if recorded.get(key) != artifact.digest:
        return replace(step, state="outdated", why="Dagster has no record of the stored version.")
    if stage.name == "cell_masks" and (lost := _lost_views(snapshot, artifact)):
        return replace(step, state="outdated", why=f"The stored view of {', '.join(lost)} is gone.")
    if "blocked" in artifact.provenance.parameters:
        return replace(step, state="stopped", why=str(artifact.provenance.parameters["blocked"]))
    return step


def _nothing_to_read(snapshot: Snapshot, stage: Stage) -> str:
    """Say why a stage that reads every key of an input has none: there is none, or a check stopped them."""
    sets = {
        one.asset: STAGES[one.asset].key_set for one in stage.upstream if one.via == "every" and one.asset in STAGES
    }
    stopped = [
        f"{asset} of {key}"
        for asset, key_set in sets.items()
        for key in snapshot.keys(key_set or "")
        if snapshot.artifact(asset, key) is not None
    ]
    if stopped:
        return f"A check stopped all it could be made from: {', '.join(stopped)}."
    return f"There is no {', '.join(upstream.asset for upstream in stage.upstream)} yet."


def _recorded_versions(instance: dg.DagsterInstance, stage: Stage) -> dict[str | None, str]:
    """Data version of the latest materialization of each key, in one query an asset."""
    asset_key = dg.AssetKey(stage.name)
    if stage.key_set is None:
        event = instance.get_latest_materialization_event(asset_key)
        tags = {} if event is None or event.asset_materialization is None else event.asset_materialization.tags
        return {None: (tags or {}).get("dagster/data_version", "")}
    by_key = instance.event_log_storage.get_latest_tags_by_partition(
        asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
    )
    return {key: tags["dagster/data_version"] for key, tags in by_key.items()}


def _difference(old: tuple[InputRef, ...], new: list[InputRef]) -> str:
    before = {(ref.asset, ref.key): ref.digest for ref in old}
    after = {(ref.asset, ref.key): ref.digest for ref in new}
    changed = [f"{_name(place)} changed" for place in after if place in before and before[place] != after[place]]
    changed += [f"{_name(place)} is new" for place in after if place not in before]
    changed += [f"{_name(place)} is gone" for place in before if place not in after]
    return f"{first_of(changed)}."


def _name(place: tuple[str, str | None]) -> str:
    return place[0] if place[1] is None else f"{place[0]} of {place[1]}"


def _lost_views(snapshot: Snapshot, masks: Artifact) -> list[str]:
    cells = [cell for cell in snapshot.live["cells"] if field_of_cell(cell) == masks.key]
    return [cell for cell in cells if snapshot.artifact("cell_view", cell) is None]


def _retired(snapshot: Snapshot, stage: Stage) -> Iterator[Step]:
    if stage.key_set is None:
        return
    live = set(snapshot.keys(stage.key_set))
    for key in snapshot.study.store.keys(stage.name):
        if key not in live:
            yield Step(stage.name, key, "retired", "Its raw file, cell or pair is no longer part of the study.")
