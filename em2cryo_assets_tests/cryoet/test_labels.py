"""Labels of slabs and whole cells whose truth is known."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.cryoet.labels import damaged_planes, label_tomogram
from em2cryo_assets.vocabulary import LABELS

VOXEL = (8.0, 8.0, 8.0)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("beta", [0.0, 25.0])
def test_outside_wall_and_inside_of_a_slab(slabs, beta):
    density, truth = slabs[beta]
    labels = label_tomogram(density, VOXEL, "lamella").labels[4:-4]
    truth = truth[4:-4]
    assert dice(labels == 0, truth == 0) > 0.96
    assert dice(labels == 1, truth == 1) > 0.85
    assert dice(labels >= 2, truth >= 2) > 0.95


def test_only_the_order_of_densities_matters(slabs):
    density, _ = slabs[0.0]
    one = label_tomogram(density, VOXEL, "lamella").labels
    two = label_tomogram(density * 40 - 700, VOXEL, "lamella").labels
    assert (one != two).mean() < 0.005


def test_finer_voxels_give_the_same_layers(slabs):
    density, _ = slabs[0.0]
    fine = density.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    labels = label_tomogram(fine, (4.0, 4.0, 4.0), "lamella").labels
    assert labels.shape == fine.shape
    np.testing.assert_array_equal(labels[::2, ::2, ::2], label_tomogram(density, VOXEL, "lamella").labels)


def cytoplasm(shape=(26, 100, 100), seed=0):
    rng = np.random.default_rng(seed)
    grains = ndimage.gaussian_filter((rng.random(shape) < 0.01).astype(float), 0.8) * 6.0
    return 0.47 + grains + 0.1 * rng.normal(size=shape)


@pytest.mark.parametrize("seed", range(4))
def test_a_field_of_cytoplasm_has_no_wall(seed):
    result = label_tomogram(cytoplasm(seed=seed), VOXEL, "lamella")
    assert (result.labels == LABELS["cytoplasm"]).mean() > 0.98
    assert any("no wall in view" in line for line in result.warnings)


def test_a_vacuole_at_the_border_is_not_the_outside():
    """Both are dark and touch the border; the vacuole's edge is one step, the cell's two."""
    density = cytoplasm()
    y, x = np.ogrid[:100, :100]
    inside = np.hypot(y - 100, x - 50) < 45
    density[:, inside] = 0.2 + 0.1 * np.random.default_rng(9).normal(size=(26, int(inside.sum())))
    density[:, np.abs(np.hypot(y - 100, x - 50) - 46) < 0.6] += 0.3
    result = label_tomogram(density, VOXEL, "lamella")
    assert not (result.labels == LABELS["outside"]).any()
    assert dice(result.labels == LABELS["vacuole"], np.broadcast_to(inside, density.shape)) > 0.95


def test_what_cannot_hold_a_cell_is_told_so():
    small = label_tomogram(np.random.default_rng(0).normal(size=(20, 40, 40)), (1.0, 1.0, 1.0), "lamella")
    assert not small.labels.any()
    assert small.warnings == [
        "no cell found: the field is 40 x 40 nm, and below 400 nm no wall or cytoplasm can be told."
    ]
    coarse = label_tomogram(np.random.default_rng(0).normal(size=(20, 40, 40)), (50.0, 50.0, 50.0), "lamella")
    assert "too coarse" in coarse.warnings[0]
    noise = label_tomogram(np.random.default_rng(0).normal(size=(40, 40, 40)), (80.0, 80.0, 80.0), "soft-x-ray")
    assert not noise.labels.any()
    assert noise.warnings[0].startswith("no cell found: ")
    with pytest.raises(ValueError, match="three-dimensional"):
        label_tomogram(np.zeros((5, 5)), VOXEL, "lamella")


def whole_cell(seed=0):
    """An ellipsoid with nucleus, vacuole and droplets at soft X-ray levels, blurred and noisy; 90 nm voxels."""
    z, y, x = np.ogrid[:60, :60, :60]
    truth = np.zeros((60, 60, 60), dtype=np.uint8)
    truth[((z - 30) / 22) ** 2 + ((y - 30) / 25) ** 2 + ((x - 30) / 27) ** 2 < 1] = LABELS["cytoplasm"]
    truth[(z - 30) ** 2 + (y - 22) ** 2 + (x - 22) ** 2 < 10**2] = LABELS["nucleus"]
    truth[(z - 30) ** 2 + (y - 36) ** 2 + (x - 40) ** 2 < 9**2] = LABELS["vacuole"]
    truth[(z - 40) ** 2 + (y - 30) ** 2 + (x - 22) ** 2 < 3.5**2] = LABELS["lipid_droplet"]
    levels = np.array([0.08, 0.34, 0.36, 0.36, 0.28, 0.17, 0.42, 0.75])
    noise = 0.022 * np.random.default_rng(seed).normal(size=truth.shape)
    return ndimage.gaussian_filter(levels[truth], 0.4) + ndimage.gaussian_filter(noise, 0.4), truth


def test_whole_cell_and_organelles():
    density, truth = whole_cell()
    result = label_tomogram(density, (90.0, 90.0, 90.0), "soft-x-ray")
    assert (result.labels > 0).sum() == pytest.approx((truth > 0).sum(), rel=0.02)
    for name, least in (("nucleus", 0.85), ("vacuole", 0.9), ("lipid_droplet", 0.8)):
        assert dice(result.labels == LABELS[name], truth == LABELS[name]) > least, name
    assert not any("cut by the border" in line for line in result.warnings)


def test_cut_cell_and_stained_volume_are_told():
    density, _ = whole_cell()
    cut = label_tomogram(density[:35], (90.0, 90.0, 90.0), "soft-x-ray")
    assert any("cut by the border" in line for line in cut.warnings)
    stained = label_tomogram(density, (90.0, 90.0, 90.0), "fib-sem")
    assert set(np.unique(stained.labels)) == {LABELS["outside"], LABELS["cytoplasm"]}


def test_thirty_nanometres_of_a_lamella_are_damaged():
    assert damaged_planes(30, 8.0, "lamella") == slice(4, 26)
    assert damaged_planes(30, 8.0, "cryo-section") == slice(0, 30)
    assert damaged_planes(8, 8.0, "lamella") == slice(0, 8)
