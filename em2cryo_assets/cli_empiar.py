"""What ``em2cryo add empiar`` says on the terminal.

Belongs here: tables and progress in words. Does not belong here: what is fetched and how (`resources.empiar`).
"""

import sys
from collections.abc import Iterable

import click

from em2cryo_assets.resources.empiar.archive import archive_at
from em2cryo_assets.resources.empiar.budget import check_budget, free_bytes, size_text
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.download import Progress
from em2cryo_assets.resources.empiar.fetch import fetch
from em2cryo_assets.resources.empiar.look import Item, look, refuse_simulated
from em2cryo_assets.resources.study import Study

__all__ = ["fetch_and_tell", "look_and_tell"]


def look_and_tell(study: Study, entry: str, only: str, max_gb: float | None) -> None:
    """Print what fetching an entry would bring; change nothing.

    Raises
    ------
    InputError
        If the archive cannot be asked, or what would come would be refused.
    """
    with EmpiarClient(archive_at()) as client:
        found = look(study, client, entry, only)
    said = found.entry
    click.echo(f"{said.id}  {said.title}")
    click.echo(
        f"status {said.status or 'unknown'}, updated {said.update_date or 'never'}, {said.dataset_size or '?'}\n"
    )
    if said.withdrawn:
        click.echo("It was withdrawn: nothing is fetched, and what is here is kept.")
        return
    rows = [
        (item.path, item.key, size_text(item.version.size), _shape(item), _voxel(item), item.state)
        for item in found.items
    ]
    _table(("file", "key", "size", "shape z × y × x", "voxel nm", "state"), rows)
    if found.left_out:
        click.echo("\nleft out")
        _table(("files", "number", "why"), [(one.path, str(one.count or "-"), one.reason) for one in found.left_out])
    total = sum(item.version.size for item in found.wanted(restore=True))
    click.echo(f"\n{size_text(total)} to fetch, {size_text(free_bytes(study.root))} free on the disk.")
    refuse_simulated(study, entry)
    check_budget(entry, total, study.root, max_gb)


def fetch_and_tell(study: Study, entry: str, only: str, max_gb: float | None) -> int:
    """Fetch an entry and print what came; exit status 1 if something that was wanted did not.

    Raises
    ------
    InputError
        If nothing can be fetched.
    """
    with EmpiarClient(archive_at()) as client:
        result = fetch(
            study, client, entry, only=only, max_gb=max_gb, restore=True, tell=click.echo, progress=_progress()
        )
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


def _shape(item: Item) -> str:
    return " × ".join(map(str, item.header.shape))


def _voxel(item: Item) -> str:
    sides = item.header.voxel_nm
    if sides is None:
        return "not said"
    return f"{sides[0]:.4g}" if max(sides) <= 1.001 * min(sides) else " × ".join(f"{side:.4g}" for side in sides)
