"""How far the verdicts of this study can be trusted: the protocol tried on studies of its size with known answers.

Belongs here: `verdict_calibration`. Does not belong here: drawing and judging those studies (`compare.calibration`).
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from em2cryo_assets import checks
from em2cryo_assets.assets.exports import describe, meanings
from em2cryo_assets.assets.pictures import table
from em2cryo_assets.assets.records import read_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.calibration import judged_studies, rates
from em2cryo_assets.compare.calibration_pool import RELEASED, read_pool
from em2cryo_assets.compare.inner_tables import RATES
from em2cryo_assets.compare.known_answers import Sizes
from em2cryo_assets.store.tables import read_table, write_table

__all__ = ["verdict_calibration"]

_TABLES = ("studies.parquet", "rates.parquet")


@stage_asset("verdict_calibration", checks.VERDICT_CALIBRATION)
def verdict_calibration(work: Work) -> None:
    """Judge simulated studies of this study's size; those of the last time stand where the size is the same."""
    settings = work.study.settings
    frame = read_table(work.one("comparison_table").path / "table.parquet")
    sizes = Sizes.of(frame, settings.pairs_per_tomogram)
    asked = {
        **asdict(sizes),
        "studies": settings.calibration_studies,
        "seed": settings.seed,
        "pool": _digest(),
        "code_version": work.stage.code_version,
    }
    last = work.study.store.current(work.stage.name, None)
    if last is not None and read_record(last) == asked:
        for name in _TABLES:
            shutil.copyfile(last.path / name, work.folder / name)
    else:
        judged = judged_studies(
            read_pool(), sizes, settings.calibration_studies, seed=settings.seed, spread=_logged(work)
        )
        for name, made, schema in zip(_TABLES, (judged, rates(judged)), (None, RATES), strict=True):
            write_table(work.folder / name, made, schema)
    write_record(work.folder, asked)
    found = read_table(work.folder / "rates.parquet")
    shown = ["characteristic", "answer", "fake", "studies", "n_captured", "n_approximated", "n_missed", "asked", "kept"]
    work.parameters |= asked
    describe(work, RATES)
    work.metadata |= {
        "rates": table(found[shown], meaning=meanings(RATES)),
        "sizes": ", ".join(f"{name} {value}" for name, value in asdict(sizes).items()),
        "pool": "SIMULATED: the answers are known because all units are simulated",
        **{f"n_{kept}": int((found["kept"] == kept).sum()) for kept in ("yes", "no", "undecided")},
    }
    broken = [row for row in found.to_dict("records") if row["kept"] == "no"]
    said = "; ".join(f"{row['characteristic']}, {row['fake'] or row['answer']}" for row in broken)
    work.check(
        "errors_as_promised", not broken,
        f"Beyond what is promised: {said}." if said else "No rate of errors is beyond what is promised.",
        beyond=len(broken),
    )  # fmt: skip


def _digest() -> str:
    """Of the pool that ships with the package."""
    digest = hashlib.sha256()
    for path in sorted(RELEASED.glob("*.parquet")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _logged(work: Work) -> Callable[[Callable[[Any], pd.DataFrame], Iterable[Any]], Iterator[pd.DataFrame]]:
    """Like `map`, with a line in the log now and then."""

    def spread(judge: Callable[[Any], pd.DataFrame], tasks: Iterable[Any]) -> Iterator[pd.DataFrame]:
        all_tasks = list(tasks)
        for done, task in enumerate(all_tasks, start=1):
            yield judge(task)
            if done % 20 == 0 or done == len(all_tasks):
                work.context.log.info(f"{done} of {len(all_tasks)} groups of simulated studies judged")

    return spread
