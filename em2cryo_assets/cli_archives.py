"""What ``em2cryo add empiar`` and ``em2cryo add portal`` say on the terminal.

Belongs here: tables and progress in words, whatever the archive. Does not belong here: what is fetched and how
(`resources.archives`).
"""

import sys
from collections.abc import Iterable

import click

from em2cryo_assets.resources.archives.budget import check_budget, free_bytes, size_text
from em2cryo_assets.resources.archives.download import Progress
from em2cryo_assets.resources.archives.fetch import fetch_from
from em2cryo_assets.resources.archives.item import Item, Source, refuse_simulated
from em2cryo_assets.resources.study import Study

__all__ = ["fetch_and_tell", "look_and_tell"]


def look_and_tell(study: Study, source: Source, only: str, max_gb: float | None) -> None:
    """Print what fetching an entry would bring; change nothing.

    Raises
    ------
    InputError
        If the archive cannot be asked, or what would come would be refused.
    """
    found = source.look(study, only)
    said = found.entry
    click.echo(f"{said.id}  {said.title}")
    click.echo(
        f"status {said.status or 'unknown'}, updated {said.update_date or 'never'}, {said.dataset_size or '?'}\n"
    )
    if said.withdrawn:
        click.echo("It was withdrawn: nothing is fetched, and what is here is kept.")
        return
    _table(("file", "key", "size", "shape z × y × x", "voxel nm", "state", ""), _rows(found.items))
    if found.left_out:
        click.echo("\nleft out")
        _table(("files", "number", "why"), [(one.path, str(one.count or "-"), one.reason) for one in found.left_out])
    for problem in found.failed:
        click.echo(f"! {problem}", err=True)
    total = found.to_fetch(restore=True)
    click.echo(f"\n{size_text(total)} to fetch, {size_text(free_bytes(study.root))} free on the disk.")
    refuse_simulated(study, source.entry_id)
    check_budget(source.entry_id, total, study.root, max_gb)


def fetch_and_tell(study: Study, source: Source, only: str, max_gb: float | None) -> int:
    """Fetch an entry and print what came; exit status 1 if something that was wanted did not.

    Raises
    ------
    InputError
        If nothing can be fetched.
    """
    result = fetch_from(source, study, only=only, max_gb=max_gb, restore=True, tell=click.echo, progress=_progress())
    for problem in (*result.refused, *result.failed):
        click.echo(f"! {problem}", err=True)
    click.echo(f"{len(result.arrived)} tomograms arrived" + (": type em2cryo run" if result.arrived else ""))
    return 1 if result.refused or result.failed else 0


def _progress() -> "_Percent | None":
    """A line of per cent on a terminal, nothing in a log file."""
    return _Percent() if sys.stderr.isatty() else None


class _Percent:
    def __call__(self, item: Item) -> Progress:
        last = -1

        def show(here: int, size: int) -> None:
            nonlocal last
            if (now := 100 * here // size) != last:
                last = now
                click.echo(f"\r{now:3d} %  {size_text(here)} of {size_text(size)}   ", nl=here >= size, err=True)

        return show


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = [head, *rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(head))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rows(items: Iterable[Item]) -> list[tuple[str, ...]]:
    """A line for each tomogram, and one for each companion below it."""
    rows: list[tuple[str, ...]] = []
    for item in items:
        size, shape = size_text(item.version.size), " × ".join(map(str, item.shape))
        rows.append((item.path, item.key, size, shape, _voxel(item), item.state, item.note))
        for one in item.companions:
            rows.append((one.path, f"  {one.ending}", size_text(one.version.size), "", "", one.state, ""))
    return rows


def _voxel(item: Item) -> str:
    sides = item.voxel_nm
    if sides is None:
        return "not said"
    return f"{sides[0]:.4g}" if max(sides) <= 1.001 * min(sides) else " × ".join(f"{side:.4g}" for side in sides)
