"""A small population atlas and two cells to fill with it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.tem.atlas import Atlas
from em2cryo_assets.tem.measure import DEPTH_BINS
from em2cryo_assets.vocabulary import LABELS

FRACTIONS = {"nucleus": 0.075, "vacuole": 0.10, "mitochondrion": 0.03, "lipid_droplet": 0.015}
DENSITY = {
    "outside": -20.0,
    "wall": -12.0,
    "membrane": -5.0,
    "cytoplasm": 0.0,
    "nucleus": -5.0,
    "vacuole": -16.0,
    "mitochondrion": 8.0,
    "lipid_droplet": -19.0,
}
WALL_NM = 160.0


def _atlas(**changes: float) -> Atlas:
    """Tables as `build_atlas` writes them, with the given volume fractions."""
    wanted = {**FRACTIONS, **changes}
    fractions = pd.DataFrame(
        [(label, v, 0.8 * v, 1.2 * v) for label, v in wanted.items()], columns=["label", "v_v", "low", "high"]
    )
    sizes = pd.DataFrame(
        [
            ("nucleus", 1800.0, 80.0, 1400.0),
            ("vacuole", 1700.0, 300.0, 1400.0),
            ("mitochondrion", 600.0, 150.0, 340.0),
            ("lipid_droplet", 450.0, 80.0, 330.0),
        ],
        columns=["label", "diameter_nm", "diameter_sd_nm", "width_nm"],
    )
    rows = []
    for label in LABELS:
        bins = [-1] if label in ("outside", "wall") else range(DEPTH_BINS)
        rows += [(b, label, 0.1, DENSITY[label], 1.0, 1000.0) for b in bins]
    depth = pd.DataFrame(rows, columns=["s_bin", "label", "p", "density_mean", "density_sd", "n_px"])
    wall = pd.DataFrame([{"mean_nm": WALL_NM, "sd_nm": 15.0}])
    measurements = pd.DataFrame({"value": [0.1]})
    tables = dict(fractions=fractions, sizes=sizes, depth=depth, wall=wall, measurements=measurements)
    return Atlas(tables, [])


def ellipsoid(z_nm: float, y_nm: float, x_nm: float) -> Mesh:
    """A closed ellipsoid about the origin."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4)
    vertices = np.ascontiguousarray(ball.vertices[:, ::-1] * [z_nm, y_nm, x_nm])
    return Mesh(vertices, ball.faces.astype(np.int32))


@pytest.fixture(scope="session")
def make_atlas() -> Callable[..., Atlas]:
    return _atlas


@pytest.fixture(scope="session")
def cell() -> Mesh:
    return ellipsoid(1900.0, 2050.0, 2500.0)


@pytest.fixture(scope="session")
def thin() -> Mesh:
    """As thin as the sliver of a cell that the border of a field leaves."""
    return ellipsoid(420.0, 400.0, 1050.0)


@pytest.fixture(scope="session")
def budded() -> Mesh:
    """Mother and bud as one star-shaped surface with a neck."""
    mother = ellipsoid(1.0, 1.0, 1.0)
    unit = mother.vertices_nm
    along = unit[:, 2]
    radius = 1900.0 + 1500.0 * np.exp(-(((1 - along) / 0.12) ** 2))
    return Mesh(unit * radius[:, None], mother.faces)
