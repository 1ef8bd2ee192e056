"""Batches depend on their step alone, seams lie between cells only, and folds teach nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from em2cryo_assets.tem.section_network import CLASSES
from em2cryo_assets.tem.section_trainer import (
    BATCH,
    CROP,
    draw_slices,
    seam,
    section_losses,
    train_section_labels,
    training_batch,
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("slices")
    for seed in (1, 2):
        draw_slices(seed, folder / f"{seed}.npz")
    return [folder / "1.npz", folder / "2.npz"]


def test_a_batch_is_a_function_of_its_step_and_seed(paths: list[Path]) -> None:
    first, again, other = (training_batch(step, paths, 0) for step in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    channels, codes, seams, known = first
    assert channels.shape == (BATCH, 2, CROP, CROP)
    assert codes.shape == seams.shape == known.shape == (BATCH, CROP, CROP)
    assert int(codes.min()) >= 0
    assert int(codes.max()) < len(CLASSES)


def test_a_seam_lies_where_two_profiles_meet_and_nowhere_else() -> None:
    profiles = np.zeros((20, 30), np.uint8)
    profiles[5:15, 5:15], profiles[5:15, 15:25] = 1, 2
    found = seam(profiles)
    assert found[5:15, 13:17].all()
    assert not found[:, :12].any()
    assert not found[:, 18:].any()
    profiles[profiles == 2] = 0
    assert not seam(profiles).any()


def test_the_right_answer_costs_nothing_and_what_is_unknown_is_not_asked(paths: list[Path]) -> None:
    _, codes, seams, known = batch = training_batch(0, paths, 1)
    right = 40.0 * torch.nn.functional.one_hot(codes, len(CLASSES)).permute(0, 3, 1, 2).float()
    out = torch.cat([right, 80.0 * seams[:, None] - 40.0], dim=1)
    assert sum(float(part) for part in section_losses(out, batch).values()) < 0.01
    known[:, :, : CROP // 2] = 0.0
    out[..., : CROP // 2] *= -1.0
    assert sum(float(part) for part in section_losses(out, batch).values()) < 0.01


@pytest.mark.slow
def test_a_training_leaves_weights_a_curve_and_a_table_of_both_labellers(tmp_path: Path) -> None:
    made = train_section_labels(tmp_path, steps=2, examples=2, held_out=1)
    assert made.weights.is_file()
    assert len(made.curve) == 2
    assert set(made.validation["labeller"]) == {"network", "levels"}
    assert set(made.validation["set"]) == {"trained stains", "held-out stains", "another renderer"}
