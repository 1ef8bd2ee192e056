"""A membrane is two leaflets where samples are fine, one layer where they are not, and the same mass in both."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from em2cryo_assets.phantom.contrast import MATERIALS, density, nominal
from em2cryo_assets.phantom.cryo import slab_matter
from em2cryo_assets.phantom.membranes import BILAYER, ENVELOPE, MERGED_NM, Pores, share_inside
from em2cryo_assets.phantom.organelles import Nucleus
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets.phantom.priors import PRIORS
from em2cryo_assets.phantom.scene import draw_cell
from em2cryo_assets.phantom.tem import section_coverage
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.phantom.test_scene import round_cell

RADIUS, WALL = 2000.0, 150.0
MEMBRANE, ENVELOPE_CODE = MATERIALS.index("membrane"), MATERIALS.index("envelope")


def along_normal(softness, step=0.25):
    """Depth below the wall's inner face, and shares there, through the plasma membrane."""
    depth = np.arange(-40.0, 50.0, step)
    points = np.zeros((depth.size, 3))
    points[:, 1] = RADIUS - WALL - depth
    return depth, round_cell(RADIUS, WALL).coverage(points, softness)


def maxima(profile):
    return len(find_peaks(profile, prominence=0.05 * np.ptp(profile))[0])


@pytest.mark.parametrize("layering", [BILAYER, ENVELOPE])
@pytest.mark.parametrize("softness", [0.5, 1.0, 2.0, 5.0, 7.4, 10.5, 14.9])
def test_layering_holds_what_the_plain_layer_holds(layering, softness):
    distance = np.arange(-60.0, 30.0, 0.05)
    layer = share_inside(distance, softness) - share_inside(distance + layering.depths_nm[-1], softness)
    matter = layering.matter(distance, layer, softness)
    assert matter.sum() == pytest.approx(layer.sum(), rel=1e-3)
    assert matter.min() > -1e-9
    # Mirror images: neither side is the heavier one.
    assert np.dot(matter, distance) / matter.sum() == pytest.approx(-0.5 * layering.depths_nm[-1], abs=0.05)


@pytest.mark.parametrize("modality", ["tem", "cryo"])
def test_two_maxima_where_fine_one_where_coarse_and_equal_mass(modality):
    table = nominal(modality)
    mass = {}
    for softness, expected in ((1.0, 2), (2.0, 2), (8.0, 1), (20.0, 1)):
        depth, shares = along_normal(softness)
        profile = shares[MEMBRANE] * table[MEMBRANE]
        assert maxima(profile) == expected, softness
        mass[softness] = 0.25 * float(density(shares, table).sum()), 0.25 * float(profile.sum())
    for whole, alone in mass.values():
        assert whole == pytest.approx(mass[20.0][0], rel=0.02)
        assert alone == pytest.approx(10.0 * table[MEMBRANE], rel=0.02)
    first, second = (depth[i] for i in find_peaks(along_normal(1.0)[1][MEMBRANE], plateau_size=1)[0])
    assert second - first == pytest.approx(5.5, abs=0.3)


def test_softer_than_the_unit_membrane_nothing_changes():
    distance = np.arange(-30.0, 30.0, 1.0)
    layer = share_inside(distance, 8.0)
    assert BILAYER.matter(distance, layer, MERGED_NM) is layer


def test_every_membrane_of_a_cell_has_leaflets():
    cell = draw_cell(5)
    depth = np.arange(-30.0, 60.0, 0.25)
    vacuole, nucleus = cell.organelles.vacuole, cell.organelles.nucleus
    tube = cell.organelles.tubes[0]
    middle, way = 0.5 * (tube.nodes_nm[1] + tube.nodes_nm[2]), tube.nodes_nm[2] - tube.nodes_nm[1]
    aside = np.cross(way, [1.0, 0.0, 0.0])
    aside /= np.linalg.norm(aside)
    # The vacuole is dented on two sides; its other ones are those of the ball.
    across = np.cross(nucleus.centre_nm - vacuole.centre_nm, vacuole.centre_nm)
    across /= np.linalg.norm(across)
    for name, peaks, points in (
        ("mitochondrion", 2, middle + (tube.radius_nm - depth)[:, None] * aside),
        ("vacuole", 2, vacuole.centre_nm + (vacuole.radius_nm - depth)[:, None] * across),
        ("nucleus", 4, nucleus.centre_nm + _clear_of_pores(nucleus, depth)),
    ):
        assert LABELS[name] in cell.labels(points), name
        assert maxima(cell.coverage(points, 1.0)[ENVELOPE_CODE]) == peaks, name
        assert maxima(cell.coverage(points, 32.0)[ENVELOPE_CODE]) == 1, name


def test_an_envelope_is_two_lines_where_its_lumen_holds_a_sample():
    nucleus = (cell := draw_cell(5)).organelles.nucleus
    depth = np.arange(-40.0, 70.0, 0.25)
    points = nucleus.centre_nm + _clear_of_pores(nucleus, depth)
    mass = {}
    for softness, expected in ((8.0, 2), (10.5, 2), (12.0, 2), (15.0, 1), (20.0, 1)):
        profile = cell.coverage(points, softness)[ENVELOPE_CODE]
        assert len(find_peaks(profile, prominence=0.1, plateau_size=(None, None))[0]) == expected, softness
        mass[softness] = 0.25 * float(profile.sum())
    assert list(mass.values()) == pytest.approx([PRIORS["envelope_thickness"].mean] * 5, rel=0.02)


