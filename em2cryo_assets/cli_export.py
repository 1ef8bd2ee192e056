"""``em2cryo export``: a study as a folder to publish.

Belongs here: what is asked, what is refused and said. Does not belong here: what the folder holds (`export`).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.budget import size_text
from em2cryo_assets.resources.study import Study, open_study

__all__ = ["export"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--no-raw", is_flag=True, help="List raw files with their checksums, but copy only sidecars and drawn labels."
)
def export(folder: Path, no_raw: bool) -> None:
    """Write the study into a new FOLDER to publish: raw files, tables, meshes, parameters, methods, citation."""
    from em2cryo_assets.export.archive import export_study
    from em2cryo_assets.resources.dagster_home import DatabaseError, open_instance

    try:
        study = open_study()
        with open_instance(study.dagster_home) as instance:
            steps, made = _up_to_date(study, instance)
        done = export_study(study, folder, steps, made, with_raw=not no_raw)
    except (InputError, DatabaseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{done.files} files, {size_text(done.size)} in {done.folder}; begin with README.txt")
    if not done.named:
        click.echo(f"Nobody is named as author. Put a CITATION.cff into {study.root} and export anew: docs/publish.md")


def _up_to_date(study: Study, instance: Any) -> tuple[Any, str]:
    """The plan, and the day of the report; refused where tables and raw files would not belong together."""
    import dagster as dg

    from em2cryo_assets.automation.plan import make_plan
    from em2cryo_assets.automation.register import new_and_gone

    change, steps = new_and_gone(study, instance), make_plan(study, instance)
    waiting = [step for step in steps if step.state in ("missing", "outdated")]
    if change.added or change.retired or waiting:
        first = f"{waiting[0].asset} of {waiting[0].key or 'the study'}" if waiting else "the list of raw files"
        raise InputError(
            study.root, f"the study is not up to date ({first} first).", "type: em2cryo run; em2cryo status says why"
        )
    event = instance.get_latest_materialization_event(dg.AssetKey("report"))
    if event is None:
        raise InputError(study.root, "the study has no report yet.", "type: em2cryo run")
    return steps, datetime.fromtimestamp(event.timestamp, UTC).date().isoformat()
