"""Simulated tomograms to train on: true to their windows, the same for the same step, and learnt from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from em2cryo_assets.cryoet.label_network import CLASSES, class_of_label
from em2cryo_assets.cryoet.label_pictures import empty_picture, picture
from em2cryo_assets.cryoet.label_trainer import (
    BATCH,
    CROP,
    by_depth,
    draw_windows,
    label_losses,
    train_tomogram_labels,
    training_batch,
)
from em2cryo_assets.cryoet.label_windows import KINDS, Window, draw_plane, load_window, windows_of
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.vocabulary import LABELS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Path]]:
    folder = tmp_path_factory.mktemp("windows")
    for seed in (1, 2):
        draw_windows(seed, folder / f"{seed}.npz")
    return by_depth([folder / "1.npz", folder / "2.npz"])


def test_a_window_is_the_same_for_the_same_seed_and_survives_its_file(files: dict[int, list[Path]]) -> None:
    path = next(p for paths in files.values() for p in paths if p.stem == "1")
    again, kept = windows_of(1, 2)[1], load_window(path, 1)
    np.testing.assert_array_equal(kept.labels, again.labels)
    np.testing.assert_array_equal(kept.coverage, again.coverage)
    assert kept.shares.sum(axis=0).mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("kind", "label"), [("wall", "wall"), ("nucleus", "nucleus"), ("vacuole", "vacuole")])
def test_a_window_shows_what_it_is_aimed_at(kind: str, label: str) -> None:
    cell, rng = draw_cell(5), np.random.default_rng(0)
    held = []
    for _ in range(8):
        plane = draw_plane(cell, kind, rng)
        axis = np.linspace(-500.0, 500.0, 26)
        held.append((cell.labels(plane.points_nm(np.zeros(1), axis, axis)) == LABELS[label]).mean() > 0.02)
    assert sum(held) >= 6
    assert sum(KINDS.values()) == pytest.approx(1.0)


def test_density_follows_the_labels_and_planes_beyond_a_slab_are_outside() -> None:
    labels = np.zeros((8, 96, 96), np.uint8)
    labels[:, 48:] = LABELS["cytoplasm"]
    coverage = np.zeros((12, 8, 96, 96), np.uint8)
    coverage[0, :, :48], coverage[3, :, 48:] = 140, 140
    rises = []
    for seed in range(12):
        made = picture(Window(coverage, labels, False), CROP, np.random.default_rng(seed), beyond=(2, 3))
        assert made.volume.shape == made.labels.shape == (13, CROP, CROP)
        assert not made.labels[:2].any()
        assert not made.labels[-3:].any()
        middle = slice(4, 8)
        inside = made.labels[middle] > 0
        if 0.1 < inside.mean() < 0.9:
            rises.append(made.volume[middle][inside].mean() > made.volume[middle][~inside].mean())
    assert len(rises) >= 5
    assert all(rises)
    assert not empty_picture(6, CROP, np.random.default_rng(0)).labels.any()


def test_a_batch_is_a_function_of_its_step_and_seed(files: dict[int, list[Path]]) -> None:
    first, again, other = (training_batch(step, files, 0) for step in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])
    channels, codes = first
    assert channels.shape[:2] == (BATCH, 2)
    assert channels.shape[3:] == codes.shape[2:] == (CROP, CROP)
    assert 0 <= int(codes.min()) <= int(codes.max()) < len(CLASSES)


def test_the_right_answer_costs_nothing(files: dict[int, list[Path]]) -> None:
    _, codes = batch = training_batch(0, files, 1)
    right = 40.0 * torch.nn.functional.one_hot(codes, len(CLASSES)).movedim(-1, 1).float()
    assert sum(float(part) for part in label_losses(right, batch).values()) < 0.01
    assert sum(float(part) for part in label_losses(-right, batch).values()) > 1.0


def test_every_label_has_a_class_and_a_membrane_counts_as_cytoplasm() -> None:
    classes = class_of_label()
    assert len(classes) == len(LABELS)
    assert classes[LABELS["membrane"]] == classes[LABELS["mitochondrion"]] == CLASSES.index("cytoplasm")
    for name in CLASSES:
        assert classes[LABELS[name]] == CLASSES.index(name)


@pytest.mark.slow
def test_a_training_leaves_weights_a_curve_and_a_table_of_both_labellers(tmp_path: Path) -> None:
    made = train_tomogram_labels(tmp_path, steps=2, examples=2, held_out=1)
    assert made.weights.is_file()
    assert len(made.curve) == 2
    assert set(made.validation["labeller"]) == {"network", "layers"}
    assert set(made.validation["set"]) == {"as trained", "full instrument", "simulated studies"}
