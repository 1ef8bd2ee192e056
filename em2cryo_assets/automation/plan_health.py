"""What of a study is new, out of date, stopped or failed, and why, in as few lines as that takes.

Belongs here: the plan and the inbox as findings. Does not belong here: making the plan (`automation.plan`).
"""

from collections.abc import Iterator, Sequence

from em2cryo_assets.automation.plan import TO_DO, Step
from em2cryo_assets.automation.register import Registered
from em2cryo_assets.resources.findings import Finding, note, ok, problem_from
from em2cryo_assets.wording import first_of

__all__ = ["plan_findings"]

_RUN = "em2cryo run"


def plan_findings(steps: Sequence[Step], change: Registered) -> Iterator[Finding]:
    """Sum up a plan: a line for each asset and state, and one for each failure.

    Parameters
    ----------
    steps : sequence of Step
        Of `make_plan`.
    change : Registered
        Of `new_and_gone`.
    """
    for said in change.problems:
        yield problem_from("raw files", said, f"then type: {_RUN}")
    if change.added:
        yield note("raw files", f"new: {first_of([key for _, key in change.added])}.", _RUN)
    if change.retired:
        yield note("raw files", f"gone: {first_of([key for _, key in change.retired])}.", f"put them back, or {_RUN}")
    if not steps:
        yield note("plan", "an empty study.", "em2cryo add sem FILES")
    for step in steps:
        if step.state == "failed":
            yield problem_from("failed", f"{_name(step)}: {step.why}", f"then type: {_RUN}")
    groups: dict[tuple[str, str, str], list[Step]] = {}
    for step in steps:
        # Why a key waits or was stopped differs with each; why others are to be made mostly does not.
        why = step.why if step.state in TO_DO else ""
        groups.setdefault((step.state, step.asset, why), []).append(step)
    for (state, asset, why), found in groups.items():
        keys = first_of([step.key for step in found if step.key is not None])
        of = f"{asset}{f' of {keys}' if keys else ''}"
        if state in ("missing", "outdated"):
            yield note(state, f"{of}: {why}", _RUN)
        elif state == "stopped":
            yield note(
                state, f"{of}: {found[0].why}", "look at it in em2cryo ui; correct labels or sidecar, or leave it out"
            )
    waiting = [step for step in steps if step.state == "waiting"]
    if waiting:
        remedy = "it is made once its input is there; em2cryo status lists each"
        yield note(
            "waiting", f"{len(waiting)} wait for an input; the first: {_name(waiting[0])}: {waiting[0].why}", remedy
        )
    current = sum(step.state == "current" for step in steps)
    if current:
        yield ok("plan", f"{current} of {sum(step.state != 'retired' for step in steps)} are current.")


def _name(step: Step) -> str:
    return step.asset if step.key is None else f"{step.asset} of {step.key}"
