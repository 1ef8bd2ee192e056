"""Tomograms that arrive by themselves: watching EMPIAR, fetching, and bringing the study up to date.

Belongs here: the job, its two sensors and its schedule. All stopped until switched on in the UI.
Does not belong here: asking the archive or writing files (`resources.empiar`), or what is out of date (`automation.plan`).

The resource is imported without its HTTP library, which is loaded when something is asked for.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from em2cryo_assets.automation.again import Again, due_again
from em2cryo_assets.automation.schedules import bring_study_up_to_date
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.empiar.resource import EmpiarResource, EmpiarSettings, read_empiar_settings
from em2cryo_assets.resources.study import Study, StudyResource

if TYPE_CHECKING:
    from em2cryo_assets.resources.empiar.entries import Entry

__all__ = ["fetch_empiar", "find_empiar_entries", "watch_empiar_entries", "weekly_empiar"]

TICK_S: Final = 40.0
"""Dagster ends a tick after 60 s, and a last silence may take a third of this; the rest waits in the cursor."""

_JOB: Final = "fetch_empiar"
"""By name: given the job itself, Dagster 1.13 copies each sensor and warns about a field that nobody set."""

_AGAIN_AFTER_S: Final = 600
_MOST_TRIES: Final = 3
_RUNS_A_TICK: Final = 100
_PAGE: Final = 100
_LOOK_UP: Final = 50


class FetchConfig(dg.Config):
    """What to fetch.

    Parameters
    ----------
    entry : str
        Accession, such as EMPIAR-10227.
    """

    entry: str


@dg.op(
    out={"fetched": dg.Out(dg.Nothing), "missing": dg.Out(list)},
    description="Fetch what is new or changed of one entry into the inbox.",
)
def fetch_entry(
    context: dg.OpExecutionContext, config: FetchConfig, study: StudyResource, empiar: EmpiarResource
) -> Iterator[dg.Output[Any]]:
    """Do what ``em2cryo add empiar`` does; files that cannot be had now are asked for again, some minutes later."""
    from em2cryo_assets.resources.empiar.source import fetch

    here = study.open()
    try:
        settings = read_empiar_settings(here.root)
        with empiar.client() as client:
            result = fetch(here, client, config.entry, max_gb=settings.max_gb, tell=context.log.info)
    except ArchiveError as error:
        raise dg.RetryRequested(max_retries=_MOST_TRIES, seconds_to_wait=_AGAIN_AFTER_S) from error
    except InputError as error:  # waiting does not mend it
        raise dg.Failure(str(error), allow_retries=False) from error
    for problem in (*result.refused, *result.failed):
        context.log.warning(problem)
    if result.entry.withdrawn:
        context.log.warning(f"{config.entry} was withdrawn from the archive; its files are kept.")
    context.log.info(f"{len(result.arrived)} tomograms arrived: {', '.join(result.arrived) or 'none'}.")
    if result.failed and context.retry_number < _MOST_TRIES:
        raise dg.RetryRequested(max_retries=_MOST_TRIES, seconds_to_wait=_AGAIN_AFTER_S)
    yield dg.Output(None, "fetched")
    yield dg.Output(result.failed, "missing")


@dg.op(ins={"updated": dg.In(dg.Nothing)}, description="Fail the run if a file of the entry could not be had.")
def all_came(missing: list) -> None:  # type: ignore[type-arg]  # a type that Dagster knows
    """Come last, so that what could not be had holds up nothing of what came; a sensor starts failed runs again."""
    if missing:
        raise dg.Failure(
            f"{' '.join(missing)} All else of the entry is in the study. A sensor tries again by itself; by hand, "
            "re-execute all steps.",
            allow_retries=False,
        )


@dg.job(
    description="Fetch one entry of EMPIAR into the inbox, then bring the study up to date.",
    executor_def=dg.in_process_executor,
)
def fetch_empiar() -> None:
    """Fetch, then do the same as typing: em2cryo run."""
    fetched, missing = fetch_entry()
    all_came(missing, updated=bring_study_up_to_date(fetched=fetched))


@dg.sensor(
    job_name=_JOB,
    minimum_interval_seconds=3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Asks EMPIAR for the entries named in empiar.toml and fetches those that are new or were updated.",
)
def watch_empiar_entries(
    context: dg.SensorEvaluationContext, study: StudyResource, empiar: EmpiarResource
) -> dg.SensorResult:
    """One run for each version of a named entry; what could not be asked for is asked for at the next tick."""
    here = study.open()
    settings = read_empiar_settings(here.root)
    cursor = _Cursor.load(context.cursor)
    tick = _Tick(context, "watch_empiar_entries", here, cursor)
    with empiar.client(deadline_s=TICK_S) as client:
        for name in settings.entries:
            with tick.telling(name):
                entry = _entry_or_withdrawn(here, client, name)
                tick.answers += 1
                tick.see(entry)
    return tick.result(cursor)


@dg.sensor(
    job_name=_JOB,
    minimum_interval_seconds=3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Searches EMPIAR with the query of empiar.toml and fetches entries that are new or were updated.",
)
def find_empiar_entries(
    context: dg.SensorEvaluationContext, study: StudyResource, empiar: EmpiarResource
) -> dg.SensorResult:
    """Page through the search within the time of a tick; the cursor remembers the place, and every version seen."""
    here = study.open()
    settings = read_empiar_settings(here.root)
    cursor = _Cursor.load(context.cursor)
    cursor.begin(settings)
    tick = _Tick(context, "find_empiar_entries", here, cursor)
    with empiar.client(deadline_s=TICK_S) as client, tick.telling("the search"):
        while not cursor.searched or cursor.waiting:
            if not cursor.waiting:
                page = client.search(cursor.query, cursor.start, _PAGE)
                cursor.turn(page.hits, page.ids)
                continue
            room = _RUNS_A_TICK - len(tick.runs)
            if room <= 0:
                break
            asked = cursor.waiting[: min(room, _LOOK_UP)]
            entries, problems = client.entries(asked)
            tick.answers += 1
            tick.problems += problems
            for name in asked:
                if name in entries:
                    tick.see(entries[name])
                elif not any(problem.startswith(name) for problem in problems):
                    tick.problems.append(f"{name}: the search names it, and the look-up does not know it.")
            del cursor.waiting[: len(asked)]
    cursor.end()
    return tick.result(cursor)


@dg.schedule(
    cron_schedule="0 4 * * 0",
    job=fetch_empiar,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Fetches the entries named in empiar.toml on Sundays at 04:00; the alternative to the sensors.",
)
def weekly_empiar(context: dg.ScheduleEvaluationContext, study: StudyResource) -> list[dg.RunRequest]:
    """One run for each named entry, whether it changed or not: what is here is not fetched again."""
    week = context.scheduled_execution_time.date().isoformat()
    names = read_empiar_settings(study.open().root).entries
    return [_run(name, f"{name}:week of {week}") for name in names]


class _Cursor:
    """What a sensor remembers: versions seen, and how far a search has come."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.seen: dict[str, str] = dict(given.get("seen", {}))
        self.query: str = given.get("query", "")
        self.start: int = given.get("start", 0)
        self.hits: int | None = given.get("hits")
        self.waiting: list[str] = list(given.get("waiting", []))
        self.searched: bool = False

    @classmethod
    def load(cls, text: str | None) -> "_Cursor":
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            return cls(json.loads(text or "{}"))
        return cls({})  # a cursor that a person mistyped: everything is looked at again, and runs keep their keys

    def dump(self) -> str:
        fields = {name: getattr(self, name) for name in ("seen", "query", "start", "hits", "waiting")}
        return json.dumps(fields, separators=(",", ":"))

    def begin(self, settings: EmpiarSettings) -> None:
        """Go on with the search, or begin it anew if the query changed."""
        if self.query != settings.query:
            self.query, self.start, self.hits, self.waiting = settings.query, 0, None, []

    def turn(self, hits: int, ids: tuple[str, ...]) -> None:
        """Take in one page."""
        if self.hits is not None and hits != self.hits:
            # An entry came or went meanwhile and moved the pages: begin again, what was seen is not asked for twice.
            self.start, self.hits = 0, None
            return
        self.hits = hits
        self.waiting += [name for name in dict.fromkeys(ids) if name not in self.waiting]
        self.start += len(ids)
        self.searched = not ids or self.start >= hits

    def end(self) -> None:
        """Let the next tick begin at the first page once all have been read and looked up."""
        if self.searched and not self.waiting:
            self.start, self.hits = 0, None


