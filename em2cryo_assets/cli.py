"""The ``em2cryo`` command.

Belongs here: what a person types, in words; everything else is a call into `resources` or `automation`.
Does not belong here: what Dagster's own commands already do.
"""

import contextlib
import importlib.resources
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from em2cryo_assets.cli_doctor import doctor
from em2cryo_assets.cli_export import export
from em2cryo_assets.cli_store import store
from em2cryo_assets.cli_view import view
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.inbox import KINDS, Kind
from em2cryo_assets.resources.study import Study, open_study

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="em2cryo-assets")
def main() -> None:
    """Pseudo-3D yeast cells from SEM and TEM, judged against cryo-ET.

    The study is the folder that EM2CRYO_DATA names, else ./data.
    """


class _Kinds(click.Group):
    """Commands of ``add``: one a kind of file; a kind that is not known is refused with those that are."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise click.UsageError(f"{args[0]!r} is not one of {', '.join(self.list_commands(ctx))}.", ctx)
        return super().resolve_command(ctx, args)


main.add_command(doctor)
main.add_command(export)
main.add_command(store)
main.add_command(view)


@main.group(cls=_Kinds)
def add() -> None:
    """Bring raw files into the inbox: from this computer, EMPIAR or the CryoET Data Portal."""


def _add_files(kind: Kind) -> click.Command:
    """The command that adds files of one kind."""

    @click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
    @click.option("--key", help="Key to use instead of one made from the file name (one file only).")
    def command(files: tuple[Path, ...], key: str | None) -> None:
        if key is not None and len(files) > 1:
            raise click.UsageError("--key goes with one file.")
        inbox, refused = _study().inbox, 0
        for file in files:
            try:
                raw = inbox.add(kind, file, key=key)
            except InputError as error:
                refused += 1
                click.echo(str(error), err=True)
            else:
                click.echo(f"{raw.key}  {raw.path}")
        sys.exit(1 if refused else 0)

    words = f"Copy {kind} FILES and their sidecars (<file name>.toml) into the inbox."
    return click.command(kind, help=words)(command)


for _kind in KINDS:
    add.add_command(_add_files(_kind))  # type: ignore[arg-type]


@add.command("empiar")
@click.argument("entry")
@click.option("--only", default="*", help="Pattern of paths or file names, such as 'TS_01*.rec'.")
@click.option("--max-gb", type=click.FloatRange(min=0, min_open=True), help="Refuse to fetch more than this.")
@click.option("--dry-run", is_flag=True, help="Say what would come, how large, and what is left out; fetch nothing.")
def add_empiar(entry: str, only: str, max_gb: float | None, dry_run: bool) -> None:
    """Fetch the tomograms of an EMPIAR ENTRY, such as EMPIAR-10227, into the inbox."""
    from em2cryo_assets.cli_archives import fetch_and_tell, look_and_tell
    from em2cryo_assets.resources.empiar.archive import archive_at
    from em2cryo_assets.resources.empiar.client import EmpiarClient
    from em2cryo_assets.resources.empiar.source import EmpiarSource

    study = _study()
    try:
        with EmpiarClient(archive_at()) as client:
            source = EmpiarSource(client, entry)
            if dry_run:
                look_and_tell(study, source, only, max_gb)
            else:
                sys.exit(fetch_and_tell(study, source, only, max_gb))
    except InputError as error:
        raise click.ClickException(str(error)) from error


@add.command("portal")
@click.argument("dataset")
@click.option("--only", default="*", help="Pattern of paths, such as 'TS_02*'.")
@click.option("--max-gb", type=click.FloatRange(min=0, min_open=True), help="Refuse to fetch more than this.")
@click.option("--dry-run", is_flag=True, help="Say what would come, how large, and what is left out; fetch nothing.")
def add_portal(dataset: str, only: str, max_gb: float | None, dry_run: bool) -> None:
    """Fetch the tomograms of a DATASET of the CryoET Data Portal, such as 10000, or of one run, such as 10000/TS_026."""
    from em2cryo_assets.cli_archives import fetch_and_tell, look_and_tell
    from em2cryo_assets.resources.cryoet_portal.portal import parse_wanted, portal_at
    from em2cryo_assets.resources.cryoet_portal.source import PortalSource

    study = _study()
    try:
        with PortalSource(portal_at(), parse_wanted(dataset)) as source:
            if dry_run:
                look_and_tell(study, source, only, max_gb)
            else:
                sys.exit(fetch_and_tell(study, source, only, max_gb))
    except InputError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option("--quiet", is_flag=True, help="Only the last lines.")
def run(quiet: bool) -> None:
    """Make everything that is missing or outdated, through Dagster."""
    from em2cryo_assets.automation.batches import bring_up_to_date
    from em2cryo_assets.resources.compute import compute_from_environment

    study = _study()
    compute = compute_from_environment()
    try:
        compute.workers()
    except ValueError as error:
        raise click.ClickException(f"EM2CRYO_COMPUTE: {error}") from error
    with _instance(study) as instance:
        tell = (lambda line: None) if quiet else click.echo
        outcome = bring_up_to_date(study, instance, compute, tell)
    for problem in outcome.problems:
        click.echo(f"! {problem}", err=True)
    click.echo(f"{outcome.materialized} materializations")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="An array of objects: asset, key, state, why.")
@click.option("--all", "everything", is_flag=True, help="Also what is current or retired.")
def status(as_json: bool, everything: bool) -> None:
    """Say what is missing, outdated, failed or stopped by a check, and why."""
    from em2cryo_assets.automation.plan import make_plan
    from em2cryo_assets.automation.register import new_and_gone

    study = _study()
    with _instance(study) as instance:
        change = new_and_gone(study, instance)
        steps = make_plan(study, instance)
    if as_json:
        click.echo(json.dumps([step.as_row() for step in steps], indent=1, ensure_ascii=False))
        return
    for key_set, key in change.added:
        click.echo(f"new        {key_set}  {key}: type em2cryo run")
    for problem in change.problems:
        click.echo(f"problem    {problem}")
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.state] = counts.get(step.state, 0) + 1
        if everything or step.state not in ("current", "retired"):
            click.echo(f"{step.state:<10} {step.asset:<18} {step.key or '':<24} {step.why}")
    click.echo(", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "an empty study")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="An array of objects, one a characteristic.")
def verdicts(as_json: bool) -> None:
    """Print the verdict table."""
    from em2cryo_assets.store.tables import read_table

    study = _study()
    artifact = study.store.current("verdicts", None)
    if artifact is None:
        raise click.ClickException("there are no verdicts yet; type: em2cryo run")
    table = read_table(artifact.path / "verdicts.parquet")
    if as_json:
        click.echo(table.to_json(orient="records", force_ascii=False, indent=1))
        return
    if artifact.provenance.simulated:
        click.echo("SIMULATED DATA: not a statement about real cells.\n")
    for row in table.to_dict("records"):
        click.echo(_verdict_lines(row))
    click.echo(f"report  {study.report / 'index.html'}\nstore   {study.root / 'store'}")


@main.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--cells", type=click.IntRange(min=1), default=26, show_default=True, help="SEM cells, in fields of 13; up to 1287."
)
@click.option("--seed", type=click.IntRange(min=0), help="The same seed gives the same files.")
def simulate(out: Path, cells: int, seed: int | None) -> None:
    """Write the raw files of a simulated study, with their truth beside them, into the folder OUT."""
    from em2cryo_assets.phantom.study import DEMO_SEED, write_whole_study

    root = out.resolve()
    try:
        paths = write_whole_study(root, seed=DEMO_SEED if seed is None else seed, sem_cells=cells)
    except InputError as error:
        option = {"sem_cells": "--cells", "seed": "--seed"}.get(error.file.name)
        if option is not None:
            raise click.BadParameter(error.problem, param_hint=option) from error
        raise click.ClickException(str(error)) from error
    click.echo(f"{len(paths)} simulated raw files in {root / 'inbox'}")
    click.echo(f"truth in {root / 'truth'} and truth.json, files of further instruments in {root / 'more'}")
    click.echo(f"EM2CRYO_DATA={root} em2cryo run   makes the study")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ui(arguments: tuple[str, ...]) -> None:
    """Open the Dagster UI on the study, at 127.0.0.1 (further ARGUMENTS go to dagster dev)."""
    from em2cryo_assets.automation.register import register

    study = _study()
    with _instance(study) as instance:  # what lies in the inbox can then be chosen in the browser
        for problem in register(study, instance).problems:
            click.echo(f"! {problem}", err=True)
    workspace = importlib.resources.files("em2cryo_assets.resources").joinpath("workspace.yaml")
    # `dg dev`, which Dagster would rather see, is a development package that users do not install.
    silent = "ignore:Function `dev_command` is superseded"
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so would all that follows
    os.execv(
        sys.executable,
        [sys.executable, "-W", silent, "-m", "dagster", "dev", "-h", "127.0.0.1", "-w", str(workspace), *arguments],
    )


def _study() -> Study:
    """Open the study and point Dagster at its home."""
    try:
        study = open_study()
    except InputError as error:
        raise click.ClickException(str(error)) from error
    os.environ["EM2CRYO_DATA"] = str(study.root)
    os.environ["DAGSTER_HOME"] = str(study.dagster_home)
    return study


@contextlib.contextmanager
def _instance(study: Study) -> Iterator[Any]:
    """Open Dagster's instance; a full disk or a database that fails inside the block is told in a sentence."""
    from em2cryo_assets.resources.dagster_home import DatabaseError, open_instance

    try:
        with open_instance(study.dagster_home) as instance:
            yield instance
    except (DatabaseError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _verdict_lines(row: dict[Any, Any]) -> str:
    head = f"{row['verdict'].upper():<15} {row['characteristic']:<24} n: {row['n']:<32} {row['interval']}"
    return f"{head}\n                {row['reason']}\n"


if __name__ == "__main__":
    main()
