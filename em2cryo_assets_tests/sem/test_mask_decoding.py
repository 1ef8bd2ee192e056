"""From maps to cells, with maps whose truth is known because they are drawn."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.sem.mask_decoding import decoded, enlarged
from em2cryo_assets.sem.mask_network import DISTANCE_NM, WORKING_NM, MaskMaps

_SHAPE = (160, 200)
_PX = WORKING_NM / 1000.0


def _ellipse(y: float, x: float, a: float, b: float, angle: float = 0.0) -> np.ndarray:
    rows, columns = np.indices(_SHAPE, dtype=float)
    c, s = np.cos(angle), np.sin(angle)
    u, v = c * (columns - x) + s * (rows - y), c * (rows - y) - s * (columns - x)
    return (u / a) ** 2 + (v / b) ** 2 < 1


def _truth(*cells: tuple[np.ndarray, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros(_SHAPE, np.int32)
    for number, (mask, _) in enumerate(cells, 1):
        labels[mask] = number
    return labels, np.array([(0.0, 0.0), *(centre for _, centre in cells)])


def _maps(labels: np.ndarray, centres: np.ndarray, noise: float = 0.05) -> MaskMaps:
    """What a good network would say, blurred and noisy."""
    rng = np.random.default_rng(0)
    boundary, distance = np.zeros(_SHAPE), np.zeros(_SHAPE)
    for number in range(1, labels.max() + 1):
        mask = labels == number
        away = ndimage.distance_transform_edt(mask)
        boundary = np.maximum(boundary, mask & (away < 1.5))
        distance += np.minimum(away * WORKING_NM / DISTANCE_NM, 1.0) * mask
    offset = np.moveaxis(centres[labels], -1, 0) - np.indices(_SHAPE)
    offset = offset + rng.normal(0, 3, offset.shape)
    blurred = ndimage.gaussian_filter(boundary, 0.6)
    fields = [ndimage.gaussian_filter((labels > 0).astype(float), 0.4), blurred, np.zeros(_SHAPE), distance]
    fields = [np.clip(f + noise * rng.standard_normal(_SHAPE), 0, 1).astype(np.float32) for f in fields]
    return MaskMaps(*fields, offset.astype(np.float32))


def _ious(truth: np.ndarray, labels: np.ndarray) -> list[float]:
    out = []
    for number in range(1, truth.max() + 1):
        mask = truth == number
        out.append(max(((mask & (labels == k)).sum() / (mask | (labels == k)).sum() for k in np.unique(labels[mask])
                        if k), default=0.0))  # fmt: skip
    return out


@pytest.fixture(scope="module")
def pile() -> tuple[np.ndarray, np.ndarray]:
    """Five cells, some behind others."""
    return _truth(
        (_ellipse(50, 50, 30, 24), (50, 50)),
        (_ellipse(60, 95, 28, 24, 0.6), (60, 95)),
        (_ellipse(110, 60, 34, 25, -0.4), (110, 60)),
        (_ellipse(115, 140, 26, 26), (115, 140)),
        (_ellipse(100, 112, 12, 12), (100, 112)),
    )


def test_a_pile_is_decoded_cell_by_cell(pile) -> None:
    labels = decoded(_maps(*pile))
    assert labels.max() == 5
    assert min(_ious(pile[0], labels)) > 0.93


def test_a_ring_inside_a_cell_is_not_cut_out(pile) -> None:
    """A scar looks like an outline; that its pixels point to the cell's own centre keeps it in."""
    truth, centres = pile
    maps = _maps(truth, centres)
    y, x = np.indices(_SHAPE)
    ring = np.exp(-(((np.hypot(y - 112, x - 64) - 9) / 1.5) ** 2))
    maps = MaskMaps(
        maps.foreground, np.maximum(maps.boundary, 0.55 * ring).astype(np.float32), maps.neck,
        (maps.distance * (1 - 0.5 * ring)).astype(np.float32), maps.offset,
    )  # fmt: skip
    labels = decoded(maps)
    assert labels.max() == 5
    assert min(_ious(truth, labels)) > 0.92


def test_two_cells_without_an_outline_between_them_are_told_by_their_centres() -> None:
    truth, centres = _truth((_ellipse(80, 60, 30, 26), (80, 60)), (_ellipse(80, 112, 30, 26), (80, 112)))
    maps = _maps(truth, centres)
    between = np.abs(np.indices(_SHAPE)[1] - 86) < 8
    faint = np.where(between & (truth > 0), 0.25 * maps.boundary, maps.boundary).astype(np.float32)
    labels = decoded(MaskMaps(maps.foreground, faint, maps.neck, maps.distance, maps.offset))
    assert labels.max() == 2
    assert min(_ious(truth, labels)) > 0.9


def test_gaps_stay_gaps_but_a_hole_in_a_cell_is_filled() -> None:
    truth, centres = _truth((_ellipse(60, 60, 32, 28), (60, 60)), (_ellipse(100, 140, 30, 26), (100, 140)))
    maps = _maps(truth, centres)
    holed = maps.foreground.copy()
    holed[55:60, 58:63] = 0.0
    labels = decoded(MaskMaps(holed, maps.boundary, maps.neck, maps.distance, maps.offset))
    assert labels[57, 60] == labels[75, 60] > 0
    assert (labels[truth == 0] > 0).mean() < 0.01


def test_excluded_pixels_are_never_labelled(pile) -> None:
    excluded = np.zeros(_SHAPE, bool)
    excluded[100:, 120:] = True
    labels = decoded(_maps(*pile), excluded)
    assert not labels[excluded].any()
    assert labels.max() >= 4


@pytest.mark.parametrize(("radius", "found"), [(4, 0), (8, 1), (30, 1), (78, 0)])
def test_only_what_can_be_a_cell_by_its_size_is_one(radius: float, found: int) -> None:
    truth, centres = _truth((_ellipse(80, 100, radius, radius), (80, 100)))
    assert decoded(_maps(truth, centres, 0.01)).max() == found


def test_no_foreground_no_cells() -> None:
    nothing = np.zeros(_SHAPE, np.float32)
    assert not decoded(MaskMaps(nothing, nothing, nothing, nothing, np.zeros((2, *_SHAPE), np.float32))).any()


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.5])
def test_outlines_are_as_true_at_any_resolution(factor: float) -> None:
    shape = tuple(round(n * factor) for n in _SHAPE)
    small = _truth((_ellipse(60, 60, 32, 26, 0.5), (60, 60)), (_ellipse(115, 130, 30, 24), (115, 130)))[0]
    at = [(np.arange(n) + 0.5) / factor - 0.5 for n in shape]
    rows, columns = np.meshgrid(*at, indexing="ij")
    exact = ((columns - 130) / 30) ** 2 + ((rows - 115) / 24) ** 2 < 1
    large = enlarged(small, shape, np.zeros(shape, bool))
    assert large.max() == 2
    iou = (exact & (large == 2)).sum() / (exact | (large == 2)).sum()
    assert iou > (0.95 if factor < 1 else 0.97)
    # The area keeps its scale: no half pixel is lost all round.
    assert (large == 2).sum() == pytest.approx(exact.sum(), rel=0.02)


def test_labels_count_from_the_top_and_leave_out_what_is_excluded() -> None:
    small = np.zeros((40, 40), np.int32)
    small[25:38, 2:15], small[2:15, 25:38] = 1, 2
    excluded = np.zeros((80, 80), bool)
    excluded[:30, :55] = True
    large = enlarged(small, (80, 80), excluded)
    assert large[17, 65] == 1
    assert large[62, 17] == 2
    assert not large[excluded].any()
