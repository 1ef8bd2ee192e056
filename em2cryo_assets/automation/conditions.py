"""When Dagster itself may start a stage, for those who leave the automation sensor on.

Belongs here: one condition for stages of a key and one for tables.
Does not belong here: what `em2cryo run` does (`automation.plan` decides there); conditions are the fast
path to the same end.
"""

from typing import Any

import dagster as dg

from em2cryo_assets.assets.lineage import STAGES

__all__ = ["condition_of"]


def condition_of(name: str) -> dg.AutomationCondition[dg.AssetKey] | None:
    """Condition of a stage; None where a sensor, the nightly schedule or ``em2cryo run`` starts it.

    Raw files come by the inbox sensor. Pairs are drawn by the plan, out of a grid that must not be
    computed whole. What is made on request waits for a person. The atlas is brought up to date nightly,
    as each change rebuilds every cell.
    """
    stage = STAGES[name]
    if stage.group == "raw" or stage.on_request or name in ("comparison", "interior_atlas"):
        return None
    # `eager()` fires again when an input was made anew with the same bytes; compare data versions instead.
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    wanted: Any = changed | dg.AutomationCondition.newly_missing() | dg.AutomationCondition.code_version_changed()
    condition = (
        dg.AutomationCondition.in_latest_time_window()
        & wanted.since_last_handled()
        & ~dg.AutomationCondition.in_progress()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    )
    if stage.key_set is not None:  # a table is made of what there is; a missing key must not hold it up
        condition = condition & ~dg.AutomationCondition.any_deps_missing()
    return condition.with_label(f"inputs of {name} changed")
