"""Fetches that ended badly, started again.

Belongs here: which runs of a sensor failed, and when each may be tried again. Does not belong here: what a run does
(`automation.empiar`), or the measure of the room there is (`resources.archives.budget`).

Dagster's own record of the runs is the memory: a run whose process was killed counts like one that failed (as long as
Dagster itself lived on), one that a person cancelled does not, and one that a person executed again, with success, is
done.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import dagster as dg

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.budget import check_budget

if TYPE_CHECKING:
    from em2cryo_assets.resources.archives.record import Records

__all__ = ["Again", "due_again"]

FIRST_WAIT_S: Final = 3_600.0
LONGEST_WAIT_S: Final = 86_400.0
MOST_TRIES: Final = 10
"""With waits that double up to a day, five days and a half: longer than an archive is down for maintenance."""

_MOST_RUNS: Final = 500
_AGAIN: Final = re.compile(r":again-(\d+)$")
_RUN_KEY: Final = "dagster/run_key"
_SENSOR: Final = "dagster/sensor_name"


@dataclass
class Again:
    """Fetches that a sensor started and that failed.

    Parameters
    ----------
    due : list of (str, str)
        Entry and a run key that no run has had.
    waiting : list of str
        The others that are still to be tried, in a sentence each.
    """

    due: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def due_again(
    instance: dg.DagsterInstance,
    records: "Records",
    *,
    job: str,
    sensor: str,
    tag: str,
    max_gb: float,
    now: Callable[[], float] = time.time,
) -> Again:
    """Find the fetches of a sensor whose last run failed, and whether it is time to try again.

    One that was refused for want of room waits until there is room, however long that takes; then, like any other, it
    is tried after an hour, two, four and so on up to a day, `MOST_TRIES` times.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Knows the runs.
    records : Records
        Of the archive; they say what a refused fetch would need.
    job, sensor : str
        Name of the job, and of the sensor that started it.
    tag : str
        Tag of a run that names its entry.
    max_gb : float
        Largest download that nobody asked for by hand, GB.
    now : callable
        Seconds since 1970.
    """
    failed = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], tags={_SENSOR: sensor}), limit=_MOST_RUNS
    )
    found = Again()
    for entry in dict.fromkeys(one.dagster_run.tags.get(tag, "") for one in failed):
        last = instance.get_run_records(dg.RunsFilter(job_name=job, tags={tag: entry}), limit=1)[0]
        run = last.dagster_run
        if not entry or run.status != dg.DagsterRunStatus.FAILURE or run.tags.get(_SENSOR) != sensor:
            continue  # under way, mended by hand, or the matter of another sensor
        key = run.tags.get(_RUN_KEY, entry)
        match = _AGAIN.search(key)
        tries = int(match.group(1)) if match else 0
        record = records.read(entry)
        try:
            check_budget(entry, record.refused_bytes if record is not None else 0, records.root.parent, max_gb)
        except InputError as error:
            found.waiting.append(f"{entry} waits for room: {error.problem}")
            continue
        if tries >= MOST_TRIES:
            found.waiting.append(
                f"{entry} failed {tries + 1} times and is given up: see its last run, and re-execute it."
            )
            continue
        ended = last.end_time or last.create_timestamp.timestamp()
        left = ended + min(FIRST_WAIT_S * 2**tries, LONGEST_WAIT_S) - now()
        if left > 0:
            found.waiting.append(f"{entry} failed and is tried again in {left / 3600:.1f} h.")
        else:
            found.due.append((entry, f"{_AGAIN.sub('', key)}:again-{tries + 1}"))
    return found
