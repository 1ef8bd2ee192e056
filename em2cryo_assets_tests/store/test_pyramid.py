import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from em2cryo_assets.store.pyramid import halve_image, halve_labels, level_shapes

_SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)


def _by_definition(block: np.ndarray) -> np.ndarray:
    """Exact mean over the padded 2-blocks, in wide arithmetic."""
    padded = np.pad(block, [(0, side % 2) for side in block.shape], mode="edge").astype(np.float64)
    split = padded.reshape([part for side in padded.shape for part in (side // 2, 2)])
    return split.mean(axis=tuple(range(1, 2 * block.ndim, 2)))


@settings(deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["u1", "u2", "i2", "i4"]))
def test_integers_are_means_rounded_half_up(data: st.DataObject, dtype: str) -> None:
    block = data.draw(hnp.arrays(dtype, _SHAPES))
    halved = halve_image(block)
    assert halved.dtype == block.dtype
    np.testing.assert_array_equal(halved, np.floor(_by_definition(block) + 0.5))


@settings(deadline=None)
@given(block=hnp.arrays("f4", _SHAPES, elements=st.floats(-1000, 1000, width=32)))
def test_floats_are_means(block: np.ndarray) -> None:
    halved = halve_image(block)
    assert halved.dtype == np.float32
    np.testing.assert_allclose(halved, _by_definition(block), atol=1e-3)


def test_the_total_is_conserved_on_even_sides() -> None:
    block = np.random.default_rng(0).random((8, 6, 4)).astype(np.float32)
    assert halve_image(block).mean() == pytest.approx(block.mean(), rel=1e-6)


def test_labels_are_never_mixed_and_a_thin_membrane_keeps_its_share() -> None:
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[:, :, 10:11] = 2
    labels[:, :, 33:34] = 7
    halved = halve_labels(labels)
    assert set(np.unique(halved)) <= {0, 2, 7}
    radius = np.linalg.norm(np.indices((96, 96, 96)) - 47.3, axis=0)
    shell = ((radius > 38) & (radius < 39)).astype(np.uint8)  # one voxel thick, at every slant
    assert halve_labels(shell).mean() == pytest.approx(shell.mean(), rel=0.03)


def test_levels_end_when_one_chunk_holds_all() -> None:
    assert level_shapes((129, 300, 30), 128) == [(129, 300, 30), (65, 150, 15), (33, 75, 8)]
    assert level_shapes((128, 1), 128) == [(128, 1)]
