from dataclasses import dataclass

import numpy as np
import pytest

from em2cryo_assets.compare.descriptors import (
    MEASUREMENT_COLUMNS,
    UNITS,
    cell_measurements,
    tomogram_measurements,
)
from em2cryo_assets.compare.pose import SlabPose
from em2cryo_assets.compare.record import TomogramRecord
from em2cryo_assets.compare.tables import MEASUREMENTS
from em2cryo_assets.geometry.isosurface import mesh_of_volume
from em2cryo_assets.vocabulary import LABELS
from em2cryo_assets_tests.compare.bodies import TILTS_DEG, cell, ellipsoid_mesh, tomogram_of

SWEEP = ("axial symmetry", "mirror in the image plane")
MESH = ellipsoid_mesh((2000.0, 2000.0, 2400.0), 3)


@dataclass(frozen=True)
class FittedArc:
    normal_radius_nm: float = 1732.0
    log_normal_radius_se: float = 0.06
    inclination_deg: float = 30.0
    usable: bool = True
    reason: str = ""


def sem(**changes):
    given = {"key": "f-1", "unit": "f-1", "field": "f", "imposed": SWEEP} | changes
    frame = cell_measurements(MESH, **given)
    MEASUREMENTS.validate(frame)
    return frame.set_index("characteristic")


def lamella(arc=None, **changes):
    return TomogramRecord((30, 120, 120), (8.0,) * 3, "lamella", TILTS_DEG, snr=2.0, arc=arc, **changes)


@pytest.fixture(scope="module")
def tomogram():
    density, labels = cell()
    centre = np.array(density.shape) / 2 * 40 + np.array([0, 1650.0, 0])
    return tomogram_of(density, labels, 40.0, lamella(), SlabPose(centre, np.eye(3), wall_in_view=True), seed=0)


def cryo(density, labels, info, **changes):
    frame = tomogram_measurements(density, labels, info.voxel_nm, info, key="t", unit="u", **changes)
    MEASUREMENTS.validate(frame)
    assert sorted(frame["characteristic"]) == sorted(UNITS)
    return frame.set_index("characteristic")


def test_dried_cells_have_shape_but_no_size():
    rows = sem()
    assert list(rows.reset_index()[list(MEASUREMENT_COLUMNS)].columns) == list(MEASUREMENT_COLUMNS)
    for name in ("log_volume", "log_wall_radius"):
        assert not rows.loc[name, "assessable"]
        assert "drying" in rows.loc[name, "reason"]
    assert rows.loc["axis_ratio", "assessable"]
    assert rows.loc["axis_ratio", "value"] == pytest.approx(1.2, rel=0.01)
    assert rows.loc["outline_axis_ratio", "assessable"]
    assert set(rows["block"]) == {"f"}


def test_what_the_estimator_imposes_is_not_assessable():
    rows = sem()
    assert rows.loc["axial_asymmetry", "reason"] == "imposed by the surface estimator: axial symmetry"
    # The sweep leaves the two ends of a cell free, and M compares them.
    assert rows.loc["mirror_asymmetry", "assessable"]
    inflated = sem(imposed=("ellipsoid", *SWEEP))
    assert not inflated.loc["mirror_asymmetry", "assessable"]
    assert sem(imposed=()).loc["axial_asymmetry", "assessable"]


def test_hidden_cells_are_measured_but_never_compared():
    rows = sem(why_not="cut by the border of its field", imposed=())
    assert not rows["assessable"].any()
    assert set(rows["reason"]) == {"this cell: cut by the border of its field"}
    assert np.isfinite(rows["value"]).all()


def test_fused_fractions_are_no_independent_measurement():
    _, labels = cell(voxel_nm=80.0)
    rows = sem(fused_labels=labels)
    share = np.count_nonzero(labels == LABELS["nucleus"]) / np.count_nonzero(labels)
    assert rows.loc["fraction_nucleus", "value"] == pytest.approx(share)
    assert not rows.loc["fraction_nucleus", "assessable"]
    assert "atlas" in rows.loc["fraction_nucleus", "reason"]


