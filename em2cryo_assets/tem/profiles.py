"""What every labelling of sections shares: its result, the check of its input, membranes and borders.

Belongs here: what labels with a network (`tem.section_decoding`) and without (`tem.labels`) have in common.
Does not belong here: deciding what a region is, measuring (`tem.measure`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.vocabulary import LABELS

__all__ = [
    "NO_CELL",
    "SMALLEST_PROFILE_UM2",
    "SectionLabels",
    "checked_section",
    "draw_membrane",
    "nearest_seed",
    "touching_border",
]

NO_CELL: Final = "No cell found: nothing in the section is clearly denser than its background."

SMALLEST_PROFILE_UM2: Final = 0.08
"""Less is no profile of a cell: 0.32 µm across, hardly more than a cap of wall."""

_MEMBRANE_NM: Final = 10.0


@dataclass(frozen=True)
class SectionLabels:
    """Labels of one section.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (y, x)
        Codes of `vocabulary.LABELS`.
    profiles : numpy.ndarray, int32, shape (y, x)
        0 outside, else the number of the cell profile (wall included) a pixel belongs to, from 1, in reading
        order.
    touching_border : tuple of int
        Profiles cut by the image border or by the excluded area.
    warnings : list of str
        What was assumed or not found, in sentences.
    """

    labels: NDArray[np.uint8]
    profiles: NDArray[np.int32]
    touching_border: tuple[int, ...]
    warnings: list[str]


def checked_section(
    density: NDArray[np.floating], pixel_size_nm: float, excluded: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A section that can be labelled, and its excluded pixels.

    Parameters
    ----------
    density, pixel_size_nm, excluded
        As for `label_section`.

    Returns
    -------
    tuple of numpy.ndarray
        float64 and bool of one shape (y, x).

    Raises
    ------
    ValueError
        Not a 2-D finite image, a pixel size that is not positive, or masks of another shape.
    """
    given = np.asarray(density, dtype=np.float64)
    if given.ndim != 2:
        raise ValueError(f"A section is a 2-D image, got shape {given.shape}.")
    if not np.isfinite(given).all():
        raise ValueError("The section holds NaN or infinite pixels.")
    if not pixel_size_nm > 0:
        raise ValueError(f"The pixel size must be positive, got {pixel_size_nm} nm.")
    barred = np.zeros(given.shape, bool) if excluded is None else np.asarray(excluded, bool)
    if barred.shape != given.shape:
        raise ValueError(f"The excluded mask has shape {barred.shape}, the section {given.shape}.")
    return given, barred


def draw_membrane(labels: NDArray[np.uint8], body: NDArray[np.bool_], pixel_size_nm: float) -> NDArray[np.floating]:
    """Label a body inside its wall as cytoplasm, its outermost 10 nm (one pixel at least) as membrane.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (y, x)
        Changed in place, within the body only.
    body : numpy.ndarray of bool, shape (y, x)
        What the wall encloses.
    pixel_size_nm : float
        Pixel side.

    Returns
    -------
    numpy.ndarray, shape (y, x)
        Depth below the body's outline, nm; the border of the array counts as no outline.
    """
    depth = ndimage.distance_transform_edt(np.pad(body, 1, mode="edge"))[1:-1, 1:-1] * pixel_size_nm
    labels[body] = LABELS["membrane"]
    labels[body & (depth > max(_MEMBRANE_NM, pixel_size_nm))] = LABELS["cytoplasm"]
    return np.asarray(depth)


def nearest_seed(seeds: NDArray[np.int32], cell: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give every pixel of the cells to the nearest body, so that touching walls are shared out.

    Parameters
    ----------
    seeds : numpy.ndarray, int32, shape (y, x)
        Numbered bodies, 0 elsewhere; at least one.
    cell : numpy.ndarray of bool, shape (y, x)
        All that is cell.

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        Number of the nearest body, 0 outside the cells.
    """
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    return np.where(cell, seeds[tuple(nearest)], 0).astype(np.int32)


def touching_border(profiles: NDArray[np.int32], barred: NDArray[np.bool_]) -> tuple[int, ...]:
    """Profiles with a pixel on the image border or beside an excluded pixel."""
    edge = ndimage.binary_dilation(barred, iterations=2) if barred.any() else barred.copy()
    edge[[0, -1], :] = True
    edge[:, [0, -1]] = True
    numbers = np.unique(profiles[edge])
    return tuple(int(n) for n in numbers if n)
