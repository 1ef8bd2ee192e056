"""Cells found by either segmenter in a drawn pile whose outlines are known, and in one real field."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.geometry.mesh import is_outward, is_watertight
from em2cryo_assets.sem import segment_cells
from em2cryo_assets.sem.masks import cell_records
from em2cryo_assets.sem.region_selection import select_cells
from em2cryo_assets.sem.solid import surface_to_mesh
from em2cryo_assets.sem.surface import rotational_sweep
from em2cryo_assets.sem.view import crop_cell

_PIXEL_NM = 25.0
_CELLS = (  # y, x, long, short (px), angle (degrees); later ones lie in front
    (90, 90, 70, 58, 20),
    (110, 260, 72, 55, 100),
    (150, 338, 66, 58, 0),
    (260, 120, 74, 60, 60),
    (300, 10, 60, 60, 0),
    (290, 290, 68, 56, 150),
)


def _pile(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A secondary-electron-like image of ellipsoids with bright rims and shadows, and its modal labels."""
    image, labels = np.full((380, 440), 35.0), np.zeros((380, 440), np.int32)
    y, x = np.indices(image.shape, dtype=float)
    for number, (cy, cx, a, b, angle) in enumerate(_CELLS, 1):
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        q = ((c * (x - cx) + s * (y - cy)) / a) ** 2 + ((c * (y - cy) - s * (x - cx)) / b) ** 2
        inside = q < 1
        image *= 1 - 0.6 * np.exp(-ndimage.distance_transform_edt(~inside) / 8)
        height = np.sqrt((1 - q[inside]).clip(0))
        image[inside] = (90 + 6 * number) * (1.15 / (height + 0.15)) ** 0.35
        labels[inside] = number
    image = ndimage.gaussian_filter(image, 1.0)
    return np.random.default_rng(seed).normal(image, 4).astype(np.float32), labels


@pytest.fixture(scope="module", params=[segment_cells, select_cells], ids=["network", "regions"])
def segment(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(scope="module")
def pile(segment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image, truth = _pile()
    return image, truth, segment(image, _PIXEL_NM)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def _partner(truth: np.ndarray, labels: np.ndarray, number: int) -> tuple[int, float]:
    best = max((_iou(truth == number, labels == k), k) for k in range(1, labels.max() + 1))
    return best[1], best[0]


def test_every_cell_of_a_pile_is_found_and_nothing_else(pile) -> None:
    _, truth, labels = pile
    found = [_partner(truth, labels, number) for number in range(1, len(_CELLS) + 1)]
    assert labels.max() == len(_CELLS)
    assert len({k for k, _ in found}) == len(_CELLS)
    assert min(iou for _, iou in found) > 0.93


def test_occlusion_and_border_are_told(pile) -> None:
    image, truth, labels = pile
    records = cell_records(labels, image, _PIXEL_NM).set_index("label")
    behind, _ = _partner(truth, labels, 2)
    in_front, _ = _partner(truth, labels, 3)
    cut, _ = _partner(truth, labels, 5)
    y, x = np.indices(truth.shape, dtype=float)
    a, b, t = 72, 55, np.deg2rad(100)
    q = ((np.cos(t) * (x - 260) + np.sin(t) * (y - 110)) / a) ** 2
    q += ((np.cos(t) * (y - 110) - np.sin(t) * (x - 260)) / b) ** 2
    hidden = 1 - (truth == 2).sum() / (q < 1).sum()
    assert hidden > 0.1
    assert records.loc[behind, "occluded_fraction"] == pytest.approx(hidden, abs=0.05)
    assert not records.loc[behind, "comparable"]
    assert records.loc[in_front, "occluded_fraction"] < 0.03
    assert records.loc[in_front, "comparable"]
    assert records.loc[cut, "touches_border"]
    assert not records.loc[cut, "comparable"]
    np.testing.assert_allclose(records["area_um2"], [(labels == k).sum() * _PIXEL_NM**2 / 1e6 for k in records.index])


def test_the_same_field_gives_the_same_labels_at_any_brightness(pile, segment) -> None:
    image, _, labels = pile
    assert (segment(image * 4 + 100, _PIXEL_NM) != labels).mean() < 1e-3


def test_excluded_pixels_hold_no_cell_and_cut_it(pile, segment) -> None:
    image, truth, _ = pile
    excluded = np.zeros(image.shape, bool)
    excluded[310:] = True
    labels = segment(image, _PIXEL_NM, excluded)
    assert not labels[excluded].any()
    number, iou = _partner(truth, labels, 6)
    assert iou > 0.6
    assert cell_records(labels, image, _PIXEL_NM, excluded).set_index("label").loc[number, "touches_border"]


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_an_empty_field_has_no_cells(noise: float, segment) -> None:
    image = np.random.default_rng(1).normal(60, 1, (200, 240)) * (noise > 0) + 50
    labels = segment((image * max(noise, 1)).astype(np.float32), _PIXEL_NM)
    assert labels.max() == 0
    assert len(cell_records(labels, image.astype(np.float32), _PIXEL_NM)) == 0


def test_arrays_that_do_not_fit_are_refused(segment) -> None:
    image = np.zeros((20, 20), np.float32)
    with pytest.raises(ValueError, match="excluded"):
        segment(image, 10.0, np.zeros((20, 21), bool))
    with pytest.raises(ValueError, match="pixel size"):
        segment(image, 0.0)
    with pytest.raises(ValueError, match="NaN"):
        segment(image * np.nan, 10.0)
    with pytest.raises(ValueError, match="agree"):
        cell_records(np.zeros((20, 21), np.int32), image, 10.0)


@pytest.mark.slow
def test_the_real_field_yields_ten_good_cells_with_meshes() -> None:
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder:
        pytest.skip("EM2CRYO_REFERENCE_DATA is not set: no real field to look at")
    from PIL import Image
    from skimage.draw import polygon2mask

    path = Path(folder) / "sem" / "saccharomyces_field.jpg"
    image = np.asarray(Image.open(path).convert("L")).astype(np.float32)
    excluded = np.zeros(image.shape, bool)
    excluded[728:, 950:] = True  # the burnt-in scale bar
    labels = segment_cells(image, 21.4, excluded)
    outlines = json.loads(path.with_name("saccharomyces_field_outlines.json").read_text())["cells"]
    overlap = []
    for points in outlines.values():
        truth = polygon2mask(image.shape, np.array(points)[:, ::-1])
        overlap.append(max(_iou(truth, labels == k) for k in np.unique(labels[truth]) if k))
    print(f"real field: mean IoU {np.mean(overlap):.3f}, {sum(i > 0.75 for i in overlap)} of {len(overlap)}")
    assert np.mean(overlap) > 0.8
    assert sum(i > 0.75 for i in overlap) >= 9
    records = cell_records(labels, image, 21.4, excluded)
    comparable = records.loc[records["comparable"], "label"]
    assert len(comparable) >= 10
    for label in comparable[:10]:
        mesh = surface_to_mesh(rotational_sweep(crop_cell(image, labels, label).mask, 21.4), 21.4)
        assert is_watertight(mesh)
        assert is_outward(mesh)
