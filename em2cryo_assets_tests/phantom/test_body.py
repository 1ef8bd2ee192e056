"""The outer surface: exact distances, and shells of constant thickness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.phantom.body import draw_body, ellipsoid_distance, random_rotation
from em2cryo_assets.phantom.priors import PRIORS

AXES = st.tuples(*[st.floats(1200.0, 3200.0) for _ in range(3)])


@given(
    axes=AXES,
    direction=st.tuples(*[st.floats(-1, 1) for _ in range(3)]).filter(lambda v: np.linalg.norm(v) > 0.1),
    offset=st.floats(-250.0, 250.0),
)
@settings(deadline=None)
def test_distance_equals_the_way_walked_along_the_normal(axes, direction, offset):
    semi = np.array(axes)
    surface = np.array(direction) / np.linalg.norm(np.array(direction) / semi)
    normal = surface / semi**2
    normal /= np.linalg.norm(normal)
    # The walk inwards must end before the surface's centre of curvature.
    if semi.min() ** 2 / semi.max() < 1.3 * abs(offset):
        return
    found = ellipsoid_distance((surface + offset * normal)[None], semi, exact_within=320.0)[0]
    assert found == pytest.approx(offset, abs=0.05)


@given(radius=st.floats(200.0, 4000.0), at=st.floats(0.0, 6000.0))
@settings(deadline=None)
def test_sphere_has_its_closed_form_everywhere(radius, at):
    found = ellipsoid_distance(np.array([[0.0, at, 0.0]]), np.full(3, radius), exact_within=300.0)[0]
    assert found == pytest.approx(at - radius, abs=1e-6 * max(at, radius))


def test_rotations_are_proper_and_without_preferred_direction():
    rng = np.random.default_rng(0)
    rotations = np.stack([random_rotation(rng) for _ in range(4000)])
    assert np.allclose(np.linalg.det(rotations), 1.0)
    # Each coordinate of a uniformly random unit vector has mean 0 and mean square 1/3.
    assert np.abs(rotations.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 4000)
    assert np.abs((rotations**2).mean(axis=0) - 1 / 3).max() < 0.02


@pytest.mark.parametrize("seed", range(8))
def test_shell_of_constant_distance_has_constant_thickness_also_at_the_neck(seed):
    rng = np.random.default_rng(seed)
    body = draw_body(rng)
    points = rng.uniform(-1, 1, (60000, 3)) * body.half_extent_nm()
    points = points[np.abs(body.distance(points)) < 150.0]
    for _ in range(6):
        points = points - body.distance(points)[:, None] * body.gradient(points)
    assert np.abs(body.distance(points)).max() < 2.0
    inner = points - 150.0 * body.gradient(points)
    thickness = -body.distance(inner)
    # The last percent lies in the waist of the neck, where the walk to the surface bends.
    assert np.median(np.abs(thickness - 150.0)) < 1.0
    assert np.percentile(np.abs(thickness - 150.0), 99) < 8.0


def test_budded_share_follows_the_prior():
    budded = [draw_body(np.random.default_rng(i)).bud is not None for i in range(400)]
    share = PRIORS["budded_fraction"].mean
    assert abs(np.mean(budded) - share) < 4 * np.sqrt(share * (1 - share) / 400)
