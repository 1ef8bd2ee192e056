import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from em2cryo_assets.compare.pose import SlabPose, body_frame, cut_slab, slab_pose, wall_anchor
from em2cryo_assets.compare.record import TomogramRecord
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.compare.bodies import TILTS_DEG, cell

RECORD = TomogramRecord((15, 60, 60), (16.0, 16.0, 16.0), "lamella", TILTS_DEG, snr=1.0)


class FittedArc:
    inclination_deg = 35.0
    usable = True


@pytest.fixture(scope="module")
def body():
    return cell()


def wall_across(normal, at=0.0, shape=(15, 60, 60), side=16.0):
    """Labels of a flat wall 160 nm thick with a given outward normal, its surface ``at`` nm off centre."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    offsets = np.stack(np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * side for n in shape], indexing="ij"), -1)
    height = offsets @ normal - at
    return np.where(height > 0, 0, np.where(height > -160, LABELS["wall"], LABELS["cytoplasm"])).astype(np.uint8)


@pytest.mark.parametrize("normal", [(0, 1, 0), (0, -1, 0), (0, 0.6, 0.8), (0.5, 0.6, -0.6), (-0.4, 0.0, 1.0)])
def test_anchor_finds_the_normal_and_lies_on_the_surface(normal):
    anchor = wall_anchor(wall_across(normal, 100.0), RECORD.voxel_nm)
    unit = np.asarray(normal) / np.linalg.norm(normal)
    assert np.degrees(np.arccos(np.clip(anchor.outward @ unit, -1, 1))) < 6
    assert anchor.offset_nm @ unit == pytest.approx(100, abs=16)


def test_no_anchor_without_wall_or_without_cell():
    inside = np.full((15, 60, 60), LABELS["cytoplasm"], dtype=np.uint8)
    assert wall_anchor(inside, RECORD.voxel_nm) is None
    assert wall_anchor(np.zeros_like(inside), RECORD.voxel_nm) is None


@given(seed=st.integers(0, 2**31), normal=st.sampled_from([(0, 1, 0), (0, -0.6, 0.8), (0.45, 0.8, 0.4)]))
@settings(max_examples=12, deadline=None)
def test_a_posed_slab_shows_the_wall_where_the_tomogram_does(seed, normal):
    density, labels = cell(voxel_nm=60.0)
    wanted = wall_anchor(wall_across(normal, 60.0), RECORD.voxel_nm)
    pose = slab_pose(labels, 60.0, RECORD, wanted, seed=seed)
    np.testing.assert_allclose(pose.to_model @ pose.to_model.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(pose.to_model) == pytest.approx(1)
    _, cut = cut_slab(density, labels, 60.0, pose, RECORD.shape, RECORD.voxel_nm)
    got = wall_anchor(cut, RECORD.voxel_nm)
    assert np.degrees(np.arccos(np.clip(got.outward @ wanted.outward, -1, 1))) < 15
    # The surface is curved and the models' voxels are 60 nm: its height may differ by about one.
    assert abs((got.offset_nm - wanted.offset_nm) @ wanted.outward) < 90


def test_a_usable_arc_sets_the_inclination(body):
    record = TomogramRecord(RECORD.shape, RECORD.voxel_nm, "lamella", TILTS_DEG, snr=1.0, arc=FittedArc())
    wanted = wall_anchor(wall_across((0, 1, 0)), RECORD.voxel_nm)
    betas = []
    for seed in range(6):
        pose = slab_pose(body[1], 40.0, record, wanted, seed=seed)
        _, cut = cut_slab(*body, 40.0, pose, RECORD.shape, RECORD.voxel_nm)
        betas.append(np.degrees(np.arcsin(wall_anchor(cut, RECORD.voxel_nm).outward[0])))
    assert np.mean(np.abs(betas)) == pytest.approx(35, abs=6)


def test_without_a_wall_the_slab_lies_inside(body):
    for seed in range(5):
        pose = slab_pose(body[1], 40.0, RECORD, None, seed=seed)
        _, cut = cut_slab(*body, 40.0, pose, RECORD.shape, RECORD.voxel_nm)
        assert not pose.wall_in_view
        assert (cut >= LABELS["cytoplasm"]).mean() > 0.97


def test_poses_repeat_with_their_seed_and_differ_without(body):
    anchor = wall_anchor(wall_across((0, 1, 0)), RECORD.voxel_nm)
    first, again, other = (slab_pose(body[1], 40.0, RECORD, anchor, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.centre_nm, again.centre_nm)
    np.testing.assert_array_equal(first.to_model, again.to_model)
    assert not np.allclose(first.centre_nm, other.centre_nm)


def test_a_section_is_cut_from_more_length_and_less_depth_at_equal_volume(body):
    record = TomogramRecord(RECORD.shape, RECORD.voxel_nm, "cryo-section", TILTS_DEG, snr=1.0)
    for seed in range(5):
        pose = slab_pose(body[1], 40.0, record, None, seed=seed)
        stretches = np.sort(np.linalg.svd(pose.to_model, compute_uv=False))
        assert 1 / 0.7 <= stretches[2] <= 1 / 0.4
        assert stretches[1] == pytest.approx(1)
        assert np.prod(stretches) == pytest.approx(1)


def test_a_recorded_compression_is_undone_by_as_much(body):
    record = TomogramRecord(RECORD.shape, RECORD.voxel_nm, "cryo-section", TILTS_DEG, snr=1.0, compression=0.25)
    for seed in range(3):
        pose = slab_pose(body[1], 40.0, record, None, seed=seed)
        stretches = np.sort(np.linalg.svd(pose.to_model, compute_uv=False))
        np.testing.assert_allclose(stretches, [0.75, 1, 1 / 0.75], atol=1e-9)
    assert not any("Compression" in line for line in record.fallbacks())


def test_whole_cells_are_laid_axis_on_axis(body):
    record = TomogramRecord((56, 52, 56), (90.0,) * 3, "soft-x-ray", None, snr=5.0)
    turned = np.ascontiguousarray(np.swapaxes(body[1], 0, 2))
    axes = body_frame(turned != 0, (40.0,) * 3)[1]
    pose = slab_pose(body[1], 40.0, record, None, seed=0, body_axes=axes)
    assert np.linalg.det(pose.to_model) == pytest.approx(1)
    _, cut = cut_slab(*body, 40.0, pose, record.shape, record.voxel_nm)
    got = body_frame(cut != 0, record.voxel_nm)[1]
    assert abs(got[0] @ axes[0]) > 0.99
    # Sampled at 90 nm, the volume is still that of the cell.
    volume = np.count_nonzero(cut) * 90.0**3
    assert volume == pytest.approx(np.count_nonzero(body[1]) * 40.0**3, rel=0.01)


def test_an_identity_cut_gives_the_model_back_and_outside_beyond_it(body):
    density, labels = body
    centre = (np.array(labels.shape) - 1) / 2 * 40.0
    pose = SlabPose(centre, np.eye(3), wall_in_view=True)
    same, same_labels = cut_slab(density, labels, 40.0, pose, labels.shape, (40.0,) * 3)
    np.testing.assert_allclose(same, density, atol=1e-4)
    np.testing.assert_array_equal(same_labels, labels)
    away = SlabPose(centre + np.array([0, 1e5, 0]), np.eye(3), wall_in_view=True)
    nothing, none = cut_slab(density, labels, 40.0, away, (8, 8, 8), (40.0,) * 3)
    assert (none == 0).all()
    np.testing.assert_allclose(nothing, np.median(density[labels == 0]), atol=1e-4)


def test_no_cell_no_pose():
    with pytest.raises(ValueError, match="no cell"):
        slab_pose(np.zeros((9, 9, 9), np.uint8), 40.0, RECORD, None, seed=0)
    with pytest.raises(ValueError, match="no slab"):
        slab_pose(
            np.ones((9, 9, 9), np.uint8),
            40.0,
            TomogramRecord((1, 9, 9), (9.0,) * 3, "overview"),
            None,
            seed=0,
        )
