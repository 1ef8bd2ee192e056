"""How good labels of sections are, against simulated sections whose truth is known.

Belongs here: held-out sections, overlap and area bias, the validation table. Does not belong here: making labels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.phantom.planes import profile_extent_nm, random_plane
from em2cryo_assets.phantom.scene import Cell, draw_cell
from em2cryo_assets.phantom.tem import Settings, cut_section
from em2cryo_assets.tem.section_pictures import Picture, picture, slices_of
from em2cryo_assets.vocabulary import LABELS

__all__ = ["SETS", "Judged", "confusion", "judged_pictures", "pooled", "validation_table"]

SETS: Final = ("trained stains", "held-out stains", "another renderer")
"""Sections with stains of the range that is trained on; with stains of the family that never is
(`section_stains.in_silver_family`); and by `phantom.tem.cut_section`, which training does not use."""

HELD_OUT_FIRST: Final = 900_000
"""Added to a training's first seed: no training draws these cells."""

_PIXELS_NM: Final = (6.0, 8.0, 10.5, 13.9, 16.4, 20.0)
_NEIGHBOUR: Final = 0.3
_DRAWS: Final = 1000

Labeller = Callable[[NDArray[np.float32], float], NDArray[np.uint8]]


@dataclass(frozen=True)
class Judged:
    """A held-out section.

    Parameters
    ----------
    kind : str
        One of `SETS`.
    cell : int
        Number of the cell; the sections of one cell are no independent samples.
    picture : Picture
        Image and truth.
    """

    kind: str
    cell: int
    picture: Picture


def judged_pictures(cells: int, *, seed: int = 0) -> Iterator[Judged]:
    """Draw held-out sections, three of each cell: one of each of `SETS`, through planes of their own.

    Parameters
    ----------
    cells : int
        Simulated cells.
    seed : int
        Of the training that they are held out from, times 100,000.

    Yields
    ------
    Judged
        In the order of cells; pixels of 6 to 20 nm, thickness 50 to 100 nm, in a third of them a second cell. A cell
        takes some 6 s.
    """
    for number in range(cells):
        first = seed + HELD_OUT_FIRST + number
        cell, rng = draw_cell(first), np.random.default_rng([first, 13])
        for kind in SETS[:2]:
            pixel_nm = float(rng.choice(_PIXELS_NM))
            cuts = slices_of(cell, 1, pixel_nm, rng)
            if rng.random() < _NEIGHBOUR:
                cuts += slices_of(draw_cell(first + 50_000), 1, pixel_nm, rng)
            side = max(max(cuts[0].labels.shape) + round(400.0 / pixel_nm), 200)
            shown = picture(cuts, side, pixel_nm, rng, held_out_stain=kind == SETS[1], whole=True)
            yield Judged(kind, number, shown)
        yield Judged(SETS[2], number, _by_microscope(cell, rng))


def _by_microscope(cell: Cell, rng: np.random.Generator) -> Picture:
    """A section as studies are simulated, with settings over their whole range."""
    plane = None
    while plane is None:
        plane = random_plane(cell.body, rng)
    pixel_nm = float(rng.choice(_PIXELS_NM))
    settings = Settings(
        thickness_nm=float(rng.uniform(50.0, 100.0)),
        compression=float(rng.uniform(0.0, 0.35)) if rng.random() < 0.4 else 0.0,
        knife_mark_depth=float(rng.uniform(0.0, 0.12)),
        dirt=int(rng.integers(0, 3)),
        stain_grain=float(rng.uniform(0.0, 0.2)),
        defocus_um=float(rng.uniform(0.0, 2.0)),
        dose_e_per_nm2=float(10.0 ** rng.uniform(0.5, 2.5)),
        camera_blur_px=float(rng.uniform(0.0, 0.8)),
    )
    side = int(np.ceil((profile_extent_nm(cell.body, plane) + 600.0) / pixel_nm))
    section = cut_section(cell, plane, (side, side), pixel_nm, settings, seed=int(rng.integers(2**31)))
    profiles = (section.labels > 0).astype(np.uint8)
    return Picture(section.image, section.labels, profiles, section.layers == 1, pixel_nm)


def confusion(truth: NDArray[np.uint8], labels: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels by true (rows) and given label (columns), shape (8, 8), where the truth is known."""
    size = len(LABELS)
    pairs = truth[known].astype(np.int64) * size + labels[known]
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def pooled(areas: NDArray[np.floating]) -> dict[str, tuple[float, float]]:
    """Dice and relative bias of the area of each label, pooled over sections.

    Parameters
    ----------
    areas : numpy.ndarray, shape (8, 8)
        Sum over sections of `confusion` times the area of a pixel.

    Returns
    -------
    dict
        By label; those that the truth does not hold are left out.
    """
    true, given = areas.sum(axis=1), areas.sum(axis=0)
    return {
        name: (float(2.0 * areas[k, k] / (true[k] + given[k])), float(given[k] / true[k] - 1.0))
        for name, k in LABELS.items()
        if true[k] > 0
    }


def validation_table(cells: int, weights: Path, *, seed: int = 0) -> pd.DataFrame:
    """Judge the network and the classical labelling on the same held-out sections.

    Parameters
    ----------
    cells : int
        Held-out cells.
    weights : Path
        Of the network.
    seed : int
        As for `judged_pictures`.

    Returns
    -------
    pandas.DataFrame
        set, labeller (network or levels), label, dice, dice_low, dice_high (95 %, bootstrap over cells), area_bias
        (relative), sections (that hold the label).
    """
    from em2cryo_assets.tem.labels import label_section
    from em2cryo_assets.tem.section_decoding import network_section
    from em2cryo_assets.tem.section_network import section_net

    net = section_net(weights)
    labellers: dict[str, Labeller] = {
        "network": lambda image, side: network_section(image, side, net=net).labels,
        "levels": lambda image, side: label_section(image, side).labels,
    }
    found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for judged in judged_pictures(cells, seed=seed):
        shown = judged.picture
        for name, labeller in labellers.items():
            counts = confusion(shown.labels, labeller(shown.image, shown.pixel_nm), shown.known)
            found.setdefault((judged.kind, name), []).append(counts.astype(np.float64) * shown.pixel_nm**2)
    return pd.concat([_rows(kind, name, np.stack(areas)) for (kind, name), areas in found.items()], ignore_index=True)


def _rows(kind: str, labeller: str, areas: NDArray[np.float64]) -> pd.DataFrame:
    """One row a label, of areas (sections, 8, 8); a set holds one section of each cell."""
    rng = np.random.default_rng(0)
    drawn = [pooled(areas[rng.integers(len(areas), size=len(areas))].sum(axis=0)) for _ in range(_DRAWS)]
    rows = []
    for name, (dice, bias) in pooled(areas.sum(axis=0)).items():
        low, high = np.percentile([d[name][0] for d in drawn if name in d], (2.5, 97.5))
        sections = int((areas[:, LABELS[name]].sum(axis=1) > 0).sum())
        rows.append((kind, labeller, name, dice, float(low), float(high), bias, sections))
    return pd.DataFrame(
        rows, columns=["set", "labeller", "label", "dice", "dice_low", "dice_high", "area_bias", "sections"]
    )
