"""One cell under three microscopes: every picture shows that cell, and its truth is its own."""

import numpy as np
import pytest

from em2cryo_assets.phantom.portraits import SCENE_VOXEL_NM, SEM_PIXEL_NM, Portrait, portrait
from em2cryo_assets.vocabulary import LABELS


@pytest.fixture(scope="module")
def one() -> Portrait:
    return portrait(3)


def test_the_voxels_hold_the_volume_and_the_organelles_of_the_truth(one: Portrait) -> None:
    counts = np.bincount(np.asarray(one.labels).ravel(), minlength=len(LABELS))
    cell = counts.sum() - counts[LABELS["outside"]]
    assert cell * (SCENE_VOXEL_NM / 1000) ** 3 == pytest.approx(one.truth.volume_um3, rel=0.01)
    for name in ("nucleus", "vacuole"):
        assert counts[LABELS[name]] / cell == pytest.approx(one.truth.fractions[name], rel=0.1, abs=0.003)


def test_sem_shows_the_dried_cell_whole(one: Portrait) -> None:
    assert not one.sem_mask[[0, -1]].any()
    assert not one.sem_mask[:, [0, -1]].any()
    assert np.array_equal(one.half_thickness_nm > 0, one.sem_mask > 0)
    # Between its two surfaces lies what drying has left of the volume; a cell hides nothing from above but
    # the space under its overhang and its scars' shadow.
    volume = 2.0 * one.half_thickness_nm.sum() * SEM_PIXEL_NM**2 / 1e9
    assert volume == pytest.approx(one.truth.volume_um3 * one.shrink**3, rel=0.03)
    inside, outside = one.sem[one.sem_mask > 0].mean(), one.sem[one.sem_mask == 0].mean()
    assert inside != pytest.approx(outside, rel=0.1)


def test_the_section_cuts_the_cell_and_stains_what_is_dense(one: Portrait) -> None:
    profile = (one.section_labels != LABELS["outside"]).mean()
    assert 0.05 < profile < 0.8
    wall, empty = (one.section[one.section_labels == LABELS[name]] for name in ("wall", "outside"))
    assert wall.mean() > empty.mean() + 2 * empty.std()


def test_the_same_seed_gives_the_same_pictures_and_another_seed_another_cell(one: Portrait) -> None:
    twin, other = portrait(3), portrait(4)
    for name in ("sem", "section", "slab", "half_thickness_nm"):
        assert np.array_equal(getattr(one, name), getattr(twin, name)), name
    assert other.truth != one.truth
