"""Simulated fields with the instance masks of their cells, for training a mask network and judging one.

Belongs here: drawing crowded, sparse and empty fields at the working pixel size, and which cells of them count.
Does not belong here: the maps that a network is asked for (`sem.mask_targets`), what is done to a picture afterwards
(`sem.mask_augmentation`), the training itself (`sem.mask_trainer`). Nothing real enters.

Labels are modal and one a *lobe*: a bud that shows `BUD_AREA_UM2` or more is an instance of its own, and
`Field.mother_of` says whose it is; a smaller one, like a nipple or a scar, belongs to its mother. A person who
outlines a real field draws it so, for a bud in front of its mother has an outline all round.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.body import Body, Lobe, random_rotation
from em2cryo_assets.phantom.charging import CROWDED, Look, draw_look
from em2cryo_assets.phantom.fields import Crowd, crowd, dried_stranger
from em2cryo_assets.phantom.pile import Pile, drop_cells, sem_image
from em2cryo_assets.phantom.relief import Relief, resting_rotation, trace_relief
from em2cryo_assets.phantom.scene import Cell, Scar, draw_cell
from em2cryo_assets.sem.mask_network import WORKING_NM

__all__ = [
    "BUD_AREA_UM2",
    "FIELD_SIDE",
    "SLIVER_UM2",
    "Field",
    "empty_field",
    "load_field",
    "save_field",
    "simulated_field",
]

BUD_AREA_UM2: Final = 0.6
"""Visible area from which a bud is an instance of its own: a disc of 0.87 µm, some 16 working pixels."""

FIELD_SIDE: Final = 320
"""Pixels of a training field's side, 17 µm: five to six cells across."""

SLIVER_UM2: Final = 0.25
"""Visible pieces that are smaller (10 pixels across) are neither asked for nor punished."""

_OWN_OUTLINE = 0.25
"""Least share of its outline along which a cell lies in front of what is beside it, with a step to be seen."""

_EMPTY_SHARE, _SPARSE_SHARE = 0.08, 0.20
_TRACED = (10, 16)
"""Cells traced for one field; each falls several times, turned by quarters of a circle."""

_NOT_DRIED_STRANGERS = 0.3
_NIPPLES = 0.3


@dataclass(frozen=True)
class Field:
    """A simulated picture and the truth about it; instances count from 1.

    Parameters
    ----------
    image : numpy.ndarray, uint8, shape (y, x)
        Secondary-electron picture at `WORKING_NM`, no bar.
    labels : numpy.ndarray, int32, shape (y, x)
        Modal instances, 0 on the support.
    mother_of : numpy.ndarray, int32, shape (n + 1,)
        Instance of the mother that a bud sits on where both are visible, else 0.
    centres : numpy.ndarray, float32, shape (n + 1, 2)
        (y, x) pixel of the centre of the whole lobe, seen or not, perhaps beside the picture.
    visible : numpy.ndarray, float32, shape (n + 1,)
        Share of the cell's silhouette, bud included, that can be seen.
    depth_nm : numpy.ndarray, float32, shape (n + 1,)
        Median depth of its visible surface below the highest of the field.
    counts : numpy.ndarray, bool, shape (n + 1,)
        Whether a segmentation has to find it: not a sliver, and part of its outline can be seen as its own.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    mother_of: NDArray[np.int32]
    centres: NDArray[np.float32]
    visible: NDArray[np.float32]
    depth_nm: NDArray[np.float32]
    counts: NDArray[np.bool_]


def save_field(field: Field, path: Path) -> None:
    """Write a field to a file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as out:
        np.savez_compressed(out, **{one.name: getattr(field, one.name) for one in fields(Field)})
    partial.replace(path)


