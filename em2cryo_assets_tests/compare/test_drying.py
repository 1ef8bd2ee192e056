import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.compare.descriptors import cell_measurements
from em2cryo_assets.compare.drying import ABSOLUTE, undried
from em2cryo_assets_tests.compare.bodies import ellipsoid_mesh

RADII_NM = (1700.0, 1800.0, 1900.0, 2000.0, 2100.0)


@pytest.fixture(scope="module")
def features():
    """Five whole cells and one that is cut, all dried."""
    frames = []
    for i, r in enumerate((*RADII_NM, 2 * RADII_NM[-1])):
        why_not = "cut by the border of its field" if r > RADII_NM[-1] else ""
        mesh = ellipsoid_mesh((r, r, 1.2 * r))
        frames.append(cell_measurements(mesh, key=f"f-c{i}", unit=f"f-c{i}", field="f", why_not=why_not))
    return pd.concat(frames).reset_index(drop=True)


def value(frame, key, name):
    row = frame[(frame["key"] == key) & (frame["characteristic"] == name)].iloc[0]
    return float(row["value"]), bool(row["assessable"])


@settings(max_examples=20, deadline=None)
@given(live=st.floats(2.0, 9.0))
def test_the_mean_diameter_becomes_that_of_living_cells(features, live):
    keys = [f"f-c{i}" for i in range(6)]
    scaled, notes = undried(features, dict.fromkeys(keys, live))
    log_volumes = np.array([value(scaled, k, "log_volume")[0] for k in keys[:5]])
    diameters = (6 / np.pi * np.exp(log_volumes)) ** (1 / 3)
    assert diameters.mean() == pytest.approx(live)
    # One factor for all: ratios between cells, and between radius and volume, stay.
    before = np.array([value(features, k, "log_volume")[0] for k in keys[:5]])
    assert np.ptp(log_volumes - before) < 1e-9
    radius = value(scaled, keys[0], "log_wall_radius")[0] - value(features, keys[0], "log_wall_radius")[0]
    assert 3 * radius == pytest.approx(log_volumes[0] - before[0])
    assert all(value(scaled, k, name)[1] for k in keys[:5] for name in ABSOLUTE)
    assert f"{live:g} µm" in notes[0]


def test_cut_cells_and_scale_free_numbers_stay(features):
    scaled, _ = undried(features, {f"f-c{i}": 5.0 for i in range(6)})
    assert value(scaled, "f-c5", "log_volume") == value(features, "f-c5", "log_volume")
    free = ~features["characteristic"].isin(ABSOLUTE)
    pd.testing.assert_frame_equal(scaled[free], features[free])


def test_without_a_live_diameter_or_enough_cells_nothing_is_scaled(features):
    assert undried(features, {})[1] == []
    pd.testing.assert_frame_equal(undried(features, {})[0], features)
    few, notes = undried(features, {"f-c0": 5.0, "f-c1": 5.0, "f-c2": 5.0})
    pd.testing.assert_frame_equal(few, features)
    assert "only 3 whole cells" in notes[0]


def test_strains_are_scaled_apart(features):
    other = features.assign(key="g" + features["key"].str[1:])
    both = pd.concat([features, other], ignore_index=True)
    live = {key: 4.0 if key.startswith("f") else 6.0 for key in both["key"].unique()}
    scaled, notes = undried(both, live)
    assert len(notes) == 2
    ratio = value(scaled, "g-c0", "log_volume")[0] - value(scaled, "f-c0", "log_volume")[0]
    assert ratio == pytest.approx(3 * np.log(6 / 4))


def test_an_impossible_diameter_is_refused(features):
    with pytest.raises(ValueError, match="positive"):
        undried(features, {"f-c0": -1.0})
