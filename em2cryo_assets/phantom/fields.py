"""Arranging simulated cells in the field of an SEM.

Belongs here: choosing where cells fall: spread out for a picture that one would take, or a deep crowd.
Does not belong here: how they rest and how they look (`pile`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import Body, Lobe
from em2cryo_assets.phantom.pile import Canvas, drop_cells
from em2cryo_assets.phantom.relief import Relief, turned
from em2cryo_assets.phantom.scene import Cell, Scar

__all__ = ["Crowd", "arrange", "crowd", "dried_stranger"]

_COARSE = 8
_CLEAR = 0.985


def _coarse(relief: Relief) -> Relief:
    start = (relief.top_nm.shape[0] // 2) % _COARSE
    cut = slice(start, None, _COARSE)
    return Relief(relief.top_nm[cut, cut], relief.bottom_nm[cut, cut], relief.normals[:, cut, cut])


def arrange(
    reliefs: Sequence[Relief], shape: tuple[int, int], reserved: tuple[int, int], *, clear: int, seed: int
) -> list[tuple[int, int]]:
    """Centres at which dropped cells make a field worth a picture.

    A microscopist looks for a place; so does this, by trying positions at an eighth of the resolution.

    Parameters
    ----------
    reliefs : sequence of Relief
        The cells, in order of falling.
    shape : tuple of int
        (y, x) pixels of the picture.
    reserved : tuple of int
        (y, x) size of the lower right corner that a scale bar will cover.
    clear : int
        Cells that must be wholly visible; all cells must be visible by a third.
    seed : int
        Of the positions tried.

    Returns
    -------
    list of tuple of int
        (y, x) pixel of each cell's centre; the best found where nothing fulfils all wishes.
    """
    rng = np.random.default_rng(seed)
    small = [_coarse(relief) for relief in reliefs]
    coarse_shape = (shape[0] // _COARSE, shape[1] // _COARSE)
    best: tuple[float, NDArray[np.int_]] | None = None
    for _ in range(600):
        share = rng.uniform(0.10, 0.90, size=(len(small), 2))
        centres = np.round(share * np.array(coarse_shape)).astype(int)
        pile = drop_cells(small, [(int(y), int(x)) for y, x in centres], coarse_shape)
        corner = pile.owner[-(reserved[0] // _COARSE) :, -(reserved[1] // _COARSE) :]
        covered = set(np.unique(corner).tolist())
        whole = sum(v >= _CLEAR and i not in covered for i, v in enumerate(pile.visible, start=1))
        hidden = sum(max(0.0, 0.35 - v) for v in pile.visible)
        occluded = sum(v < 0.9 for v in pile.visible)
        score = min(whole, clear) + 0.5 * min(occluded, len(small) - clear) - 10.0 * hidden
        if best is None or score > best[0]:
            best = (score, centres)
        if whole >= clear and hidden == 0.0 and occluded >= min(3, len(small) - clear):
            break
    assert best is not None
    return [(int(y) * _COARSE, int(x) * _COARSE) for y, x in best[1]]


@dataclass(frozen=True)
class Crowd:
    """Many cells in the order of their falling, for `pile.drop_cells`.

    Parameters
    ----------
    reliefs : list of Relief
        A traced cell may fall more than once, turned by quarters of a circle.
    centres : list of tuple of int
        (y, x) pixel of each cell's centre; some lie beside the picture.
    members : list of tuple of int
        Which of the traced cells it is, from 0, and by how many quarters it is turned (`relief.turned`).
    """

    reliefs: list[Relief]
    centres: list[tuple[int, int]]
    members: list[tuple[int, int]]


def crowd(
    reliefs: Sequence[Relief], shape: tuple[int, int], *, seed: int, layers: float = 3.5, choices: int = 6
) -> Crowd:
    """A pile several layers deep that covers the whole picture.

    Every cell falls at the lowest of a few places tried, so that layers fill before the next begins.
    Each traced cell falls as often as the area needs, each time at another place and quarter.

    Parameters
    ----------
    reliefs : sequence of Relief
        Cells in random orientation; 30 are enough for a picture of 1024² at 21 nm.
    shape : tuple of int
        (y, x) pixels of the picture.
    seed : int
        Of order, places and quarters.
    layers : float
        Sum of all silhouettes over the area of the picture.
    choices : int
        Places tried for each cell; 1 is a heap without order.

    Returns
    -------
    Crowd
        At least every relief once.

    Raises
    ------
    ValueError
        If there is no relief, or layers or choices are not positive.
    """
    if not reliefs or not layers > 0 or choices < 1:
        raise ValueError(f"A crowd needs cells, layers ({layers}) and choices ({choices}).")
    rng = np.random.default_rng(seed)
    side = max(relief.top_nm.shape[0] for relief in reliefs)
    margin = side // 4
    area = float(np.mean([np.isfinite(relief.top_nm).sum() for relief in reliefs]))
    count = max(len(reliefs), round(layers * (shape[0] + 2 * margin) * (shape[1] + 2 * margin) / area))
    pad = side // 2 + margin
    coarse = np.zeros(tuple(-(-(n + 2 * pad) // _COARSE) for n in shape), dtype=np.float32)
    ground = Canvas(coarse, (1.0, 0.0, 0.0))
    out = Crowd([], [], [])
    order = np.concatenate([rng.permutation(len(reliefs)) for _ in range(-(-count // len(reliefs)))])[:count]
    for number, index in enumerate(order, start=1):
        quarter = int(rng.integers(4))
        relief = turned(reliefs[index], quarter)
        small = _coarse(relief)
        places = rng.uniform(-margin, np.array(shape) + margin, size=(choices, 2)).astype(int)
        spots = [(int(y + pad) // _COARSE, int(x + pad) // _COARSE) for y, x in places]
        rests = [ground.rest(small, spot) for spot in spots]
        best = int(np.argmin(rests))
        ground.put(small, spots[best], rests[best], number)
        out.reliefs.append(relief)
        out.centres.append((int(places[best][0]), int(places[best][1])))
        out.members.append((int(index), quarter))
    return out


def dried_stranger(cell: Cell, rng: np.random.Generator) -> Cell:
    """A cell of some other strain and age: longer, with more and larger scars.

    Training fields and the comparison with a real field need cells unlike those of the simulated culture.

    Parameters
    ----------
    cell : Cell
        A drawn cell.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Cell
        Only its outer surface may be looked at: organelles stay where they were. The axis ratio grows by up
        to 1.35 at equal volume; a bud is moved along and keeps its shape. Up to four bud scars and, on one
        in two, the wide birth scar lie about the poles (ranges assumed, after published micrographs).
    """
    ratio = rng.uniform(1.0, 1.35)
    stretch = np.array([ratio ** (-1.0 / 3.0), ratio ** (-1.0 / 3.0), ratio ** (2.0 / 3.0)])
    mother, bud = cell.body.mother, cell.body.bud
    longer: Lobe = replace(mother, semi_axes_nm=mother.semi_axes_nm * stretch)
    under_bud = np.zeros(3)
    if bud is not None:
        under_bud = bud.centre_nm / np.linalg.norm(bud.centre_nm)
        was = 1.0 / np.linalg.norm(under_bud / mother.semi_axes_nm)
        now = 1.0 / np.linalg.norm(under_bud / longer.semi_axes_nm)
        bud = replace(bud, centre_nm=bud.centre_nm + under_bud * (now - was))
    scars: list[Scar] = []
    for number in range(1 + int(rng.integers(5))):
        birth = number == 0 and rng.random() < 0.5
        spread = 0.15 if birth else 0.6
        direction = np.array([*(spread * rng.normal(size=2)), 1.0 if rng.random() < 0.7 else -1.0])
        direction /= np.linalg.norm(direction)
        radius = rng.uniform(750.0, 950.0) if birth else rng.uniform(480.0, 700.0)
        scar = Scar(direction, radius, rng.uniform(60.0, 140.0))
        clear = float(direction @ under_bud) < 0.8
        if clear and all(float(direction @ other.direction) < 0.86 for other in scars):
            scars.append(scar)
    return replace(cell, body=Body(longer, bud, cell.body.neck_nm), scars=tuple(scars))