def load_field(path: Path) -> Field:
    """Read what `save_field` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Field(**{one.name: stored[one.name] for one in fields(Field)})


def simulated_field(seed: int, side: int = FIELD_SIDE, *, held_out: bool = False) -> Field:
    """Draw one field: a pile of any depth, a few cells on bare support, or no cell at all.

    Parameters
    ----------
    seed : int
        Same seed, same field.
    side : int
        Pixels of its side.
    held_out : bool
        Draw piles only, with the yield exponents that are never trained on.

    Returns
    -------
    Field
        At `WORKING_NM`.
    """
    rng = np.random.default_rng((seed, 1 if held_out else 0))
    kind = 1.0 if held_out else rng.random()
    if kind < _EMPTY_SHARE:
        return _without_cells(empty_field((side, side), rng))
    sparse = kind < _EMPTY_SHARE + _SPARSE_SHARE
    look = _drawn_look(rng, held_out)
    # Dried cells of the real kind measure 2.7 to 3.7 µm, undried diploids 6 µm; a field is of one culture. Sizes
    # beyond both stand for a working scale that is off by a sixth.
    size = float(np.exp(rng.uniform(np.log(0.50), np.log(0.85))))
    flat = rng.random() < 0.3
    cells = [_drawn_cell(int(rng.integers(2**31)), rng) for _ in range(int(rng.integers(*_TRACED)))]
    turns = [resting_rotation(rng) if flat else random_rotation(rng) for _ in cells]
    shrinks = [size * rng.uniform(0.88, 1.14) for _ in cells]
    reliefs = [trace_relief(c, t, s, WORKING_NM) for c, t, s in zip(cells, turns, shrinks, strict=True)]
    shape = (side, side)
    if sparse:
        few = int(rng.integers(3, 15))
        at = rng.integers(-10, side + 10, (few, 2))
        members = [(int(rng.integers(len(reliefs))), 0) for _ in range(few)]
        heap = Crowd([reliefs[m] for m, _ in members], [(int(y), int(x)) for y, x in at], members)
    else:
        layers = float(rng.uniform(1.2, 4.0))
        heap = crowd(reliefs, shape, seed=int(rng.integers(2**31)), layers=layers, choices=int(rng.integers(1, 7)))
    pile = drop_cells(heap.reliefs, heap.centres, shape, WORKING_NM)
    image = sem_image(pile, WORKING_NM, seed=int(rng.integers(2**31)), look=look)
    if sparse and rng.random() < 0.5:
        image = _on_texture(image, pile, empty_field(shape, rng), rng)
    return _labelled(image, pile, heap, cells, turns, shrinks)


def _drawn_look(rng: np.random.Generator, held_out: bool) -> Look:
    """A look for this pixel size: a real picture that is brought to it is sharper than one taken with it."""
    look = draw_look(rng, held_out=held_out)
    microscope = replace(
        look.microscope, spot_px=rng.uniform(0.2, 1.1), gain=rng.uniform(0.2, 0.8), texture=rng.uniform(0.0, 0.08),
        occlusion=rng.uniform(0.0, 0.5), dose=float(np.exp(rng.uniform(np.log(40.0), np.log(1500.0)))),
    )  # fmt: skip
    if rng.random() < 0.5:
        # Half of the fields darken with depth down to black, as crowded fields do that charge up.
        look = replace(look, darkening_um=rng.uniform(1.5, 5.0), darkest=0.0, knee=rng.uniform(0.5, 0.8))
        if not held_out:
            microscope = replace(microscope, exponent=CROWDED.microscope.exponent * rng.uniform(0.8, 1.3))
    return replace(look, microscope=microscope, jitter_px=rng.uniform(0.0, 0.15), softness_px=rng.uniform(0.0, 0.5))


def _drawn_cell(seed: int, rng: np.random.Generator) -> Cell:
    """A cell of any strain; scars up to half again as high, and some with a nipple (a very small bud)."""
    cell = draw_cell(seed)
    if rng.random() >= _NOT_DRIED_STRANGERS:
        cell = dried_stranger(cell, rng)
    if rng.random() < 0.4:
        cell = replace(cell, scars=(*cell.scars, *_more_scars(rng)))
    higher = rng.uniform(0.7, 1.5)
    cell = replace(cell, scars=tuple(replace(s, height_nm=s.height_nm * higher) for s in cell.scars))
    if cell.body.bud is None and rng.random() < _NIPPLES:
        cell = replace(cell, body=_with_nipple(cell.body.mother, rng))
    return cell


def _more_scars(rng: np.random.Generator) -> list[Scar]:
    """One to four scars anywhere: old mothers carry them beside one another, and turned to the beam."""
    ways = rng.normal(size=(int(rng.integers(1, 5)), 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return [Scar(way, rng.uniform(450.0, 800.0), rng.uniform(50.0, 140.0)) for way in ways]


def _with_nipple(mother: Lobe, rng: np.random.Generator) -> Body:
    """Put a knob of 0.12 to 0.3 of the mother's radius at one of her poles."""
    way = np.array([*(0.25 * rng.normal(size=2)), rng.choice([-1.0, 1.0])])
    way /= np.linalg.norm(way)
    radius = float(np.cbrt(np.prod(mother.semi_axes_nm))) * rng.uniform(0.12, 0.30)
    surface = way / np.linalg.norm(way / mother.semi_axes_nm)
    centre = surface + way * radius * rng.uniform(-0.4, 0.8)
    knob = Lobe(centre, np.eye(3), np.full(3, radius), np.zeros((0, 3)), (), np.zeros(0))
    return Body(mother, knob, 0.35 * radius + rng.uniform(50.0, 200.0))


