"""A pile of dried cells under a scanning electron microscope.

Belongs here: cells dropped on one another, the truth about what is visible, and pictures of it.
Does not belong here: the relief of one cell (`relief`), where cells fall (`fields`), other views of a pile
(`views`), brightness (`sem.image_model`), what a specimen does by itself (`charging`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.charging import GENTLE, Look, displayed, drifted, specimen_gain, texture, with_glare
from em2cryo_assets.phantom.relief import Relief, resting_rotation, trace_relief
from em2cryo_assets.sem.image_model import SemParameters, backscattered, counted, secondary_electrons

__all__ = [
    "Canvas", "Pile", "Relief", "bse_images", "drop_cells", "resting_rotation", "sem_image", "trace_relief",
    "visible_shares",
]  # fmt: skip

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Pile:
    """Cells lying on a support and on each other: what a picture shows of them, and the truth about it.

    Parameters
    ----------
    height_nm : numpy.ndarray, float32, shape (y, x)
        Of the visible surface, towards the beam.
    normals : numpy.ndarray, float32, shape (3, y, x)
        Of the visible surface, (z, y, x).
    owner : numpy.ndarray, int32, shape (y, x)
        Number of the visible cell from 1, 0 where the support is visible: the modal instance masks.
    visible : tuple of float
        Share of each cell's silhouette that is visible in the picture.
    half_thickness_nm : numpy.ndarray, float32, shape (y, x)
        Half the way from the visible cell's upper to its lower surface along the beam; 0 on the support.
    depth_nm : numpy.ndarray, float32, shape (y, x)
        Of the visible surface below the highest point in view, along the normal of the support.
    centres_nm : numpy.ndarray, float64, shape (cells, 3)
        Centre of each cell's mother, (z, y, x); z from the support, y and x from the picture's centre.
    """

    height_nm: Float32Array
    normals: Float32Array
    owner: NDArray[np.int32]
    visible: tuple[float, ...]
    half_thickness_nm: Float32Array
    depth_nm: Float32Array
    centres_nm: NDArray[np.float64]


class Canvas:
    """A picture to which cells are added, nearest surface in front.

    Parameters
    ----------
    height_nm : numpy.ndarray, float32, shape (y, x)
        Height of the empty support; changed in place.
    normal : sequence of float
        Its unit normal (z, y, x).
    """

    def __init__(self, height_nm: Float32Array, normal: Sequence[float]) -> None:
        self.height_nm = height_nm
        self.normals = np.empty((3, *height_nm.shape), dtype=np.float32)
        for axis in range(3):
            self.normals[axis] = normal[axis]
        self.owner = np.zeros(height_nm.shape, dtype=np.int32)
        self.half_thickness_nm = np.zeros(height_nm.shape, dtype=np.float32)

    def rest(self, relief: Relief, centre: tuple[int, int]) -> float:
        """Height at which the centre of a cell comes to rest that falls at a pixel."""
        outer, inner = _window(self.height_nm.shape, centre, relief.top_nm.shape[0])
        bottom = relief.bottom_nm[inner]
        here = np.isfinite(bottom)
        return float(np.max(self.height_nm[outer][here] - bottom[here], initial=-np.inf))

    def put(self, relief: Relief, centre: tuple[int, int], lift_nm: float, number: int) -> None:
        """Draw a cell whose centre is at a pixel and a height; what lies behind stays visible."""
        outer, inner = _window(self.height_nm.shape, centre, relief.top_nm.shape[0])
        top = relief.top_nm[inner]
        here = np.isfinite(top)
        shown = here & (np.where(here, top, -np.inf) + lift_nm > self.height_nm[outer])
        self.height_nm[outer][shown] = (top + lift_nm)[shown]
        self.owner[outer][shown] = number
        # A ray that grazes a groove may meet the lower surface nm above the upper one.
        half = np.maximum(0.5 * (top - relief.bottom_nm[inner]), 0.0)
        self.half_thickness_nm[outer][shown] = half[shown]
        for axis in range(3):
            self.normals[axis][outer][shown] = relief.normals[axis][inner][shown]


def _window(
    shape: tuple[int, ...], centre: tuple[int, int], side: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the picture and of a patch centred at a pixel, cut at the picture's border."""
    half = side // 2
    outer, inner = [], []
    for n, c in zip(shape, centre, strict=True):
        low, high = max(c - half, 0), max(min(c + half + 1, n), max(c - half, 0))
        outer.append(slice(low, high))
        inner.append(slice(low - c + half, high - c + half))
    return (outer[0], outer[1]), (inner[0], inner[1])