class _Tick:
    """What one evaluation of a sensor found."""

    def __init__(self, context: dg.SensorEvaluationContext, sensor: str, study: Study, cursor: _Cursor) -> None:
        self.context = context
        self.sensor = sensor
        self.study = study
        self.cursor = cursor
        self.runs: list[dg.RunRequest] = []
        self.withdrawn: list[str] = []
        self.problems: list[str] = []
        self.answers = 0

    @contextlib.contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Note a failure, and let the others go on."""
        try:
            yield
        except InputError as error:
            told = str(error)
            self.problems.append(told if what in told else f"{what}: {told}")

    def see(self, entry: "Entry") -> None:
        """Ask for a run if this version of the entry was not seen before."""
        from em2cryo_assets.resources.archives.fetch import flag_withdrawn
        from em2cryo_assets.resources.empiar.look import records_of

        version = f"{entry.update_date}:{entry.status}" if entry.withdrawn else entry.update_date
        if self.cursor.seen.get(entry.id) == version:
            return
        if entry.withdrawn:
            if flag_withdrawn(records_of(self.study), entry) is not None:
                self.withdrawn.append(f"{entry.id} was withdrawn from the archive; its files are kept.")
        elif entry.status in ("REL", ""):
            self.runs.append(_run(entry.id, f"{entry.id}:{entry.update_date}"))
        self.cursor.seen[entry.id] = version

    def result(self, cursor: _Cursor) -> dg.SensorResult:
        """Runs and cursor; a tick in which nothing could be asked fails, and keeps the old cursor."""
        again = self._again()
        for line in (*self.withdrawn, *self.problems, *again.waiting):
            self.context.log.warning(line)
        if self.problems and not self.answers:
            raise dg.Failure(" ".join(self.problems))
        asked = {run.tags["empiar"] for run in self.runs}
        self.runs += [_run(entry, key) for entry, key in again.due if entry not in asked][:_RUNS_A_TICK]
        said = " ".join((*self.withdrawn, *self.problems, *again.waiting)) or "Nothing new in the archive."
        return dg.SensorResult(run_requests=self.runs, skip_reason=None if self.runs else said, cursor=cursor.dump())

    def _again(self) -> Again:
        """Runs of this sensor that failed, or were refused, and may be tried again."""
        from em2cryo_assets.resources.empiar.look import records_of

        return due_again(
            self.context.instance,
            records_of(self.study),
            job=_JOB,
            sensor=self.sensor,
            tag="empiar",
            max_gb=read_empiar_settings(self.study.root).max_gb,
        )


def _entry_or_withdrawn(study: Study, client: Any, name: str) -> "Entry":
    """The entry as the archive has it; one that is known here and no longer there counts as withdrawn."""
    from em2cryo_assets.resources.empiar.look import entry_or_withdrawn, records_of

    return entry_or_withdrawn(client, name, records_of(study).read(name))


def _run(entry: str, run_key: str) -> dg.RunRequest:
    config = {"ops": {"fetch_entry": {"config": {"entry": entry}}}}
    return dg.RunRequest(run_key=run_key, run_config=config, tags={"empiar": entry})
