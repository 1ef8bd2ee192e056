"""Stains vary widely, keep what an eye needs, and never stray into the family that is held out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.tem.section_stains import draw_stain, in_silver_family

SEEDS = st.integers(0, 2**32 - 1)


def _levels(seed: int, held_out: bool = False) -> dict[str, float]:
    density = draw_stain(np.random.default_rng(seed), held_out=held_out).density
    return dict(zip(MATERIALS, density.tolist(), strict=True))


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS)
def test_no_training_stain_is_of_the_held_out_family_and_every_held_out_one_is(seed: int) -> None:
    for held_out in (False, True):
        assert in_silver_family(draw_stain(np.random.default_rng(seed), held_out=held_out).density) == held_out


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS, held_out=st.booleans())
def test_regions_that_touch_can_be_told_apart(seed: int, held_out: bool) -> None:
    level = _levels(seed, held_out)
    for name, least in {
        "wall": 0.10, "nucleus": 0.08, "vacuole": 0.10, "mitochondrion": 0.10, "lipid_droplet": 0.12,
    }.items():  # fmt: skip
        assert abs(level[name] - level["cytoplasm"]) > least - 1e-6, name
    assert level["wall"] - level["outside"] > 0.08 - 1e-6


def test_every_order_that_microscopists_know_occurs() -> None:
    drawn = [_levels(seed) for seed in range(200)]
    for name in ("vacuole", "lipid_droplet", "mitochondrion", "nucleus", "membrane"):
        darker = np.mean([level[name] > level["cytoplasm"] for level in drawn])
        assert 0.1 < darker < 0.95, name
    assert {_sign(level["lipid_droplet"] - level["vacuole"]) for level in drawn} == {-1, 1}


def _sign(value: float) -> int:
    return 1 if value > 0 else -1