def visible_shares(owner: NDArray[np.int32], reliefs: Sequence[Relief]) -> tuple[float, ...]:
    """Share of each silhouette that a map of owners shows."""
    seen = np.bincount(owner.ravel(), minlength=len(reliefs) + 1)[1:]
    return tuple(float(n) / max(float(np.isfinite(r.top_nm).sum()), 1.0) for n, r in zip(seen, reliefs, strict=True))


def drop_cells(
    reliefs: Sequence[Relief],
    centres: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    pixel_size_nm: float = 1.0,
) -> Pile:
    """Drop cells one after another; each comes to rest where it first touches what lies below.

    Parameters
    ----------
    reliefs : sequence of Relief
        In order of falling.
    centres : sequence of tuple of int
        (y, x) pixel of each cell's centre, which may lie outside the picture.
    shape : tuple of int
        (y, x) pixels of the picture.
    pixel_size_nm : float
        Pixel side; only `Pile.centres_nm` needs it.

    Returns
    -------
    Pile
        Nothing interpenetrates: every cell's lower surface is at or above what lay there before.
    """
    # Cells also rest on what lies beside the picture.
    pad = max(r.top_nm.shape[0] for r in reliefs) // 2
    canvas = Canvas(np.zeros((shape[0] + 2 * pad, shape[1] + 2 * pad), dtype=np.float32), (1.0, 0.0, 0.0))
    rests = []
    for number, (relief, centre) in enumerate(zip(reliefs, centres, strict=True), start=1):
        at = (centre[0] + pad, centre[1] + pad)
        rests.append(canvas.rest(relief, at))
        canvas.put(relief, at, rests[-1], number)
    crop = (slice(pad, pad + shape[0]), slice(pad, pad + shape[1]))
    height, owner = canvas.height_nm[crop], canvas.owner[crop]
    middle = 0.5 * (np.array(shape) - 1.0)
    flat = (np.array(centres, dtype=np.float64).reshape(-1, 2) - middle) * pixel_size_nm
    return Pile(
        height, canvas.normals[:, crop[0], crop[1]], owner, visible_shares(owner, reliefs),
        canvas.half_thickness_nm[crop], height.max() - height, np.column_stack([rests, flat]),
    )  # fmt: skip


def sem_image(
    pile: Pile,
    pixel_size_nm: float,
    *,
    seed: int,
    parameters: SemParameters | None = None,
    look: Look = GENTLE,
) -> NDArray[np.uint8]:
    """Secondary-electron picture of a pile.

    Parameters
    ----------
    pile : Pile
        What is visible.
    pixel_size_nm : float
        Pixel side.
    seed : int
        Of charging, texture and noise.
    parameters : SemParameters, optional
        The microscope; those of `look` where missing.
    look : Look
        Charging, darkening with depth, glare and drift.

    Returns
    -------
    numpy.ndarray, uint8, shape (y, x)
        The picture without any bar.
    """
    import torch

    rng = np.random.default_rng(seed)
    parameters = look.microscope if parameters is None else parameters
    gain = specimen_gain(pile.owner, pile.height_nm, pile.normals[0], pixel_size_nm, look, rng)
    with torch.no_grad():
        image = secondary_electrons(
            torch.from_numpy(np.ascontiguousarray(pile.normals)),
            torch.from_numpy(np.ascontiguousarray(pile.height_nm)),
            pixel_size_nm,
            parameters,
            gain=torch.from_numpy(gain),
            texture=torch.from_numpy(texture(pile.owner.shape, rng)),
        ).numpy()
    image = drifted(with_glare(image, pixel_size_nm, look), look, rng)
    return displayed(counted(image, parameters, rng), look)


def bse_images(pile: Pile, pixel_size_nm: float, *, seed: int, dose: float = 150.0) -> NDArray[np.uint8]:
    """Pictures of a pile by the four quadrants of a backscattered-electron detector.

    Parameters
    ----------
    pile : Pile
        What is visible.
    pixel_size_nm : float
        Pixel side.
    seed : int
        Of the noise.
    dose : float
        Electrons counted a pixel at signal 1.

    Returns
    -------
    numpy.ndarray, uint8, shape (4, y, x)
        In the order of `sem.image_model.backscattered`; no charging, which hardly moves fast electrons.
    """
    import torch

    rng = np.random.default_rng(seed)
    parameters = SemParameters(dose=dose, gamma=1.0)
    normals = torch.from_numpy(np.ascontiguousarray(pile.normals))
    height = torch.from_numpy(np.ascontiguousarray(pile.height_nm))
    with torch.no_grad():
        images = [backscattered(normals, height, pixel_size_nm, quadrant, gain=0.8) for quadrant in range(4)]
    return np.stack([displayed(counted(image, parameters, rng), GENTLE) for image in images])
