"""The image model: its physics, and its gradients against finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from em2cryo_assets.sem.image_model import (
    HELD_OUT_EXPONENT,
    RANGES,
    SemParameters,
    backscattered,
    counted,
    draw_parameters,
    occlusion,
    secondary_electrons,
)

PIXEL = 40.0
PLAIN = SemParameters(
    floor=1e-9, side=0.0, occlusion=0.0, edge=0.0, offset=0.0, gain=0.2, spot_px=0.02, defocus_px_per_um=0.0
)


def flat(side=24, tilt_deg=0.0):
    """A plane tilted about x, as normals and heights (float64)."""
    tilt = np.deg2rad(tilt_deg)
    normals = torch.zeros(3, side, side, dtype=torch.float64)
    normals[0], normals[1] = np.cos(tilt), np.sin(tilt)
    y = torch.arange(side, dtype=torch.float64) * PIXEL
    return normals, (-np.tan(tilt) * y[:, None]).expand(side, side).clone()


def hills(side=18, seed=0):
    """A smooth random relief and its normals (float64)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] * PIXEL
    height = np.zeros((side, side))
    for _ in range(5):
        a, b = rng.normal(size=2) / 300.0
        height += 120.0 * np.sin(a * y + b * x + rng.uniform(0, 6))
    height += rng.normal(size=height.shape)
    dy, dx = np.gradient(height, PIXEL)
    normals = np.stack([np.ones_like(dy), -dy, -dx]) / np.sqrt(1 + dy**2 + dx**2)
    return torch.tensor(normals), torch.tensor(height)


