"""Training the network that labels tomograms, from nothing but a seed.

Belongs here: windows on file, batches, losses, and the whole run with its validation.
Does not belong here: pictures (`cryoet.label_pictures`), how good labels are (`cryoet.label_scores`), the loop
(`learning.train`).
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from em2cryo_assets.cryoet.label_network import CLASSES, WORKING_NM, class_of_label, normalised
from em2cryo_assets.cryoet.label_pictures import Picture, empty_picture, picture
from em2cryo_assets.cryoet.label_windows import depth_of, load_window, save_windows, windows_of
from em2cryo_assets.learning.examples import drawn_examples
from em2cryo_assets.learning.trained import Progress, Trained

if TYPE_CHECKING:
    import torch

__all__ = ["BATCH", "CROP", "WINDOWS", "by_depth", "label_losses", "train_tomogram_labels", "training_batch"]

_LOG = logging.getLogger(__name__)

CROP: Final = 64
"""Side of a training field, voxels: 1 µm."""

BATCH: Final = 6

WINDOWS: Final = 6
"""Of each simulated cell."""

_EMPTY: Final = 0.12
"""Share of pictures without a cell."""

_DEEPER: Final = 0.3
"""Share of steps whose tomograms were reconstructed deeper than their slab, by up to seven planes on either side."""


def draw_windows(seed: int, path: Path) -> None:
    """Cut `WINDOWS` windows from the cell of a seed, into a file; some 1 s."""
    save_windows(windows_of(seed, WINDOWS), path)


def by_depth(paths: list[Path]) -> dict[int, list[Path]]:
    """Files of windows by their depth in voxels: a batch has one depth, so that nothing has to be padded."""
    out: dict[int, list[Path]] = {}
    for path in paths:
        out.setdefault(depth_of(path), []).append(path)
    return out


def training_batch(
    step: int, files: Mapping[int, list[Path]], seed: int, *, size: int = BATCH
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Pictures of a step; the same for the same step and seed.

    Parameters
    ----------
    step : int
        Number of the step.
    files : mapping of int to list of Path
        As `by_depth` gives them.
    seed : int
        Of the training.
    size : int
        Pictures.

    Returns
    -------
    tuple of torch.Tensor
        Channels (n, 2, z, y, x), float32; classes (n, z, y, x), int64.
    """
    import torch

    rng = np.random.default_rng((seed, 19, step))
    depths = sorted(files)
    counts = np.array([len(files[d]) for d in depths], float)
    depth = int(rng.choice(depths, p=counts / counts.sum()))
    above, below = (int(n) for n in rng.integers(1, 8, size=2)) if rng.random() < _DEEPER else (0, 0)

    def drawn() -> Picture:
        if rng.random() < _EMPTY:
            return empty_picture(depth, CROP, rng, beyond=(above, below))
        path = files[depth][int(rng.integers(len(files[depth])))]
        return picture(load_window(path, int(rng.integers(1_000_000))), CROP, rng, beyond=(above, below))

    pictures = [drawn() for _ in range(size)]
    channels = torch.from_numpy(np.stack([normalised(p.volume) for p in pictures]))
    codes = torch.from_numpy(np.stack([class_of_label()[p.labels] for p in pictures]).astype(np.int64))
    return channels, codes


def label_losses(out: "torch.Tensor", batch: "tuple[torch.Tensor, ...]") -> "Mapping[str, torch.Tensor]":
    """Losses of the maps, by name.

    Parameters
    ----------
    out : torch.Tensor, shape (n, 5, z, y, x)
        Logits of the network.
    batch : tuple of torch.Tensor
        As `training_batch` gives it.

    Returns
    -------
    mapping of str to torch.Tensor
        labels (cross-entropy, unweighted: weights would enlarge what is rare) and dice (over the batch, classes that are
        in it).
    """
    import torch
    from torch.nn import functional

    _, codes = batch
    logs = torch.log_softmax(out, dim=1)
    shares = logs.exp()
    truth = functional.one_hot(codes, len(CLASSES)).movedim(-1, 1).to(shares.dtype)
    axes = (0, 2, 3, 4)
    there = truth.sum(dim=axes)
    overlap = 2.0 * (shares * truth).sum(dim=axes) / (shares.sum(dim=axes) + there + 1.0)
    present = (there > 0).float()
    return {
        "labels": functional.nll_loss(logs, codes),
        "dice": 1.0 - (overlap * present).sum() / present.sum().clamp(min=1.0),
    }


def train_tomogram_labels(
    folder: Path,
    *,
    seed: int = 0,
    steps: int = 2000,
    examples: int = 240,
    held_out: int = 40,
    progress: Progress | None = None,
) -> Trained:
    """Simulate tomograms, train the network on them and judge it on others.

    Parameters
    ----------
    folder : Path
        Keeps windows, checkpoint and weights; a stopped training goes on from there with the same result.
    seed : int
        Of everything; the same seed on the same machine gives the same weights.
    steps : int
        Of the optimiser, `BATCH` pictures each, every one imaged anew.
    examples : int
        Simulated cells to train on, `WINDOWS` windows each.
    held_out : int
        Simulated cells to judge with (`cryoet.label_scores.judged_tomograms`).
    progress : callable, optional
        Told the steps done, all steps and the loss after each step.

    Returns
    -------
    Trained
        Weights, curve and validation table.
    """
    import torch

    from em2cryo_assets.cryoet.label_scores import validation_table
    from em2cryo_assets.learning.train import train
    from em2cryo_assets.learning.unet3d import unet3d
    from em2cryo_assets.learning.weights import save_weights

    first = seed * 100_000
    files = by_depth(drawn_examples(folder / "windows", examples, draw_windows, seed=first))
    torch.manual_seed(seed)
    net = unet3d(2, len(CLASSES))
    settings = {"seed": seed, "cells": examples, "batch": BATCH, "crop": CROP, "working_nm": WORKING_NM}
    curve = train(
        net, lambda step: training_batch(step, files, seed), label_losses, folder, steps=steps, settings=settings,
        progress=progress,
    )  # fmt: skip
    about = {
        **settings, "steps": steps, "classes": list(CLASSES), "torch": torch.__version__.split("+")[0],
        "loss": float(curve["loss"].tail(50).mean()),
    }  # fmt: skip
    weights = folder / "tomogram_labels.safetensors"
    save_weights(weights, net, about)
    _LOG.info("judging on %d held-out cells", held_out)
    return Trained(weights, curve, validation_table(held_out, weights, seed=first))
