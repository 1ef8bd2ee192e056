"""The size of a facility: planning and watching thousands of keys, batches on workers, what Dagster costs.

Seconds beside other work say nothing; run this alone. Takes about half an hour on two processors.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from em2cryo_assets_tests.benchmarks.figure import Figure
from em2cryo_assets_tests.benchmarks.large_study import furnish, put_tomograms
from em2cryo_assets_tests.memory import PEAK_MIB

CELLS, TOMOGRAMS, NEW = 10, 900, 100
BATCH_FIELDS, CELLS_OF_A_FIELD = 8, 25
LOWER_COST = 0.25

_TICKS = f"""{PEAK_MIB}
import json, sys, time, warnings
warnings.simplefilter("ignore")
import dagster as dg
from em2cryo_assets.automation.plan import TO_DO, make_plan
from em2cryo_assets.automation.sensors import inbox_sensor
from em2cryo_assets.definitions import defs
from em2cryo_assets.resources.dagster_home import open_instance
from em2cryo_assets.resources.study import StudyResource, open_study

study, said = open_study(), {{}}

def timed(name, work):
    started = time.perf_counter()
    result = work()
    said[name] = time.perf_counter() - started
    return result

with open_instance(study.dagster_home) as instance:
    def look(cursor):
        return dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)
    plan = timed("plan_s", lambda: make_plan(study, instance))
    said["steps"] = len(plan)
    said["to_do"] = sum(step.state in TO_DO for step in plan)
    first = timed("first_evaluation_s", lambda: look(None))
    second = timed("evaluation_s", lambda: look(first.cursor))
    said["asked_without_a_change"] = second.total_requested
    with dg.build_sensor_context(instance=instance, resources={{"study": StudyResource()}}) as context:
        asked = timed("sensor_s", lambda: inbox_sensor(context))
    runs = getattr(asked, "run_requests", None) or []
    said["runs_asked_by_sensor"] = len(runs)
    for request in getattr(asked, "dynamic_partitions_requests", None) or []:
        instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    third = timed("evaluation_after_new_keys_s", lambda: look(second.cursor))
said["peak_mib"] = peak_mib()
print(json.dumps(said))
"""
"""One process, as Dagster's daemon has one for a code location."""

_BATCH = """
import json, os, time
from em2cryo_assets.automation.batches import bring_up_to_date
from em2cryo_assets.resources.compute import ComputeResource
from em2cryo_assets.resources.dagster_home import open_instance
from em2cryo_assets.resources.study import open_study

study, lines = open_study(), []
with open_instance(study.dagster_home) as instance:
    started = time.perf_counter()
    outcome = bring_up_to_date(study, instance, ComputeResource(scheduler=os.environ["EM2CRYO_COMPUTE"]), lines.append)
    wall = time.perf_counter() - started
    science = 0.0
    for run in instance.get_runs():
        for step in instance.get_run_step_stats(run.run_id):
            if step.start_time and step.end_time and step.start_time > time.time() - wall:
                science += step.end_time - step.start_time
print(json.dumps({"wall_s": wall, "science_s": science, "made": outcome.materialized}))
"""


def figures() -> Iterator[Figure]:
    """Ticks and plans of a large study; then what batches cost, and what a second worker brings."""
    with tempfile.TemporaryDirectory() as scratch:
        yield from _ticks(Path(scratch) / "large")
        yield from _batches(Path(scratch))


def _ticks(root: Path) -> Iterator[Figure]:
    study = furnish(root, CELLS, TOMOGRAMS)
    idle = _said(_TICKS, root)
    yield Figure.at_most(f"runs asked for without a change, {idle['steps']:.0f} keys", _asked(idle), "runs", 0)
    put_tomograms(study, [f"new{number:05d}" for number in range(NEW)])
    said = _said(_TICKS, root)
    of = f"{TOMOGRAMS + NEW} tomograms x {CELLS} cells, {NEW} new"
    yield Figure.at_most(f"plan, {of}", said["plan_s"], "s", 5)
    yield Figure.at_most(f"inbox sensor's tick, {of}", said["sensor_s"], "s", 10)
    yield Figure.at_least(f"runs asked for, {of}", said["runs_asked_by_sensor"], "runs", NEW)
    yield Figure.at_most(f"first automation tick, {of}", said["first_evaluation_s"], "s", 10)
    yield Figure.at_most(f"automation tick after new keys, {of}", said["evaluation_after_new_keys_s"], "s", 10)
    yield Figure.at_most(f"peak memory of plan and ticks, {of}", said["peak_mib"], "MiB", 500)


