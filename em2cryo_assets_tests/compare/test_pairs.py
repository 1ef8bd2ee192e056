import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from em2cryo_assets.compare.degrade import averaged
from em2cryo_assets.compare.interior import normalised, power_spectrum
from em2cryo_assets.compare.pairs import PAIR_COLUMNS, VARIANTS, compare_pair, plan_pairs
from em2cryo_assets.compare.pose import SlabPose, slab_pose
from em2cryo_assets.compare.record import TomogramRecord, why_not_comparable
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.compare.bodies import TILTS_DEG, cell, tomogram_of

RECORD = TomogramRecord((30, 120, 120), (8.0, 8.0, 8.0), "lamella", TILTS_DEG, snr=0.5, unit="cell-7")


@pytest.fixture(scope="module")
def model():
    return cell(seed=1)


@pytest.fixture(scope="module")
def tomogram():
    density, labels = cell(seed=2)
    centre = np.array(density.shape) / 2 * 40 + np.array([0, 1650.0, 0])
    return tomogram_of(density, labels, 40.0, RECORD, SlabPose(centre, np.eye(3), wall_in_view=True), seed=0)


@pytest.fixture(scope="module")
def pair(model, tomogram):
    return compare_pair(*model, 40.0, *tomogram, RECORD, cell="a-1", tomogram="t-1", seed=0)


TYPES = [*"OOOOOO", *"ifff"]


def types(vectors):
    """Kinds of the columns, whichever of its string types pandas chose."""
    return [t.kind if isinstance(t, np.dtype) else "O" for t in vectors.dtypes]


def by_variant(vectors, characteristic):
    rows = vectors[vectors["characteristic"] == characteristic]
    return rows.pivot_table(index="bin", columns="variant", values="value").dropna()


def test_a_pair_has_the_columns_and_every_variant(pair):
    vectors, _ = pair
    assert tuple(vectors.columns) == PAIR_COLUMNS
    assert types(vectors) == TYPES
    assert {"model", "homogeneous", "phase_randomised", "reference"} <= set(vectors["variant"]) <= set(VARIANTS)
    assert set(vectors["unit_tomogram"]) == {"cell-7"}
    assert set(vectors["unit_cell"]) == {"a-1"}
    for name in ("depth_profile", "density_distribution", "power_spectrum"):
        table = by_variant(vectors, name)
        assert len(table) >= 5, name
        assert {"model", "homogeneous", "reference"} <= set(table.columns)


def test_a_pair_repeats_and_depends_on_its_seed_and_keys(model, tomogram, pair):
    def again(seed=0, name="a-1"):
        return compare_pair(*model, 40.0, *tomogram, RECORD, cell=name, tomogram="t-1", seed=seed)

    vectors, slabs = again()
    assert vectors.equals(pair[0])
    np.testing.assert_array_equal(slabs["after"], pair[1]["after"])
    assert not np.array_equal(again(seed=1)[1]["after"], slabs["after"])
    assert not np.array_equal(again(name="a-2")[1]["after"], slabs["after"])


def test_pictures_lie_on_one_grid_at_one_scale(pair):
    slabs = pair[1]
    assert slabs["tomogram"].shape == slabs["before"].shape == slabs["after"].shape == (15, 60, 60)
    np.testing.assert_allclose(slabs["voxel_nm"], 16)


def textured_block(seed):
    """1.2 µm of cytoplasm whose texture is finer than the model's voxel: at 10 nm, and as 40 nm means."""
    grain = np.random.default_rng(seed).standard_normal((120, 120, 120), dtype=np.float32)
    fine = ndimage.gaussian_filter(grain, 1.5)
    return fine, averaged(fine, 4)


@pytest.mark.parametrize("snr", [0.2, 1.0])
def test_degradation_brings_the_model_to_the_tomogram_s_spectrum(snr):
    # One texture on both sides, so that only the instruments differ.
    record = TomogramRecord((24, 64, 64), (8.0, 8.0, 8.0), "lamella", TILTS_DEG, snr=snr)
    truth, model = textured_block(1)[0], textured_block(2)[1]
    labels = {v.shape: np.full(v.shape, LABELS["cytoplasm"], np.uint8) for v in (truth, model)}
    pose = SlabPose(np.full(3, 595.0), np.eye(3), wall_in_view=False)
    after, before = [], []
    for seed in range(4):
        image = tomogram_of(truth, labels[truth.shape], 10.0, record, pose, seed=seed)
        key = {"cell": "a", "tomogram": f"t{seed}", "seed": 0}
        vectors, slabs = compare_pair(model, labels[model.shape], 40.0, *image, record, **key)
        table = by_variant(vectors, "power_spectrum")
        after.append(table["model"] - table["reference"])
        inside = np.full(slabs["before"].shape, LABELS["cytoplasm"], np.uint8)
        plain = power_spectrum(normalised(slabs["before"], inside), inside, (16.0,) * 3, finest_nm=40.0)
        before.append(plain.set_index("bin")["value"] - table["reference"])
    after, before = (np.sqrt((pd.concat(d, axis=1).mean(axis=1) ** 2).mean()) for d in (after, before))
    assert after < 0.75 * before
    assert after < 0.2


