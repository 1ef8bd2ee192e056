"""Views come into register: known transforms exactly, unknown ones by what they show."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.align import correlate, rotation_onto_y, transformed
from em2cryo_assets.cryoet.reconstruct import project

TILTS = tuple(np.arange(-60.0, 61.0, 3.0).tolist())


@pytest.fixture(scope="module")
def views() -> NDArray[np.float32]:
    """A slab of soft specks, projected."""
    rng = np.random.default_rng(0)
    volume = ndimage.gaussian_filter(rng.standard_normal((24, 128, 128)), 2.5).astype(np.float32)
    return project(volume / volume.std(), TILTS, edges="continued")


def specks(shape: tuple[int, int], places: list[tuple[float, float]]) -> NDArray[np.float32]:
    """Round spots at (x, y) from the middle of a picture."""
    y, x = (np.arange(n) - 0.5 * (n - 1) for n in shape)
    spots = [np.exp(-((x[None] - px) ** 2 + (y[:, None] - py) ** 2) / 18.0) for px, py in places]
    return np.sum(spots, axis=0).astype(np.float32)


def centre(image: NDArray[np.float32]) -> tuple[float, float]:
    y, x = (np.arange(n) - 0.5 * (n - 1) for n in image.shape)
    return float((image * x[None]).sum() / image.sum()), float((image * y[:, None]).sum() / image.sum())


@pytest.mark.parametrize("shape", [(81, 101), (101, 81)])
def test_a_transform_moves_a_speck_where_imod_says(shape: tuple[int, int]) -> None:
    # X' = A11 X + A12 Y + DX, Y' = A21 X + A22 Y + DY, from middle to middle.
    transform = np.array([[0.8, 0.6, 3.0], [-0.6, 0.8, -5.0]])
    moved = transformed(specks((81, 101), [(10.0, -8.0)]), transform, shape)
    assert centre(moved) == pytest.approx((0.8 * 10 - 0.6 * 8 + 3.0, -0.6 * 10 - 0.8 * 8 - 5.0), abs=0.05)


@pytest.mark.parametrize("axis_deg", [0.0, 85.3, -12.0, 175.0])
def test_a_recorded_axis_is_turned_onto_y(axis_deg: float) -> None:
    a = np.deg2rad(axis_deg)
    on_axis = (-20 * np.sin(a), 20 * np.cos(a))
    x, y = centre(transformed(specks((91, 91), [on_axis]), rotation_onto_y(axis_deg)))
    assert x == pytest.approx(0.0, abs=0.05)
    assert y == pytest.approx(20.0, abs=0.05)


def test_shifts_are_found_but_for_where_the_specimen_lies(views: NDArray[np.float32]) -> None:
    shifts = 4.0 * np.random.default_rng(1).standard_normal((len(views), 2))  # (y, x)
    moved = np.stack([ndimage.shift(v, s, order=3, mode="reflect") for v, s in zip(views, shifts, strict=True)])
    found = correlate(moved, TILTS, 0.0)
    error = found.transforms[:, ::-1, 2] + shifts
    # The same for all views along the axis; across it, what a specimen beside the axis and above it does.
    tilt = np.deg2rad(TILTS)
    free = np.stack([np.cos(tilt), np.sin(tilt)], axis=1)
    across = error[:, 1] - free @ np.linalg.lstsq(free, error[:, 1], rcond=None)[0]
    assert error[:, 0].std() < 0.3
    assert across.std() < 0.5
    assert found.residual_px < 0.5


def test_views_of_nothing_have_a_large_residual(views: NDArray[np.float32]) -> None:
    noise = np.random.default_rng(2).standard_normal(views.shape).astype(np.float32)
    assert correlate(noise, TILTS, 0.0).residual_px > 0.05 * views.shape[1]
