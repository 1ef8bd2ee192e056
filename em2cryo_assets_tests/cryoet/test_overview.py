"""Cells in simulated maps are outlined as they are; the maps were not among those that the level was chosen on."""

import numpy as np
import pytest

from em2cryo_assets.compare.outlines import seen_outlines
from em2cryo_assets.cryoet.overview import outline_cells
from em2cryo_assets_tests.cryoet.overview_maps import PIXEL_NM, simulated_map

SIDES = (PIXEL_NM, PIXEL_NM)


@pytest.mark.parametrize("lamella", [True, False])
def test_outlines_of_simulated_cells_come_back(lamella: bool) -> None:
    seen, cells = simulated_map(31, 2, 2, lamella=lamella) if lamella else simulated_map(31, 1, 2, lamella=lamella)
    found = outline_cells(-seen.counts, SIDES, lamella=lamella)
    truth = {n: ratio for n, (ratio, why) in seen_outlines(seen.outlines, SIDES).items() if not why}
    measured = seen_outlines(found.outlines, SIDES)
    assert int(found.outlines.max()) == len(cells)
    errors, radii = [], []
    for number, ratio in truth.items():
        own = int(np.bincount(found.outlines[seen.outlines == number]).argmax())
        assert own, "a cell was not found"
        both = ((found.outlines == own) & (seen.outlines == number)).sum()
        assert both / ((found.outlines == own) | (seen.outlines == number)).sum() > 0.85
        radii.append(np.sqrt((found.outlines == own).sum() / (seen.outlines == number).sum()))
        assert not measured[own][1]
        errors.append(measured[own][0] - ratio)
    assert len(errors) >= 2
    assert abs(np.mean(errors)) < 0.02  # of a margin of 0.05
    assert np.mean(radii) == pytest.approx(1, abs=0.06)


def test_cells_in_light_and_dark_maps_are_the_same() -> None:
    seen, _ = simulated_map(32, 1, 1, lamella=True)
    plain = outline_cells(-seen.counts, SIDES, lamella=True).outlines
    np.testing.assert_array_equal(outline_cells(-3.0 * seen.counts + 500, SIDES, lamella=True).outlines, plain)


def test_ice_alone_holds_no_cell() -> None:
    rng = np.random.default_rng(0)
    for noise in (rng.normal(100, 5, (200, 200)), rng.poisson(20, (200, 200))):
        found = outline_cells(noise.astype(np.float32), SIDES, lamella=True)
        assert not found.outlines.any()
        assert found.warnings[0].startswith("no cell found")


def test_specks_are_no_cells() -> None:
    image = np.random.default_rng(0).normal(0, 0.1, (200, 200)).astype(np.float32)
    image[50:54, 50:54] = image[100:200, 30:32] = 50.0
    assert "no cell found" in outline_cells(image, SIDES, lamella=False).warnings[0]


def test_what_is_no_overview_is_refused() -> None:
    with pytest.raises(ValueError, match="two-dimensional"):
        outline_cells(np.zeros((3, 4, 5)), SIDES, lamella=True)
    with pytest.raises(ValueError, match="finite"):
        outline_cells(np.full((30, 30), np.nan), SIDES, lamella=True)
