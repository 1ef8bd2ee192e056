import dask
import numpy as np
import pytest
from scipy import ndimage

from em2cryo_assets.fusion import volume
from em2cryo_assets.fusion.grids import interpolated
from em2cryo_assets.fusion.plan import plan_fusion
from em2cryo_assets.fusion.recipe import recipe_from
from em2cryo_assets.fusion.volume import fuse, homogeneous_interior
from em2cryo_assets.geometry.mesh import Mesh, volume_um3
from em2cryo_assets.vocabulary import LABELS, ORGANELLES, SOURCES
from em2cryo_assets_tests.fusion.conftest import ellipsoid

VOXEL_NM = 40.0
FRACTIONS = {"nucleus": 0.075, "vacuole": 0.10, "mitochondrion": 0.03, "lipid_droplet": 0.015}


def _arrays(fused, scheduler="synchronous"):
    """Density, labels, source, uncertainty, computed afresh."""
    volume._kept.clear()
    with dask.config.set(scheduler=scheduler):
        return dask.compute(fused.density, fused.labels, fused.source, fused.uncertainty)


@pytest.fixture(scope="module")
def plan(cell, make_atlas):
    return plan_fusion(cell, make_atlas(), voxel_nm=VOXEL_NM, seed=3)


@pytest.fixture(scope="module")
def arrays(plan):
    return _arrays(fuse(plan))


def test_labelled_volume_is_the_volume_of_the_mesh(arrays, cell):
    assert np.count_nonzero(arrays[1]) * VOXEL_NM**3 / 1e9 == pytest.approx(volume_um3(cell), rel=0.005)


def test_labelled_volume_holds_at_a_neck(budded, make_atlas):
    fused = fuse(plan_fusion(budded, make_atlas(), voxel_nm=VOXEL_NM, seed=3, realisations=2))
    labels = _arrays(fused)[1]
    assert np.count_nonzero(labels) * VOXEL_NM**3 / 1e9 == pytest.approx(volume_um3(budded), rel=0.005)


def test_labelled_volume_holds_in_a_thin_body(thin):
    labels = _arrays(fuse(plan_fusion(thin, None, voxel_nm=VOXEL_NM, seed=3, realisations=1)))[1]
    assert np.count_nonzero(labels) * VOXEL_NM**3 / 1e9 == pytest.approx(volume_um3(thin), rel=0.01)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("shape", ["cell", "budded"])
def test_fractions_of_the_atlas_come_back(shape, seed, make_atlas, request):
    mesh = request.getfixturevalue(shape)
    labels = _arrays(fuse(plan_fusion(mesh, make_atlas(), voxel_nm=VOXEL_NM, seed=seed, realisations=1)))[1]
    for label, wanted in FRACTIONS.items():
        found = np.count_nonzero(labels == LABELS[label]) / np.count_nonzero(labels)
        assert found == pytest.approx(wanted, rel=0.02), label


def test_wall_has_the_thickness_of_the_atlas(arrays, cell):
    labels = arrays[1]
    below = ndimage.distance_transform_edt(labels) * VOXEL_NM
    inside = below[labels > LABELS["membrane"]]
    assert inside.min() == pytest.approx(160.0 + VOXEL_NM, abs=VOXEL_NM)
    expected = 1 - np.prod(1 - 160.0 / np.array([1900.0, 2050.0, 2500.0]))
    share = np.count_nonzero(labels == LABELS["wall"]) / np.count_nonzero(labels)
    assert share == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("seed", [1, 2])
def test_organelles_are_inside_and_never_touch(seed, budded, make_atlas):
    # At 25 nm the gap of 30 nm is at least one voxel: every neighbour of an organelle is itself or cytoplasm.
    plan = plan_fusion(budded, make_atlas(), voxel_nm=25.0, seed=seed, realisations=1)
    labels = _arrays(fuse(plan))[1]
    allowed = {LABELS["cytoplasm"]}
    for name in ORGANELLES:
        mask = labels == LABELS[name]
        assert mask.any()
        rim = ndimage.binary_dilation(mask) & ~mask
        assert set(np.unique(labels[rim])) <= allowed, name
    pieces = [ndimage.label(labels == LABELS[n])[1] for n in ("nucleus",)]
    assert pieces == [1]


def test_bytes_do_not_depend_on_the_scheduler(plan, arrays):
    again = _arrays(fuse(plan), "threads")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays, again, strict=True))


def test_bytes_do_not_depend_on_processes(plan, arrays):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        fused = fuse(plan)
        again = dask.compute(fused.density, fused.labels, fused.source, fused.uncertainty)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays, again, strict=True))


def test_bytes_do_not_depend_on_the_run(arrays, cell, make_atlas):
    again = plan_fusion(Mesh(cell.vertices_nm.copy(), cell.faces.copy()), make_atlas(), voxel_nm=VOXEL_NM, seed=3)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays, _arrays(fuse(again)), strict=True))


def test_any_block_can_be_computed_alone(plan, arrays):
    fused = fuse(plan)
    volume._kept.clear()
    corner = fused.labels.blocks[-1, -1, -1].compute(scheduler="synchronous")
    assert (corner == arrays[1][tuple(slice(-n, None) for n in corner.shape)]).all()


def test_seed_and_shape_both_change_the_arrangement(plan, cell, make_atlas):
    other_seed = plan_fusion(cell, make_atlas(), voxel_nm=VOXEL_NM, seed=4, realisations=1)
    larger = Mesh(cell.vertices_nm * 1.01, cell.faces)
    other_cell = plan_fusion(larger, make_atlas(), voxel_nm=VOXEL_NM, seed=3, realisations=1)
    assert plan.bodies != other_seed.bodies
    assert plan.bodies[0].start_nm != pytest.approx(other_cell.bodies[0].start_nm, abs=50.0)


