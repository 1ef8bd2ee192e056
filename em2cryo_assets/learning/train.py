"""A training loop that can be killed at any moment and goes on as if nothing had happened.

Belongs here: optimisation, checkpoints, the curve of the loss. Does not belong here: what a batch holds and what
the loss is; both come in as functions.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from em2cryo_assets.learning.weights import read_tensors, write_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["CHECKPOINT", "train"]

_LOG = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
"""Name of the file in the folder of a training: weights, their running mean, both moments of the optimiser, and
as its text the step, the curve and the settings."""

_WARM_UP = 30
_EMA = 0.995
_WEIGHT_DECAY = 0.02
_LARGEST_GRADIENT = 1.0


def train(
    net: "nn.Module",
    batch: "Callable[[int], tuple[torch.Tensor, ...]]",
    losses: "Callable[[torch.Tensor, tuple[torch.Tensor, ...]], Mapping[str, torch.Tensor]]",
    folder: Path,
    *,
    steps: int,
    rate: float = 2e-3,
    every: int = 50,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> pd.DataFrame:
    """Train a network, or go on with a training that was stopped.

    AdamW; the rate rises over 30 steps and falls by half a cosine. The network leaves with the running mean of its
    weights (decay .995, shorter at the start), which is steadier than the last step.

    Parameters
    ----------
    net : torch.nn.Module
        Freshly drawn (seed torch before building it); changed in place.
    batch : callable
        Tensors of a step, the input first; a function of the step's number alone, or a resumed training differs.
    losses : callable
        From the output and all tensors of the step to named losses, which are added up.
    folder : Path
        Holds the checkpoint; made if missing.
    steps : int
        Of the whole training, what is already done included.
    rate : float
        Highest learning rate.
    every : int
        Steps between checkpoints.
    settings : mapping, optional
        What JSON can hold; a checkpoint with other settings is not gone on with.
    progress : callable, optional
        Told the steps done, all steps and the loss after each step.

    Returns
    -------
    pandas.DataFrame
        One row a step: step, loss, each named loss, rate, seconds (since this training began, pauses left out).

    Raises
    ------
    ValueError
        If the folder holds a training with other settings, or the loss is no number.
    """
    import torch

    wanted = json.loads(json.dumps({**(settings or {}), "steps": steps, "rate": rate}))
    names = [name for name, _ in net.named_parameters()]
    parameters = [p for _, p in net.named_parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
    mean = {name: p.detach().clone() for name, p in net.named_parameters()}
    rows: list[dict[str, float]] = []
    path = folder / CHECKPOINT
    if path.is_file():
        rows = _resume(path, wanted, net, optimiser, mean)
        _LOG.info("going on at step %d of %d in %s", len(rows), steps, folder)
    # A network that leaves with its mean weights was not left with those it was training.
    before, started = (rows[-1]["seconds"] if rows else 0.0), time.monotonic()
    net.train()
    for step in range(len(rows), steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        tensors = batch(step)
        # Half-precision multiplications take .6 of the time on processors that have them.
        with torch.autocast(tensors[0].device.type, torch.bfloat16):
            out = net(tensors[0])
        parts = losses(out.float(), tensors)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise ValueError(f"The loss of step {step} is {loss.item()}; lower the learning rate.")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        optimiser.step()
        keep = min(_EMA, (1.0 + step) / (10.0 + step))
        with torch.no_grad():
            for name, p in net.named_parameters():
                mean[name].lerp_(p, 1.0 - keep)
        seconds = before + time.monotonic() - started
        row = {"step": step, "loss": loss.item(), **{name: part.item() for name, part in parts.items()}}
        rows.append({**row, "rate": optimiser.param_groups[0]["lr"], "seconds": round(seconds, 2)})
        if (step + 1) % every == 0 or step + 1 == steps:
            _checkpoint(path, wanted, rows, names, parameters, optimiser, mean)
        if progress is not None:
            progress(step + 1, steps, loss.item())
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(mean[name])
    net.eval()
    return pd.DataFrame(rows)


def _checkpoint(
    path: Path,
    settings: Mapping[str, Any],
    rows: list[dict[str, float]],
    names: list[str],
    parameters: "list[nn.Parameter]",
    optimiser: "torch.optim.Optimizer",
    mean: "Mapping[str, torch.Tensor]",
) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, p in zip(names, parameters, strict=True):
        tensors[f"net/{name}"], tensors[f"mean/{name}"] = p, mean[name]
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}/{name}"] = optimiser.state[p][moment]
    write_tensors(path, tensors, {"settings": settings, "curve": rows})


def _resume(
    path: Path,
    settings: Mapping[str, Any],
    net: "nn.Module",
    optimiser: "torch.optim.Optimizer",
    mean: "dict[str, torch.Tensor]",
) -> list[dict[str, float]]:
    """Put everything back as it was; returns the curve so far."""
    import torch

    tensors, about = read_tensors(path)
    if about["settings"] != settings:
        other = sorted(k for k in {*settings, *about["settings"]} if settings.get(k) != about["settings"].get(k))
        raise ValueError(f"{path} is a training with another {', '.join(other)}; train in an empty folder.")
    rows: list[dict[str, float]] = about["curve"]
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(tensors[f"net/{name}"])
            mean[name].copy_(tensors[f"mean/{name}"])
            optimiser.state[p] = {
                "step": torch.tensor(float(len(rows))),
                **{m: tensors[f"{m}/{name}"].to(p.device) for m in ("exp_avg", "exp_avg_sq")},
            }
    return rows
