from pathlib import Path

import numpy as np
import pytest
import trimesh

from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.store.digest import digest_folder
from em2cryo_assets.store.meshes import export_glb, export_ply, read_mesh, read_mesh_attributes, write_mesh


def _ellipsoid() -> Mesh:
    """Semi-axes 1000, 2000, 3000 nm along z, y, x; outward."""
    sphere = trimesh.creation.icosphere(subdivisions=3)
    zyx = np.asarray(sphere.vertices)[:, ::-1] * (1000.0, 2000.0, 3000.0) + (50.0, 60.0, 70.0)
    return Mesh(zyx, np.asarray(sphere.faces, dtype=np.int32))


def test_a_mesh_comes_back_with_its_attributes(tmp_path: Path) -> None:
    mesh = _ellipsoid()
    sigma = np.linspace(0, 1, len(mesh.vertices_nm)).astype(np.float32)
    write_mesh(tmp_path / "a", mesh, attributes={"sigma_nm": sigma})
    read = read_mesh(tmp_path / "a")
    np.testing.assert_array_equal(read.vertices_nm, mesh.vertices_nm)
    np.testing.assert_array_equal(read.faces, mesh.faces)
    assert (read.vertices_nm.dtype, read.faces.dtype) == (np.float64, np.int32)
    attributes = read_mesh_attributes(tmp_path / "a")
    assert list(attributes) == ["sigma_nm"]
    np.testing.assert_array_equal(attributes["sigma_nm"], sigma)
    write_mesh(tmp_path / "b", mesh)
    assert read_mesh_attributes(tmp_path / "b") == {}


@pytest.mark.parametrize(("name", "unit_nm"), [("a.ply", 1.0), ("a.glb", 1000.0)])
def test_another_program_sees_the_same_body(tmp_path: Path, name: str, unit_nm: float) -> None:
    mesh = _ellipsoid()
    (export_ply if name == "a.ply" else export_glb)(tmp_path / name, mesh)
    seen = trimesh.load_mesh(tmp_path / name, process=False)
    assert seen.is_watertight
    np.testing.assert_allclose(np.asarray(seen.vertices)[:, ::-1] * unit_nm, mesh.vertices_nm, atol=1e-3)
    np.testing.assert_allclose(seen.extents * unit_nm, (6000, 4000, 2000), rtol=0.02)
    expected = 4 / 3 * np.pi * 1000.0 * 2000 * 3000
    assert seen.volume * unit_nm**3 == pytest.approx(expected, rel=0.02)  # positive: still outward


def test_a_glb_says_what_its_unit_is(tmp_path: Path) -> None:
    export_glb(tmp_path / "a.glb", _ellipsoid(), name="cell 7")
    scene = trimesh.load_scene(tmp_path / "a.glb")
    assert any("cell 7 (1 unit = 1 µm)" in name for name in scene.graph.nodes)


def test_the_same_mesh_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_mesh(tmp_path / name / "mesh", _ellipsoid(), attributes={"x": np.zeros(642), "b": np.ones(642)})
        export_ply(tmp_path / name / "m.ply", _ellipsoid())
        export_glb(tmp_path / name / "m.glb", _ellipsoid())
    assert digest_folder(tmp_path / "a") == digest_folder(tmp_path / "b")


def _broken() -> list[tuple[Mesh, str]]:
    good = _ellipsoid()
    nan = good.vertices_nm.copy()
    nan[3, 1] = np.nan
    high = good.faces.copy()
    high[0, 0] = len(good.vertices_nm)
    return [
        (Mesh(nan, good.faces), "not finite"),
        (Mesh(good.vertices_nm, high), "not there"),
        (Mesh(good.vertices_nm, good.faces[:0]), "empty"),
        (Mesh(good.vertices_nm[:, :2], good.faces), "needs"),
    ]


@pytest.mark.parametrize(("mesh", "message"), _broken())
def test_broken_meshes_are_refused(tmp_path: Path, mesh: Mesh, message: str) -> None:
    for write in (write_mesh, export_ply, export_glb):
        with pytest.raises(ValueError, match=message):
            write(tmp_path / "a", mesh)
    assert not (tmp_path / "a").exists()


def test_attributes_must_fit_the_vertices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="642"):
        write_mesh(tmp_path / "a", _ellipsoid(), attributes={"x": np.zeros(5)})
