import numpy as np
import pytest

from em2cryo_assets.tem.resampling import Design, bootstrap_weights, interval, units_needed


def _covered(blocks: int, between: float, studies: int = 300) -> float:
    """Share of 90 % intervals of a mean that hold it: 5 cells a block, SD 1 within blocks."""
    rng = np.random.default_rng(blocks)
    cells = 5 * blocks
    design = Design([str(i) for i in range(cells)], [f"b{i // 5}" for i in range(cells)], [""] * cells)
    hits = 0
    for study in range(studies):
        value = 10 + np.repeat(rng.normal(0, between, blocks), 5) + rng.normal(size=cells)
        weights = bootstrap_weights(design, study)
        low, high = interval(weights @ value / weights.sum(axis=1), blocks)
        hits += low <= 10 <= high
    return hits / studies


@pytest.mark.parametrize("between", [0.0, 1.0])
@pytest.mark.parametrize("blocks", [6, 20])
def test_intervals_cover_as_they_promise_with_and_without_differences_between_blocks(blocks, between):
    # Binomial 99 % limits about 85 to 95 %.
    assert 0.80 < _covered(blocks, between) < 0.98


def test_few_blocks_are_replaced_by_cells():
    design = Design(list("abcdef"), ["x", "x", "x", "y", "y", "y"], [""] * 6)
    assert len(set(design.clusters)) == 6
    assert len(np.unique(bootstrap_weights(design, 1), axis=0)) > 100


def test_three_clusters_give_no_interval():
    assert np.isnan(interval(np.arange(100.0), 3)).all()


def test_units_needed_grow_with_the_square_of_the_width():
    assert units_needed(1.0, 0.8, 1.2, 30) == 30
    assert units_needed(1.0, 0.6, 1.4, 30) == 120
    assert units_needed(1.0, float("nan"), 1.2, 30) == 0
