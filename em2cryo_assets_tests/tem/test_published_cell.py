"""Sections of a whole-cell model that others published give its own fractions back."""

import os
from pathlib import Path

import pytest

from em2cryo_assets_tests.benchmarks.atlas import lattice_fractions

DATA = os.environ.get("EM2CRYO_REFERENCE_DATA")


@pytest.mark.skipif(not DATA, reason="EM2CRYO_REFERENCE_DATA is not set: the published cell is not shipped")
def test_fractions_of_a_published_cell_come_back_from_its_sections() -> None:
    found = lattice_fractions(Path(DATA or "") / "yeast_geometry" / "yeast_lattice.npz", 100)
    assert set(found) == {"wall", "membrane", "cytoplasm", "nucleus", "vacuole", "mitochondrion"}
    inside = [name for name, (truth, _, low, high) in found.items() if low <= truth <= high]
    # Of six 90 % intervals one may miss.
    assert len(inside) >= 5, found
    for name in ("wall", "membrane", "cytoplasm"):
        truth, value, _, _ = found[name]
        assert value == pytest.approx(truth, rel=0.1), name
