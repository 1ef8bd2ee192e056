"""Somebody else's segmenter comes in by name, and is held to what it promises."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from em2cryo_assets.sem import segmenters
from em2cryo_assets.sem.masks import segment_cells
from em2cryo_assets.sem.region_selection import select_cells

_IMAGE = np.arange(48, dtype=np.float32).reshape(6, 8)


def good(image, pixel_size_nm, excluded):
    """Two cells, numbered 3 and 9; writes on what it was given."""
    labels = np.zeros(image.shape, np.int64)
    labels[:2, :4], labels[4:, :] = 9, 3
    image[:] = pixel_size_nm
    excluded[:] = True
    return labels


def flat(image, pixel_size_nm, excluded):
    return np.zeros(5, int)


def halves(image, pixel_size_nm, excluded):
    return 0.5 * np.ones(image.shape)


def below(image, pixel_size_nm, excluded):
    return np.full(image.shape, -1)


def failing(image, pixel_size_nm, excluded):
    raise KeyError("weights")


not_a_function = 7


@pytest.fixture
def plug_ins(monkeypatch: pytest.MonkeyPatch):
    def install(**names: str) -> None:
        points = [EntryPoint(k.removesuffix("_2"), f"{__name__}:{v}", segmenters.GROUP) for k, v in names.items()]
        monkeypatch.setattr(
            "em2cryo_assets.learning.plug_ins.entry_points", lambda group: points if group == segmenters.GROUP else []
        )
        import sys

        monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _module())

    return install


def _module():
    import types

    module = types.ModuleType(__name__)
    module.__dict__.update(globals())
    return module


def test_the_two_built_in_have_names_and_cannot_be_taken_over(plug_ins) -> None:
    plug_ins(network="good")
    assert segmenters.segmenter("network") is segment_cells
    assert segmenters.segmenter("regions") is select_cells
    assert segmenters.segmenter_names() == ["network", "regions"]


def test_a_plug_in_is_found_and_its_labels_are_put_in_order(plug_ins) -> None:
    plug_ins(mine="good")
    assert segmenters.segmenter_names() == ["network", "regions", "mine"]
    image, excluded = _IMAGE.copy(), np.zeros(_IMAGE.shape, bool)
    excluded[5] = True
    labels = segmenters.segmenter("mine")(image, 20.0, excluded)
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert not labels[5].any()  # what is excluded is no cell, whatever it says
    np.testing.assert_array_equal(image, _IMAGE)
    assert excluded.sum() == 8


@pytest.mark.parametrize(
    ("name", "said"), [("flat", "shape"), ("halves", "whole numbers"), ("below", "-1"), ("failing", "weights")]
)
def test_what_a_plug_in_does_wrong_is_told_by_its_name(plug_ins, name: str, said: str) -> None:
    plug_ins(theirs=name)
    with pytest.raises(RuntimeError, match=said) as error:
        segmenters.segmenter("theirs")(_IMAGE, 20.0, None)
    assert "'theirs'" in str(error.value)


def test_names_that_lead_nowhere_are_refused_with_a_remedy(plug_ins) -> None:
    plug_ins(gone="missing", seven="not_a_function", twice="good", twice_2="flat")
    with pytest.raises(ImportError, match=r"'gone'.*uninstall"):
        segmenters.segmenter("gone")
    with pytest.raises(ImportError, match="'seven'"):
        segmenters.segmenter("seven")
    with pytest.raises(ValueError, match="Several packages"):
        segmenters.segmenter("twice")
    with pytest.raises(ValueError, match="there are network, regions"):
        segmenters.segmenter("cellpose")
