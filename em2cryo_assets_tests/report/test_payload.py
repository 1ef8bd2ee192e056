import base64
import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from em2cryo_assets.report.payload import cell_script


def read(script: str) -> tuple[str, dict]:
    assert script.startswith("window.em2cryoCell(")
    assert script.endswith(");\n")
    key, body = json.loads(f"[{script[len('window.em2cryoCell(') : -3]}]")
    return key, body


def volume(xyz: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (xyz[faces[:, i]] for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def test_the_viewers_mesh_is_the_cell_and_not_its_mirror_image(made_up):
    cell = made_up.cell(0, "a")
    _, body = read(cell_script(cell))
    steps = np.frombuffer(base64.b64decode(body["positions"]), "<i2").reshape(-1, 3)
    xyz = steps * body["step_nm"] + body["centre_nm"]
    faces = np.frombuffer(base64.b64decode(body["faces"]), "<u4").reshape(-1, 3)
    mesh = cell.mesh
    assert np.abs(xyz - mesh.vertices_nm[:, ::-1] * (1, -1, 1)).max() < 0.1  # nm
    outward = volume(mesh.vertices_nm[:, ::-1], mesh.faces)
    assert outward > 0
    assert volume(xyz, faces) == pytest.approx(outward, rel=1e-3)


def test_cut_faces_are_as_large_as_their_slices_and_clear_outside(made_up):
    cell = made_up.cell(0, "a")
    planes = {one["id"]: one for one in read(cell_script(cell))[1]["planes"]}
    assert set(planes) == {"density", "labels", "tem"}
    cut = cell.slices[0]
    assert planes["labels"]["width_nm"] == cut.labels.shape[1] * cut.pixel_nm
    assert planes["labels"]["x_nm"] == pytest.approx(0.0)
    image = Image.open(io.BytesIO(base64.b64decode(planes["labels"]["image"].split(",")[1])))
    assert np.array_equal(np.asarray(image)[..., 3] > 0, cut.labels > 0)


def test_the_cut_face_of_a_slice_above_the_mid_plane_lies_above_it(made_up):
    cell = made_up.cell(0, "a")
    high = dataclasses.replace(cell.cutaway, origin_nm=(-300.0, 0.0, 0.0))
    planes = read(cell_script(dataclasses.replace(cell, cutaway=high)))[1]["planes"]
    assert planes[-1]["z_nm"] == -300.0
    up = dataclasses.replace(cell.slices[0], position_nm=250.0, origin_nm=(-1000.0, -2000.0))
    plane = read(cell_script(dataclasses.replace(cell, slices=(up,), cutaway=None)))[1]["planes"][0]
    assert plane["z_nm"] == 250.0
    assert plane["y_nm"] == pytest.approx(1000.0 - (up.labels.shape[0] - 1) / 2 * up.pixel_nm)


def test_a_key_cannot_break_out_of_its_script(made_up):
    key = '</script><script>alert("x")//'
    script = cell_script(dataclasses.replace(made_up.cell(0, "a"), key=key))
    assert "</script" not in script
    assert read(script)[0] == key


def test_a_cell_without_a_mesh_is_refused_in_words(made_up):
    with pytest.raises(ValueError, match="has no mesh"):
        cell_script(dataclasses.replace(made_up.cell(0, "a"), mesh=None))
