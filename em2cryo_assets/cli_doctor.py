"""``em2cryo doctor``: everything that could keep a study from its end, with the remedy beside it.

Belongs here: what is looked at, in which order, and how it is said. Does not belong here: looking
(`resources.machine`, `resources.study_health`, `automation.plan_health`).
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import click

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.findings import Finding, problem, problem_from

__all__ = ["doctor"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="An array of objects: mark, about, says, remedy.")
def doctor(as_json: bool) -> None:
    """Say what is installed and reachable, how the study is, and what to do. Exit status 1 if there is a problem."""
    found = []
    for finding in _look():
        found.append(finding)
        if not as_json:
            click.echo(f"{finding.mark:<8} {finding.about:<20} {finding.says}")
            if finding.remedy:
                click.echo(f"{'':<8} {'':<20} → {finding.remedy}")
    counts = Counter(finding.mark for finding in found)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        click.echo(", ".join(f"{counts[mark]} {mark}" for mark in ("ok", "note", "problem")))
    sys.exit(1 if counts["problem"] else 0)


def _look() -> Iterator[Finding]:
    from em2cryo_assets.resources import machine, study_health
    from em2cryo_assets.resources.compute import compute_from_environment
    from em2cryo_assets.resources.study import study_folder

    yield from machine.packages()
    yield from machine.extras()
    yield machine.for_developers()
    compute = compute_from_environment()
    yield machine.device(compute)
    yield machine.scheduler(compute)
    database = machine.database()
    yield database
    root = study_folder()
    found = list(study_health.folder(root))
    yield from found
    # Opening a study makes its folders, and notes where its runs are kept: not in what may be the wrong place.
    spoilt = database.mark == "problem" or any(one.mark == "problem" and one.about == "disk" for one in found)
    if study_health.holds_a_study(root) and not spoilt:
        yield from _look_at_study()


def _look_at_study() -> Iterator[Finding]:
    from em2cryo_assets.automation.plan import make_plan
    from em2cryo_assets.automation.plan_health import plan_findings
    from em2cryo_assets.automation.register import new_and_gone
    from em2cryo_assets.resources import study_health
    from em2cryo_assets.resources.dagster_home import DatabaseError, open_instance
    from em2cryo_assets.resources.study import open_study

    try:
        study = open_study()
    except InputError as error:
        yield problem("settings", f"{error.file.name}: {error.problem}", error.remedy)
        return
    yield from study_health.store(study.store)
    os.environ["DAGSTER_HOME"] = str(study.dagster_home)
    try:
        with open_instance(study.dagster_home) as instance:
            change = new_and_gone(study, instance)
            steps = make_plan(study, instance)
    except (DatabaseError, OSError) as error:
        yield problem_from("runs", str(error), "type em2cryo doctor again")
        return
    except ValueError as error:  # a record in the store that nobody can read
        yield problem("plan", f"it cannot be made: {error}", "em2cryo store verify --set-aside, then em2cryo run")
        return
    yield from plan_findings(steps, change)