def _asked(said: dict[str, float]) -> float:
    return said["to_do"] + said["asked_without_a_change"] + said["runs_asked_by_sensor"]


def _batches(scratch: Path) -> Iterator[Figure]:
    from em2cryo_assets.phantom.study import write_study
    from em2cryo_assets_tests.integration.tiny_study import SETTINGS

    root = scratch / "cells"
    fields = (CELLS_OF_A_FIELD,) * BATCH_FIELDS
    write_study(root, seed=31, cells_of_fields=fields, sections=4, lamellae=2, whole_cells=0)
    (root / "study.toml").write_text(SETTINGS)
    _first_wave(root)
    shutil.copytree(root, scratch / "one")
    two, one = _said(_BATCH, root, "processes:2"), _said(_BATCH, scratch / "one", "processes:1")
    of = f"{BATCH_FIELDS * CELLS_OF_A_FIELD} cells asked for, from fields to features and tables"
    cost = one["wall_s"] / one["science_s"] - 1.0
    yield Figure.at_most(f"Dagster and start-up over the science, one worker, {of}", cost, "", LOWER_COST)
    yield Figure.at_least(f"two workers over one, {of}", one["wall_s"] / two["wall_s"], "x", 1.7)
    yield Figure.at_most("artifacts that differ between them", _differing(root, scratch / "one"), "artifacts", 0)
    yield from _one_run_a_partition(scratch / "one")


def _first_wave(root: Path) -> None:
    """Models, tomograms and sections: what is not measured here."""
    code = """
from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.automation.batches import chains_to_run, materialize_chain
from em2cryo_assets.automation.plan import make_plan
from em2cryo_assets.automation.register import register
from em2cryo_assets.resources.dagster_home import open_instance
from em2cryo_assets.resources.study import open_study
study = open_study()
with open_instance(study.dagster_home) as instance:
    register(study, instance)
    tried = set()
    while True:
        stages = ((STAGES.get(step.asset), step) for step in make_plan(study, instance))
        plan = [
            step for stage, step in stages
            if stage and (stage.key_set in ("tomograms", "sections") or stage.group == "models"
                          or stage.name == "interior_atlas")
        ]
        chains = chains_to_run(plan, tried, set())
        if not chains:
            break
        for chain in chains:
            materialize_chain(chain, instance)
print("{}")
"""
    _said(code, root)


def _one_run_a_partition(root: Path) -> Iterator[Figure]:
    """A launched run a key, as a backfill starts them, beside a run in a process that stays."""
    code = """
import json, sys, time
from em2cryo_assets.automation.batches import Chain, materialize_chain
from em2cryo_assets.resources.dagster_home import open_instance
from em2cryo_assets.resources.study import open_study
study = open_study()
key = study.store.keys("cell_features")[0]
with open_instance(study.dagster_home) as instance:
    chain = Chain(key, ("cell_surface", "cell_mesh"))
    materialize_chain(chain, instance)
    started = time.perf_counter()
    materialize_chain(chain, instance)
print(json.dumps({"s": time.perf_counter() - started, "key": key}))
"""
    stays = _said(code, root)
    started = time.perf_counter()
    subprocess.run(
        [
            sys.executable, "-m", "dagster", "asset", "materialize", "-m", "em2cryo_assets.definitions",
            "--select", "cell_surface,cell_mesh", "--partition", str(stays["key"]),
        ],
        env=_environment(root, "threads"), capture_output=True, check=True,
    )  # fmt: skip
    launched = time.perf_counter() - started
    yield Figure.at_most("a run in a process that stays", stays["s"], "s", launched, launched)


def _differing(one: Path, other: Path) -> int:
    from em2cryo_assets_tests.integration.tiny_study import opened

    with opened(one) as first, opened(other) as second:
        a, b = first.bytes_of_all_but_the_report(), second.bytes_of_all_but_the_report()
    return sum(a.get(place) != b.get(place) for place in a.keys() | b.keys())


def _environment(root: Path, compute: str) -> dict[str, str]:
    home = str(root / "dagster_home")
    return {**os.environ, "EM2CRYO_DATA": str(root), "DAGSTER_HOME": home, "EM2CRYO_COMPUTE": compute}


def _said(code: str, root: Path, compute: str = "threads") -> dict[str, float]:
    """What code in a process of its own printed last."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(root, compute), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    said: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return said
