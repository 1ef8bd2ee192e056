"""Which outlines may be buds of what they touch, and so are no cells to compare."""

import numpy as np
import pytest

from em2cryo_assets.sem.records import cell_records

_PIXEL_NM = 50.0
_SHAPE = (240, 300)


def _field(*discs: tuple[int, int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and image of bright discs (y, x, radius in px), later ones in front."""
    rows, columns = np.indices(_SHAPE)
    labels = np.zeros(_SHAPE, np.int32)
    image = np.full(_SHAPE, 30.0, np.float32)
    for number, (y, x, radius) in enumerate(discs, 1):
        distance = np.hypot(rows - y, columns - x)
        labels[distance < radius] = number
        image[distance < radius + 1] = 60  # a crevice between discs that touch
        image[distance < radius] = 160
    return labels, image


@pytest.mark.parametrize(("radius", "mother"), [(16.0, 1), (22.0, 1), (25.0, 0), (31.0, 0)])
def test_what_is_much_smaller_than_a_cell_it_touches_may_be_its_bud(radius: float, mother: int) -> None:
    labels, image = _field((80, 90, 30.0), (80, 90 + 29 + radius, radius), (180, 220, 30.0))
    records = cell_records(labels, image, _PIXEL_NM).set_index("label")
    assert records.loc[2, "possible_mother"] == mother
    assert records.loc[1, "possible_mother"] == records.loc[3, "possible_mother"] == 0
    assert records.loc[2, "comparable"] == (mother == 0)
    assert records.loc[[1, 3], "comparable"].all()


def test_a_small_cell_that_touches_nothing_is_a_cell() -> None:
    labels, image = _field((80, 90, 30.0), (80, 180, 22.0), (180, 220, 30.0))
    records = cell_records(labels, image, _PIXEL_NM)
    assert (records["possible_mother"] == 0).all()
    assert records["comparable"].all()


def test_a_bud_that_touches_two_cells_is_given_to_the_larger() -> None:
    labels, image = _field((120, 80, 34.0), (120, 204, 42.0), (120, 137, 26.0))
    assert cell_records(labels, image, _PIXEL_NM).set_index("label").loc[3, "possible_mother"] == 2


def test_possible_mothers_do_not_depend_on_how_cells_are_numbered() -> None:
    labels, image = _field((80, 90, 30.0), (80, 135, 16.0), (180, 220, 30.0))
    swapped = np.array([0, 3, 1, 2], np.int32)[labels]
    before = cell_records(labels, image, _PIXEL_NM).set_index("label")["possible_mother"]
    after = cell_records(swapped, image, _PIXEL_NM).set_index("label")["possible_mother"]
    assert before.to_dict() == {1: 0, 2: 1, 3: 0}
    assert after.to_dict() == {1: 3, 2: 0, 3: 0}
