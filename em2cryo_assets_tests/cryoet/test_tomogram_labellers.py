"""Which labeller a name stands for, and what is checked of a plug-in's answer."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from em2cryo_assets.cryoet import tomogram_labellers
from em2cryo_assets.cryoet.label_decoding import network_slab
from em2cryo_assets.cryoet.labels import label_slab, label_tomogram

VOXEL = (8.0, 8.0, 8.0)
VOLUME = np.random.default_rng(0).normal(size=(12, 60, 60)).astype(np.float32)


def half(volume, voxel_nm, modality):
    assert voxel_nm == VOXEL
    assert modality == "lamella"
    volume[:] = 0  # in place: nobody else may notice
    labels = np.zeros(volume.shape, np.int64)
    labels[:, :30] = 3
    return labels


def flat(volume, voxel_nm, modality):
    return np.zeros((1, 2, 3), int)


def halves(volume, voxel_nm, modality):
    return np.full(volume.shape, 0.5)


def codes(volume, voxel_nm, modality):
    return np.full(volume.shape, 99)


def nothing(volume, voxel_nm, modality):
    return np.zeros(volume.shape, int)


def broken(volume, voxel_nm, modality):
    raise KeyError("weights")


@pytest.fixture
def plug_in(monkeypatch):
    def install(function):
        point = EntryPoint("mine", f"{__name__}:{function.__name__}", tomogram_labellers.GROUP)
        monkeypatch.setattr(
            "em2cryo_assets.learning.plug_ins.entry_points",
            lambda group: [point] if group == tomogram_labellers.GROUP else [],
        )
        return tomogram_labellers.tomogram_labeller("mine")

    return install


def test_the_names_built_in():
    assert tomogram_labellers.tomogram_labeller("network") is network_slab
    assert tomogram_labellers.tomogram_labeller("layers") is label_slab
    assert tomogram_labellers.tomogram_labeller_names() == ["network", "layers"]
    with pytest.raises(ValueError, match="no tomogram labeller 'gone'"):
        tomogram_labellers.tomogram_labeller("gone")


def test_a_plug_in_labels_and_cannot_change_the_volume(plug_in):
    labeller = plug_in(half)
    assert tomogram_labellers.tomogram_labeller_names() == ["network", "layers", "mine"]
    before = VOLUME.copy()
    result = label_tomogram(VOLUME, VOXEL, "lamella", slab=labeller)
    np.testing.assert_array_equal(VOLUME, before)
    assert result.labels.dtype == np.uint8
    assert (result.labels[:, :30] == 3).all()
    assert not result.labels[:, 30:].any()


def test_all_outside_is_said_to_be_no_cell(plug_in):
    result = label_tomogram(VOLUME, VOXEL, "lamella", slab=plug_in(nothing))
    assert result.warnings[0].startswith("no cell found: ")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (flat, r"shape \(1, 2, 3\)"),
        (halves, "instead of whole numbers"),
        (codes, "codes from 99 to 99"),
        (broken, "weights"),
    ],
)
def test_a_wrong_answer_is_refused_in_words(plug_in, function, words):
    with pytest.raises(RuntimeError, match=words):
        plug_in(function)(VOLUME, VOXEL, "lamella")
