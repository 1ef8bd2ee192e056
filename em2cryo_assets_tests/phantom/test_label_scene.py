"""A label volume under the same microscopes: its volumes, layers and surface are those of the labels."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.cryo import cryo_slab
from em2cryo_assets.phantom.label_scene import LabelScene
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.soft_x_ray import soft_x_ray
from em2cryo_assets.phantom.tem import cut_section, section_coverage
from em2cryo_assets.vocabulary import LABELS

SPACING = 25.0
REFERENCE = os.environ.get("EM2CRYO_REFERENCE_DATA")
LATTICE = {
    "extracellular": "outside",
    "cellWall": "wall",
    "plasmaMembrane": "membrane",
    "cytoplasm": "cytoplasm",
    "ribosomes": "cytoplasm",
    "nuclearEnvelope": "envelope",
    "nuclearPores": "envelope",
    "nucleoplasm": "nucleus",
    "vacuole": "vacuole",
    "mitochondria": "mitochondrion",
}


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
    assert np.all(ball.body.distance(3000.0 * directions) > 1900.0)
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


@pytest.mark.skipif(not REFERENCE, reason="EM2CRYO_REFERENCE_DATA is not set: no yeast lattice here")
def test_yeast_lattice_takes_the_place_of_a_drawn_cell():
    with np.load(Path(REFERENCE) / "yeast_geometry" / "yeast_lattice.npz") as file:
        labels, names, spacing = file["labels"], file["names"], 1e9 * float(file["spacing_m"])
    scene = LabelScene.from_labels(labels, spacing, {i: LATTICE[str(name)] for i, name in enumerate(names)})
    code = {str(name): i for i, name in enumerate(names)}
    volume_um3 = (labels != code["extracellular"]).sum() * spacing**3 * 1e-9

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
