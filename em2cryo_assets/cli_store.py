"""Looking after the store: ``em2cryo store verify`` and ``em2cryo store gc``.

Belongs here: what is asked and said on the terminal. Does not belong here: checking (`store.verify`) and clearing
up (`store.collect`).
"""

import sys
from collections import Counter

import click

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.budget import size_text
from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets.store.collect import find_garbage, remove_garbage
from em2cryo_assets.store.entries import POINTER, SET_ASIDE, folder_bytes, is_digest
from em2cryo_assets.store.verify import Finding, Place, places, set_aside, verify_place

__all__ = ["store"]


@click.group()
def store() -> None:
    """Check what was computed, and clear up what is not needed any more."""


@store.command()
@click.argument("asset", required=False)
@click.argument("key", required=False)
@click.option(
    "--set-aside", "move", is_flag=True, help="Move damaged artifacts out, so that em2cryo run makes them anew."
)
def verify(asset: str | None, key: str | None, move: bool) -> None:
    """Digest the current artifacts anew: all, or those of an ASSET, or of one KEY of it. Exit status 1 if any differs."""
    study = _study()
    try:
        chosen = places(study.store, asset, key)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not chosen and asset is not None:
        raise click.ClickException(f"the store holds no {asset}{f' of {key}' if key else ''}.")
    sizes = [_current_bytes(place) for place in chosen]
    found: list[Finding] = []
    moved: list[str] = []
    with click.progressbar(length=sum(sizes), label="verify", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for place in chosen:
            here = verify_place(place, bar.update)
            found += here
            if move and any(one.spoils for one in here):
                try:
                    target = set_aside(study.store, place)
                except OSError as error:
                    raise click.ClickException(f"{place.asset} cannot be set aside: {error}.") from error
                if target is not None:
                    moved.append(f"{place.asset} {place.key or ''} → {target.relative_to(study.root)}")
    for one in found:
        click.echo(f"{one.kind:<8} {one.asset} {one.key or ''}  {one.file}: {one.problem}")
    for line in moved:
        click.echo(f"set aside  {line}")
    click.echo(f"{sum(size > 0 for size in sizes)} artifacts, {size_text(sum(sizes))}: {_summary(found)}")
    _tell_remedies(found, bool(moved))
    sys.exit(1 if found else 0)


@store.command()
@click.option("--delete", is_flag=True, help="Remove it; without this, only say what would go.")
def gc(delete: bool) -> None:
    """Find superseded versions, what killed runs left, and what was set aside; remove it with --delete."""
    study = _study()
    try:
        left = find_garbage(study.store)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    count, total, freed = Counter[str](), Counter[str](), 0
    for one in left.garbage:
        click.echo(f"{one.kind:<11} {size_text(one.size):>10}  {one.path.relative_to(study.root)}")
        count[one.kind] += 1
        total[one.kind] += one.size
        if delete:
            try:
                freed += remove_garbage(one)
            except OSError as error:
                raise click.ClickException(f"{one.path.name} cannot be removed: {error}.") from error
    for kind, number in sorted(count.items()):
        click.echo(f"{number} {kind}, {size_text(total[kind])}")
    if left.writers:
        click.echo("A run is at work: superseded versions stay, as it may read them. Type this again after it.")
    if delete:
        click.echo(f"{size_text(freed)} freed")
    else:
        click.echo(f"{size_text(sum(total.values()))} would be freed; nothing was removed. Add --delete to do it.")


def _study() -> Study:
    try:
        return open_study()
    except InputError as error:
        raise click.ClickException(str(error)) from error


def _current_bytes(place: Place) -> int:
    try:
        digest = (place.folder / POINTER).read_bytes().decode(errors="replace").strip()
    except FileNotFoundError:
        return 0
    return folder_bytes(place.folder / digest) if is_digest(digest) and (place.folder / digest).exists() else 0


def _summary(found: list[Finding]) -> str:
    counts = Counter(one.kind for one in found)
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())) or "all as published"


def _tell_remedies(found: list[Finding], moved: bool) -> None:
    if any(one.spoils for one in found):
        click.echo(
            f"Remedy: type em2cryo run. What was set aside is made anew; store/{SET_ASIDE} can be looked at until "
            "em2cryo store gc --delete."
            if moved
            else "Remedy: type em2cryo store verify --set-aside, then em2cryo run. Look after the disk, too."
        )
    if any(not one.spoils for one in found):
        click.echo("Remedy: move foreign files out of the store.")