def _on_texture(
    image: NDArray[np.uint8], pile: Pile, ground: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Give the bare support a texture; cells keep their shading and cast it by their glare."""
    bare = ndimage.gaussian_filter((pile.owner == 0).astype(np.float32), 0.6)
    rough = 1.0 + rng.uniform(0.2, 0.8) * (ground.astype(np.float32) - ground.mean()) / 128.0
    out = image * (1.0 + bare * (rough - 1.0))
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _labelled(
    image: NDArray[np.uint8],
    pile: Pile,
    heap: Crowd,
    cells: list[Cell],
    turns: list[NDArray[np.float64]],
    shrinks: list[float],
) -> Field:
    """Split the owners into lobes, number what can be seen, and say what counts."""
    labels = np.zeros(pile.owner.shape, np.int32)
    mothers, centres, visible = [0], [(0.0, 0.0)], [0.0]
    um2 = (WORKING_NM / 1000.0) ** 2
    in_bud: dict[int, NDArray[np.bool_]] = {}
    for number, window in enumerate(ndimage.find_objects(pile.owner, len(heap.reliefs)), 1):
        if window is None:
            continue
        index, quarter = heap.members[number - 1]
        cell, centre = cells[index], heap.centres[number - 1]
        seen = pile.owner[window] == number
        mothers.append(0)
        centres.append((float(centre[0]), float(centre[1])))
        visible.append(pile.visible[number - 1])
        mother = len(mothers) - 1
        labels[window][seen] = mother
        if cell.body.bud is None:
            continue
        if index not in in_bud:
            top = heap.reliefs[number - 1].top_nm
            own = Relief(np.rot90(top, -quarter), top, np.zeros((3, *top.shape), np.float32))
            in_bud[index] = _bud_pixels(cell.body, turns[index], shrinks[index], own.top_nm)
        part = _cut(np.rot90(in_bud[index], quarter), window, centre) & seen
        if part.sum() * um2 < BUD_AREA_UM2:
            continue
        way = shrinks[index] * (turns[index] @ cell.body.bud.centre_nm) / WORKING_NM
        y, x = float(way[1]), float(way[2])
        for _ in range(quarter):
            y, x = -x, y
        labels[window][part] = len(mothers)
        mothers.append(mother if (seen & ~part).sum() * um2 >= SLIVER_UM2 else 0)
        centres.append((centre[0] + y, centre[1] + x))
        visible.append(pile.visible[number - 1])
    labels = _without_specks(labels)
    inside = np.unique(labels)
    depth = np.zeros(len(mothers), np.float32)
    seen_labels = inside[inside > 0]
    depth[seen_labels] = ndimage.median(pile.depth_nm, labels, seen_labels)
    counts = _countable(image, pile.height_nm, labels, len(mothers))
    return Field(
        image, labels, np.array(mothers, np.int32), np.array(centres, np.float32), np.array(visible, np.float32),
        depth, counts,
    )  # fmt: skip


def _without_specks(labels: NDArray[np.int32], most: int = 40, most_enclosed: int = 150) -> NDArray[np.int32]:
    """Give small pieces to what lies next to them: rays that missed the ring of a scar leave such holes.

    Pieces of up to `most` pixels, and of up to `most_enclosed` where a single instance lies all round.
    """
    from skimage.measure import label

    pieces = label(labels, background=-1, connectivity=1)
    size = np.bincount(pieces.ravel())
    small = size <= most
    for piece, window in enumerate(ndimage.find_objects(pieces), 1):
        if window is not None and most < size[piece] <= most_enclosed:
            around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in window)
            here = pieces[around] == piece
            ring = labels[around][ndimage.binary_dilation(here) & ~here]
            small[piece] = ring.size > 0 and ring[0] > 0 and bool((ring == ring[0]).all())
    speck = small[pieces]
    if not speck.any():
        return labels
    rows, columns = ndimage.distance_transform_edt(speck, return_distances=False, return_indices=True)
    return np.asarray(labels[rows, columns])


def _bud_pixels(
    body: Body, rotation: NDArray[np.float64], shrink: float, top_nm: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Pixels of a relief at which the bud, not the mother, is what the beam meets."""
    assert body.bud is not None
    out = np.zeros(top_nm.shape, bool)
    rows, columns = np.nonzero(np.isfinite(top_nm))
    half = top_nm.shape[0] // 2
    place = np.stack([top_nm[rows, columns], (rows - half) * WORKING_NM, (columns - half) * WORKING_NM])
    zyx = (np.asarray(rotation).T @ place.astype(np.float64)) / shrink
    out[rows, columns] = body.bud.distance(zyx, exact=True) < body.mother.distance(zyx, exact=True)
    return out


def _cut(patch: NDArray[np.bool_], window: tuple[slice, ...], centre: tuple[int, int]) -> NDArray[np.bool_]:
    """The part of a patch, centred at a pixel of the picture, that lies in a window of the picture."""
    half = patch.shape[0] // 2
    rows, columns = (slice(s.start - c + half, s.stop - c + half) for s, c in zip(window, centre, strict=True))
    return patch[rows, columns]


def _countable(
    image: NDArray[np.uint8], height_nm: NDArray[np.float32], labels: NDArray[np.int32], n: int
) -> NDArray[np.bool_]:
    """Instances that are no slivers and lie in front along a quarter of their outline, brighter than what is behind.

    Where everything darkens with depth, most of what lies between the cells in front is some cell; a first network
    that was asked for all of it filled every gap of a real field.
    """
    area = np.bincount(labels.ravel(), minlength=n) * (WORKING_NM / 1000.0) ** 2
    grey = image.astype(np.float32)
    smooth = ndimage.gaussian_filter(grey, 1.0)
    least = max(4.0, 0.025 * float(np.ptp(np.percentile(smooth, (1, 99)))))
    outline, own_outline, rise = np.zeros(n), np.zeros(n), np.zeros(n)
    for turned in (False, True):
        side, tall, bright = (a.T if turned else a for a in (labels, height_nm, smooth))
        for up in (False, True):
            own, other = (side[1:-2], side[2:-1]) if not up else (side[2:-1], side[1:-2])
            front = (tall[1:-2] > tall[2:-1]) != up
            rows = np.arange(1, side.shape[0] - 2)
            inner, rim, outer = (
                bright[np.clip(rows + k, 0, side.shape[0] - 1)] for k in ((-1, 0, 2) if not up else (2, 1, -1))
            )
            split = (own != other) & (own > 0)
            outline += np.bincount(own[split], minlength=n)
            split &= front
            own_outline += np.bincount(own[split], minlength=n)
            rise += np.bincount(own[split], (0.5 * (inner + rim) - outer)[split], n)
    # Means along the outline, for an eye follows it through noise that hides every single step.
    counts = (area >= SLIVER_UM2) & (own_outline >= _OWN_OUTLINE * outline) & (rise >= least * own_outline)
    counts[0] = False
    return counts


def _without_cells(image: NDArray[np.uint8]) -> Field:
    none = np.zeros(1, np.float32)
    return Field(
        image, np.zeros(image.shape, np.int32), np.zeros(1, np.int32), np.zeros((1, 2), np.float32), none, none,
        np.zeros(1, bool),
    )  # fmt: skip


def empty_field(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture without cells: noise, slow gradients, grain, scratches, pores of a filter, or crystals.

    Parameters
    ----------
    shape : tuple of int
        (y, x) pixels.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x)
        Mean and contrast at random.
    """
    y, x = (np.linspace(-1.0, 1.0, n) for n in shape)
    out = rng.normal() * y[:, None] + rng.normal() * x[None]
    kind = int(rng.integers(5))
    if kind == 1:  # grain of several sizes
        for sigma in np.exp(rng.uniform(np.log(0.7), np.log(25.0), 3)):
            grain = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
            out = out + rng.uniform(0.2, 1.5) * grain / grain.std()
    elif kind == 2:  # scratches
        for _ in range(int(rng.integers(3, 25))):
            angle, place = rng.uniform(0, np.pi), rng.uniform(-1, 1)
            away = np.abs(np.cos(angle) * y[:, None] + np.sin(angle) * x[None] - place)
            out = out + rng.normal() * np.exp(-((away / rng.uniform(0.004, 0.03)) ** 2))
    elif kind == 3:  # pores
        for _ in range(int(rng.integers(5, 60))):
            cy, cx, radius = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.01, 0.05)
            away = np.hypot(y[:, None] - cy, x[None] - cx)
            out = out - 2.5 * (away < radius) + 0.6 * np.exp(-(((away - radius) / 0.01) ** 2))
    elif kind == 4:  # crystals: flat facets that meet in straight edges
        seeds, grey = rng.uniform(-1.1, 1.1, (int(rng.integers(8, 80)), 2)), rng.normal(size=80)
        away = np.hypot(y[:, None, None] - seeds[:, 0], x[None, :, None] - seeds[:, 1])
        out = out + grey[away.argmin(axis=2)]
    out = ndimage.gaussian_filter(out + rng.uniform(0.02, 1.0) * rng.standard_normal(shape), rng.uniform(0.0, 1.0))
    out = (out - out.mean()) / max(float(out.std()), 1e-9)
    return np.clip(np.rint(rng.uniform(40, 200) + rng.uniform(3, 60) * out), 0, 255).astype(np.uint8)
