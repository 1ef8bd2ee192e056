"""Labels are made of maps as a microscopist would read them; maps here are drawn, not computed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from em2cryo_assets.tem.profiles import NO_CELL
from em2cryo_assets.tem.section_decoding import NO_YEAST, decoded, network_section
from em2cryo_assets.tem.section_network import CLASSES, MAPS, WORKING_NM, class_of_label
from em2cryo_assets.tem.section_trainer import seam
from em2cryo_assets.vocabulary import LABELS

SIDE = 200


def _cell(labels: NDArray[np.uint8], y: float, x: float, radius: float) -> NDArray[np.bool_]:
    """Paint a round cell with a nucleus of a third of its radius; pixels of `WORKING_NM`; gives where it lies."""
    away = np.hypot(*(np.indices(labels.shape) - np.array([y, x])[:, None, None]))
    labels[away < radius] = LABELS["wall"]
    labels[away < radius - 7] = LABELS["cytoplasm"]
    labels[away < radius / 3] = LABELS["nucleus"]
    return away < radius


def _maps(labels: NDArray[np.uint8], seams: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """What a network that is sure would say."""
    codes = class_of_label()[labels]
    maps = np.zeros((len(MAPS), *labels.shape), np.float32)
    for index in range(len(CLASSES)):
        maps[index] = codes == index
    maps[-1] = 0.0 if seams is None else seams
    return maps


def _decoded(maps: NDArray[np.float32], pixel_nm: float = WORKING_NM, barred: NDArray[np.bool_] | None = None):
    shape = tuple(round(n * WORKING_NM / pixel_nm) for n in maps.shape[1:])
    return decoded(maps, pixel_nm, np.zeros(shape, bool) if barred is None else barred)


@pytest.mark.parametrize("pixel_nm", [5.0, 10.0, 20.0, 25.0])
def test_areas_are_those_of_the_maps_at_any_pixel_size(pixel_nm: float) -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    _cell(labels, 100, 100, 80)
    result = _decoded(_maps(labels), pixel_nm)
    for name in ("wall", "nucleus"):
        true = np.pi * {"wall": 80**2 - 73**2, "nucleus": (80 / 3) ** 2}[name] * WORKING_NM**2
        assert (result.labels == LABELS[name]).sum() * pixel_nm**2 == pytest.approx(true, rel=0.03)
    # The membrane is 10 nm wide, or a pixel where that is more.
    width = (result.labels == LABELS["membrane"]).sum() * pixel_nm**2 / (2 * np.pi * 73 * WORKING_NM)
    assert width == pytest.approx(max(10.0, pixel_nm), rel=0.2)


def test_touching_cells_are_told_apart_by_their_walls_or_by_their_seam() -> None:
    labels, owner = np.zeros((SIDE, 2 * SIDE), np.uint8), np.zeros((SIDE, 2 * SIDE), np.uint8)
    owner[_cell(labels, 100, 110, 80)] = 1
    owner[_cell(labels, 100, 267, 80)] = 2
    for seams in (seam(owner), None):
        result = _decoded(_maps(labels, seams))
        assert result.profiles.max() == 2
        areas = np.bincount(result.profiles.ravel())[1:]
        assert areas[0] == pytest.approx(areas[1], rel=0.02)
    caps = np.where(owner > 0, LABELS["wall"], 0).astype(np.uint8)
    assert _decoded(_maps(caps, seam(owner))).profiles.max() == 2


def test_what_has_no_wall_or_no_size_of_a_yeast_is_left_out_and_said() -> None:
    away = np.hypot(*(np.indices((SIDE, SIDE)) - 100))
    naked = np.where(away < 80, LABELS["cytoplasm"], LABELS["outside"]).astype(np.uint8)
    result = _decoded(_maps(naked))
    assert not result.labels.any()
    assert "without a wall" in result.warnings[0]
    labels = np.zeros((SIDE, SIDE), np.uint8)
    _cell(labels, 100, 100, 80)
    huge = decoded(_maps(labels), 10 * WORKING_NM, np.zeros(labels.shape, bool))
    assert not huge.labels.any()
    assert "no section of a yeast is that wide" in huge.warnings[0]


def test_a_section_that_is_mostly_no_yeast_is_not_trusted_at_all() -> None:
    labels = np.zeros((3 * SIDE, 3 * SIDE), np.uint8)
    away = np.hypot(*(np.indices(labels.shape) - np.array([210, 210])[:, None, None]))
    labels[away < 200] = LABELS["cytoplasm"]
    _cell(labels, 500, 500, 80)
    result = _decoded(_maps(labels))
    assert not result.profiles.any()
    assert result.warnings[0].startswith(NO_YEAST)
    assert "pixel size" in result.warnings[0]


def test_an_empty_section_says_so() -> None:
    result = _decoded(_maps(np.zeros((64, 64), np.uint8)))
    assert result.warnings == [NO_YEAST]
    assert not result.profiles.any()


def test_resin_within_a_cell_is_what_else_it_may_be() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    _cell(labels, 100, 100, 80)
    maps = _maps(labels)
    hole = np.hypot(*(np.indices(labels.shape) - np.array([100, 145])[:, None, None])) < 10
    maps[:, hole] = 0.0
    maps[CLASSES.index("outside"), hole], maps[CLASSES.index("lipid_droplet"), hole] = 0.6, 0.4
    found = _decoded(maps).labels
    assert (found[hole] == LABELS["lipid_droplet"]).all()


def test_specks_go_and_a_nucleolus_belongs_to_its_nucleus() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    _cell(labels, 100, 100, 80)
    labels[50:52, 100:102] = LABELS["mitochondrion"]
    labels[95:105, 95:105] = LABELS["mitochondrion"]
    found = _decoded(_maps(labels)).labels
    assert not (found == LABELS["mitochondrion"]).any()
    assert (found[95:105, 95:105] == LABELS["nucleus"]).all()


def test_excluded_pixels_are_never_labelled_and_cut_profiles_are_named() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    _cell(labels, 100, 100, 80)
    barred = np.zeros(labels.shape, bool)
    barred[150:] = True
    result = _decoded(_maps(labels), barred=barred)
    assert not result.labels[barred].any()
    assert result.touching_border == (1,)
    assert any("cut by the border" in line for line in result.warnings)


def test_a_profile_that_fills_the_picture_needs_no_wall_it_cannot_show() -> None:
    labels = np.full((SIDE, SIDE), LABELS["cytoplasm"], np.uint8)
    labels[:10], labels[:4] = LABELS["wall"], 0
    result = _decoded(_maps(labels))
    assert result.profiles.max() == 1
    assert (result.labels == LABELS["cytoplasm"]).mean() > 0.9


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4)), np.full((9, 9), np.nan)])
def test_unusable_arrays_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"2-D|NaN"):
        network_section(bad, 12.0)


def test_sections_without_contrast_hold_no_cell() -> None:
    assert network_section(np.full((90, 90), 7.0), 12.0).warnings == [NO_CELL]
    assert network_section(np.eye(20), 12.0, np.ones((20, 20), bool)).warnings == [NO_CELL]
