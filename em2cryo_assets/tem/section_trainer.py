"""Training the section network, from nothing but a seed.

Belongs here: slices on file, batches, losses, and the whole run with its validation.
Does not belong here: pictures (`tem.section_pictures`), how good labels are (`tem.section_scores`), the loop
(`learning.train`).
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.learning.examples import drawn_examples
from em2cryo_assets.learning.trained import Progress, Trained
from em2cryo_assets.tem.section_network import CLASSES, MAPS, WORKING_NM, class_of_label, normalised
from em2cryo_assets.tem.section_pictures import Picture, Slice, load_slices, picture, save_slices, simulated_slices

if TYPE_CHECKING:
    import torch

__all__ = ["BATCH", "CROP", "PLANES", "seam", "section_losses", "train_section_labels", "training_batch"]

_LOG = logging.getLogger(__name__)

CROP: Final = 192
"""Side of a training picture, pixels: nearly a cell."""

BATCH: Final = 6

PLANES: Final = 5
"""Sections of each simulated cell."""

_SEAM_PX: Final = 2
_EMPTY: Final = 0.06
"""Share of pictures without a cell."""


def draw_slices(seed: int, path: Path) -> None:
    """Cut the cell of a seed `PLANES` times at the working pixel size, into a file; some 1 s."""
    save_slices(simulated_slices(seed, PLANES, WORKING_NM), path)


@lru_cache(maxsize=512)
def _kept(path: Path) -> list[Slice]:
    """Slices of a file; five take 2.5 MB of memory."""
    return load_slices(path)


def seam(profiles: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels within 40 nm of two profiles at the working size, bool, shape (y, x)."""
    width = 2 * _SEAM_PX + 1
    highest = ndimage.maximum_filter(profiles, width)
    lowest = ndimage.minimum_filter(np.where(profiles == 0, 255, profiles), width)
    return np.asarray((highest > 0) & (lowest < highest))


def _drawn(paths: list[Path], rng: np.random.Generator) -> Picture:
    count = 0 if rng.random() < _EMPTY else int(rng.choice((1, 2, 3), p=(0.5, 0.3, 0.2)))
    slices = []
    for index in rng.integers(len(paths), size=count):
        file = _kept(paths[int(index)])
        slices.append(file[int(rng.integers(len(file)))])
    return picture(slices, CROP, WORKING_NM, rng)


def training_batch(
    step: int, paths: list[Path], seed: int, *, size: int = BATCH
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]":
    """Pictures of a step; the same for the same step and seed.

    Parameters
    ----------
    step : int
        Number of the step.
    paths : list of Path
        Files of slices.
    seed : int
        Of the training.
    size : int
        Pictures.

    Returns
    -------
    tuple of torch.Tensor
        Channels (n, 2, y, x), float32; classes (n, y, x), int64; seams and known pixels (n, y, x), float32.
    """
    import torch

    rng = np.random.default_rng((seed, 7, step))
    classes = class_of_label()
    drawn = [_drawn(paths, rng) for _ in range(size)]
    channels = torch.from_numpy(np.stack([normalised(p.image) for p in drawn]))
    codes = torch.from_numpy(np.stack([classes[p.labels] for p in drawn]).astype(np.int64))
    seams = torch.from_numpy(np.stack([seam(p.profiles) for p in drawn]).astype(np.float32))
    known = torch.from_numpy(np.stack([p.known for p in drawn]).astype(np.float32))
    return channels.contiguous(memory_format=torch.channels_last), codes, seams, known


def section_losses(out: "torch.Tensor", batch: "tuple[torch.Tensor, ...]") -> "Mapping[str, torch.Tensor]":
    """Losses of the maps, by name.

    Parameters
    ----------
    out : torch.Tensor, shape (n, 8, y, x)
        Logits of the network.
    batch : tuple of torch.Tensor
        As `training_batch` gives it.

    Returns
    -------
    mapping of str to torch.Tensor
        labels (cross-entropy, unweighted: weights would enlarge what is rare), dice (over the batch, classes that are
        in it), seam. Pixels in folds count for nothing.
    """
    import torch
    from torch.nn import functional

    _, codes, seams, known = batch
    total = known.sum().clamp(min=1.0)
    logs = torch.log_softmax(out[:, : len(CLASSES)], dim=1)
    entropy = functional.nll_loss(logs, codes, reduction="none")
    shares = logs.exp() * known[:, None]
    truth = functional.one_hot(codes, len(CLASSES)).permute(0, 3, 1, 2) * known[:, None]
    there = truth.sum(dim=(0, 2, 3))
    overlap = 2.0 * (shares * truth).sum(dim=(0, 2, 3)) / (shares.sum(dim=(0, 2, 3)) + there + 1.0)
    present = (there > 0).float()
    line = functional.binary_cross_entropy_with_logits(
        out[:, len(CLASSES)], seams, pos_weight=torch.tensor(3.0), reduction="none"
    )
    return {
        "labels": (entropy * known).sum() / total,
        "dice": 1.0 - (overlap * present).sum() / present.sum().clamp(min=1.0),
        "seam": 0.5 * (line * known).sum() / total,
    }


def train_section_labels(
    folder: Path,
    *,
    seed: int = 0,
    steps: int = 6000,
    examples: int = 240,
    held_out: int = 40,
    progress: Progress | None = None,
) -> Trained:
    """Simulate sections, train the network on them and judge it on others.

    Parameters
    ----------
    folder : Path
        Keeps slices, checkpoint and weights; a stopped training goes on from there with the same result.
    seed : int
        Of everything; the same seed on the same machine gives the same weights.
    steps : int
        Of the optimiser, `BATCH` pictures each, every one drawn anew.
    examples : int
        Simulated cells to train on, each cut `PLANES` times.
    held_out : int
        Simulated cells to judge with (`tem.section_scores.judged_pictures`).
    progress : callable, optional
        Told the steps done, all steps and the loss after each step.

    Returns
    -------
    Trained
        Weights, curve and validation table.
    """
    import torch

    from em2cryo_assets.learning.train import train
    from em2cryo_assets.learning.unet import channels_last, unet
    from em2cryo_assets.learning.weights import save_weights
    from em2cryo_assets.tem.section_scores import validation_table

    first = seed * 100_000
    paths = drawn_examples(folder / "slices", examples, draw_slices, seed=first)
    torch.manual_seed(seed)
    net = channels_last(unet(2, len(MAPS)))
    settings = {"seed": seed, "cells": examples, "batch": BATCH, "crop": CROP, "working_nm": WORKING_NM}
    curve = train(
        net, lambda step: training_batch(step, paths, seed), section_losses, folder, steps=steps, settings=settings,
        progress=progress,
    )  # fmt: skip
    about = {
        **settings, "steps": steps, "maps": list(MAPS), "torch": torch.__version__.split("+")[0],
        "loss": float(curve["loss"].tail(50).mean()),
    }  # fmt: skip
    weights = folder / "section_labels.safetensors"
    save_weights(weights, net, about)
    _LOG.info("judging on %d held-out cells", held_out)
    return Trained(weights, curve, validation_table(held_out, weights, seed=first))
