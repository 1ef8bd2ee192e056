"""A section's truth is what geometry says, and each flaw does what it is named after, and no more."""

import numpy as np
import pytest

from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets.phantom.section_flaws import Fold, dirt_mask, knife_marks
from em2cryo_assets.phantom.tem import Settings, _defocused, cut_section, section_coverage, tem_section
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.phantom.test_scene import round_cell

RADIUS, WALL = 2000.0, 150.0
SHAPE, PIXEL = (180, 180), 25.0


def at_height(height: float) -> Plane:
    return Plane(np.array([height, 0.0, 0.0]), np.eye(3))


@pytest.fixture(scope="module")
def cell():
    return round_cell(RADIUS, WALL)


def test_compression_shortens_along_the_cut_only_and_thickens(cell):
    section = cut_section(cell, at_height(0), SHAPE, PIXEL, Settings(compression=0.3, cutting_deg=90.0), seed=0)
    inside = section.labels != LABELS["outside"]
    assert inside.any(axis=1).sum() * PIXEL == pytest.approx(0.7 * 2 * RADIUS, abs=PIXEL)
    assert inside.any(axis=0).sum() * PIXEL == pytest.approx(2 * RADIUS, abs=PIXEL)
    assert section.thickness_nm == pytest.approx(80.0 / 0.7)
    oblique = cut_section(cell, at_height(0), SHAPE, PIXEL, Settings(compression=0.3, cutting_deg=30.0), seed=0)
    y, x = np.nonzero(oblique.labels)
    values, axes = np.linalg.eigh(np.cov(x, y))
    assert np.sqrt(values[0] / values[1]) == pytest.approx(0.7, abs=0.01)
    assert np.rad2deg(np.arctan2(*axes[::-1, 0])) % 180 == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize("compression", [0.0, 0.3])
def test_wall_angle_is_the_one_of_a_sphere(cell, compression):
    height = 1200.0
    settings = Settings(compression=compression, cutting_deg=0.0)
    section = cut_section(cell, at_height(height), SHAPE, PIXEL, settings, seed=0)
    assert np.array_equal(np.isnan(section.wall_angle_deg), section.labels != LABELS["wall"])
    middle = SHAPE[0] // 2
    along = np.nanmax(np.where(section.labels == LABELS["wall"], section.wall_angle_deg, np.nan)[middle])
    inner = np.arcsin(height / (RADIUS - WALL))
    # Deformation takes a normal to its inverse transpose: upright part times 1 - c, along the cut over 1 - c.
    expected = np.rad2deg(np.arctan(np.tan(inner) * (1 - compression) ** 2))
    assert along == pytest.approx(expected, abs=1.0)
    across = np.nanmax(section.wall_angle_deg[:, middle])
    assert across == pytest.approx(np.rad2deg(np.arctan(np.tan(inner) * (1 - compression))), abs=1.0)


def test_opaque_width_of_the_wall_follows_from_its_angle(cell):
    height, thickness = 1200.0, 80.0
    shares = section_coverage(cell, at_height(height), (3, 440), 10.0, thickness)
    wall = shares[MATERIALS.index("wall")] + shares[MATERIALS.index("fringe")]
    width = 10.0 * float((wall[1] > 0.02).sum()) / 2
    beta = np.arcsin(height / (RADIUS - 0.5 * WALL))
    assert width == pytest.approx(WALL / np.cos(beta) + thickness * np.tan(beta), rel=0.08)


def test_default_is_a_flat_clean_section(cell):
    section = cut_section(cell, at_height(0), (60, 60), 75.0, seed=3)
    assert section.image.tobytes() == tem_section(cell, at_height(0), (60, 60), 75.0, seed=3).tobytes()
    assert section.layers.max() == 1
    assert not section.dirt.any()


def test_fold_is_continuous_and_three_layers_deep(cell):
    fold = Fold(np.array([0.0, 1.0]), 100.0, 200.0)
    s = np.array([0.0, 200.0])  # both edges of the strip
    lowest, (turned, uppermost), inside = fold.layers(np.stack([0 * s, s], axis=-1))
    assert inside.all()
    assert lowest[1].tolist() == turned[1].tolist()
    assert turned[0].tolist() == uppermost[0].tolist()
    beyond = fold.layers(np.array([[0.0, 200.0 + 1e-6]]))[0]
    assert beyond[0] == pytest.approx(uppermost[1], abs=1e-5)
    empty = [
        cut_section(cell, at_height(9000), (90, 90), PIXEL, Settings(folds=n, knife_marks=0), seed=5) for n in (0, 1)
    ]
    strip = empty[1].layers == 3
    assert 0.02 < strip.mean() < 0.3
    # Resin alone: three times its density, within the slow change of stain.
    assert empty[1].image[strip].mean() == pytest.approx(3 * empty[0].image.mean(), rel=0.1)
    flat, folded = (cut_section(cell, at_height(0), SHAPE, PIXEL, Settings(folds=n), seed=5) for n in (0, 1))
    assert (folded.labels > 0).sum() < (flat.labels > 0).sum()


