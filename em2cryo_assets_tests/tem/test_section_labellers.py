"""Somebody else's labeller comes in by name, and is held to what it promises."""

import sys
import types
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from em2cryo_assets.learning import plug_ins
from em2cryo_assets.tem import section_labellers
from em2cryo_assets.tem.labels import label_section
from em2cryo_assets.tem.section_decoding import network_section

_IMAGE = np.arange(48, dtype=np.float32).reshape(6, 8)


def good(density, pixel_size_nm, excluded):
    """Two pieces; writes on what it was given."""
    labels = np.zeros(density.shape, np.int64)
    labels[:2, :4], labels[4:, :] = 1, 3
    density[:] = pixel_size_nm
    excluded[:] = True
    return labels


def flat(density, pixel_size_nm, excluded):
    return np.zeros(5, int)


def halves(density, pixel_size_nm, excluded):
    return 0.5 * np.ones(density.shape)


def beyond(density, pixel_size_nm, excluded):
    return np.full(density.shape, 8)


def failing(density, pixel_size_nm, excluded):
    raise KeyError("weights")


not_a_function = 7


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    def install(**names: str) -> None:
        group = section_labellers.GROUP
        points = [EntryPoint(k.removesuffix("_2"), f"labellers_of_others:{v}", group) for k, v in names.items()]
        monkeypatch.setattr(plug_ins, "entry_points", lambda group: points if points[0].group == group else [])
        module = types.ModuleType("labellers_of_others")
        module.__dict__.update(globals())
        monkeypatch.setitem(sys.modules, "labellers_of_others", module)

    return install


def test_the_two_built_in_have_names_and_cannot_be_taken_over(installed) -> None:
    installed(network="good")
    assert section_labellers.section_labeller("network") is network_section
    assert section_labellers.section_labeller("levels") is label_section
    assert section_labellers.section_labeller_names() == ["network", "levels"]


def test_a_plug_in_is_found_and_its_pieces_are_profiles(installed) -> None:
    installed(mine="good")
    assert section_labellers.section_labeller_names() == ["network", "levels", "mine"]
    image, excluded = _IMAGE.copy(), np.zeros(_IMAGE.shape, bool)
    excluded[5] = True
    result = section_labellers.section_labeller("mine")(image, 20.0, excluded)
    assert result.labels.dtype == np.uint8
    assert np.unique(result.profiles).tolist() == [0, 1, 2]
    assert not result.labels[5].any()  # what is excluded is no cell, whatever it says
    assert result.touching_border == (1, 2)
    np.testing.assert_array_equal(image, _IMAGE)
    assert excluded.sum() == 8


@pytest.mark.parametrize(
    ("name", "said"), [("flat", "shape"), ("halves", "whole numbers"), ("beyond", "to 8"), ("failing", "weights")]
)
def test_what_a_plug_in_does_wrong_is_told_by_its_name(installed, name: str, said: str) -> None:
    installed(theirs=name)
    with pytest.raises(RuntimeError, match=said) as error:
        section_labellers.section_labeller("theirs")(_IMAGE, 20.0, None)
    assert "'theirs'" in str(error.value)


def test_names_that_lead_nowhere_are_refused_with_a_remedy(installed) -> None:
    installed(gone="missing", seven="not_a_function", twice="good", twice_2="flat")
    with pytest.raises(ImportError, match=r"'gone'.*uninstall"):
        section_labellers.section_labeller("gone")
    with pytest.raises(ImportError, match="'seven'"):
        section_labellers.section_labeller("seven")
    with pytest.raises(ValueError, match="Several packages"):
        section_labellers.section_labeller("twice")
    with pytest.raises(ValueError, match="there are network, levels"):
        section_labellers.section_labeller("cellpose")
