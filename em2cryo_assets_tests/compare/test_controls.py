import numpy as np
import pytest

from em2cryo_assets.compare.controls import (
    homogeneous_interior,
    label_permuted,
    phase_randomised,
    random_ellipsoid,
)
from em2cryo_assets.geometry.mesh import is_outward, is_watertight, principal_axes_nm, volume_um3
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.compare.bodies import DENSITY, cell, ellipsoid_mesh

CYTOPLASM = LABELS["cytoplasm"]


@pytest.fixture(scope="module")
def body():
    return cell(voxel_nm=80.0)


@pytest.fixture(params=["homogeneous", "label_permuted", "phase_randomised"])
def fake(request, body):
    makers = {
        "homogeneous": lambda d, lab: homogeneous_interior(d, lab),
        "label_permuted": lambda d, lab: label_permuted(d, lab, 3),
        "phase_randomised": lambda d, lab: phase_randomised(d, lab, 3),
    }
    return makers[request.param](*body)


def test_every_fake_keeps_outside_and_wall(fake, body):
    shell = body[1] < CYTOPLASM
    np.testing.assert_array_equal(fake[0][shell], body[0][shell])
    np.testing.assert_array_equal(fake[1] < CYTOPLASM, shell)
    assert fake[0].dtype == np.float32
    assert fake[1].dtype == np.uint8


def test_every_fake_changes_the_interior_and_not_its_input(body):
    density, labels = body[0].copy(), body[1].copy()
    for made in (
        homogeneous_interior(density, labels),
        label_permuted(density, labels, 0),
        phase_randomised(density, labels, 0),
    ):
        assert not np.allclose(made[0], body[0])
    np.testing.assert_array_equal(density, body[0])
    np.testing.assert_array_equal(labels, body[1])


def test_homogeneous_interior_has_the_interior_s_mean_and_no_spread(body):
    inside = body[1] >= CYTOPLASM
    density, labels = homogeneous_interior(*body)
    assert np.ptp(density[inside]) == 0
    assert density[inside].mean() == pytest.approx(body[0][inside].mean(), rel=1e-5)
    assert (labels[inside] == CYTOPLASM).all()


def test_permuted_compartments_are_all_elsewhere_and_look_as_named(body):
    density, labels = label_permuted(*body, 1)
    inside = body[1] >= CYTOPLASM
    assert (labels[inside] != body[1][inside]).all()
    for code in np.unique(labels[inside]):
        assert np.median(density[labels == code]) == pytest.approx(DENSITY[code], abs=0.02)


def test_one_compartment_cannot_be_permuted(body):
    assert label_permuted(*homogeneous_interior(*body), 0) is None


def test_phase_randomised_keeps_mean_variance_and_spectrum(body):
    inside = body[1] >= CYTOPLASM
    density, _ = phase_randomised(*body, 5)
    assert density[inside].mean() == pytest.approx(body[0][inside].mean(), abs=1e-4)
    assert density[inside].std() == pytest.approx(body[0][inside].std(), rel=1e-3)
    # No structure left: correlation with the original is that of chance.
    assert abs(np.corrcoef(density[inside], body[0][inside])[0, 1]) < 0.35

    def radial(volume):
        texture = np.where(inside, volume - volume[inside].mean(), 0)
        power = np.abs(np.fft.fftn(texture)) ** 2
        radius = np.sqrt(sum(f**2 for f in np.meshgrid(*map(np.fft.fftfreq, texture.shape), indexing="ij")))
        which = np.digitize(radius, [0.03, 0.06, 0.12, 0.25])
        return np.log([power[which == k].mean() for k in (1, 2, 3)])

    # The mask's edge leaks power from low to high frequencies, so the keep is not exact.
    np.testing.assert_allclose(radial(density), radial(body[0]), atol=0.8)


def test_fakes_repeat_with_their_seed(body):
    np.testing.assert_array_equal(phase_randomised(*body, 2)[0], phase_randomised(*body, 2)[0])
    assert not np.array_equal(phase_randomised(*body, 2)[0], phase_randomised(*body, 3)[0])


def test_random_ellipsoid_keeps_volume_only():
    mesh = ellipsoid_mesh((2000.0, 2100.0, 2600.0))
    ratios = []
    for seed in range(20):
        other = random_ellipsoid(mesh, seed)
        assert volume_um3(other) == pytest.approx(volume_um3(mesh), rel=1e-9)
        axes = principal_axes_nm(other)
        ratios.append(axes[0] / axes[2])
    assert is_watertight(other)
    assert is_outward(other)
    assert 1 <= min(ratios) < 1.35
    assert 1.6 < max(ratios) <= 2.01
