"""Pictures for the Dagster UI: shown without a click, small, and marked."""

import base64
import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from em2cryo_assets.assets.pictures import mesh_pictures, pictures, table
from em2cryo_assets.colours import LABEL_COLOURS
from em2cryo_assets.geometry.mesh import Mesh

HUES = {
    "wall": "orange",
    "membrane": "yellow",
    "cytoplasm": "grey",
    "nucleus": "blue",
    "vacuole": "pink",
    "mitochondria": "red",
    "lipid droplets": "green",
}
NAMES = {"mitochondria": "mitochondrion", "lipid droplets": "lipid_droplet"}
IS_HUE = {
    "orange": lambda r, g, b: r > g > 140 > b,
    "yellow": lambda r, g, b: min(r, g) > 200 > b,
    "grey": lambda r, g, b: max(r, g, b) - min(r, g, b) < 30,
    "blue": lambda r, g, b: b > g > r,
    "pink": lambda r, g, b: r > b > g,
    "red": lambda r, g, b: r > 200 and g < 120 > b,
    "green": lambda r, g, b: g > b > r,
}
NOISE = np.random.default_rng(1).random((700, 900), dtype=np.float32)


def decoded(markdown: str) -> np.ndarray:
    data = markdown.split("base64,")[1].split(")")[0]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def yellow(image: np.ndarray) -> int:
    """Pixels in the colour of the mark."""
    return int(((image[..., 0] > 130) & (image[..., 1] > 100) & (image[..., 2] < 90)).sum())


@pytest.mark.parametrize("panels", [[NOISE], [NOISE, NOISE, NOISE], [np.zeros((20, 30), np.uint8)]])
def test_the_small_one_is_shown_without_a_click_and_the_large_one_keeps_its_limit(panels):
    made = {name: one.value for name, one in pictures(panels, "a caption " * 20, simulated=True).items()}
    assert list(made) == ["picture", "picture_large"]
    assert len(made["picture"]) < 1000  # from there on Dagster's UI hides markdown
    assert len(made["picture_large"]) <= 50_000
    assert decoded(made["picture_large"]).shape[1] >= decoded(made["picture"]).shape[1]


def test_simulated_data_are_marked_in_both_and_real_data_in_none():
    grey = [np.full((200, 300), 90, np.uint8)]
    for name in ("picture", "picture_large"):
        assert yellow(decoded(pictures(grey, "x", simulated=True)[name].value)) > 20
        assert yellow(decoded(pictures(grey, "x", simulated=False)[name].value)) == 0


def test_the_large_picture_of_labels_names_the_colour_of_each() -> None:
    made = pictures([np.zeros((20, 30), np.uint8)], "labels", simulated=False, labels=True)
    said = made["picture_large"].value.casefold()
    for label, hue in HUES.items():
        assert f"{label} {hue}" in said
        red, green, blue = (int(LABEL_COLOURS[NAMES.get(label, label)][n : n + 2], 16) for n in (1, 3, 5))
        assert IS_HUE[hue](red, green, blue), label
    assert set(LABEL_COLOURS) == {"outside", *(NAMES.get(label, label) for label in HUES)}


def test_the_side_view_of_a_mesh_has_its_near_half_on_the_left_and_the_same_scale():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=50)
    z, y, x = np.asarray(ball.vertices).T
    narrow = 1 - 0.8 * (z + 50) / 100  # toward the viewer
    faces = np.asarray(ball.faces)
    mesh = Mesh(np.stack([0.6 * z, narrow * y, narrow * x], axis=1), faces)
    shown = decoded(mesh_pictures(mesh, simulated=False)["picture_large"].value).max(axis=-1) > 22
    side = shown[:, 244:]
    columns = np.flatnonzero(side.any(axis=0))
    heights = side.sum(axis=0)[columns]
    assert heights[: len(columns) // 3].mean() < heights[-len(columns) // 3 :].mean() / 1.5
    across = np.ptp(np.flatnonzero(shown[:, :240].any(axis=0)))
    assert np.ptp(columns) == pytest.approx(
        across * np.ptp(mesh.vertices_nm[:, 0]) / np.ptp(mesh.vertices_nm[:, 2]), rel=0.1
    )


def test_numbers_of_a_table_are_rounded_and_no_number_is_empty():
    import pandas as pd

    shown = table(pd.DataFrame({"value": [0.123456, np.nan], "name": ["a", None]}))
    assert shown.records[0].data["value"] == 0.1235
    assert shown.records[1].data["value"] is None
