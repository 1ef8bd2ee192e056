"""Thickness of a slab in a volume that was reconstructed deeper."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.cryoet.slab_extent import slab_planes


@settings(max_examples=40, deadline=None)
@given(above=st.integers(0, 9), below=st.integers(0, 9), depth=st.integers(4, 20), slant=st.floats(-1.5, 1.5))
def test_the_planes_of_a_slab_with_an_inclined_wall_are_found(above, below, depth, slant):
    z, _, x = np.ogrid[:depth, :12, :60]
    cell = np.broadcast_to(x > 20 + slant * (z - depth / 2), (depth, 12, 60))
    labels = np.pad(np.where(cell, 3, 0), ((above, below), (0, 0), (0, 0)))
    assert slab_planes(labels) == slice(above, above + depth)


def test_ragged_faces_are_found_within_a_voxel():
    rng = np.random.default_rng(0)
    face = rng.integers(-1, 2, (2, 30, 30))
    z = np.arange(24)[:, None, None]
    labels = np.where((z >= 6 + face[0]) & (z < 18 + face[1]), 3, 0)
    found = slab_planes(labels)
    assert abs(found.start - 6) <= 1
    assert abs(found.stop - 18) <= 1


def test_without_a_cell_all_planes_are_kept():
    assert slab_planes(np.zeros((7, 5, 5), int)) == slice(0, 7)
