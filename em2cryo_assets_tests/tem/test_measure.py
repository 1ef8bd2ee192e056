import numpy as np
import pytest

from em2cryo_assets.tem.measure import DEPTH_BINS, measure_section
from em2cryo_assets.vocabulary import LABELS

PIXEL_NM = 12.0


def test_areas_add_up_to_the_cell(typical):
    density, labels = typical
    areas = measure_section(labels, (labels > 0).astype(np.int32), density, PIXEL_NM, 80.0)["areas"]
    assert areas["area_um2"].sum() == pytest.approx(areas["cell_um2"].iloc[0])
    assert areas["cell_um2"].iloc[0] == pytest.approx(np.pi * (150 * 0.012) ** 2, rel=0.01)
    assert not areas["touches_border"].any()


def test_width_of_a_wall_and_of_a_body(typical):
    density, labels = typical
    tables = measure_section(labels, (labels > 0).astype(np.int32), density, PIXEL_NM, 80.0)
    assert tables["wall"]["apparent_nm"].iloc[0] == pytest.approx(13 * PIXEL_NM, abs=PIXEL_NM)
    nucleus = tables["bodies"].set_index("label").loc["nucleus"]
    assert nucleus["width_nm"] == pytest.approx(80 * PIXEL_NM, rel=0.03)


def test_z_is_relative_to_cytoplasm_and_blind_to_gain(typical):
    density, labels = typical
    profiles = (labels > 0).astype(np.int32)
    plain = measure_section(labels, profiles, density, PIXEL_NM, 80.0)["depth"]
    scaled = measure_section(labels, profiles, 300 * density - 7, PIXEL_NM, 80.0)["depth"]
    assert np.allclose(plain["z_sum"], scaled["z_sum"], rtol=1e-2, atol=1.0)
    mean = plain.groupby("label")[["z_sum", "n_px"]].sum()
    mean = mean["z_sum"] / mean["n_px"]
    assert mean["lipid_droplet"] < mean["vacuole"] < mean["nucleus"] < mean["cytoplasm"] < mean["mitochondrion"]


def test_depth_counts_every_pixel_once(typical):
    density, labels = typical
    depth = measure_section(labels, (labels > 0).astype(np.int32), density, PIXEL_NM, 80.0)["depth"]
    assert depth["n_px"].sum() == labels.size
    assert depth["s_bin"].between(-1, DEPTH_BINS - 1).all()
    assert set(depth.loc[depth["s_bin"] < 0, "label"]) == {"outside", "wall"}


def test_a_cut_through_nothing_but_wall_counts_without_a_width():
    labels = np.zeros((60, 60), np.uint8)
    labels[20:40, 20:40] = LABELS["wall"]
    wall = measure_section(labels, (labels > 0).astype(np.int32), labels * 1.0, PIXEL_NM, 80.0)["wall"]
    assert wall["area_um2"].iloc[0] == pytest.approx(400 * 0.012**2)
    assert wall["apparent_nm"].iloc[0] == 0


def test_section_without_cells_gives_empty_tables():
    nothing = np.zeros((40, 40), np.uint8)
    tables = measure_section(nothing, nothing.astype(np.int32), nothing * 1.0, PIXEL_NM, 80.0)
    assert all(len(t) == 0 for t in tables.values())


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        measure_section(np.zeros((3, 3), np.uint8), np.zeros((3, 4), np.int32), np.zeros((3, 3)), 1.0, 80.0)