def test_marks_run_along_the_cut():
    marks, cutting = knife_marks((80, 120), 6.0, 0.04, 35.0, np.random.default_rng(0))
    assert cutting == pytest.approx(35.0)
    assert marks
    for mark in marks:
        rows = np.flatnonzero(np.abs(mark).max(axis=1) > 0.9 * np.abs(mark).max())
        if len(rows) > 20:
            slope = np.polyfit(rows, np.abs(mark).argmax(axis=1)[rows], 1)[0]
            assert slope == pytest.approx(1 / np.tan(np.deg2rad(35.0)), abs=0.1)


def test_dirt_leaves_the_rest_as_it_was(cell):
    clean = cut_section(cell, at_height(0), (90, 90), 50.0, seed=5)
    dirty = cut_section(cell, at_height(0), (90, 90), 50.0, Settings(dirt=4), seed=5)
    changed = clean.image != dirty.image
    assert 0 < dirty.dirt.sum() < 0.05 * dirty.dirt.size
    assert changed[dirty.dirt].all()
    assert changed.sum() < 20 * dirty.dirt.sum()
    assert (dirty.image - clean.image)[dirty.dirt].mean() > 0.3
    assert not dirt_mask((20, 20), 10.0, 0, np.random.default_rng(0)).any()


@pytest.mark.parametrize(("defocus_um", "sign"), [(1.0, 1), (-1.0, -1)])
def test_underfocus_raises_the_contrast_of_detail_and_keeps_the_mean(defocus_um, sign):
    period, pixel = 10.0, 1.25
    x = np.arange(256) * pixel
    grating = (0.5 + 0.1 * np.cos(2 * np.pi * x / period) * np.ones((256, 1))).astype(np.float32)
    seen = _defocused(grating, pixel, Settings(defocus_um=defocus_um, spherical_aberration_mm=0.0))
    gain = np.ptp(seen[128, 64:192]) / np.ptp(grating)
    wavelength_nm = 3.349e-3  # 120 kV
    phase = np.pi * wavelength_nm * 1000 * sign / period**2
    assert gain == pytest.approx(np.sin(phase + np.arcsin(0.35)) / 0.35, rel=0.02)
    assert seen.mean() == pytest.approx(grating.mean(), rel=1e-3)


def test_shot_noise_is_that_of_the_dose(cell):
    far = Plane(np.array([9000.0, 0, 0]), np.eye(3))
    noise = []
    for dose in (2.0, 50.0):
        settings = Settings(dose_e_per_nm2=dose, knife_marks=0.0)
        image = cut_section(cell, far, (120, 120), 10.0, settings, seed=2).image
        detail = (image[1:] - image[:-1]) / np.sqrt(2)
        passed = 1 - 0.6 * image.mean()
        noise.append(detail.std() / (np.sqrt(passed / (dose * 100)) / 0.6))
    assert noise[0] == pytest.approx(1.0, abs=0.05)
    assert noise[1] == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("thickness_nm", np.nan, "finite and above 0 nm"),
        ("thickness_nm", 0.0, "finite and above 0 nm"),
        ("thickness_nm", np.inf, "finite"),
        ("compression", 0.9, "at least 0 and at most 0.6"),
        ("cutting_deg", np.nan, "at least -360 and at most 360 degrees"),
        ("knife_marks", -1.0, "at least 0"),
        ("knife_mark_depth", 2.0, "at most 1"),
        ("folds", 2, "at most 1"),
        ("dirt", -1, "at least 0"),
        ("dirt", 1.5, "a whole number"),
        ("stain_grain", -1.0, "at least 0"),
        ("defocus_um", np.inf, "at most 1000 µm"),
        ("voltage_kv", 0.0, "at least 1 and at most 3000 kV"),
        ("spherical_aberration_mm", np.nan, "at most 10 mm"),
        ("dose_e_per_nm2", -5.0, "above 0 electrons per nm²"),
        ("dose_e_per_nm2", np.nan, "above 0 electrons per nm²"),
        ("camera_blur_px", -1.0, "at least 0 pixels"),
    ],
)
def test_impossible_settings_are_refused(name, value, wanted):
    with pytest.raises(ValueError, match=f"{name} is {value!r}; it has to be .*{wanted}"):
        Settings(**{name: value})
