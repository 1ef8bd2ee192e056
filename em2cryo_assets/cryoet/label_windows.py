"""Windows into simulated cells to train and judge the labelling of tomograms with: what lies in a slab, without imaging.

Belongs here: where slabs are cut, and what of the cell they hold. Does not belong here: imaging
(`cryoet.label_pictures`), cells (`phantom`), batches (`cryoet.label_trainer`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.label_network import WORKING_NM
from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.cryo import Slab, slab_labels
from em2cryo_assets.phantom.planes import Plane, centred, deep_plane, random_plane, wall_plane
from em2cryo_assets.phantom.scene import Cell, draw_cell

__all__ = [
    "KINDS", "SIDE", "THICKNESS_NM", "Window", "depth_of", "draw_plane", "draw_slab", "load_window", "save_windows",
    "windows_of",
]  # fmt: skip

FloatArray = NDArray[np.float64]

SIDE: Final = 96
"""Voxels of a stored window along y and x: a field of 1 µm at `WORKING_NM`, and 256 nm on either side that tilted views
see."""

_UNIT: Final = 140

KINDS: Final = {"wall": 0.42, "neck": 0.08, "nucleus": 0.18, "vacuole": 0.14, "deep": 0.06, "anywhere": 0.12}
"""What a window is aimed at, and how often. Planes at random hold a nucleus in one window of ten."""

_CRYO_SECTIONS: Final = 0.25
"""Share of windows that are cut with a knife and compressed by 30 to 60 %, the range that `method` gives."""

THICKNESS_NM: Final = (80.0, 300.0)


@dataclass(frozen=True)
class Window:
    """What a slab holds, before it is imaged.

    Parameters
    ----------
    coverage : numpy.ndarray, uint8, shape (12, z, y, x)
        Share of each material of `phantom.contrast.MATERIALS`, in 140ths: a membrane's share reaches 1.8.
    labels : numpy.ndarray, uint8, shape (z, y, x)
        Codes of `vocabulary.LABELS` at the middle of each voxel.
    lamella : bool
        Whether an ion beam damaged its faces; else it is a cryo-section.
    """

    coverage: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    lamella: bool

    @property
    def shares(self) -> NDArray[np.float32]:
        """Coverage as shares, float32."""
        return self.coverage.astype(np.float32) / np.float32(_UNIT)


def draw_plane(cell: Cell, kind: str, rng: np.random.Generator) -> Plane:
    """Middle plane of a slab that is aimed at something.

    Parameters
    ----------
    cell : Cell
        A simulated cell.
    kind : str
        One of `KINDS`; "neck" is the wall where the cell has no bud.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Plane
        In any direction, so that walls have any inclination.
    """
    bud = cell.body.bud
    if kind == "neck" and bud is not None:
        line = np.linspace(cell.body.mother.centre_nm, bud.centre_nm, 101)
        waist = line[int(np.argmax(cell.body.distance(line)))]
        return Plane(waist + rng.normal(0.0, 150.0, 3), random_rotation(rng))
    if kind == "nucleus":
        nucleus = cell.organelles.nucleus
        centre = nucleus.centre_nm + _direction(rng) * rng.uniform(0.0, 1.1) * float(nucleus.semi_axes_nm.mean())
        return Plane(centre, random_rotation(rng))
    if kind == "vacuole":
        vacuole = cell.organelles.vacuole
        centre = vacuole.centre_nm + _direction(rng) * rng.uniform(0.0, 1.1) * vacuole.radius_nm
        return Plane(centre, random_rotation(rng))
    if kind == "deep":
        return deep_plane(cell.body, rng, 500.0)
    if kind == "anywhere":
        plane = None
        while plane is None:
            plane = random_plane(cell.body, rng)
        return Plane(plane.centre_nm + rng.uniform(-1800.0, 1800.0, 2) @ plane.axes[1:], plane.axes)
    return wall_plane(cell.body, rng, 450.0)


def _direction(rng: np.random.Generator) -> FloatArray:
    way = rng.normal(size=3)
    return np.asarray(way / np.linalg.norm(way))


def draw_slab(rng: np.random.Generator) -> Slab:
    """How a slab is made: three lamellae to one cryo-section."""
    if rng.random() < _CRYO_SECTIONS:
        return Slab("cryo-section", float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.0, 180.0)))
    return Slab()


def windows_of(seed: int, count: int) -> list[Window]:
    """Windows into the cell of a seed at `WORKING_NM`, all equally thick; the same for the same seed, 0.1 s each."""
    cell, rng = draw_cell(seed), np.random.default_rng([seed, 17])
    shape = (round(float(rng.uniform(*THICKNESS_NM)) / WORKING_NM), SIDE, SIDE)
    out = []
    for _ in range(count):
        plane = draw_plane(cell, str(rng.choice(list(KINDS), p=list(KINDS.values()))), rng)
        slab = draw_slab(rng)
        points = slab.block_plane(plane).points_nm(*(centred(n, WORKING_NM) for n in shape))
        coverage = np.clip(np.rint(cell.coverage(points, WORKING_NM) * _UNIT), 0, 255).astype(np.uint8)
        out.append(Window(coverage, slab_labels(cell, plane, shape, WORKING_NM, slab), slab.kind == "lamella"))
    return out


def save_windows(windows: list[Window], path: Path) -> None:
    """Write windows to a file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    arrays = {f"{name}{k}": getattr(w, name) for k, w in enumerate(windows) for name in ("coverage", "labels")}
    lamella, depth = np.array([w.lamella for w in windows]), np.array(windows[0].labels.shape[0])
    with partial.open("wb") as file:
        np.savez_compressed(file, lamella=lamella, depth=depth, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def depth_of(path: Path) -> int:
    """Voxels along z of the windows in a file."""
    with np.load(path) as file:
        return int(file["depth"])


def load_window(path: Path, index: int) -> Window:
    """Read one window of what `save_windows` wrote, counted round and round; some 10 ms."""
    with np.load(path) as file:
        k = index % len(file["lamella"])
        return Window(file[f"coverage{k}"], file[f"labels{k}"], bool(file["lamella"][k]))