def test_the_same_cell_scores_better_than_its_fakes(model):
    # A tomogram of the model itself, at good signal: averaged over poses the model must lie nearer.
    record = TomogramRecord((30, 120, 120), (8.0, 8.0, 8.0), "lamella", TILTS_DEG, snr=5.0)
    distance = {"model": [], "homogeneous": []}
    for seed in range(4):
        pose = slab_pose(model[1], 40.0, record, None, seed=seed)
        density, labels = tomogram_of(*model, 40.0, record, pose, seed=seed)
        vectors, _ = compare_pair(*model, 40.0, density, labels, record, cell="a", tomogram=f"t{seed}", seed=seed)
        table = by_variant(vectors, "power_spectrum")
        for name, values in distance.items():
            values.append(np.sqrt(((table[name] - table["reference"]) ** 2).mean()))
    assert np.mean(distance["model"]) < np.mean(distance["homogeneous"])


def test_no_cell_ends_in_a_reason_not_in_an_error(model):
    empty = np.zeros(RECORD.shape, np.uint8)
    assert "no cell found" in why_not_comparable(empty, "lamella")
    density = np.random.default_rng(0).standard_normal(RECORD.shape)
    vectors, slabs = compare_pair(*model, 40.0, density, empty, RECORD, cell="a", tomogram="t", seed=0)
    assert len(vectors) == 0
    assert tuple(vectors.columns) == PAIR_COLUMNS
    assert types(vectors) == TYPES
    assert set(slabs) == {"tomogram", "voxel_nm"}


def test_what_cannot_be_compared_says_why():
    full = np.full((30, 60, 60), LABELS["cytoplasm"], np.uint8)
    assert why_not_comparable(full, "lamella") == ""
    assert "cytoplasm" in why_not_comparable(np.ones_like(full), "lamella")
    assert "overview" in why_not_comparable(full, "overview")


def test_a_slab_of_the_interior_has_texture_but_no_depth(model):
    pose = slab_pose(model[1], 40.0, RECORD, None, seed=0)
    density, labels = tomogram_of(*model, 40.0, RECORD, pose, seed=1)
    assert (labels > LABELS["membrane"]).all()
    vectors, _ = compare_pair(*model, 40.0, density, labels, RECORD, cell="a", tomogram="t", seed=0)
    reference = vectors[vectors["variant"] == "reference"]
    assert "depth_profile" not in set(reference["characteristic"])
    assert "power_spectrum" in set(reference["characteristic"])


def test_a_whole_cell_volume_is_compared_whole(model):
    record = TomogramRecord((64, 64, 64), (90.0, 90.0, 90.0), "soft-x-ray", None, snr=None)
    density, labels = cell(voxel_nm=90.0, seed=5)
    pad = [((64 - n) // 2, 64 - n - (64 - n) // 2) for n in labels.shape]
    labels, density = np.pad(labels, pad), np.pad(density, pad, constant_values=0.1)
    vectors, slabs = compare_pair(*model, 40.0, density, labels, record, cell="a", tomogram="x", seed=0)
    assert slabs["after"].shape == record.shape
    assert {"model", "label_permuted", "reference"} <= set(vectors["variant"])
    # The same stain on both sides, so the order of contrasts agrees.
    order = vectors[(vectors["characteristic"] == "contrast_order") & (vectors["variant"] == "model")]
    assert order["value"].item() == pytest.approx(1)
    assert record.fallbacks()


def test_wrong_shapes_are_refused(model, tomogram):
    with pytest.raises(ValueError, match="not the record's"):
        compare_pair(*model, 40.0, tomogram[0][1:], tomogram[1][1:], RECORD, cell="a", tomogram="t", seed=0)


KEYS = st.sets(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=12)


@given(cells=KEYS, tomograms=KEYS, extra=st.text("xyz", min_size=1, max_size=4), seed=st.integers(0, 99))
def test_another_tomogram_changes_no_other_pair(cells, tomograms, extra, seed):
    before = plan_pairs(cells, tomograms, seed=seed)
    after = plan_pairs(cells, tomograms | {extra}, seed=seed)
    assert [p for p in after if p[1] != extra] == [p for p in before if p[1] != extra]
    assert len(before) == len(set(before)) == min(5, len(cells)) * len(tomograms)


@given(cells=KEYS, tomograms=KEYS, extra=st.text("xyz", min_size=1, max_size=4))
def test_another_cell_replaces_at_most_one_pair_a_tomogram(cells, tomograms, extra):
    before = set(plan_pairs(cells, tomograms, per_tomogram=3, seed=1))
    after = set(plan_pairs(cells | {extra}, tomograms, per_tomogram=3, seed=1))
    assert {p for p in after - before if p[0] != extra} == set()
    assert len(before - after) <= len(tomograms)


def test_plan_does_not_favour_cells_and_ignores_order():
    cells = [f"c{i}" for i in range(20)]
    tomograms = [f"t{i}" for i in range(200)]
    pairs = plan_pairs(cells, tomograms, seed=0)
    assert pairs == plan_pairs(reversed(cells), reversed(tomograms), seed=0)
    counts = [sum(c == cell for c, _ in pairs) for cell in cells]
    # Binomial with mean 50, SD 6.1.
    assert min(counts) > 25
    assert max(counts) < 75
    with pytest.raises(ValueError, match="At least one"):
        plan_pairs(cells, tomograms, per_tomogram=0, seed=0)