def test_homogeneous_control_keeps_the_shell_and_nothing_else(plan, arrays):
    density, labels, _, _ = _arrays(homogeneous_interior(plan))
    shell = arrays[1] <= LABELS["membrane"]
    assert (labels[shell] == arrays[1][shell]).all()
    assert (density[shell] == arrays[0][shell]).all()
    assert (labels[~shell] == LABELS["cytoplasm"]).all()


def test_density_keeps_the_order_of_the_atlas(arrays):
    density, labels = arrays[:2]
    means = {n: density[labels == c].mean() for n, c in LABELS.items()}
    assert means["outside"] < means["lipid_droplet"] < means["vacuole"] < means["wall"]
    assert means["wall"] < means["nucleus"] < means["cytoplasm"] < means["mitochondrion"]
    assert density[labels == LABELS["cytoplasm"]].std() == pytest.approx(1.0, rel=0.1)


def test_source_says_where_each_label_came_from(arrays):
    _, labels, source, _ = arrays
    assert set(np.unique(source[labels == LABELS["wall"]])) == {SOURCES["sem_shape"]}
    assert set(np.unique(source[labels == LABELS["membrane"]])) == {SOURCES["prior"]}
    assert set(np.unique(source[labels >= LABELS["nucleus"]])) == {SOURCES["simulation"]}
    assert ((source == SOURCES["none"]) == (labels == LABELS["outside"])).all()


def test_uncertainty_is_large_inside_and_nought_where_nothing_can_differ(arrays):
    _, labels, _, bits = arrays
    assert bits.min() >= 0
    assert bits.max() <= np.log2(len(LABELS))
    assert not bits[labels == 0].any()
    middle = tuple(n // 2 for n in labels.shape)
    # In the middle nucleus, vacuole and cytoplasm all occur; just below the membrane almost only cytoplasm.
    depth = ndimage.distance_transform_edt(labels > 0) * VOXEL_NM
    cortex = bits[(depth > 240) & (depth < 300)].mean()
    assert bits[middle] > 0.5 > cortex


def test_doubt_about_the_wall_peaks_at_its_mean_thickness(plan, arrays):
    bits = arrays[3]
    depth = -interpolated(plan.distance_nm, plan.coarse, plan.grid, (0, 0, 0), plan.grid.shape)
    assert bits[np.abs(depth - 160.0) < 2.0].mean() == pytest.approx(1.0, abs=0.02)
    assert bits[(depth > 40.0) & (depth < 100.0)].max() < 0.05


def test_without_an_atlas_there_is_a_shell_and_a_reason(cell):
    fused = fuse(plan_fusion(cell, None, voxel_nm=60.0, seed=1, realisations=2))
    density, labels, source, _ = _arrays(fused)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    assert np.isfinite(density).all()
    assert set(np.unique(source[labels == LABELS["wall"]])) == {SOURCES["prior"]}
    assert any("No interior atlas" in s for s in fused.fallbacks)


def test_more_than_fits_is_scaled_down_and_said(cell, make_atlas):
    fused = fuse(plan_fusion(cell, make_atlas(vacuole=0.8), voxel_nm=60.0, seed=1, realisations=1))
    assert any("scaled down" in s for s in fused.fallbacks)
    assert (_arrays(fused)[1] == LABELS["vacuole"]).any()


def test_organelles_that_fill_more_than_the_cell_are_refused(cell, make_atlas):
    with pytest.raises(ValueError, match="102% of the cell"):
        plan_fusion(cell, make_atlas(vacuole=0.9), voxel_nm=60.0, seed=1, realisations=1)


def test_a_mesh_that_its_wall_fills_is_refused(make_atlas):
    speck = ellipsoid(150.0, 160.0, 200.0)
    with pytest.raises(ValueError, match="not a voxel of 20 nm is left inside"):
        plan_fusion(speck, make_atlas(), voxel_nm=20.0, seed=1, realisations=1)


def test_a_mesh_that_its_wall_all_but_fills_is_refused(make_atlas):
    recipe, _ = recipe_from(make_atlas(), 1e9, 40.0)
    shell = recipe.wall_nm + recipe.membrane_nm
    speck = ellipsoid(shell + 10.0, shell + 20.0, shell + 20.0)
    with pytest.raises(ValueError, match="not a voxel of 40 nm is left inside"):
        plan_fusion(speck, make_atlas(), voxel_nm=40.0, seed=1, realisations=1)


def test_unseen_organelles_are_not_placed(cell, make_atlas):
    fused = fuse(plan_fusion(cell, make_atlas(lipid_droplet=0.0), voxel_nm=60.0, seed=1, realisations=1))
    assert not (_arrays(fused)[1] == LABELS["lipid_droplet"]).any()
    assert any("No lipid_droplet" in s for s in fused.fallbacks)


def test_shrinkage_is_undone_in_volume(cell, make_atlas):
    swollen = plan_fusion(cell, make_atlas(), voxel_nm=60.0, seed=1, shrink_correction=1 / 0.85, realisations=1)
    assert volume_um3(swollen.mesh) == pytest.approx(volume_um3(cell) / 0.85**3)


@pytest.mark.parametrize("bad", [{"voxel_nm": 0.0}, {"voxel_nm": 40.0, "realisations": 0}])
def test_sizes_must_be_positive(cell, bad):
    with pytest.raises(ValueError, match="positive"):
        plan_fusion(cell, None, seed=1, **bad)
