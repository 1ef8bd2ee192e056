"""Outlines of overviews: each whole, convex one is a cell; the rest is left out and counted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from em2cryo_assets.compare.descriptors import UNITS
from em2cryo_assets.compare.outlines import hull_of, seen_outlines
from em2cryo_assets.compare.overviews import overview_measurements
from em2cryo_assets.compare.shape import outline_axis_ratios, silhouette_axis_ratios
from em2cryo_assets.compare.table import comparison_table
from em2cryo_assets.compare.tables import MEASUREMENTS
from em2cryo_assets_tests.compare.bodies import ellipsoid_mesh
from em2cryo_assets_tests.compare.made_up_study import EMPTY, measured

PIXEL = (20.0, 20.0)


def _ellipse(
    shape: tuple[int, int], centre: tuple[float, float], axes: tuple[float, float], turn: float = 0.0
) -> NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = y - centre[0], x - centre[1]
    along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 < 1


@given(st.floats(20, 60), st.floats(1.0, 2.0), st.floats(0, np.pi))
def test_an_ellipse_gives_its_axes_back_whichever_way_it_lies(short: float, ratio: float, turn: float) -> None:
    mask = _ellipse((260, 260), (130.3, 129.6), (short * ratio, short), turn)
    ((value, why),) = seen_outlines(mask.astype(np.uint8), PIXEL).values()
    assert why == ""
    assert value == pytest.approx(ratio, rel=0.03)


def test_pixels_that_are_not_square_are_measured_in_nm() -> None:
    mask = _ellipse((200, 400), (100, 200), (120, 60)).astype(np.uint8)
    ((value, _),) = seen_outlines(mask, (40.0, 20.0)).values()
    assert value == pytest.approx(1.0, abs=0.01)


def test_the_hull_of_a_rectangle() -> None:
    inside = np.random.default_rng(0).uniform(0, 1, (50, 2))
    hull = hull_of(np.concatenate([inside, [[0, 0], [0, 1], [1, 0], [1, 1]]]) * [3.0, 1.0] + 7)
    assert hull is not None
    assert (hull.area, hull.axis_ratio) == (pytest.approx(3), pytest.approx(3))
    assert hull_of(np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]])) is None


def _map() -> NDArray[np.uint8]:
    labels = np.zeros((300, 700), np.uint8)
    labels[_ellipse(labels.shape, (100, 100), (75, 50))] = 1
    labels[_ellipse(labels.shape, (100, 300), (60, 60))] = 2
    labels[_ellipse(labels.shape, (295, 450), (60, 60))] = 3  # cut by the border
    labels[_ellipse(labels.shape, (40, 600), (8, 8))] = 4  # 0.08 µm²
    labels[_ellipse(labels.shape, (180, 520), (50, 50)) | _ellipse(labels.shape, (180, 618), (50, 50))] = 5
    return labels


@pytest.mark.parametrize("lamella", [True, False])
def test_each_whole_outline_of_one_body_is_a_unit(lamella: bool) -> None:
    frame, left_out = overview_measurements(_map(), PIXEL, lamella=lamella, key="map", unit="grid-1")
    MEASUREMENTS.validate(frame)
    assert set(frame["characteristic"]) == set(UNITS)
    rows = frame[frame["assessable"]]
    name = "outline_axis_ratio" if lamella else "silhouette_axis_ratio"
    assert set(rows["characteristic"]) == {name}
    assert dict(zip(rows["unit"], rows["value"].round(2), strict=True)) == {"grid-1-1": 1.5, "grid-1-2": 1.0}
    assert [line.split(": ", 1)[1] for line in left_out] == [
        "cut by the border of the overview.",
        "smaller than 0.2 µm².",
        "not convex: cells that touch, or a cell with a bud.",
    ]


def test_an_overview_without_a_usable_outline_says_so() -> None:
    for labels, words in ((np.zeros((50, 50), np.uint8), "no cell"), (np.ones((50, 50), np.uint8), "no whole outline")):
        frame, _ = overview_measurements(labels, PIXEL, lamella=True, key="a", unit="a")
        MEASUREMENTS.validate(frame)
        assert not frame["assessable"].any()
        assert words in frame.set_index("characteristic").loc["outline_axis_ratio", "reason"]


def _drawn(ratios: NDArray[np.float64], seed: int) -> NDArray[np.uint16]:
    """Ellipses of these ratios, each turned at random, as a labelled map."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((150, 150 * len(ratios)), np.uint16)
    for i, ratio in enumerate(ratios):
        labels[_ellipse(labels.shape, (75, 75 + 150 * i), (35 * ratio, 35), rng.uniform(0, np.pi))] = i + 1
    return labels


@pytest.mark.parametrize("lamella", [True, False])
def test_cells_of_the_same_shape_agree_whichever_way_they_are_seen(lamella: bool) -> None:
    # Both sides draw planes or views of one spheroid, the overview as pixels: the difference is that of chance.
    mesh = ellipsoid_mesh((2000.0, 2000.0, 2600.0), 3)
    views = outline_axis_ratios if lamella else silhouette_axis_ratios
    seen, _ = overview_measurements(_drawn(views(mesh, 40, seed=5), 0), PIXEL, lamella=lamella, key="m", unit="m")
    name = "outline_axis_ratio" if lamella else "silhouette_axis_ratio"
    per_cell = [float(views(mesh, 40, seed=10 + i).mean()) for i in range(4)]
    table = comparison_table(measured("sem", name, per_cell), seen, EMPTY, EMPTY)
    row = table.set_index("characteristic").loc[name]
    assert (row["cause"], row["n_model"], row["n_reference"]) == ("", 4, 40)
    error = row["sd_reference"] / np.sqrt(40) + row["sd_model"] / np.sqrt(4)
    assert abs(row["estimate_model"] - row["estimate_reference"]) < 3.5 * error + 0.005
    other = table.set_index("characteristic").loc["silhouette_axis_ratio" if lamella else "outline_axis_ratio"]
    assert other["cause"] != ""


def test_rounder_cells_do_not_pass_for_long_ones() -> None:
    seen, _ = overview_measurements(_drawn(np.full(20, 1.02), 0), PIXEL, lamella=False, key="m", unit="m")
    mesh = ellipsoid_mesh((2000.0, 2000.0, 3000.0), 3)
    per_cell = [float(silhouette_axis_ratios(mesh, 25, seed=i).mean()) for i in range(4)]
    table = comparison_table(measured("sem", "silhouette_axis_ratio", per_cell), pd.DataFrame(seen), EMPTY, EMPTY)
    row = table.set_index("characteristic").loc["silhouette_axis_ratio"]
    assert row["estimate_model"] - row["estimate_reference"] > 0.2
