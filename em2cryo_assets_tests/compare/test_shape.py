import numpy as np
import pytest

from em2cryo_assets.compare.shape import (
    equivalent_diameter_um,
    outline_axis_ratios,
    shape_values,
    silhouette_axis_ratios,
)
from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets_tests.compare.bodies import ellipsoid_mesh


def test_sphere():
    values = shape_values(ellipsoid_mesh((2000.0,) * 3))
    assert values["log_volume"] == pytest.approx(np.log(4 / 3 * np.pi * 8), abs=0.01)
    assert values["log_wall_radius"] == pytest.approx(np.log(2000), abs=0.005)
    for name in ("sphericity", "axis_ratio", "outline_axis_ratio", "silhouette_axis_ratio"):
        assert values[name] == pytest.approx(1, abs=0.005)
    assert values["axial_asymmetry"] < 0.003
    assert values["mirror_asymmetry"] < 1e-4


def test_spheroid_is_long_but_symmetric():
    values = shape_values(ellipsoid_mesh((2000.0, 2000.0, 3000.0)))
    assert values["axis_ratio"] == pytest.approx(1.5, rel=0.005)
    assert values["axial_asymmetry"] < 0.003
    # Prolate spheroid: A = 2πa²(1 + c/(a e) asin e).
    e = np.sqrt(1 - (2 / 3) ** 2)
    area = 2 * np.pi * 4 * (1 + 1.5 / e * np.arcsin(e))
    psi = np.pi ** (1 / 3) * (6 * 4 / 3 * np.pi * 12) ** (2 / 3) / area
    assert values["sphericity"] == pytest.approx(psi, rel=0.005)


def test_three_axes_are_asymmetric():
    assert shape_values(ellipsoid_mesh((2000.0, 2500.0, 3000.0)))["axial_asymmetry"] > 0.03


def test_outlines_of_a_spheroid_follow_the_angle_of_the_plane():
    # A plane whose normal makes the angle t with the long axis cuts ellipses of ratio
    # q / sqrt(q² cos²t + sin²t), whatever its height; normals count by the body's width along them,
    # which is that same root, so that the mean is q over the mean width.
    q, n = 1.6, 1000
    ratios = outline_axis_ratios(ellipsoid_mesh((1000.0, 1000.0, 1000.0 * q), 3), n, seed=1)
    cos = np.linspace(0, 1, 4001)
    width = np.sqrt(q**2 * cos**2 + 1 - cos**2)
    expected = q / width.mean()
    assert ratios.min() >= 1
    # Facets may add a little at the caps.
    assert ratios.max() <= q * 1.02
    assert ratios.mean() == pytest.approx(expected, abs=4 * ratios.std() / np.sqrt(n) + 0.005)


def test_outlines_do_not_depend_on_place_size_or_run():
    mesh = ellipsoid_mesh((1000.0, 1300.0, 1600.0), 3)
    moved = Mesh(mesh.vertices_nm * 2 + 1e4, mesh.faces)
    first = outline_axis_ratios(mesh, 50, seed=3)
    np.testing.assert_allclose(outline_axis_ratios(moved, 50, seed=3), first, rtol=1e-6)
    np.testing.assert_array_equal(outline_axis_ratios(mesh, 50, seed=3), first)
    assert not np.array_equal(outline_axis_ratios(mesh, 50, seed=4), first)


def test_outlines_refuse_nonsense():
    with pytest.raises(ValueError, match="At least one"):
        outline_axis_ratios(ellipsoid_mesh((1.0, 1.0, 1.0), 2), 0, seed=0)
    with pytest.raises(ValueError, match="positive"):
        equivalent_diameter_um(0)


def test_silhouettes_of_a_spheroid_follow_the_angle_of_the_view():
    # Seen at the angle t to its long axis a prolate spheroid shows an ellipse of ratio sqrt(q² sin²t + cos²t).
    q, n = 1.6, 200
    ratios = silhouette_axis_ratios(ellipsoid_mesh((1000.0, 1000.0, 1000.0 * q), 3), n, seed=1)
    cos = np.linspace(0, 1, 4001)
    expected = np.sqrt(q**2 * (1 - cos**2) + cos**2).mean()
    assert len(ratios) == n
    assert ratios.mean() == pytest.approx(expected, abs=4 * ratios.std() / np.sqrt(n) + 0.005)
    assert 1 <= ratios.min() <= ratios.max() <= q * 1.01


def test_two_bodies_that_touch_are_no_outline():
    # Two spheres side by side: along their axis one covers the other, and across it they are not convex.
    ball = ellipsoid_mesh((1000.0,) * 3, 3)
    pair = Mesh(
        np.concatenate([ball.vertices_nm, ball.vertices_nm + np.array([0.0, 0.0, 2000.0])]),
        np.concatenate([ball.faces, ball.faces + len(ball.vertices_nm)]),
    )
    seen = silhouette_axis_ratios(pair, 100, seed=0)
    assert 0 < len(seen) < 80
    assert seen.max() < 1.85  # across, the hull of the pair measures 1.93
    cuts = outline_axis_ratios(pair, 60, seed=0)
    assert cuts.mean() == pytest.approx(1, abs=0.1)