def test_a_slab_gives_wall_and_texture_but_no_shape(tomogram):
    rows = cryo(*tomogram, lamella(FittedArc()), wall_thickness=(150.0, 8.0))
    for name in (
        "log_volume",
        "sphericity",
        "axis_ratio",
        "axial_asymmetry",
        "mirror_asymmetry",
        "fraction_vacuole",
    ):
        assert not rows.loc[name, "assessable"]
    assert "0.96 x 0.96 x 0.24 µm" in rows.loc["axis_ratio", "reason"]
    assert rows.loc["wall_thickness", ["value", "sd", "assessable"]].tolist() == [150.0, 8.0, True]
    for name in ("depth_profile", "density_distribution", "power_spectrum"):
        assert rows.loc[name, "assessable"]
        assert np.isnan(rows.loc[name, "value"])
    assert rows.loc["autocorrelation_length", "assessable"]
    # White noise falls to 1/e within a voxel, which linear interpolation puts at 5 nm.
    assert 5 < rows.loc["autocorrelation_length", "value"] < 300


def test_wall_radius_is_that_of_the_arc(tomogram):
    row = cryo(*tomogram, lamella(FittedArc())).loc["log_wall_radius"]
    assert row["value"] == pytest.approx(np.log(1732))
    assert row["sd"] == 0.06
    assert row["assessable"]
    unusable = cryo(*tomogram, lamella(FittedArc(usable=False, reason="steeper than 60 degrees")))
    assert unusable.loc["log_wall_radius", "reason"] == "steeper than 60 degrees"
    assert "no arc" in cryo(*tomogram, lamella()).loc["log_wall_radius", "reason"]


def test_denoised_volumes_leave_texture_out(tomogram):
    rows = cryo(*tomogram, lamella(denoised=True))
    for name in ("density_distribution", "power_spectrum", "autocorrelation_length"):
        assert "denoised" in rows.loc[name, "reason"]
    assert rows.loc["depth_profile", "assessable"]


def test_no_wall_in_view_leaves_depth_out():
    density = np.random.default_rng(0).standard_normal((30, 60, 60)).astype(np.float32)
    labels = np.full(density.shape, LABELS["cytoplasm"], np.uint8)
    rows = cryo(density, labels, lamella())
    assert "no wall in view" in rows.loc["depth_profile", "reason"]
    assert rows.loc["power_spectrum", "assessable"]


def test_no_cell_gives_every_row_one_reason():
    labels = np.zeros((30, 60, 60), np.uint8)
    rows = cryo(np.zeros(labels.shape, np.float32), labels, lamella())
    assert not rows["assessable"].any()
    assert rows["reason"].str.contains("no cell found").all()


def test_a_whole_cell_volume_gives_shape_and_fractions():
    density, labels = cell(voxel_nm=90.0)
    labels[labels == LABELS["mitochondrion"]] = LABELS["cytoplasm"]
    info = TomogramRecord(labels.shape, (90.0,) * 3, "soft-x-ray")
    rows = cryo(density, labels, info, mesh=MESH)
    for name in ("log_volume", "axis_ratio", "axial_asymmetry", "fraction_nucleus", "fraction_vacuole"):
        assert rows.loc[name, "assessable"], name
    assert rows.loc["axis_ratio", "value"] == pytest.approx(1.2, rel=0.01)
    assert rows.loc["fraction_nucleus", "n_support"] == np.count_nonzero(labels)
    # Nothing found is not nothing there.
    assert np.isnan(rows.loc["fraction_mitochondrion", "value"])
    assert not rows.loc["fraction_mitochondrion", "assessable"]
    assert "closed surface" in cryo(density, labels, info).loc["axis_ratio", "reason"]


def test_a_whole_cell_with_a_bud_keeps_its_numbers_but_is_no_shape_to_compare():
    z, y, x = np.ogrid[:44, :44, :64]
    mother = (z - 22) ** 2 + (y - 22) ** 2 + (x - 22) ** 2 < 19**2
    bud = (z - 22) ** 2 + (y - 22) ** 2 + (x - 47) ** 2 < 9**2
    found = {}
    for name, body in (("single", mother), ("budded", mother | bud)):
        labels = np.where(body, LABELS["cytoplasm"], LABELS["outside"]).astype(np.uint8)
        info = TomogramRecord(labels.shape, (100.0,) * 3, "soft-x-ray")
        mesh = mesh_of_volume(labels > 0, info.voxel_nm)
        density = labels + np.random.default_rng(0).normal(0, 0.1, labels.shape).astype(np.float32)
        found[name] = cryo(density, labels, info, mesh=mesh)
    for name in ("log_volume", "axis_ratio", "sphericity", "mirror_asymmetry"):
        assert found["single"].loc[name, "assessable"], name
        assert not found["budded"].loc[name, "assessable"], name
        assert "bud" in found["budded"].loc[name, "reason"]
    ratio = found["budded"].loc["log_volume", "value"] - found["single"].loc["log_volume", "value"]
    assert ratio == pytest.approx(np.log((mother | bud).sum() / mother.sum()), abs=0.01)
