"""Harmonics of bodies whose symmetry is known."""

import numpy as np
import pytest

from em2cryo_assets.geometry.harmonics import (
    axial_asymmetry,
    harmonic_coefficients,
    mirror_asymmetry,
    power_spectrum,
)
from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets_tests.geometry.shapes import ellipsoid, rotation


def test_sphere_has_only_degree_zero() -> None:
    power = power_spectrum(harmonic_coefficients(ellipsoid(2000, 2000, 2000)))
    assert power[0] == pytest.approx(4 * np.pi * 2000**2, rel=2e-3)
    assert power[1:].max() < 1e-6 * power[0]


@pytest.mark.parametrize("axes", [(1500, 1500, 2500), (2500, 1500, 1500), (2200, 1400, 2200)])
def test_spheroids_are_symmetric_about_their_axis_and_their_equator(axes: tuple[int, int, int]) -> None:
    coefficients = harmonic_coefficients(ellipsoid(*axes))
    assert axial_asymmetry(coefficients) < 1e-3
    assert mirror_asymmetry(coefficients) < 1e-6


def test_a_triaxial_ellipsoid_is_not_axially_symmetric() -> None:
    assert axial_asymmetry(harmonic_coefficients(ellipsoid(1500, 2500, 2000))) > 0.03


def test_an_egg_has_two_different_ends_about_its_axis() -> None:
    body = ellipsoid(2500, 1500, 1500)
    z = body.vertices_nm[:, :1] / 2500
    egg = Mesh(body.vertices_nm * np.concatenate([np.ones_like(z), 1 + 0.2 * z, 1 + 0.2 * z], axis=1), body.faces)
    coefficients = harmonic_coefficients(egg)
    assert axial_asymmetry(coefficients) < 1e-3
    assert mirror_asymmetry(coefficients) > 1e-4


def test_asymmetries_do_not_depend_on_the_pose() -> None:
    body = ellipsoid(1500, 2500, 2000)
    skew = Mesh(body.vertices_nm * (1 + 0.1 * body.vertices_nm[:, 1:2] / 2500), body.faces)
    turned = Mesh(skew.vertices_nm @ rotation(5).T + 700, skew.faces)
    a, b = harmonic_coefficients(skew), harmonic_coefficients(turned)
    assert axial_asymmetry(a) == pytest.approx(axial_asymmetry(b), rel=0.02)
    assert mirror_asymmetry(a) == pytest.approx(mirror_asymmetry(b), rel=0.02)
    np.testing.assert_allclose(power_spectrum(a)[:4], power_spectrum(b)[:4], rtol=0.02, atol=2e3)
    assert a.star_shaped


def test_degree_one_cannot_hold_an_asymmetry() -> None:
    with pytest.raises(ValueError, match="degree 2"):
        harmonic_coefficients(ellipsoid(1, 1, 1), l_max=1)
