"""Counts are Poisson counts of what physics expects, and the truth about the views is true."""

import numpy as np
import pytest

from em2cryo_assets.cryoet.fsc import crossing_per_nm, sampled_to_deg, shell_correlation
from em2cryo_assets.cryoet.transfer import contrast_transfer, dose_filter
from em2cryo_assets.phantom.contrast import CONTRASTS
from em2cryo_assets.phantom.cryo import Slab, slab_labels, slab_matter
from em2cryo_assets.phantom.planes import Plane, wall_plane
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.tilt_series import (
    FREE_PATH_NM,
    PHASE_RAD_PER_NM,
    Camera,
    acquisition_ranks,
    first_zero_per_nm,
    reconstruct,
    record,
    tilt_series,
)
from em2cryo_assets_tests.phantom.test_scene import round_cell

ICE = CONTRASTS["cryo"]["outside"]
TILTS = np.arange(-60.0, 61.0, 3.0).tolist()
VOXEL = 4.0


@pytest.fixture(scope="module")
def matter():
    cell = draw_cell(3)
    plane = wall_plane(cell.body, np.random.default_rng(1), 350.0)
    return slab_matter(cell, plane, (32, 80, 80), VOXEL, np.random.default_rng(0))


@pytest.fixture(scope="module")
def series(matter):
    return record(matter, VOXEL, TILTS, Camera(shift_px=2.0, rotation_deg=0.5), seed=1)


@pytest.mark.parametrize(
    ("scheme", "order"),
    [
        ("dose-symmetric", [0, 3, -3, -6, 6, 9, -9]),
        ("bidirectional", [0, 3, 6, 9, -3, -6, -9]),
        ("as-listed", [-9, -6, -3, 0, 3, 6, 9]),
    ],
)
def test_order_of_acquisition(scheme, order):
    tilts = [-9, -6, -3, 0, 3, 6, 9]
    ranks = acquisition_ranks(tilts, scheme)
    assert [tilts[i] for i in np.argsort(ranks)] == order


def test_unknown_schemes_and_steep_tilts_are_refused(matter):
    with pytest.raises(ValueError, match="scheme"):
        acquisition_ranks([0.0], "spiral")
    with pytest.raises(ValueError, match="80"):
        record(matter, VOXEL, [85.0], seed=0)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("dose_e_per_nm2", np.nan, "above 0 electrons per nm²"),
        ("dose_e_per_nm2", 0.0, "above 0 electrons per nm²"),
        ("defocus_um", 0.0, "above 0 and at most 1000 µm of underfocus"),
        ("voltage_kv", -1.0, "at least 1 and at most 3000 kV"),
        ("spherical_aberration_mm", np.inf, "at most 10 mm"),
        ("amplitude_contrast", 5.0, "at least 0 and at most 1"),
        ("shift_px", -1.0, "at least 0 pixels"),
        ("rotation_deg", np.nan, "at most 90 degrees"),
    ],
)
def test_impossible_cameras_are_refused(name, value, wanted):
    with pytest.raises(ValueError, match=f"{name} is {value!r}; it has to be .*{wanted}"):
        Camera(**{name: value})
    with pytest.raises(ValueError, match="scheme"):
        Camera(scheme="spiral")


def test_transfer_without_a_zero_says_so():
    assert first_zero_per_nm(Camera(defocus_um=1e-3, spherical_aberration_mm=0.0)) == np.inf


def test_electrons_of_a_uniform_slab_are_those_expected():
    """Loss with the way through ice, amplitude contrast of the mean, Poisson noise, independent halves."""
    depth, voxel, density, tilts = 20, 5.0, 0.5, [0.0, 40.0]
    camera = Camera(dose_e_per_nm2=40.0)
    taken = record(np.full((depth, 120, 120), density), voxel, tilts, camera, seed=3)
    for i, tilt in enumerate(np.deg2rad(tilts)):
        way = depth * voxel / np.cos(tilt)
        phase = PHASE_RAD_PER_NM * way * (density - ICE)
        expected = 20.0 * voxel**2 * np.exp(-way / FREE_PATH_NM) * (1 - 2 * camera.amplitude_contrast * phase)
        assert taken.counts[i].mean() == pytest.approx(expected, rel=0.004)
        assert taken.counts[i].var() == pytest.approx(expected, rel=0.05)
    assert np.array_equal(taken.counts, taken.even + taken.odd)
    assert np.array_equal(taken.counts, np.rint(taken.counts))
    halves = np.corrcoef(taken.even[0].ravel(), taken.odd[0].ravel())[0, 1]
    assert abs(halves) < 4 / 120