def bowl(side=61):
    """A round pit 1 µm deep in a plane."""
    axis = (torch.arange(side, dtype=torch.float64) - side // 2) * PIXEL
    radius = torch.hypot(axis[:, None], axis[None])
    height = -1000.0 * torch.exp(-((radius / 500.0) ** 2))
    normals = torch.zeros(3, side, side, dtype=torch.float64)
    normals[0] = 1.0
    return normals, height


def largest_error(function, value, step, indices):
    """Largest difference of automatic and central differences, over the largest gradient."""
    value = value.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(function(value), value)
    errors = []
    for index in indices:
        ahead, behind = value.detach().clone(), value.detach().clone()
        ahead[index] += step
        behind[index] -= step
        numeric = (function(ahead) - function(behind)) / (2 * step)
        errors.append(float(abs(numeric - gradient[index])))
    return max(errors) / float(gradient.abs().max())


@pytest.fixture(scope="module")
def scene():
    normals, height = hills()
    weights = torch.tensor(np.random.default_rng(1).normal(size=tuple(height.shape)))
    texture = torch.tensor(np.random.default_rng(2).normal(size=tuple(height.shape)))
    parameters = replace(SemParameters(), defocus_px_per_um=0.3, gamma=0.9)

    def brightness(n=normals, h=height, p=parameters):
        return (weights * secondary_electrons(n, h, PIXEL, p, texture=texture)).sum()

    return normals, height, parameters, brightness


def pixels(shape, count=40):
    return list(
        zip(*np.unravel_index(np.random.default_rng(3).choice(np.prod(shape), count, False), shape), strict=True)
    )


def test_gradient_by_normals_is_that_of_differences(scene):
    normals, _, _, brightness = scene
    assert largest_error(lambda n: brightness(n=n), normals, 1e-6, pixels(normals.shape)) < 1e-3


def test_gradient_by_heights_is_that_of_differences(scene):
    # Without defocus: where the focus lies is taken as given, so it has no gradient.
    _, height, parameters, brightness = scene
    sharp = replace(parameters, defocus_px_per_um=0.0)
    assert largest_error(lambda h: brightness(h=h, p=sharp), height, 1e-4, pixels(height.shape)) < 1e-3


@pytest.mark.parametrize("name", sorted(set(RANGES) - {"dose"}))
def test_gradient_by_parameters_is_that_of_differences(scene, name):
    *_, parameters, brightness = scene
    value = torch.tensor([getattr(parameters, name)], dtype=torch.float64)
    error = largest_error(lambda v: brightness(p=replace(parameters, **{name: v[0]})), value, 1e-6, [(0,)])
    assert error < 1e-3


@pytest.mark.parametrize("quadrant", range(4))
def test_gradients_of_the_backscattered_image(quadrant):
    normals, height = hills(seed=4)
    weights = torch.tensor(np.random.default_rng(1).normal(size=tuple(height.shape)))

    def brightness(n, h):
        return (weights * backscattered(n, h, PIXEL, quadrant)).sum()

    assert largest_error(lambda n: brightness(n, height), normals, 1e-6, pixels(normals.shape)) < 1e-3
    assert largest_error(lambda h: brightness(normals, h), height, 1e-4, pixels(height.shape)) < 1e-3


def test_a_flat_plane_is_uniform():
    normals, height = flat()
    image = secondary_electrons(normals, height, PIXEL, SemParameters())
    assert float(image.max() - image.min()) < 1e-12
    p = SemParameters(edge=0.0, side=0.0)
    assert float(secondary_electrons(normals, height, PIXEL, p)[5, 5]) == pytest.approx(p.gain + p.offset, rel=1e-9)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("tilt", [20.0, 45.0, 60.0])
def test_brightness_rises_with_tilt_as_a_power_of_the_secant(exponent, tilt):
    normals, height = flat(tilt_deg=tilt)
    image = secondary_electrons(normals, height, PIXEL, replace(PLAIN, exponent=exponent))
    expected = PLAIN.gain / np.cos(np.deg2rad(tilt)) ** exponent
    assert float(image[12, 12]) == pytest.approx(expected, rel=1e-6)


def test_the_side_that_faces_the_detector_is_brighter():
    normals, height = flat(tilt_deg=30.0)
    light = replace(PLAIN, side=0.4, light_azimuth_deg=90.0)
    facing = secondary_electrons(normals, height, PIXEL, light)
    away = secondary_electrons(normals * torch.tensor([1.0, -1.0, 1.0])[:, None, None], height, PIXEL, light)
    assert float(facing.mean()) > 1.2 * float(away.mean())


def test_blur_keeps_the_mass():
    normals, height = flat(64)
    gain = torch.zeros(64, 64, dtype=torch.float64)
    gain[30:34, 28:36] = 1.0
    sharp = secondary_electrons(normals, height, PIXEL, PLAIN, gain=gain)
    soft = secondary_electrons(normals, height, PIXEL, replace(PLAIN, spot_px=2.0), gain=gain)
    # What is dark has the least signal, not 0.
    assert float(soft.sum()) == pytest.approx(float(sharp.sum()), abs=64 * 64 * 1e-6)
    assert float(soft.max()) < float(sharp.max())


def test_a_pit_loses_light_and_a_plain_none():
    _, height = bowl()
    hidden = occlusion(height, PIXEL)
    middle = height.shape[0] // 2
    assert float(hidden[middle, middle]) > 0.3
    assert float(hidden.min()) >= 0.0
    assert float(hidden.max()) < 1.0
    assert float(hidden[:6].max()) < 0.02
    assert float(occlusion(-height, PIXEL)[middle, middle]) == 0.0


def test_occlusion_of_an_infinite_wall_is_its_closed_form():
    # At a distance d from a wall of height t·d the horizon has tangent t·cos φ on one side and 0 on the
    # other; the mean of its sin² is (1 - 1/√(1+t²)) / 2.
    height = torch.zeros(401, 401, dtype=torch.float64)
    height[:, 200:] = 4000.0
    assert float(occlusion(height, PIXEL)[200, 190]) == pytest.approx(0.5 * (1 - 1 / np.sqrt(101.0)), abs=0.05)


def test_deep_places_are_out_of_focus():
    normals, height = flat(64)
    height[:, 32:] = -5000.0
    gain = torch.ones(64, 64, dtype=torch.float64)
    gain[::2] = 0.0
    p = replace(PLAIN, defocus_px_per_um=0.3)
    image = secondary_electrons(normals, height, PIXEL, p, gain=gain)
    assert float(image[:, 50].std()) < 0.3 * float(image[:, 10].std())


def test_quadrants_are_symmetric_and_their_pairs_know_no_direction():
    normals, height = flat(tilt_deg=25.0)
    level = height * 0.0
    q = [float(backscattered(normals, level, PIXEL, i)[10, 10]) for i in range(4)]
    assert q[1] > q[0] > q[3]
    assert q[0] == pytest.approx(q[2], rel=1e-9)
    # n·l summed over opposite detectors leaves the vertical component only.
    assert q[0] + q[2] == pytest.approx(q[1] + q[3], rel=1e-9)
    open_sky = 1.0 / (1.0 + np.exp(-1.0 / 0.15))
    expected = 2 * 0.5 * np.cos(np.deg2rad(25.0)) * np.sin(np.pi / 4) * open_sky
    assert q[0] + q[2] == pytest.approx(expected, rel=1e-9)


def test_quadrants_of_a_turned_surface_are_turned():
    normals, height = hills(seed=5)
    turned = torch.stack([normals[0], -normals[2], normals[1]]).rot90(1, (1, 2))
    # rot90 takes +x to -y: what quadrant 0 saw quadrant 3 sees.
    before = backscattered(normals, height, PIXEL, 0)
    after = backscattered(turned, height.rot90(1, (0, 1)), PIXEL, 3)
    inner = (slice(4, -4), slice(4, -4))
    torch.testing.assert_close(after[inner], before.rot90(1, (0, 1))[inner], atol=2e-3, rtol=0.0)


def test_a_wall_throws_a_shadow_away_from_the_detector():
    normals, height = flat(81)
    height[:, 40:42] = 2000.0
    image = backscattered(normals, height, PIXEL, 0)
    assert float(image[40, 30]) < 0.1 * float(image[40, 60])


def test_counts_have_the_mean_and_the_variance_of_their_dose():
    p = SemParameters(dose=50.0, gamma=1.0)
    image = np.full((300, 300), 0.4)
    noisy = counted(image, p, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(0.4, rel=0.005)
    assert noisy.var() == pytest.approx(0.4 / 50.0, rel=0.03)
    shown = counted(image**0.9, replace(p, gamma=0.9), np.random.default_rng(0))
    np.testing.assert_allclose(shown, noisy**0.9, atol=0.02)


def test_the_number_of_threads_changes_no_bit():
    normals, height = (t.float() for t in hills(200))
    threads = torch.get_num_threads()
    images = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            images.append(secondary_electrons(normals, height, PIXEL, SemParameters()).numpy().tobytes())
    finally:
        torch.set_num_threads(threads)
    assert len(set(images)) == 1


def test_drawn_parameters_lie_in_their_ranges():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = draw_parameters(rng)
        assert all(low <= getattr(p, name) <= high for name, (low, high) in RANGES.items())
    held = [draw_parameters(rng, held_out=True).exponent for _ in range(50)]
    assert HELD_OUT_EXPONENT[0] <= min(held)
    assert max(held) <= HELD_OUT_EXPONENT[1]


def test_what_does_not_fit_is_refused():
    normals, height = flat()
    with pytest.raises(ValueError, match="Normals"):
        secondary_electrons(normals, height[1:], PIXEL, SemParameters())
    with pytest.raises(ValueError, match="pixel size"):
        secondary_electrons(normals, height, 0.0, SemParameters())
    with pytest.raises(ValueError, match="quadrant"):
        backscattered(normals, height, PIXEL, 4)
