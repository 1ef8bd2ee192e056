import numpy as np
import pytest

from em2cryo_assets.fusion.budding import compartments, shared
from em2cryo_assets.fusion.organelles import Demand
from em2cryo_assets.fusion.plan import plan_fusion
from em2cryo_assets.geometry.isosurface import mesh_of_volume

STEP_NM = 80.0
AXIS = np.arange(-2400.0, 4001.0, STEP_NM)
DEMANDS = (Demand("nucleus", 3e9, 1800.0), Demand("vacuole", 4e9, 1700.0), Demand("lipid_droplet", 6e8, 450.0))


def _depth(bud_nm: float) -> np.ndarray:
    """Inside of two balls that touch in a neck, the larger of 2000 nm."""
    z, y, x = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
    mother = 2000.0 - np.sqrt(z**2 + y**2 + x**2)
    bud = bud_nm - np.sqrt(z**2 + y**2 + (x - 1900.0 - 0.8 * bud_nm) ** 2)
    return np.maximum(mother, bud)


@pytest.mark.parametrize("bud_nm", [500.0, 1000.0, 1600.0])
def test_mother_and_bud_are_told_apart_at_the_neck(bud_nm):
    parts = compartments(_depth(bud_nm))
    assert parts.max() == 2
    x = np.broadcast_to(AXIS, parts.shape)
    assert x[parts == 2].min() > 1500.0
    assert np.count_nonzero(parts == 2) * STEP_NM**3 == pytest.approx(4 / 3 * np.pi * bud_nm**3, rel=0.2)


def test_a_cell_without_a_neck_is_one_part():
    z, y, x = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
    long = 1 - np.sqrt((z / 1500) ** 2 + (y / 1500) ** 2 + (x / 2300) ** 2)
    assert compartments(1500 * long).max() == 1


def test_a_bud_too_small_for_a_body_gets_none():
    parts = compartments(_depth(140.0))
    assert parts.max() == 1
    said: list[str] = []
    assert {d.part for d in shared(DEMANDS, parts, said)} == {1}
    assert said == []


@pytest.mark.parametrize(("bud_nm", "nuclei"), [(700.0, 1), (1650.0, 2)])
def test_the_nucleus_divides_late_and_all_else_by_volume(bud_nm, nuclei):
    parts = compartments(_depth(bud_nm))
    said: list[str] = []
    result = shared(DEMANDS, parts, said)
    assert sum(d.label == "nucleus" for d in result) == nuclei
    bud, mother = (np.count_nonzero(parts == n) for n in (2, 1))
    for demand in DEMANDS:
        mine = [d for d in result if d.label == demand.label]
        assert sum(d.volume_nm3 for d in mine) == pytest.approx(demand.volume_nm3)
    vacuole = {d.part: d.volume_nm3 for d in result if d.label == "vacuole"}
    assert vacuole[2] / vacuole[1] == pytest.approx(bud / mother)
    assert "Mother and bud" in said[0]


def test_bodies_lie_in_the_part_they_were_given_to(make_atlas):
    mesh = mesh_of_volume(_depth(1000.0) > 0, (STEP_NM,) * 3)
    neck_nm = 1850.0 - AXIS[0]  # the mesh counts from the first voxel
    plan = plan_fusion(mesh, make_atlas(), voxel_nm=60.0, seed=2, realisations=1)
    assert any("Mother and bud" in s for s in plan.fallbacks)
    nucleus = [b for b in plan.bodies if b.label == "nucleus"]
    assert len(nucleus) == 1
    assert nucleus[0].start_nm[2] < neck_nm
    assert {b.label for b in plan.bodies if b.start_nm[2] > neck_nm} >= {"vacuole", "mitochondrion"}