def test_contrast_is_transferred_and_fades_with_the_dose_before():
    """A grating along the tilt axis shows transfer times damage, whatever the tilt does to its depth."""
    depth, voxel, period = 8, 2.0, 6.4
    y = np.arange(64) * voxel
    grating = np.broadcast_to(0.3 + 0.1 * np.cos(2 * np.pi * y / period)[:, None], (depth, 64, 64))
    tilts, camera = [-40.0, 0.0, 40.0], Camera(dose_e_per_nm2=12000.0, shift_px=0.0)
    bright = Camera(dose_e_per_nm2=3e5, damage=False)
    faded, kept = record(grating, voxel, tilts, camera, seed=0), record(grating, voxel, tilts, bright, seed=0)
    wave = np.exp(2j * np.pi * y / period)

    def amplitude(view):
        return 2 * abs(np.mean((view / view.mean()).mean(axis=1) * wave))

    at = round(1 / period / (1 / (64 * voxel)))
    transfer = contrast_transfer((64, 64), voxel, camera.defocus_um)[at, 0]
    mean = 1 - 2 * 0.07 * PHASE_RAD_PER_NM * depth * voxel * (0.3 - ICE)
    expected = 2 * PHASE_RAD_PER_NM * voxel * depth * 0.1 * transfer / mean
    assert amplitude(kept.counts[1]) == pytest.approx(expected, rel=0.05)
    assert faded.ranks.tolist() == [2, 0, 1]
    assert faded.doses_before_e_per_nm2.tolist() == [8000.0, 0.0, 4000.0]
    left = []
    for i in range(3):
        damage = dose_filter((64, 64), voxel, faded.doses_before_e_per_nm2[i] + 2000.0)[at, 0]
        left.append(amplitude(faded.counts[i]) / amplitude(kept.counts[i]))
        assert left[i] == pytest.approx(float(damage), rel=0.12)
    assert left[0] < 0.9 * left[1]


def test_views_are_off_by_the_recorded_shift():
    spot = np.zeros((4, 64, 64))
    spot[:, 30:33, 30:33] = 3.0
    centred, moved = (
        record(spot, 2.0, [0.0, 10.0], Camera(dose_e_per_nm2=1e6, damage=False, shift_px=s), seed=4) for s in (0.0, 3.0)
    )
    y, x = np.mgrid[:64, :64]
    for i in range(2):
        places = []
        for taken in (centred, moved):
            weight = np.clip(taken.counts[i].mean() - taken.counts[i] - 6 * np.sqrt(taken.counts[i].mean()), 0, None)
            places.append(np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum())
        assert places[1] - places[0] == pytest.approx(moved.shifts_px[i], abs=0.4)


def test_misalignment_costs_resolution_and_its_truth_undoes_it(matter, series):
    straight = record(matter, VOXEL, TILTS, seed=1)

    def reached(volume):
        return crossing_per_nm(*shell_correlation(volume, matter, VOXEL, within_deg=60.0), 0.5)

    best, lost, undone = (
        reached(v) for v in (reconstruct(straight), reconstruct(series, aligned=False), reconstruct(series))
    )
    assert best > 0.045
    assert lost < 0.75 * best
    assert undone == pytest.approx(best, rel=0.08)
    # The resolution that halves claim is the one that truth confirms.
    halves = shell_correlation(
        reconstruct(series, which="even"), reconstruct(series, which="odd"), VOXEL, within_deg=60
    )
    assert crossing_per_nm(*halves, 0.143) == pytest.approx(undone, rel=0.2)


@pytest.mark.parametrize("steepest", [45.0, 60.0])
def test_reconstruction_misses_the_wedge_that_was_not_recorded(matter, steepest):
    tilts = np.arange(-steepest, steepest + 0.1, 1.5)
    volume = reconstruct(record(matter, VOXEL, tilts, Camera(dose_e_per_nm2=3000.0), seed=5))
    assert sampled_to_deg(volume) == pytest.approx(steepest, abs=2.0)


def test_pixels_that_carry_the_first_zero_are_told_from_those_that_do_not(series):
    assert not series.carries_zero
    assert "beyond" in series.note
    zero = first_zero_per_nm(series.camera)
    # About 1/sqrt(lambda defocus), a little less for the amplitude contrast.
    assert zero == pytest.approx(1 / np.sqrt(1.969e-3 * 4000), rel=0.02)
    fine = record(np.full((4, 24, 24), 0.3), 1.2, [0.0], seed=0)
    assert fine.carries_zero
    assert "within" in fine.note


def test_series_of_a_cell_repeats_and_depends_on_its_seed():
    cell = draw_cell(2)
    plane = Plane(cell.organelles.nucleus.centre_nm, np.eye(3))
    one, two, other = (tilt_series(cell, plane, (8, 24, 24), 6.0, [-30.0, 0.0, 30.0], seed=s) for s in (1, 1, 2))
    assert one.counts.tobytes() == two.counts.tobytes()
    assert one.counts.tobytes() != other.counts.tobytes()


def test_cryo_section_is_compressed_and_a_lamella_damaged():
    cell, plane = round_cell(1000.0), Plane(np.zeros(3), np.eye(3))
    slab = Slab("cryo-section", 0.4, 0.0)
    labels = slab_labels(cell, plane, (3, 120, 120), 20.0, slab)
    assert (labels[1] > 0).any(axis=0).sum() * 20.0 == pytest.approx(0.6 * 2000.0, abs=20.0)
    assert (labels[1] > 0).any(axis=1).sum() * 20.0 == pytest.approx(2000.0, abs=20.0)
    # Along z as along the cut: 1.667 times as far from the middle as in the block.
    column = slab_labels(cell, plane, (201, 1, 1), 20.0, slab)[:, 0, 0]
    assert (column > 0).sum() * 20.0 == pytest.approx(2000.0 / 0.6, abs=20.0)
    rng = [np.random.default_rng(0) for _ in range(2)]
    lamella = slab_matter(cell, plane, (30, 24, 24), 8.0, rng[0])
    whole = slab_matter(cell, plane, (30, 24, 24), 8.0, rng[1], Slab("cryo-section"))
    contrast = lamella.std(axis=(1, 2)) / whole.std(axis=(1, 2))
    assert contrast[[0, -1]] == pytest.approx(0.4, abs=0.01)
    assert contrast[4:-4] == pytest.approx(1.0, abs=0.01)
    with pytest.raises(ValueError, match="compressed"):
        Slab("lamella", 0.3)
