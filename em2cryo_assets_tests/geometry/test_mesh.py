"""Measures of closed meshes against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.geometry.mesh import (
    Mesh,
    area_um2,
    centroid_nm,
    decimated,
    is_outward,
    is_watertight,
    principal_axes_nm,
    principal_frame,
    repaired,
    solidity,
    sphericity,
    volume_um3,
)
from em2cryo_assets_tests.geometry.shapes import ellipsoid, rotation


def test_sphere_has_the_volume_area_and_sphericity_of_a_sphere() -> None:
    sphere = ellipsoid(2000, 2000, 2000)
    assert volume_um3(sphere) == pytest.approx(4 / 3 * np.pi * 8, rel=2e-3)
    assert area_um2(sphere) == pytest.approx(4 * np.pi * 4, rel=2e-3)
    assert sphericity(sphere) == pytest.approx(1, abs=1e-3)
    assert sphericity(sphere) < 1


def test_prolate_spheroid_has_the_area_of_the_closed_form() -> None:
    c, a = 3.0, 2.0
    e = np.sqrt(1 - a**2 / c**2)
    area = 2 * np.pi * a**2 * (1 + c / (a * e) * np.arcsin(e))
    assert area_um2(ellipsoid(2000, 3000, 2000)) == pytest.approx(area, rel=2e-3)


@settings(max_examples=20, deadline=None)
@given(
    axes=st.tuples(*[st.floats(300, 4000)] * 3),
    seed=st.integers(0, 1000),
    shift=st.floats(-1e6, 1e6),
)
def test_measures_follow_the_ellipsoid_and_not_the_frame(
    axes: tuple[float, float, float], seed: int, shift: float
) -> None:
    upright = ellipsoid(*axes)
    turned = Mesh(upright.vertices_nm @ rotation(seed).T + shift, upright.faces)
    assert volume_um3(turned) == pytest.approx(4 / 3 * np.pi * np.prod(axes) / 1e9, rel=3e-3)
    assert volume_um3(turned) == pytest.approx(volume_um3(upright), rel=1e-6)
    assert area_um2(turned) == pytest.approx(area_um2(upright), rel=1e-6)
    np.testing.assert_allclose(principal_axes_nm(turned), sorted(axes, reverse=True), rtol=3e-3)
    np.testing.assert_allclose(centroid_nm(turned), shift, atol=1e-3 * max(axes))


def test_principal_frame_is_a_rotation_onto_the_long_axis() -> None:
    body = ellipsoid(1000, 3000, 2000)
    turn = rotation(3)
    frame = principal_frame(Mesh(body.vertices_nm @ turn.T, body.faces))
    assert np.linalg.det(frame) == pytest.approx(1)
    assert abs(frame[0] @ turn[:, 1]) == pytest.approx(1, abs=1e-6)
    assert abs(frame[2] @ turn[:, 0]) == pytest.approx(1, abs=1e-6)


def test_an_inward_mesh_is_closed_but_negative() -> None:
    sphere = ellipsoid(1000, 1000, 1000)
    inward = Mesh(sphere.vertices_nm, np.ascontiguousarray(sphere.faces[:, ::-1]))
    assert is_watertight(inward)
    assert not is_outward(inward)
    assert volume_um3(inward) == pytest.approx(-volume_um3(sphere))


def test_one_missing_or_flipped_face_is_not_watertight() -> None:
    sphere = ellipsoid(1000, 1000, 1000)
    assert is_watertight(sphere)
    assert not is_watertight(Mesh(sphere.vertices_nm, sphere.faces[1:]))
    flipped = sphere.faces.copy()
    flipped[0] = flipped[0, ::-1]
    assert not is_watertight(Mesh(sphere.vertices_nm, flipped))
    assert not is_watertight(Mesh(sphere.vertices_nm, np.zeros((0, 3), np.int32)))


def test_repair_closes_a_hole_turns_the_faces_out_and_drops_crumbs() -> None:
    sphere = ellipsoid(1000, 1000, 1000)
    crumb = ellipsoid(50, 50, 50)
    broken = Mesh(
        np.concatenate([sphere.vertices_nm, crumb.vertices_nm + 5000]),
        np.concatenate([sphere.faces[3:, ::-1], crumb.faces + len(sphere.vertices_nm)]).astype(np.int32),
    )
    fixed = repaired(broken)
    assert is_watertight(fixed)
    assert is_outward(fixed)
    assert volume_um3(fixed) == pytest.approx(volume_um3(sphere), rel=3e-3)


def test_decimation_keeps_volume_and_closure() -> None:
    sphere = ellipsoid(1000, 1000, 1000)
    light = decimated(sphere, 2000)
    assert 1900 <= len(light.faces) <= 2000
    assert is_watertight(light)
    assert volume_um3(light) == pytest.approx(volume_um3(sphere), rel=3e-3)


def test_a_flat_mesh_has_no_axes() -> None:
    flat = Mesh(
        np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]], float), np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    )
    with pytest.raises(ValueError, match="no volume"):
        principal_axes_nm(flat)


@settings(max_examples=15, deadline=None)
@given(axes=st.tuples(*[st.floats(500, 4000)] * 3), seed=st.integers(0, 1000))
def test_an_ellipsoid_of_any_axes_fills_its_hull(axes: tuple[float, float, float], seed: int) -> None:
    body = ellipsoid(*axes)
    turned = Mesh(body.vertices_nm @ rotation(seed).T, body.faces)
    assert solidity(turned) == pytest.approx(1.0, abs=1e-6)


def test_two_equal_balls_that_touch_fill_four_fifths_of_their_hull() -> None:
    one = ellipsoid(1000, 1000, 1000)
    pair = Mesh(
        np.concatenate([one.vertices_nm, one.vertices_nm + np.array([0.0, 0.0, 2000.0])]),
        np.concatenate([one.faces, one.faces + len(one.vertices_nm)]),
    )
    # The hull is a capsule: a ball and a cylinder as long as two radii.
    assert solidity(pair) == pytest.approx(2 * (4 / 3) / (4 / 3 + 2), rel=2e-3)
