"""A count is the Poisson quantile of its pixel's own draw, exactly, and of nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import pdtr, pdtrc

from em2cryo_assets.phantom.counting import poisson_counts


class Given:
    """Stands in for a generator: gives the uniform numbers it was made with."""

    def __init__(self, values):
        self.values = np.asarray(values, dtype=np.float64)

    def random(self, shape):
        return self.values.reshape(shape)


def counts_of(uniform, mean):
    uniform, mean = np.broadcast_arrays(np.asarray(uniform, dtype=np.float64), np.asarray(mean, dtype=np.float64))
    return poisson_counts(mean, Given(uniform))


def assert_smallest_that_reaches(counts, uniform, mean):
    """P(K <= k) >= u > P(K < k), to the 1e-11 of its value that the incomplete gamma function itself is good for."""
    above, slack = 1.0 - uniform, 1.0 + 1e-11
    low = uniform <= 0.5
    reaches = np.where(low, pdtr(counts, mean) * slack >= uniform, pdtrc(counts, mean) <= above * slack)
    before = np.maximum(counts - 1, 0)
    misses = np.where(low, pdtr(before, mean) <= uniform * slack, pdtrc(before, mean) * slack >= above)
    assert reaches.all()
    assert misses[counts > 0].all()


MEANS = np.concatenate([10.0 ** np.arange(-6, 7), [3.999, 4.0, 4.001, 7.3, 15.0, 33.0, 740.0]])


@pytest.mark.parametrize("mean", MEANS)
def test_agrees_with_scipy_over_the_whole_range(mean):
    tail = np.logspace(-17, -1, 400)
    uniform = np.concatenate([np.random.default_rng(0).random(4000), tail, 1.0 - tail])
    uniform = uniform[uniform < 1.0]
    found = counts_of(uniform, mean)
    assert_smallest_that_reaches(found, uniform, mean)
    # SciPy's own quantile rounds the distribution function to 1 in the last 1e-13.
    plain = (uniform > 1e-13) & (uniform < 1 - 1e-13)
    assert np.array_equal(found[plain], stats.poisson.ppf(uniform[plain], mean))


@given(
    st.floats(min_value=-6, max_value=6),
    # A generator gives multiples of 2^-53, and nothing between 0 and the first.
    st.lists(st.integers(0, 2**53 - 1) | st.integers(0, 2000) | st.integers(2**53 - 2000, 2**53 - 1), min_size=1),
)
def test_is_the_smallest_count_that_reaches_its_draw(log_mean, draws):
    uniform = np.array(draws) * 2.0**-53
    mean = np.full(uniform.shape, 10.0**log_mean)
    assert_smallest_that_reaches(counts_of(uniform, mean), uniform, mean)


@given(st.floats(min_value=-2, max_value=4), st.integers(min_value=0, max_value=60), st.booleans())
def test_a_draw_just_beside_a_step_falls_on_its_side(log_mean, away, above):
    mean = 10.0**log_mean
    step = max(0.0, round(mean + (away - 30) / 8 * np.sqrt(mean)))
    reached = float(pdtr(step, mean))
    if not 1e-6 < reached < 1 - 1e-6:
        return
    found = counts_of([reached * (1 + 1e-9 if above else 1 - 1e-9)], mean)[0]
    assert found == step + above


def test_lowest_and_highest_draw():
    assert not counts_of(0.0, [1e-6, 0.3, 5.0, 1e6])[:3].any()
    highest = counts_of(np.nextafter(1.0, 0.0), MEANS)
    assert np.isfinite(highest).all()
    assert (highest > MEANS).all()
    assert counts_of([0.5, 0.999], [0.0, 0.0]).tolist() == [0.0, 0.0]


def test_a_pixel_depends_on_itself_alone():
    rng = np.random.default_rng(3)
    mean, uniform = 10.0 ** rng.uniform(-3, 4, 60_000), rng.random(60_000)
    whole = counts_of(uniform, mean)
    assert counts_of(uniform.reshape(200, 300), mean.reshape(200, 300)).tobytes() == whole.tobytes()
    parts = [counts_of(uniform[i : i + 977], mean[i : i + 977]) for i in range(0, 60_000, 977)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    other = mean.copy()
    other[1::2] = rng.permutation(mean)[1::2]
    assert np.array_equal(counts_of(uniform, other)[::2], whole[::2])


def test_takes_one_number_a_pixel():
    a, b = np.random.default_rng(1), np.random.default_rng(1)
    poisson_counts(np.linspace(0, 50, 600).reshape(20, 30), a)
    b.random((20, 30))
    assert a.random() == b.random()