def _clear_of_pores(nucleus: Nucleus, depth: np.ndarray) -> np.ndarray:
    """A line along the normal at an end of an axis that is off all pores, about the centre."""
    for axis, length in zip(nucleus.rotation, nucleus.semi_axes_nm, strict=True):
        for sign in (-1.0, 1.0):
            line = sign * (length - depth)[:, None] * axis
            gaps = np.linalg.norm(nucleus.pores.centres_nm - nucleus.centre_nm - sign * length * axis, axis=1)
            if gaps.min() > 75.0:
                return line
    raise AssertionError("all six ends of the axes lie at pores")


@pytest.mark.parametrize("seed", range(4))
def test_pores_lie_in_the_envelope_at_the_priors_density_and_apart(seed):
    nucleus = draw_cell(seed).organelles.nucleus
    pores = nucleus.pores
    depth = nucleus.distance(pores.centres_nm.T)
    assert depth == pytest.approx(np.full(depth.shape, -15.0), abs=0.2)
    lifted = nucleus.distance((pores.centres_nm + 5.0 * pores.normals).T)
    assert lifted - depth == pytest.approx(np.full(depth.shape, 5.0), abs=0.05)
    gaps = np.linalg.norm(pores.centres_nm[:, None] - pores.centres_nm[None], axis=2)
    assert gaps[np.triu_indices(len(gaps), 1)].min() >= PRIORS["pore_spacing"].mean
    area_um2 = 4e-6 * np.pi * float(np.prod(nucleus.semi_axes_nm - 15.0)) ** (2 / 3)
    assert len(depth) / area_um2 == pytest.approx(PRIORS["pores"].mean, rel=0.05)
    again = draw_cell(seed).organelles.nucleus.pores
    assert again.centres_nm.tobytes() == pores.centres_nm.tobytes()


def test_pores_are_spread_evenly_over_a_stretched_nucleus():
    from em2cryo_assets.phantom.membranes import draw_pores

    axes = np.array([700.0, 1000.0, 1400.0])
    places = np.concatenate(
        [draw_pores(np.zeros(3), np.eye(3), axes, np.random.default_rng(i)).centres_nm for i in range(40)]
    )
    direction = np.random.default_rng(0).normal(size=(200_000, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    weight = np.linalg.norm(direction / axes, axis=1)
    expected = (weight * np.abs(direction[:, 2])).sum() / weight.sum()
    assert np.abs(places[:, 2] / (axes[2] - 15.0)).mean() == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("softness", [1.0, 4.0, 10.0])
def test_a_pore_holds_what_the_envelope_in_its_place_would(softness):
    x = np.arange(-90.0, 90.5, 2.0)
    z = np.arange(-30.0, 30.5, 0.5)
    points = np.stack([g.ravel() for g in np.meshgrid(z, x, x, indexing="ij")])
    face = points[0] - 15.0
    layer = share_inside(face, softness) - share_inside(face + 30.0, softness)
    matter = ENVELOPE.matter(face, layer, softness)
    opened = Pores(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]])).opened(points, matter, layer, softness)
    assert opened.sum() == pytest.approx(matter.sum(), rel=0.01)
    flat = opened.reshape(z.size, x.size, x.size)[z.size // 2, x.size // 2]
    around = np.abs(x)
    # Half way through the envelope: light channel, ring denser than it and than the lumen beside the pore.
    assert flat[around < 10].mean() < 0.7 < 1.0 < flat[(around > 30) & (around < 40)].mean()
    closed = Pores(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]])).opened(points, matter, layer, 60.0)
    assert closed is matter


def at_pore(cell):
    """Plane through a pore that stands upright in it, the envelope running along x."""
    nucleus = cell.organelles.nucleus
    normal = nucleus.pores.normals[0]
    up = np.cross(normal, [1.0, 0.0, 0.0])
    up /= np.linalg.norm(up)
    return Plane(nucleus.pores.centres_nm[0], np.stack([up, normal, np.cross(up, normal)]))


def test_a_pore_shows_in_a_fine_section_and_in_a_lamella():
    cell = draw_cell(5)
    plane = at_pore(cell)
    shares = section_coverage(cell, plane, (90, 150), 2.0, 40.0)[ENVELOPE_CODE]
    band = shares[40:50].mean(axis=0)
    channel, ring = band[71:79].mean(), np.concatenate([band[55:61], band[89:95]]).mean()
    assert channel < 0.75 * ring
    # Beside the pore leaflets stand out; none crosses the channel.
    faces = shares[34:56].max(axis=0)
    assert faces[71:79].mean() < 0.7 * faces[[15, 16, 17, 132, 133, 134]].mean()
    matter = slab_matter(cell, plane, (30, 60, 80), 4.0, np.random.default_rng(0))
    flat = matter[10:20, 27:33].mean(axis=(0, 1))
    assert flat[37:43].mean() < flat[[29, 30, 49, 50]].mean() - 0.05


def test_a_pore_is_labelled_as_the_envelope_is():
    cell = draw_cell(5)
    assert np.all(cell.labels(cell.organelles.nucleus.pores.centres_nm) == LABELS["nucleus"])
