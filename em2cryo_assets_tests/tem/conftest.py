"""Sections of round cells whose every measure is known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from em2cryo_assets.vocabulary import LABELS

PIXEL_NM = 12.0
LEVELS = {
    "outside": 0.10,
    "wall": 0.25,
    "membrane": 0.85,
    "cytoplasm": 0.55,
    "nucleus": 0.43,
    "vacuole": 0.20,
    "mitochondrion": 0.72,
    "lipid_droplet": 0.08,
}
Section = tuple[NDArray[np.float32], NDArray[np.uint8]]


def _draw(
    shape: tuple[int, int], discs: list[tuple[str, float, float, float]], noise: float = 0.05, seed: int = 0
) -> Section:
    """Density and labels of discs (label, y, x, radius in px) painted in order, oversampled, with noise."""
    y, x = np.mgrid[: shape[0] * 4, : shape[1] * 4] / 4
    density = np.full(y.shape, LEVELS["outside"])
    labels = np.zeros(shape, np.uint8)
    for label, cy, cx, radius in discs:
        density[np.hypot(y - cy, x - cx) < radius] = LEVELS[label]
        labels[np.hypot(*(np.indices(shape) + 0.375 - np.array([cy, cx])[:, None, None])) < radius] = LABELS[label]
    small = density.reshape(shape[0], 4, shape[1], 4).mean(axis=(1, 3))
    small += np.random.default_rng(seed).normal(0, noise, shape)
    return small.astype(np.float32), labels


def cell(
    cy: float, cx: float, outer: float, wall: float, *organelles: tuple[str, float, float, float]
) -> list[tuple[str, float, float, float]]:
    """Wall, membrane, cytoplasm and organelles of one cell, px."""
    return [
        ("wall", cy, cx, outer),
        ("membrane", cy, cx, outer - wall),
        ("cytoplasm", cy, cx, outer - wall - 1),
        *[(label, cy + dy, cx + dx, radius) for label, dy, dx, radius in organelles],
    ]


@pytest.fixture
def draw() -> Callable[..., Section]:
    return _draw


@pytest.fixture
def round_cell() -> Callable[..., list[tuple[str, float, float, float]]]:
    return cell


@pytest.fixture
def typical() -> Section:
    """One cell with every organelle, 12 nm pixels."""
    organelles = (
        ("membrane", -30.0, -35.0, 41.0),
        ("nucleus", -30.0, -35.0, 40.0),
        ("vacuole", 50.0, 30.0, 35.0),
        ("mitochondrion", -55.0, 60.0, 14.0),
        ("mitochondrion", 15.0, -90.0, 12.0),
        ("lipid_droplet", 20.0, 95.0, 12.0),
    )
    return _draw((360, 360), cell(180, 180, 150, 13, *organelles))
