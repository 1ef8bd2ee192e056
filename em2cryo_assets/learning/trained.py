"""What every training of this project leaves, and how it is asked for.

Belongs here: the two shapes that trainers and the assets of networks share. Does not belong here: any training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

__all__ = ["Progress", "Trained", "Trainer"]

Progress = Callable[[int, int, float], None]
"""Told the steps done, all steps and the loss after each step."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves.

    Parameters
    ----------
    weights : Path
        safetensors file, half precision.
    curve : pandas.DataFrame
        One row a step, as `learning.train.train` gives it.
    validation : pandas.DataFrame
        Figures on held-out simulations, the network's beside the baseline's.
    """

    weights: Path
    curve: pd.DataFrame
    validation: pd.DataFrame


class Trainer(Protocol):
    """A training from nothing but a seed; a stopped one goes on in the same folder with the same result."""

    def __call__(
        self,
        folder: Path,
        *,
        seed: int,
        steps: int,
        examples: int,
        held_out: int,
        progress: Progress | None = None,
    ) -> Trained:
        """Simulate `examples` to train on and `held_out` to judge with, train, judge."""
        ...
