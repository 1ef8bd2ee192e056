"""A training that is stopped goes on as if it had not been."""

from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.learning.train import CHECKPOINT, train
from em2cryo_assets.learning.unet import unet

_STEPS = 12


def _net():
    import torch

    torch.manual_seed(3)
    return unet(1, 1, (8, 8, 8, 8))


def _batch(step: int):
    """Squares to be found in noise."""
    import torch

    rng = np.random.default_rng((5, step))
    truth = np.zeros((2, 1, 32, 32), np.float32)
    for one in truth[:, 0]:
        y, x = rng.integers(0, 20, 2)
        one[y : y + 12, x : x + 12] = 1
    noisy = truth + 0.1 * rng.standard_normal(truth.shape, dtype=np.float32)
    return torch.from_numpy(noisy), torch.from_numpy(truth)


def _losses(out, batch):
    return {"square": (out - batch[1]).square().mean()}


class _KilledError(Exception):
    pass


def test_the_loss_falls_and_every_step_is_a_row(tmp_path: Path) -> None:
    told = []
    curve = train(_net(), _batch, _losses, tmp_path, steps=30, rate=1e-2, progress=lambda *a: told.append(a))
    assert curve["step"].tolist() == list(range(30))
    assert curve["loss"].tail(5).mean() < 0.4 * curve["loss"].head(3).mean()
    assert curve["seconds"].is_monotonic_increasing
    assert told[-1][:2] == (30, 30)


@pytest.mark.parametrize("killed_at", [7])
def test_a_killed_training_ends_as_one_that_was_not(tmp_path: Path, killed_at: int) -> None:
    import torch

    whole, parted = _net(), _net()
    curve = train(whole, _batch, _losses, tmp_path / "whole", steps=_STEPS, every=3)

    def kill(done: int, *_) -> None:
        if done == killed_at:
            raise _KilledError

    with pytest.raises(_KilledError):
        train(parted, _batch, _losses, tmp_path / "parted", steps=_STEPS, every=3, progress=kill)
    begun = []
    resumed = _net()
    again = train(
        resumed, _batch, _losses, tmp_path / "parted", steps=_STEPS, every=3, progress=lambda n, *_: begun.append(n)
    )
    assert begun[0] == killed_at // 3 * 3 + 1  # from the last checkpoint, not from the start
    assert again["loss"].tolist() == curve["loss"].tolist()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    first = _net()
    curve = train(first, _batch, _losses, tmp_path, steps=4)

    def never(step: int):
        raise AssertionError(f"step {step} was trained again")

    again = train(_net(), never, _losses, tmp_path, steps=4)
    assert again["loss"].tolist() == curve["loss"].tolist()


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    train(_net(), _batch, _losses, tmp_path, steps=2, settings={"seed": 1})
    assert (tmp_path / CHECKPOINT).is_file()
    with pytest.raises(ValueError, match="another seed"):
        train(_net(), _batch, _losses, tmp_path, steps=2, settings={"seed": 2})


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step 0"):
        train(_net(), _batch, lambda out, _: {"bad": out.sum() * float("nan")}, tmp_path, steps=2)
