"""A label volume under the same microscopes: its volumes, layers and surface are those of the labels."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.geometry.grid import Grid
from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.contrast import MATERIALS, nominal
from em2cryo_assets.phantom.cryo import cryo_slab
from em2cryo_assets.phantom.label_scene import LabelScene
from em2cryo_assets.phantom.overview import overview
from em2cryo_assets.phantom.pile import drop_cells, sem_image, trace_relief
from em2cryo_assets.phantom.planes import Plane, deep_plane, profile_extent_nm, random_plane, wall_plane
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.raster import rasterize
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.soft_x_ray import soft_x_ray
from em2cryo_assets.phantom.tem import cut_section, section_coverage
from em2cryo_assets.phantom.tilt_series import tilt_series
from em2cryo_assets.vocabulary import LABELS

SPACING = 25.0
REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")
needs_lattice = pytest.mark.skipif(not REFERENCE, reason="EM2CRYO_REFERENCE_DATA is not set: no yeast lattice here")


@pytest.fixture(scope="module")
def ball():
    """A ball of cytoplasm, 900 nm in radius, in a wall of 150 nm, off the middle of its volume."""
    z, y, x = np.mgrid[:100, :90, :95]
    radius = SPACING * np.sqrt((z - 52) ** 2 + (y - 44) ** 2 + (x - 50) ** 2)
    labels = np.where(radius < 900, 7, np.where(radius < 1050, 4, 0))
    return LabelScene.from_labels(labels, SPACING, {0: "outside", 4: "wall", 7: "cytoplasm"})


def test_surface_of_a_ball(ball):
    assert ball.body.half_extent_nm() == pytest.approx(1050.0, abs=2.5 * SPACING)
    directions = np.random.default_rng(0).normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for radius in (850.0, 1050.0, 1150.0):
        distance = ball.body.distance(radius * directions)
        assert distance == pytest.approx(radius - 1050.0, abs=0.9 * SPACING)
        assert distance.mean() == pytest.approx(radius - 1050.0, abs=0.5 * SPACING)
    # Beyond the volume a bound, which rays may step by.
    far = ball.body.distance(3000.0 * directions)
    assert far.max() < 1950.0 + 0.5 * SPACING
    assert far.min() > 1950.0 / np.sqrt(2) - SPACING
    for direction in directions[:20]:
        assert ball.body.support_nm(direction) == pytest.approx(1050.0, abs=0.5 * SPACING)
    normals = ball.body.gradient(1000.0 * directions)
    assert np.einsum("ij,ij->i", normals, directions).min() > np.cos(np.deg2rad(6.0))


@pytest.mark.parametrize("softness", [10.0, 60.0, 110.0])
def test_shares_are_a_partition_and_keep_amounts(ball, softness):
    axis = np.arange(-1400.0, 1401.0, 40.0)
    shares = ball.coverage(Plane(np.zeros(3), np.eye(3)).points_nm(axis, axis, axis), softness)
    assert np.allclose(shares.sum(axis=0), 1.0, atol=1e-5)
    assert shares.min() >= 0.0
    held = shares.sum(axis=(1, 2, 3)) * 40.0**3
    whole, inner = (4 / 3 * np.pi * r**3 for r in (1050.0, 900.0))
    assert held[MATERIALS.index("cytoplasm")] == pytest.approx(inner, rel=0.01)
    assert held[MATERIALS.index("wall")] == pytest.approx(whole - inner, rel=0.02)


def test_section_of_a_labelled_ball(ball):
    plane = Plane(np.array([500.0, 0, 0]), np.eye(3))
    shares = section_coverage(ball, plane, (120, 120), 20.0, 80.0)
    area = (1.0 - shares[0]).sum() * 20.0**2
    assert area == pytest.approx(np.pi * (1050.0**2 - 500.0**2), rel=0.02)
    section = cut_section(ball, plane, (120, 120), 20.0, seed=0)
    assert set(np.unique(section.labels)) == {0, LABELS["wall"], LABELS["cytoplasm"]}
    assert np.nanmedian(section.wall_angle_deg) == pytest.approx(np.rad2deg(np.arcsin(500 / 975)), abs=2.0)


def test_far_points_are_outside(ball):
    far = np.array([[9e4, 0.0, 0.0], [0.0, -9e4, 0.0]])
    assert ball.labels(far).tolist() == [0, 0]
    assert ball.coverage(far, 30.0)[0].tolist() == [1.0, 1.0]


def test_drawn_and_labelled_cells_are_both_scenes(ball):
    def looked_at(scene: Scene) -> float:
        return float(scene.outer_distance(np.zeros((1, 3)), exact=False)[0])

    assert looked_at(ball) < 0
    assert looked_at(draw_cell(1)) < 0


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        (np.zeros((3, 3)), {0: "outside"}, "three-dimensional"),
        (np.full((3, 3, 3), 2), {0: "outside"}, r"\[2\]"),
        (np.ones((3, 3, 3), int), {1: "cheese"}, "cheese"),
        (np.zeros((3, 3, 3), int), {0: "outside"}, "nothing but"),
    ],
)
def test_what_is_no_cell_is_refused(labels, names, words):
    with pytest.raises(ValueError, match=words):
        LabelScene.from_labels(labels, 10.0, names)


@pytest.fixture(scope="module")
def lattice():
    return LabelScene.from_npz(Path(REFERENCE) / "yeast_geometry" / "yeast_lattice.npz")


@pytest.fixture(params=["ball", pytest.param("lattice", marks=needs_lattice)])
def scene(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("upright", [0, 1, 2])
def test_sem_shows_the_shadow_of_the_labels(scene, upright):
    axes = np.roll(np.eye(3), -upright, axis=0)  # rows: the stage's z, y, x in the frame of the cell
    shrink, pixel = 0.85, 20.0
    relief = trace_relief(scene, axes, shrink, pixel)
    side = relief.top_nm.shape[0]
    pile = drop_cells([relief], [(side // 2, side // 2)], (side, side), pixel)
    labels = scene.materials > 0
    shadow_nm2 = shrink**2 * labels.any(axis=upright).sum() * float(scene.spacing_nm[0]) ** 2
    assert (pile.owner == 1).sum() * pixel**2 == pytest.approx(shadow_nm2, rel=0.02)
    depth = shrink * labels.any(axis=tuple({0, 1, 2} - {upright})).sum() * float(scene.spacing_nm[0])
    assert pile.height_nm.max() == pytest.approx(depth, abs=1.5 * float(scene.spacing_nm[0]))
    assert pile.visible == (1.0,)
    image = sem_image(pile, pixel, seed=0)
    assert image[pile.owner == 1].mean() > 1.5 * image[pile.owner == 0].mean()


def test_relief_of_a_labelled_ball_is_its_closed_form_at_any_attitude(ball):
    middle = (np.argwhere(ball.materials > 0) * ball.spacing_nm + ball.origin_nm).mean(axis=0)
    rotation = random_rotation(np.random.default_rng(4))
    relief = trace_relief(ball, rotation, 1.0, 25.0)
    half = relief.top_nm.shape[0] // 2
    centre = rotation @ middle
    y, x = np.meshgrid(*(25.0 * np.arange(-half, half + 1) - c for c in centre[1:]), indexing="ij")
    height = centre[0] + np.sqrt(np.maximum(1050.0**2 - y**2 - x**2, 0.0))
    within = np.hypot(y, x) < 900.0
    assert np.abs(relief.top_nm - height)[within].max() < 1.5 * SPACING
    assert np.abs(relief.top_nm - height)[within].mean() < 0.2 * SPACING
    assert np.abs(relief.normals[0] - (height - centre[0]) / 1050.0)[within].mean() < 0.03
    assert np.isnan(relief.top_nm[np.hypot(y, x) > 1050.0 + SPACING]).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_balls_in_one_volume_throw_two_shadows(seed):
    """No step of a ray passes a part of a cell that is not convex."""
    z, y, x = np.mgrid[:60, :60, :120]
    labels = np.zeros(z.shape, dtype=np.uint8)
    for at in (28, 90):
        labels[(z - 30) ** 2 + (y - 30) ** 2 + (x - at) ** 2 < 24**2] = 1
    scene = LabelScene.from_labels(labels, 20.0, {0: "outside", 1: "cytoplasm"})
    rotation = random_rotation(np.random.default_rng(seed))
    relief = trace_relief(scene, rotation, 1.0, 10.0)
    radius, apart = 480.0, 62 * 20.0 * float(np.linalg.norm(rotation[1:, 2]))
    share = min(apart / (2 * radius), 1.0)
    lens = 2 * radius**2 * (np.arccos(share) - share * np.sqrt(1 - share**2))
    assert np.isfinite(relief.top_nm).sum() * 10.0**2 == pytest.approx(2 * np.pi * radius**2 - lens, rel=0.02)


def test_planes_meet_a_labelled_cell_as_often_as_its_height_asks(scene):
    rng = np.random.default_rng(3)
    planes = [random_plane(scene.body, rng) for _ in range(200)]
    met = [plane for plane in planes if plane is not None]
    heights = [scene.body.support_nm(d) + scene.body.support_nm(-d) for d in (random_rotation(rng)[0] for _ in met)]
    expected = float(np.mean(heights)) / 11000.0
    assert len(met) / 200 == pytest.approx(expected, abs=4 * np.sqrt(expected / 200))
    for plane in met[:5]:
        assert 0 < profile_extent_nm(scene.body, plane) < 2 * scene.body.half_extent_nm() + 60.0
    axis = np.arange(-480.0, 481.0, 60.0)
    for _ in range(5):
        plane = wall_plane(scene.body, rng, 350.0)
        assert scene.body.distance(plane.points_nm(np.zeros(1), axis, axis).reshape(-1, 3)).min() < 0
        assert scene.body.distance(deep_plane(scene.body, rng, 700.0).centre_nm[None])[0] < -700.0
    with pytest.raises(ValueError, match="9000 nm deep"):
        deep_plane(scene.body, rng, 9000.0)


def test_a_lamella_is_placed_in_a_cell_smaller_than_a_yeast():
    z, y, x = np.mgrid[:30, :30, :30]
    labels = ((z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2 < 12**2).astype(np.uint8)
    small = LabelScene.from_labels(labels, 25.0, {0: "outside", 1: "cytoplasm"})
    plane = wall_plane(small.body, np.random.default_rng(0), 50.0)
    assert abs(small.body.distance(plane.centre_nm[None])[0]) < 300.0
    speck = LabelScene.from_labels(labels, 1.0, {0: "outside", 1: "cytoplasm"})
    with pytest.raises(ValueError, match="No plane met"):
        wall_plane(speck.body, np.random.default_rng(0), 1.0)


def test_rasterized_labels_are_the_labels(scene):
    reach, side = scene.body.half_extent_nm(), 96
    voxel = 2 * reach / side
    grid = Grid((side,) * 3, (voxel,) * 3, (0.5 * voxel - reach,) * 3)
    raster = rasterize(scene, grid, chunk=40)
    labels, density = raster.labels.compute(), raster.density.compute()
    true_nm3 = (scene.materials > 0).sum() * float(np.prod(scene.spacing_nm))
    assert (labels > 0).sum() * voxel**3 == pytest.approx(true_nm3, rel=0.01)
    axes = [grid.axis_nm(axis) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    # Single precision moves a voxel's border by a thousandth of a nanometre.
    assert (labels != scene.labels(points)).mean() < 1e-4
    assert set(np.unique(density)) <= set(nominal("tem"))
    assert (density[labels == 0] == nominal("tem")[0]).all()


def test_frozen_labels_are_recorded_and_mapped(scene):
    reach = scene.body.half_extent_nm()
    plane = Plane(np.zeros(3), np.eye(3))
    pixel, side = reach / 50.0, 112
    found = overview([scene], [plane], [(side / 2, side / 2)], (side, side), pixel, seed=0)
    shadow_nm2 = (scene.materials > 0).any(axis=0).sum() * float(scene.spacing_nm[0]) ** 2
    assert (found.outlines == 1).sum() * pixel**2 == pytest.approx(shadow_nm2, rel=0.04)
    assert found.counts[side // 2, side // 2] < 0.05 * np.percentile(found.counts, 99)
    # A slab half in the cell: fewer electrons pass the denser half.
    edge = Plane(np.array([0.0, 0.0, scene.body.support_nm(np.array([0.0, 0.0, 1.0]))]), np.eye(3))
    series = tilt_series(scene, edge, (10, 24, 48), 25.0, [-20.0, 0.0, 20.0], seed=0)
    assert series.counts[1][:, :20].mean() < series.counts[1][:, -20:].mean()


def test_distance_to_flat_faces_is_exact_where_voxels_are_no_cubes():
    sides = np.array([60.0, 20.0, 30.0])
    labels = np.zeros((26, 60, 40), dtype=np.uint8)
    labels[5:21, 10:50, 10:30] = 1  # 960 x 800 x 600 nm
    body = LabelScene.from_labels(labels, tuple(sides), {0: "outside", 1: "wall"}).body
    half = np.array([480.0, 400.0, 300.0])
    for axis in range(3):
        for off in (-120.0, -30.0, 0.0, 30.0):
            point = np.zeros(3)
            point[axis] = half[axis] + off
            assert body.distance(point[None])[0] == pytest.approx(off, abs=1.0)
        assert body.support_nm(np.eye(3)[axis]) == pytest.approx(half[axis], abs=1.0)


@pytest.mark.parametrize(("sides", "most_nm"), [((30.0,) * 3, 9.0), ((60.0, 20.0, 20.0), 16.5)])
def test_surface_of_a_ball_of_any_voxels(sides, most_nm):
    counts = [int(1500 / side) + 5 for side in sides]
    # Off the middle of a voxel, as any cell is.
    z, y, x = (side * (np.arange(-n, n + 1) + 0.31) for side, n in zip(sides, counts, strict=True))
    labels = (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 1500.0**2).astype(np.uint8)
    scene = LabelScene.from_labels(labels, sides, {0: "outside", 1: "wall"})
    middle = (np.argwhere(scene.materials > 0) * scene.spacing_nm + scene.origin_nm).mean(axis=0)
    directions = np.random.default_rng(0).normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    off = scene.body.distance(middle + 1500.0 * directions)
    assert abs(off.mean()) < 1.2
    assert np.abs(off).max() < most_nm


@pytest.mark.parametrize("spacing", [0.0, -20.0, np.nan, np.inf, (20.0, 20.0, 0.0), (20.0, 30.0)])
def test_impossible_voxels_are_refused(spacing):
    with pytest.raises(ValueError, match=r"spacing_nm is .*has to be"):
        LabelScene.from_labels(np.ones((3, 3, 3), int), spacing, {1: "wall"})


def test_archives_of_labels_are_read_by_name(tmp_path):
    labels = np.zeros((6, 6, 6), dtype=np.uint8)
    labels[2:4, 2:4, 2:4] = 1
    labels[2, 2, 2] = 2
    path = tmp_path / "cell.npz"

    def write(**more):
        arrays = {"labels": labels, "names": ["extracellular", "cellWall", "nuclearPores", "cheese"]}
        np.savez(path, **{**arrays, "spacing_m": 2e-8, **more})
        return path

    scene = LabelScene.from_npz(write(spacing_m=[2e-8, 2e-8, 4e-8]))
    assert scene.spacing_nm.tolist() == pytest.approx([20.0, 20.0, 40.0])
    assert np.bincount(scene.materials.ravel())[[MATERIALS.index("wall"), MATERIALS.index("envelope")]].tolist() == [
        7,
        1,
    ]
    strange = labels + (labels == 2)
    with pytest.raises(ValueError, match=r"names without a material \['cheese'\]; known are .*cellWall"):
        LabelScene.from_npz(write(labels=strange))
    given = LabelScene.from_npz(path, {"cheese": "vacuole"})
    assert (given.materials == MATERIALS.index("vacuole")).sum() == 1
    with pytest.raises(ValueError, match=r"without a name \[2\]"):
        LabelScene.from_npz(write(names=["extracellular", "cellWall"]))
    with pytest.raises(ValueError, match=r"spacing_nm is 0\.0"):
        LabelScene.from_npz(write(spacing_m=0.0))
    np.savez(path, labels=labels)
    with pytest.raises(ValueError, match="holds no names, spacing_m"):
        LabelScene.from_npz(path)


@needs_lattice
def test_yeast_lattice_takes_the_place_of_a_drawn_cell(lattice):
    scene = lattice
    volume_um3 = (scene.materials > 0).sum() * float(np.prod(scene.spacing_nm)) * 1e-9

    whole = soft_x_ray(scene, np.eye(3), (72, 72, 72), 76.0, seed=0)
    smooth = ndimage.gaussian_filter(whole, 0.7)
    solid = ndimage.binary_fill_holes(smooth > float(np.median(smooth[:3])) + 0.12)
    assert solid.sum() * 0.076**3 == pytest.approx(volume_um3, rel=0.03)

    plane = Plane(np.array([300.0, 0.0, 0.0]), np.eye(3))
    section = cut_section(scene, plane, (160, 160), 32.0, seed=1)
    inner = {
        n: ndimage.binary_erosion(section.labels == LABELS[n]) for n in ("outside", "wall", "cytoplasm", "vacuole")
    }
    median = {name: float(np.median(section.image[where])) for name, where in inner.items()}
    assert median["outside"] < median["vacuole"] < median["wall"] < median["cytoplasm"]

    edge = float(np.flatnonzero(section.labels[80] != 0)[-1] - 79.5) * 32.0
    slab = cryo_slab(scene, Plane(np.array([300.0, 0.0, edge]), np.eye(3)), (20, 40, 48), 12.0, [-40.0, 0.0, 40.0],
                     snr=50.0, seed=0)  # fmt: skip
    assert slab[:, :, :8].mean() > slab[:, :, -8:].mean()
