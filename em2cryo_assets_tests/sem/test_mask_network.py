"""What the network sees, and that the weights that come with the package find simulated cells and nothing else."""

import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.learning.weights import read_tensors
from em2cryo_assets.sem import segment_cells
from em2cryo_assets.sem.mask_decoding import decoded
from em2cryo_assets.sem.mask_network import MAPS, WEIGHTS, WORKING_NM, at_working_size, mask_maps, normalised
from em2cryo_assets.sem.mask_scores import field_scores
from em2cryo_assets.sem.mask_training import Field, simulated_field

_SEED = 900_100  # no training uses it


@pytest.fixture(scope="module")
def field() -> Field:
    return simulated_field(_SEED, 224, held_out=True)


def test_the_network_sees_no_scale_of_grey(field: Field) -> None:
    image = field.image.astype(np.float32)
    np.testing.assert_allclose(normalised(image), normalised(7 * image + 300), atol=1e-3)
    raw, local = normalised(image)
    assert raw.min() == 0
    assert raw.max() == 1
    assert abs(float(local.mean())) < 0.2


def test_local_contrast_lifts_what_is_dark_and_leaves_noise_in_the_black(field: Field) -> None:
    image = field.image.astype(np.float32) + 10
    dim = image.copy()
    dim[:, :112] *= 0.1
    local = normalised(dim)[1]
    assert local[:, 20:90].std() > 0.3 * local[:, 134:204].std()
    black = np.zeros((120, 240), np.float32)
    black[:, 120:] = 255 * (np.indices((120, 120))[1] // 20 % 2)
    black += np.random.default_rng(0).normal(0, 0.5, black.shape)
    assert np.abs(normalised(black)[1][:, 10:70]).mean() < 0.1


def test_what_is_excluded_says_nothing(field: Field) -> None:
    image = field.image.astype(np.float32)
    excluded = np.zeros(image.shape, bool)
    excluded[190:] = True
    barred = image.copy()
    barred[190:] = 1e4
    one, other = normalised(image, excluded), normalised(barred, excluded)
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert not one[:, excluded].any()
    assert not normalised(image, np.ones(image.shape, bool)).any()


@pytest.mark.parametrize("pixel_nm", [13.5, 27.0, 54.0, 108.0])
def test_any_pixel_size_comes_to_the_working_size(pixel_nm: float) -> None:
    n = round(200 * WORKING_NM / pixel_nm)
    y, x = (np.indices((n, n)) + 0.5) * pixel_nm
    image = 100 + 50 * np.sin(y / 900.0) * np.sin(x / 1300.0)
    excluded = np.zeros((n, n), bool)
    excluded[: n // 4] = True
    image[excluded] = 1e4
    small, barred = at_working_size(image, pixel_nm, excluded)
    assert small.shape == (200, 200)
    y, x = (np.indices((200, 200)) + 0.5) * WORKING_NM
    exact = 100 + 50 * np.sin(y / 900.0) * np.sin(x / 1300.0)
    assert np.abs(small - exact)[60:-3, 3:-3].max() < 3.0
    assert barred[:49].all()
    assert not barred[52:].any()


def test_the_weights_are_small_and_say_how_they_were_made() -> None:
    assert WEIGHTS.stat().st_size < 4_000_000
    _, about = read_tensors(WEIGHTS)
    assert about["maps"] == list(MAPS)
    assert about["working_nm"] == WORKING_NM
    assert {"seed", "steps", "fields"} <= set(about)
    card = WEIGHTS.with_suffix(".md").read_text()
    assert str(about["steps"]) in card


def test_a_held_out_pile_is_found_whichever_way_it_lies(field: Field) -> None:
    labels = decoded(mask_maps(field.image))
    scores = field_scores(field, labels)
    asked = scores[scores["kind"] != "extra"]
    assert len(asked) >= 8
    assert (asked["iou"] >= 0.5).mean() >= 0.75
    assert asked.loc[asked["kind"] == "clear", "iou"].median() > 0.85
    # The mean over mirror images makes a mirrored field give mirrored maps, up to the padding at the rim.
    turned = mask_maps(np.ascontiguousarray(field.image[:, ::-1])).foreground[:, ::-1]
    np.testing.assert_allclose(turned, mask_maps(field.image).foreground, atol=1e-3)


def _empty(kind: str) -> np.ndarray:
    rng = np.random.default_rng(11)
    y, x = np.indices((240, 300), dtype=float)
    noise = rng.standard_normal((240, 300))
    if kind == "noise":
        return 90 + 20 * noise
    if kind == "gradient":
        return 60 + 0.3 * x + 0.2 * y + 3 * noise
    if kind == "grain":
        return 90 + 60 * ndimage.gaussian_filter(noise, 2) + 400 * ndimage.gaussian_filter(noise, 8)
    out = 120 + 8 * noise
    for cy, cx in rng.uniform(0, 240, (40, 2)):
        out[np.hypot(y - cy, x - cx) < 7] = 30
    return out


@pytest.mark.parametrize("kind", ["noise", "gradient", "grain", "pores"])
def test_pictures_without_cells_give_none(kind: str) -> None:
    assert segment_cells(_empty(kind).astype(np.float32), WORKING_NM).max() == 0
    assert segment_cells(np.full((50, 60), 7, np.float32), WORKING_NM).max() == 0


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_pixel_size_that_is_wrong_by_ten_gives_next_to_no_cells(field: Field, factor: float) -> None:
    right = segment_cells(field.image.astype(np.float32), WORKING_NM)
    image = field.image if factor < 1 else field.image[:80, :80]
    wrong = segment_cells(image.astype(np.float32), WORKING_NM * factor)
    assert right.max() >= 8
    assert wrong.max() <= 2
