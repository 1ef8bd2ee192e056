"""Simulated examples to train on, drawn once and kept.

Belongs here: the files, and drawing the missing ones in several processes. Does not belong here: what an example
shows.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

__all__ = ["drawn_examples"]


def drawn_examples(
    folder: Path,
    count: int,
    draw: Callable[[int, Path], None],
    *,
    seed: int = 0,
    kind: str = "train",
    workers: int | None = None,
) -> list[Path]:
    """Draw examples that are not there yet.

    Parameters
    ----------
    folder : Path
        Of the files; made if missing.
    count : int
        Of examples, with the seeds from `seed` on.
    draw : callable
        Draws the example of a seed into a file that appears whole or not at all; sent to other processes, so a
        function of a module.
    seed : int
        Of the first.
    kind : str
        First part of the files' names; examples to train on and to judge with live side by side.
    workers : int, optional
        Processes; as many as there are processors where missing.

    Returns
    -------
    list of Path
        In the order of seeds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{kind}-{seed + k:05d}.npz" for k in range(count)]
    missing = [(seed + k, path) for k, path in enumerate(paths) if not path.is_file()]
    if missing:
        # A forked process would inherit threads of torch that do not run there.
        with ProcessPoolExecutor(workers or os.cpu_count(), get_context("spawn"), _one_thread) as pool:
            list(pool.map(draw, *zip(*missing, strict=True)))
    return paths


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
