"""Geometry of projection and back-projection: adjoint, mass, centre, wedge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from em2cryo_assets.cryoet.reconstruct import back_project, project

USUAL = tuple(float(t) for t in range(-60, 61, 3))


def blob(shape, sigma, centre=None):
    centre = [(n - 1) / 2 for n in shape] if centre is None else centre
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return np.exp(-0.5 * sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) / sigma**2).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(
    tilts=st.lists(st.floats(-90, 90), min_size=1, max_size=5),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(2, 12)),
    axis=st.sampled_from(["y", "x"]),
    seed=st.integers(0, 1000),
)
def test_unweighted_back_projection_is_the_adjoint(tilts, shape, axis, seed):
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=shape).astype(np.float32)
    series = rng.normal(size=(len(tilts), *shape[1:])).astype(np.float32)
    forward = np.vdot(project(volume, tilts, axis).astype(float), series)
    backward = np.vdot(volume.astype(float), back_project(series, tilts, shape[0], axis, weighting="none"))
    assert forward == pytest.approx(backward, abs=1e-4 * float(np.linalg.norm(volume) * np.linalg.norm(series)))


def test_zero_tilt_is_the_sum_along_the_beam():
    volume = np.random.default_rng(0).normal(size=(7, 5, 9)).astype(np.float32)
    np.testing.assert_allclose(project(volume, [0.0])[0], volume.sum(axis=0), atol=5e-3)


def test_mass_is_conserved_at_every_tilt():
    mass = project(blob((33, 17, 65), 3.0), USUAL).sum(axis=(1, 2))
    np.testing.assert_allclose(mass, mass[0], rtol=1e-4)


def test_projection_of_a_gaussian_has_its_closed_form():
    """A Gaussian of width s keeps its width; pixel and voxel footprints add at most 1/12 + 1/6 of a voxel squared."""
    line = project(blob((65, 1, 65), 4.0), [37.0])[0, 0]
    x = np.arange(65) - 32
    assert (line * x).sum() / line.sum() == pytest.approx(0, abs=1e-3)
    assert 0 <= (line * x**2).sum() / line.sum() - 16.0 < 0.26


def test_side_of_tilt():
    """A point above the centre moves towards positive x at positive tilt: u = x cos + z sin."""
    view = project(blob((41, 1, 41), 1.0, (30, 0, 20)), [30.0])[0, 0]
    assert (view * np.arange(41)).sum() / view.sum() == pytest.approx(20 + 10 * 0.5, abs=0.02)


@pytest.mark.parametrize("shape", [(16, 33, 33), (17, 32, 32)])
def test_centre_stays_put(shape):
    volume = back_project(project(blob(shape, 2.0), USUAL), USUAL, shape[0])
    peak = np.where(volume > 0.5 * volume.max(), volume, 0)
    np.testing.assert_allclose(ndimage.center_of_mass(peak), [(n - 1) / 2 for n in shape], atol=0.02)


def test_views_over_half_a_turn_return_the_density():
    size = 48
    ball = ndimage.gaussian_filter((blob((size,) * 3, 1.0) > np.exp(-0.5 * 12**2)).astype(np.float32), 1.0)
    turn = np.arange(-90.0, 90.0, 2.0)
    volume = back_project(project(ball, turn), turn, size)
    assert np.corrcoef(volume.ravel(), ball.ravel())[0, 1] > 0.99
    assert volume[20:28, 20:28, 20:28].mean() == pytest.approx(1.0, abs=0.06)


def test_continued_edges_keep_a_uniform_slab_uniform():
    slab = np.ones((30, 4, 64), dtype=np.float32)
    volume = back_project(project(slab, USUAL, edges="continued"), USUAL, 30)
    # Corners that steep views of this field do not cover (tan 60 * depth / 2) need a margin, as documented.
    margin = int(np.ceil(15 * np.tan(np.deg2rad(60))))
    np.testing.assert_allclose(volume[:, :, margin:-margin], 1.0, atol=0.06)
    empty = back_project(project(slab, USUAL), USUAL, 30)
    assert abs(empty[15, :, 0].mean() - 1) > 0.3
    assert abs(volume[15, :, 0].mean() - 1) < 0.06


@pytest.mark.parametrize("steepest", [45.0, 60.0])
def test_missing_wedge_is_where_the_tilts_end(steepest):
    """The power of a reconstructed point drops to half at the angle of the last view."""
    size = 96
    tilts = np.arange(-steepest, steepest + 0.5, 1.0)
    point = np.zeros((size, 1, size), dtype=np.float32)
    point[size // 2, 0, size // 2] = 1.0
    volume = back_project(project(point, tilts), tilts, size)[:, 0]
    power = np.abs(np.fft.fft2(volume)) ** 2
    kz, kx = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :]
    radius, angle = np.hypot(kz, kx), np.degrees(np.arctan2(np.abs(kz), np.abs(kx)))
    ring = (radius > 0.1) & (radius < 0.3)
    # The footprint filters each view alike along its ray, so angles are compared within the ring only.
    bins = np.arange(0.5, 90, 1.0)
    profile = np.array([power[ring & (np.abs(angle - b) < 1.0)].mean() for b in bins])
    inside = np.median(profile[bins < steepest - 10])
    edge = bins[np.flatnonzero(profile > 0.5 * inside)[-1]]
    assert abs(edge - steepest) < 2.0
    assert profile[bins > steepest + 8].max() < 0.05 * inside


def test_repeated_views_weigh_no_more_than_single_ones():
    volume = blob((20, 6, 30), 3.0)
    once, twice = list(USUAL), [t for t in USUAL for _ in range(2)]
    single = back_project(project(volume, once), once, 20)
    double = back_project(project(volume, twice), twice, 20)
    np.testing.assert_allclose(double, single, atol=0.02 * float(single.max()))


def test_same_bytes_twice():
    volume = np.random.default_rng(1).normal(size=(8, 12, 16))
    one, two = (back_project(project(volume, USUAL), USUAL, 8).tobytes() for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: project(np.zeros((3, 3)), [0.0]), "three"),
        (lambda: project(np.full((2, 2, 2), np.nan), [0.0]), "NaN"),
        (lambda: project(np.zeros((2, 2, 2)), [95.0]), "between"),
        (lambda: project(np.zeros((2, 2, 2)), []), "non-empty"),
        (lambda: back_project(np.zeros((2, 2, 2)), [0.0], 4), "2 views"),
        (lambda: back_project(np.zeros((1, 2, 2)), [0.0], 0), "depth"),
    ],
)
def test_bad_arrays_are_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_it_agrees_with_a_public_filtered_back_projection():
    """scikit-image's `iradon`, slice by slice, up to half the Nyquist frequency; the wedge is missing in both."""
    from scipy import ndimage
    from skimage.transform import iradon

    from em2cryo_assets.cryoet.fsc import shell_correlation

    volume = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((64, 24, 64)), 1.5)
    volume *= np.hypot(*np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5, indexing="ij"))[:, None, :] < 28
    tilts = np.arange(-60.0, 61.0, 2.0)
    views = project(volume, tilts)
    ours = back_project(views, tilts, 64)
    # There a pixel lies at x cos θ - z sin θ.
    slices = [iradon(views[:, y].T, theta=-tilts, filter_name="ramp", circle=False, output_size=64) for y in range(24)]
    theirs = np.stack(slices, axis=1)
    frequency, correlation = shell_correlation(ours, theirs, 1.0, within_deg=60.0)
    assert correlation[(frequency > 0.02) & (frequency < 0.25)].min() > 0.95
    assert shell_correlation(ours[::-1], theirs, 1.0, within_deg=60.0)[1][2:8].max() < 0.5  # nor does just anything
