"""Fakes of one number: ellipsoids against their limits, and which fakes are valid."""

import numpy as np
import pytest

from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.scalar_controls import ellipsoid_values, scalar_controls
from em2cryo_assets.compare.statistics import Sample

UP = np.array([[1.0, 0.0, 0.0]])


def test_a_sphere_is_round() -> None:
    values = ellipsoid_values(np.ones((1, 3)) * 2, UP)
    assert {k: pytest.approx(v[0], abs=1e-6) for k, v in values.items()} == {
        "axis_ratio": 1.0,
        "sphericity": 1.0,
        "outline_axis_ratio": 1.0,
        "silhouette_axis_ratio": 1.0,
        "axial_asymmetry": 0.0,
        "mirror_asymmetry": 0.0,
    }


def test_a_spheroid_has_its_textbook_area_and_no_axial_asymmetry() -> None:
    a, c = 1.5, 1.0
    e = np.sqrt(1 - c**2 / a**2)
    area = 2 * np.pi * c**2 * (1 + a / (c * e) * np.arcsin(e))
    values = ellipsoid_values(np.array([[a, c, c]]), UP)
    volume = 4 / 3 * np.pi * a * c**2
    assert values["sphericity"][0] == pytest.approx(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area)
    assert values["axial_asymmetry"][0] == pytest.approx(0, abs=1e-9)
    assert values["outline_axis_ratio"][0] == pytest.approx(1.0)


def test_a_slightly_triaxial_body_has_the_asymmetry_of_its_first_order() -> None:
    # r = 1 + e sin²θ cos 2φ: root mean square of the varying part is e sqrt(8/15 / 2).
    e = 0.01
    axes = np.array([[1 + e + 1e-9, 1 + e, 1 - e]])
    values = ellipsoid_values(axes, np.array([[1.0, 0, 0]]))
    assert values["axial_asymmetry"][0] == pytest.approx(e * np.sqrt(8 / 15 / 2), rel=0.02)
    assert values["outline_axis_ratio"][0] == pytest.approx((1 + e) / (1 - e))
    assert values["silhouette_axis_ratio"][0] == pytest.approx((1 + e) / (1 - e))


def controls(name: str, mean: float, shares: dict[str, float] | None = None) -> dict[str, float]:
    sample = Sample(mean, (0.1 * mean) ** 2, 10)
    made = scalar_controls(name, sample, sample, shares or {}, MARGINS[name].delta)
    return {c.name: c.mean for c in made}


def test_sizes_are_not_tried_against_bodies_of_the_same_volume() -> None:
    assert controls("log_volume", 4.0) == {
        "half_volume": pytest.approx(4 - np.log(2)),
        "twice_volume": pytest.approx(4 + np.log(2)),
    }


def test_every_fixed_fake_lies_beyond_its_margin() -> None:
    for name in ("log_volume", "log_wall_radius"):
        assert all(abs(m - 4.0) > 2 * MARGINS[name].delta for m in controls(name, 4.0).values())
    wall = controls("wall_thickness", 150.0)["thickness_ignored"]
    assert np.log(wall / 150) > MARGINS["wall_thickness"].delta


def test_an_equal_share_in_its_place_is_no_fake() -> None:
    made = controls("fraction_nucleus", 0.07, {"nucleus": 0.07, "vacuole": 0.14, "mitochondrion": 0.072})
    assert made == {"homogeneous": 0.0, "share_of_vacuole": 0.14}


def test_a_characteristic_without_a_known_fake_has_none() -> None:
    sample = Sample(1.0, 0.1, 5)
    assert scalar_controls("contrast_order", sample, sample, {}, 0.1) == []
