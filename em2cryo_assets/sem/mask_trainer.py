"""Training the mask network, from nothing but a seed.

Belongs here: simulated fields on file, batches, losses, and the whole run with its validation.
Does not belong here: fields (`sem.mask_training`), how good masks are (`sem.mask_scores`), the loop
(`learning.train`).
"""

import logging
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from em2cryo_assets.learning.examples import drawn_examples
from em2cryo_assets.learning.trained import Progress, Trained
from em2cryo_assets.sem.mask_augmentation import augmented
from em2cryo_assets.sem.mask_targets import Targets, targets
from em2cryo_assets.sem.mask_training import FIELD_SIDE, Field, load_field, save_field, simulated_field

if TYPE_CHECKING:
    import torch

__all__ = ["BATCH", "CROP", "field_losses", "simulated_fields", "train_sem_masks", "training_batch"]

_LOG = logging.getLogger(__name__)

CROP: Final = 224
"""Side of a training crop, pixels: four cells across."""

BATCH: Final = 8

_BOUNDARY_WEIGHT = 2.0
_NECK_WEIGHT = 4.0
"""A fiftieth of the pixels lies on an outline, a thousandth at a neck; unweighted, both come out too faint."""

_OFFSET_LIMIT = 1.5
"""Offsets are learned up to this, 3 µm: farther lies the centre of a cell of which almost nothing shows."""


def simulated_fields(
    folder: Path, count: int, *, seed: int = 0, held_out: bool = False, workers: int | None = None
) -> list[Path]:
    """Draw fields that are not there yet, in several processes.

    Parameters
    ----------
    folder : Path
        Of the files; made if missing.
    count : int
        Of fields, with the seeds from `seed` on.
    seed : int
        Of the first.
    held_out : bool
        Piles with yield exponents that are never trained on.
    workers : int, optional
        Processes; as many as there are processors where missing.

    Returns
    -------
    list of Path
        In the order of seeds; a training field takes some 3 s, and 100 kB.
    """
    draw, kind = partial(_draw_to, held_out), "val" if held_out else "train"
    return drawn_examples(folder, count, draw, seed=seed, kind=kind, workers=workers)


def _draw_to(held_out: bool, seed: int, path: Path) -> None:
    save_field(simulated_field(seed, FIELD_SIDE, held_out=held_out), path)


@lru_cache(maxsize=512)
def _kept(path: Path) -> tuple[Field, Targets]:
    """A field and its targets, which take 2 MB of half-precision memory."""
    field = load_field(path)
    target = targets(field)
    return field, Targets(target.maps.astype(np.float16), target.weight)


def training_batch(
    step: int, paths: list[Path], seed: int, *, size: int = BATCH, side: int = CROP
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Crops of a step; the same for the same step and seed.

    Parameters
    ----------
    step : int
        Number of the step.
    paths : list of Path
        Training fields.
    seed : int
        Of the training.
    size, side : int
        Crops, and pixels of their side.

    Returns
    -------
    tuple of torch.Tensor, float32
        Channels (n, 2, y, x), maps (n, 6, y, x) and weight of the foreground (n, y, x).
    """
    import torch

    rng = np.random.default_rng((seed, 7, step))
    crops = []
    for index in rng.integers(len(paths), size=size):
        field, target = _kept(paths[int(index)])
        crops.append(augmented(field.image, target, side, rng))
    channels, maps, weight = (torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True))
    return channels.contiguous(memory_format=torch.channels_last), maps, weight


def field_losses(out: "torch.Tensor", batch: "tuple[torch.Tensor, ...]") -> "Mapping[str, torch.Tensor]":
    """Losses of the six maps, by name.

    Parameters
    ----------
    out : torch.Tensor, shape (n, 6, y, x)
        Of the network: three logits, distance, offset (y, x).
    batch : tuple of torch.Tensor
        As `training_batch` gives it.

    Returns
    -------
    mapping of str to torch.Tensor
        foreground, boundary (cross-entropy and Dice), neck, distance, offset.
    """
    import torch
    from torch.nn import functional

    _, maps, weight = batch

    def entropy(channel: int, positive: float) -> "torch.Tensor":
        return functional.binary_cross_entropy_with_logits(
            out[:, channel], maps[:, channel], pos_weight=torch.tensor(positive), reduction="none"
        )

    seen = maps[:, 0]
    line, drawn = torch.sigmoid(out[:, 1]), maps[:, 1]
    dice = 1.0 - (2.0 * (line * drawn).sum() + 1.0) / (line.sum() + drawn.sum() + 1.0)
    known = (weight > 0).float()
    apart = functional.smooth_l1_loss(out[:, 3], maps[:, 3], beta=0.1, reduction="none")
    way = functional.smooth_l1_loss(
        out[:, 4:], maps[:, 4:].clamp(-_OFFSET_LIMIT, _OFFSET_LIMIT), beta=0.1, reduction="none"
    )
    return {
        "foreground": (entropy(0, 1.0) * weight).mean(),
        "boundary": entropy(1, _BOUNDARY_WEIGHT).mean() + 0.5 * dice,
        "neck": 0.5 * entropy(2, _NECK_WEIGHT).mean(),
        "distance": 2.0 * (apart * known).mean(),
        "offset": 0.5 * (way.sum(dim=1) * seen).sum() / (seen.sum() + 1.0),
    }


def train_sem_masks(
    folder: Path,
    *,
    seed: int = 0,
    steps: int = 1600,
    examples: int = 176,
    held_out: int = 16,
    progress: Progress | None = None,
) -> Trained:
    """Simulate fields, train the mask network on them and judge it on others.

    Parameters
    ----------
    folder : Path
        Keeps fields, checkpoint and weights; a stopped training goes on from there with the same result.
    seed : int
        Of everything; the same seed on the same machine gives the same weights.
    steps : int
        Of the optimiser, `BATCH` crops each.
    examples, held_out : int
        Simulated fields to train on and to judge with.
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
    from em2cryo_assets.sem.mask_network import MAPS, WORKING_NM
    from em2cryo_assets.sem.mask_scores import validation_table

    first = seed * 100_000
    paths = simulated_fields(folder / "fields", examples, seed=first)
    judged = simulated_fields(folder / "fields", held_out, seed=first, held_out=True)
    torch.manual_seed(seed)
    net = channels_last(unet(2, len(MAPS)))
    settings = {"seed": seed, "fields": examples, "batch": BATCH, "crop": CROP, "working_nm": WORKING_NM}
    curve = train(
        net, lambda step: training_batch(step, paths, seed), field_losses, folder, steps=steps, settings=settings,
        progress=progress,
    )  # fmt: skip
    about = {
        **settings, "steps": steps, "maps": list(MAPS), "torch": torch.__version__.split("+")[0],
        "loss": float(curve["loss"].tail(50).mean()),
    }  # fmt: skip
    weights = folder / "sem_masks.safetensors"
    save_weights(weights, net, about)
    _LOG.info("judging on %d held-out fields", held_out)
    table = validation_table([load_field(path) for path in judged], weights)
    return Trained(weights, curve, table)
