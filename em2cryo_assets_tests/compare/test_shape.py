import numpy as np
import pytest

from em2cryo_assets.compare.shape import (
    equivalent_diameter_um,
    outline_axis_ratios,
    seen_outline_axis_ratios,
    shape_values,
)
from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets_tests.compare.bodies import ellipsoid_mesh


def test_sphere():
    values = shape_values(ellipsoid_mesh((2000.0,) * 3))
    assert values["log_volume"] == pytest.approx(np.log(4 / 3 * np.pi * 8), abs=0.01)
    assert values["log_wall_radius"] == pytest.approx(np.log(2000), abs=0.005)
    for name in ("sphericity", "axis_ratio", "outline_axis_ratio"):
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
    q, n = 1.6, 4000
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


def test_overview_outlines_are_whole_ellipses_only():
    y, x = np.mgrid[:300, :400] * 20.0
    whole = ((y - 2500) / 1000) ** 2 + ((x - 3000) / 1500) ** 2 < 1
    cut = (y - 5900) ** 2 + (x - 6000) ** 2 < 1500**2
    speck = (y - 300) ** 2 + (x - 300) ** 2 < 150**2
    ratios = seen_outline_axis_ratios(whole | cut | speck, (20.0, 20.0))
    np.testing.assert_allclose(ratios, [1.5], rtol=0.01)
