"""Studies of known answers: drawn as clusters, wrong by as much as was asked for, and judged by the same rules."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.compare.calibration import CALIBRATION_COLUMNS, judged_studies, rates
from em2cryo_assets.compare.calibration_pool import read_pool, write_pool
from em2cryo_assets.compare.distances import distance_excess
from em2cryo_assets.compare.known_answers import (
    A_FAKE,
    NO_DIFFERENCE,
    SLABS_ONLY,
    WHOLE,
    Population,
    Sizes,
    known_answers,
)
from em2cryo_assets.compare.known_pairs import drawn_pairs
from em2cryo_assets.compare.known_studies import draw_tables
from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.table import comparison_table
from em2cryo_assets.compare.trust import trust

SIZES = Sizes(cells=24, sections=12, blocks=True, slabs=8, wholes=16, pairs=2)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(read_pool())


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    return judged_studies(read_pool(), SIZES, 4, seed=5)


def scalars(population: Population, answer_index: int, turn: int, seed: int) -> pd.DataFrame:
    sizes = Sizes(cells=400, sections=200, blocks=True, slabs=0, wholes=400)
    answer = known_answers(population, SIZES, seed=0)[answer_index]
    drawn = draw_tables(population, sizes, answer, seed, turn)
    table = comparison_table(drawn.cells, drawn.tomograms, drawn.sections, drawn.pairs, live_um=drawn.live_um)
    return table.set_index("characteristic")


@pytest.mark.parametrize(("answer", "factor"), [(0, 0.0), (1, 0.5), (2, 1.0)])
@pytest.mark.parametrize("turn", [0, 1])
def test_large_studies_find_the_difference_that_was_put_in(
    population: Population, answer: int, factor: float, turn: int
) -> None:
    table = scalars(population, answer, turn, seed=11)
    wanted = factor * (1 if turn % 2 else -1)
    for name in ("log_volume", "axis_ratio", "fraction_nucleus", "fraction_vacuole"):
        row = table.loc[name]
        delta = MARGINS[name].delta
        found = row["estimate_model"] - row["estimate_reference"]
        se = np.hypot(row["sd_model"] / np.sqrt(row["n_model"]), row["sd_reference"] / np.sqrt(row["n_reference"]))
        if row["scale"] == "ratio":
            found, se = np.log(row["estimate_model"] / row["estimate_reference"]), se / row["estimate_reference"]
        assert abs(found - wanted * delta) < 4 * se, name


@pytest.mark.parametrize(("number", "target"), [(0, 0.0), (2, 1.0)])
def test_a_model_is_as_wrong_as_was_asked_for_on_average(population: Population, number: int, target: float) -> None:
    answer = known_answers(population, SIZES, seed=1)[number]
    excess = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        chosen = rng.integers(len(population.slabs.names), size=SIZES.slabs)
        pairs = drawn_pairs(population, SIZES, answer, chosen, [f"c{i}" for i in range(SIZES.cells)], rng, seed)
        found = distance_excess(pairs, "density_distribution", "model", seed=seed)
        excess += [found.excess] if found is not None else []
    error = np.std(excess, ddof=1) / np.sqrt(len(excess))
    assert error < 0.2 * MARGINS["density_distribution"].delta
    assert abs(np.mean(excess) - target * MARGINS["density_distribution"].delta) < 4 * error


def test_units_are_drawn_whole_and_counted_apart(population: Population) -> None:
    answer = known_answers(population, SIZES, seed=0)[0]
    drawn = draw_tables(population, SIZES, answer, 3, 0)
    assert drawn.cells["unit"].nunique() == SIZES.cells
    assert drawn.sections["block"].nunique() == SIZES.sections
    assert drawn.tomograms["unit"].nunique() == SIZES.slabs + SIZES.wholes
    of_a_unit = population.pool.cells.groupby("unit").size()
    for unit, size in drawn.cells.groupby("unit").size().items():
        assert size == of_a_unit[str(unit).rpartition("~")[0]]
    slabs = set(drawn.pairs["tomogram"])
    assert slabs <= set(drawn.tomograms["key"])
    assert set(drawn.pairs.groupby("tomogram")["unit_cell"].nunique()) == {SIZES.pairs}


def test_a_study_depends_on_its_seed_alone(population: Population) -> None:
    answer = known_answers(population, SIZES, seed=0)[2]
    first, again, other = (draw_tables(population, SIZES, answer, seed, 1) for seed in (8, 8, 9))
    pd.testing.assert_frame_equal(first.pairs, again.pairs)
    pd.testing.assert_frame_equal(first.cells, again.cells)
    assert not first.cells["value"].equals(other.cells["value"])


@pytest.mark.slow
def test_verdicts_on_known_answers(judged: pd.DataFrame) -> None:
    found = rates(judged)
    assert tuple(found.columns) == CALIBRATION_COLUMNS
    volume = found[found["characteristic"] == "log_volume"].set_index("answer")
    assert volume.loc[NO_DIFFERENCE, "n_captured"] >= 3
    assert volume.loc[WHOLE, "n_captured"] == 0
    fakes = found[found["answer"] == A_FAKE]
    assert fakes["n_captured"].sum() == 0
    assert set(fakes["fake"]) >= {"half_volume", "twice_volume", "homogeneous", "random_ellipsoid", "sphere"}
    slabs = found[(found["answer"] == SLABS_ONLY) & (found["asked"] == "not assessable: always")]
    assert {"log_volume", "axis_ratio", "sphericity", "fraction_nucleus"} <= set(slabs["characteristic"])
    assert (slabs["n_not_assessable"] == slabs["studies"]).all()
    assert (slabs["kept"] == "yes").all()
    assert ((found["rate_low"] <= found["rate"]) & (found["rate"] <= found["rate_high"])).all()


@pytest.mark.slow
def test_other_ways_to_spread_the_work_change_nothing(judged: pd.DataFrame) -> None:
    def backwards(judge, tasks) -> Iterator[pd.DataFrame]:
        made = [judge(task) for task in reversed(list(tasks))]
        return iter(reversed(made))

    few = judged_studies(read_pool(), SIZES, 1, seed=5, spread=backwards)
    same = judged[judged["study"].isin([0]) | ((judged["answer"] == A_FAKE) & judged["study"].isin([0, 1]))]
    pd.testing.assert_frame_equal(few, same.reset_index(drop=True))


@pytest.mark.slow
def test_every_judged_characteristic_has_a_sentence_on_trust(judged: pd.DataFrame) -> None:
    found = rates(judged)
    said = trust(found)
    assert set(said) == set(found["characteristic"])
    assert " of 4 where nothing differed" in said["log_volume"].en
    assert all(sentence.en and sentence.ko for sentence in said.values())


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(cells=0, sections=0, blocks=False, slabs=0, wholes=0),
        Sizes(cells=1, sections=1, blocks=False, slabs=1, wholes=0),
        Sizes(cells=5, sections=0, blocks=False, slabs=0, wholes=4),
    ],
)
def test_studies_of_next_to_nothing_capture_nothing(sizes: Sizes) -> None:
    judged = judged_studies(read_pool(), sizes, 1, seed=1)
    assert not (judged["verdict"] == "captured").any() or sizes.wholes >= 4


def test_a_pool_reads_back_as_it_was_written(tmp_path, population: Population) -> None:
    pool = population.pool
    rows = []
    for name, vectors in pool.vectors.items():
        for u, unit in enumerate(vectors.units):
            for b, number in enumerate(vectors.bins):
                if np.isfinite(vectors.real[u, b]):
                    value = vectors.real[u, b]
                    value = np.exp(value) if name == "autocorrelation_length" else value
                    for variant in ("reference", "model", "homogeneous"):
                        rows.append(
                            ("c", unit, "c", unit, variant, name, number, vectors.x[b], value, vectors.weight[u, b])
                        )
    names = [
        "cell",
        "tomogram",
        "unit_cell",
        "unit_tomogram",
        "variant",
        "characteristic",
        "bin",
        "x",
        "value",
        "weight",
    ]
    pairs = pd.DataFrame(rows, columns=names)
    slabs = pool.tomograms.assign(key=pool.tomograms["unit"])
    write_pool(tmp_path, pool.cells, slabs, pool.sections, pairs, pool.live_um)
    again = read_pool(tmp_path)
    for name, vectors in pool.vectors.items():
        # A tomogram in which nothing could be measured leaves no row.
        seen = np.isfinite(vectors.real).any(axis=1)
        np.testing.assert_allclose(again.vectors[name].real, vectors.real[seen], rtol=1e-5, atol=1e-5)
