import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.phantom.section_flaws import compression_matrix
from em2cryo_assets.tem.compression import known_compression, length_kept, prior_by_resin, wall_stretch


@given(share=st.floats(0, 0.6), turn=st.floats(0, 180))
def test_lines_in_all_directions_keep_their_mean_length(share, turn):
    angle = np.arange(720) * np.pi / 360
    lines = np.stack([np.sin(angle), np.cos(angle)], axis=1) @ compression_matrix(share, turn).T
    assert np.linalg.norm(lines, axis=1).mean() == pytest.approx(float(length_kept(share)), rel=1e-3)


def test_a_ring_comes_out_as_thick_as_it_was():
    outer, inner, share = 1.0, 0.9, 0.3
    area = np.pi * (outer**2 - inner**2) * (1 - share)
    middle = np.pi * (outer + inner) * length_kept(share)
    assert area / middle * wall_stretch(share) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("resin", "low", "high"), [("Lowicryl HM20", 0.2, 0.35), ("Epon 812", 0.0, 0.2), ("LR White", 0.2, 0.35)]
)
def test_resins_are_known_by_their_usual_names(resin, low, high):
    prior = prior_by_resin(resin)
    assert low < prior.mean < high
    assert prior.sd > 0
    assert 0 <= prior.drawn(-9.0) < prior.drawn(9.0) <= 0.6


@pytest.mark.parametrize("resin", ["", "ice"])
def test_an_unknown_resin_has_no_prior(resin):
    assert prior_by_resin(resin) is None


def test_a_recorded_share_goes_before_the_resin():
    recorded = known_compression(0.2, "Epon 812")
    assert (recorded.mean, recorded.sd) == (0.2, 0.0)
    assert known_compression(None, "Epon 812") == prior_by_resin("Epon 812")
    assert known_compression(None, "") is None
