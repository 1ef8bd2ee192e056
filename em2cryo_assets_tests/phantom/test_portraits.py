"""One cell under three microscopes: every picture shows that cell, and its truth is its own."""

import numpy as np
import pytest

from em2cryo_assets.phantom.planes import centred
from em2cryo_assets.phantom.portraits import SCENE_VOXEL_NM, SEM_PIXEL_NM, SLAB_VOXEL_NM, Portrait, portrait
from em2cryo_assets.phantom.scene import draw_cell
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
    assert not one.half_thickness_nm[one.sem_mask == 0].any()
    # A ray that grazes a groove of the wall may find the cell from above and not from below.
    assert (one.half_thickness_nm[one.sem_mask > 0] == 0).mean() < 1e-3
    # Between its two surfaces lies what drying has left of the volume; a cell hides nothing from above but
    # the space under its overhang and its scars' shadow.
    volume = 2.0 * one.half_thickness_nm.sum() * SEM_PIXEL_NM**2 / 1e9
    assert volume == pytest.approx(one.truth.volume_um3 * one.shrink**3, rel=0.03)
    inside, outside = one.sem[one.sem_mask > 0].mean(), one.sem[one.sem_mask == 0].mean()
    assert inside != pytest.approx(outside, rel=0.1)


def test_depth_and_normals_are_those_of_the_dried_surface(one: Portrait) -> None:
    cell = one.sem_mask > 0
    assert one.depth_nm[cell].min() == 0
    assert np.ptp(one.depth_nm[~cell]) == 0
    assert np.allclose(np.linalg.norm(one.normals, axis=0), 1, atol=1e-4)
    # Where the surface faces the beam, its slope is what the depth says.
    facing = cell & (one.normals[0] > 0.8)
    slope = np.gradient(one.depth_nm, SEM_PIXEL_NM)[1]
    expected = one.normals[2] / one.normals[0]
    assert np.median(np.abs(slope - expected)[facing]) < 0.02


def test_labels_lie_in_the_planes_that_are_named(one: Portrait) -> None:
    cell = draw_cell(3)
    flat = centred(one.section.shape[0], one.section_pixel_nm)
    cut = cell.labels(one.section_plane.points_nm(np.zeros(1), flat, flat))[0]
    assert np.array_equal(cut, one.section_labels)
    axes = (centred(n, SLAB_VOXEL_NM) for n in one.slab.shape)
    assert np.array_equal(cell.labels(one.slab_plane.points_nm(*axes)), one.slab_labels)
    wall = one.section_labels == LABELS["wall"]
    assert np.array_equal(np.isfinite(one.section_wall_angle_deg), wall)
    normals = cell.body.gradient(one.section_plane.points_nm(np.zeros(1), flat, flat)[0][wall])
    upright = np.abs(normals @ one.section_plane.axes[0]) / np.linalg.norm(normals, axis=1)
    assert np.allclose(np.sin(np.deg2rad(one.section_wall_angle_deg[wall])), upright, atol=1e-3)


def test_the_lamella_is_dense_where_its_labels_say_cell(one: Portrait) -> None:
    present = set(np.unique(one.slab_labels).tolist())
    assert LABELS["wall"] in present
    wall, empty = (one.slab[one.slab_labels == LABELS[name]] for name in ("wall", "outside"))
    assert wall.mean() > empty.mean()


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
