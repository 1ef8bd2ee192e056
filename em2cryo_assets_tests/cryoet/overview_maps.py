"""Simulated maps of frozen cells, with their truth."""

import numpy as np

from em2cryo_assets.phantom.body import random_rotation
from em2cryo_assets.phantom.overview import Overview, overview
from em2cryo_assets.phantom.planes import Plane, random_plane
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.scene import draw_cell

PIXEL_NM = 50.0
STEP_PX = 190


def simulated_map(seed: int, rows: int, columns: int, *, lamella: bool) -> tuple[Overview, list[Scene]]:
    """Cells in a grid wide enough that none touches the next, in random planes or directions."""
    rng = np.random.default_rng(seed)
    cells: list[Scene] = []
    planes: list[Plane] = []
    tried = 0
    while len(cells) < rows * columns:
        cell: Scene = draw_cell(1000 * seed + tried)
        tried += 1
        # A lamella meets large cells more often: the cells that it misses are not in the map.
        plane = random_plane(cell.body, rng) if lamella else Plane(np.zeros(3), random_rotation(rng))
        if plane is not None:
            cells.append(cell)
            planes.append(plane)
    centres = [((r + 0.5) * STEP_PX, (c + 0.5) * STEP_PX) for r in range(rows) for c in range(columns)]
    seen = overview(
        cells, planes, centres, (rows * STEP_PX, columns * STEP_PX), PIXEL_NM,
        thickness_nm=200.0 if lamella else None, seed=seed,
    )  # fmt: skip
    return seen, cells
