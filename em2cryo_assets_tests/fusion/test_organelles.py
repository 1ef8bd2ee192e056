import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.fusion.organelles import Body, Demand, body_distance, place_bodies

AXIS = np.arange(-2000.0, 2001.0, 100.0)
DEPTH = 1900.0 - np.sqrt(sum(a**2 for a in np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")))


def _place(demands, seed=0, preference=None):
    parts = (DEPTH > 0).astype(np.uint8)
    return place_bodies(DEPTH, [AXIS] * 3, demands, preference or {}, parts, np.random.default_rng(seed))


@settings(max_examples=20, deadline=None)
@given(radius=st.floats(50, 900), length=st.floats(0, 1500), probe=st.floats(0, 3000))
def test_distance_to_a_capsule_in_free_space(radius, length, probe):
    body = Body("mitochondrion", (0.0, 0.0, -length / 2), (0.0, 0.0, length / 2), radius)
    free = np.full(1, 1e6)
    side = body_distance(body, free, np.array([probe]), np.zeros(1), np.zeros(1))
    end = body_distance(body, free, np.zeros(1), np.zeros(1), np.array([length / 2 + probe]))
    assert side[0] == pytest.approx(probe - radius, abs=1e-2)
    assert end[0] == pytest.approx(probe - radius, abs=1e-2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.02, 0.35))
def test_no_point_belongs_to_two_bodies_or_lies_outside(seed, share):
    cell = 4 / 3 * np.pi * 1900.0**3
    demands = [
        Demand("nucleus", 0.08 * cell, 1700.0),
        Demand("vacuole", share * cell, 1500.0),
        Demand("mitochondrion", 0.03 * cell, 350.0),
    ]
    bodies, _ = _place(demands, seed)
    points = np.random.default_rng(seed + 1).uniform(-2000, 2000, (20_000, 3)).T
    clearance = 1900.0 - np.sqrt((points**2).sum(axis=0))
    for body in bodies:
        distance = body_distance(body, clearance, *points)
        inside = distance < 0
        assert (clearance[inside] > 0).all()
        clearance = np.minimum(clearance, distance)


def test_volumes_are_met_even_where_bodies_are_cut():
    cell = 4 / 3 * np.pi * 1900.0**3
    bodies, fallbacks = _place([Demand("nucleus", 0.1 * cell, 1700.0), Demand("vacuole", 0.3 * cell, 2400.0)])
    points = np.random.default_rng(5).uniform(-1900, 1900, (400_000, 3)).T
    clearance = 1900.0 - np.sqrt((points**2).sum(axis=0))
    found = {"nucleus": 0.0, "vacuole": 0.0}
    for body in bodies:
        distance = body_distance(body, clearance, *points)
        found[body.label] += float((distance < 0).mean()) * 3800.0**3 / cell
        clearance = np.minimum(clearance, distance)
    assert not fallbacks
    assert found["nucleus"] == pytest.approx(0.1, rel=0.04)
    assert found["vacuole"] == pytest.approx(0.3, rel=0.04)


def test_preference_pulls_bodies_to_their_depth():
    demand = [Demand("lipid_droplet", 30 * 4 / 3 * np.pi * 120.0**3, 240.0)]
    shallow, deep = np.zeros(20), np.zeros(20)
    shallow[2:5], deep[14:] = 1.0, 1.0
    radius = [
        np.mean(
            [
                np.hypot(*np.hypot(b.start_nm[:2], [b.start_nm[2], 0]))
                for b in _place(demand, 1, {"lipid_droplet": p})[0]
            ]
        )
        for p in (shallow, deep)
    ]
    assert radius[0] > 1.8 * radius[1]


def test_what_cannot_fit_is_said():
    cell = 4 / 3 * np.pi * 1900.0**3
    _, fallbacks = _place([Demand("vacuole", 1.2 * cell, 2400.0)])
    assert "found room" in fallbacks[0]


def test_same_seed_same_arrangement():
    demand = [Demand("mitochondrion", 1e9, 300.0)]
    assert _place(demand, 7)[0] == _place(demand, 7)[0] != _place(demand, 8)[0]
