"""Simulated sections to train and judge labelling with: several cells, any stain, all that goes wrong on the way.

Belongs here: slices of simulated cells, and pictures of them with their truth. Does not belong here: levels of a stain
(`section_stains`), the cells (`phantom`), batches (`section_trainer`).

The truth is the label at the middle of the section's thickness, as everywhere in `phantom`: its area shares are volume
shares (Delesse) without Holmes' correction, which is what `tem.atlas` takes of outlines at half density.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.planes import Plane, centred, profile_extent_nm, random_plane
from em2cryo_assets.phantom.scene import Cell, draw_cell
from em2cryo_assets.phantom.section_flaws import compression_matrix, dirt_mask, draw_fold, knife_marks
from em2cryo_assets.phantom.tem import section_coverage
from em2cryo_assets.phantom.texture import grain
from em2cryo_assets.tem.section_stains import Stain, draw_stain
from em2cryo_assets.vocabulary import LABELS

__all__ = ["Picture", "Slice", "load_slices", "picture", "save_slices", "simulated_slices", "slices_of"]

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

_MARGIN_NM: Final = 120.0
_THICKNESS_NM: Final = (50.0, 100.0)
_ABSORBED: Final = 0.60
"""Share of the electrons that density 1 takes away, as `phantom.tem` has it."""


@dataclass(frozen=True)
class Slice:
    """What a section holds of one cell.

    Parameters
    ----------
    coverage : numpy.ndarray, uint8, shape (12, y, x)
        Mean share of each material of `phantom.contrast.MATERIALS` through the thickness, of 255.
    labels : numpy.ndarray, uint8, shape (y, x)
        Codes of `vocabulary.LABELS` at the middle of the thickness.
    pixel_nm : float
        Side of a pixel.
    """

    coverage: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    pixel_nm: float


@dataclass(frozen=True)
class Picture:
    """A simulated section and its truth.

    Parameters
    ----------
    image : numpy.ndarray, float32, shape (y, x)
        Density; high is dense unless the picture was inverted.
    labels : numpy.ndarray, uint8, shape (y, x)
        Codes of `vocabulary.LABELS` at the middle of the thickness.
    profiles : numpy.ndarray, uint8, shape (y, x)
        Number of the cell, 0 outside.
    known : numpy.ndarray, bool, shape (y, x)
        False in a fold, where three layers lie on each other and no label is true.
    pixel_nm : float
        Side of a pixel.
    """

    image: Float32Array
    labels: NDArray[np.uint8]
    profiles: NDArray[np.uint8]
    known: NDArray[np.bool_]
    pixel_nm: float


def slices_of(cell: Cell, count: int, pixel_nm: float, rng: np.random.Generator) -> list[Slice]:
    """Cut one cell by random planes, 50 to 100 nm thick.

    Parameters
    ----------
    cell : Cell
        A simulated cell.
    count : int
        Planes; they are placed as a section through a pellet places them (`phantom.planes.random_plane`).
    pixel_nm : float
        Side of a pixel.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    list of Slice
        Each just large enough for its profile. One takes 0.15 s at 20 nm.
    """
    out: list[Slice] = []
    while len(out) < count:
        plane = random_plane(cell.body, rng)
        if plane is not None:
            out.append(_cut(cell, plane, pixel_nm, float(rng.uniform(*_THICKNESS_NM))))
    return out


def _cut(cell: Cell, plane: Plane, pixel_nm: float, thickness_nm: float) -> Slice:
    side = int(np.ceil((profile_extent_nm(cell.body, plane) + 2 * _MARGIN_NM + 200.0) / pixel_nm))
    coverage = section_coverage(cell, plane, (side, side), pixel_nm, thickness_nm)
    axis = centred(side, pixel_nm)
    labels = cell.labels(plane.points_nm(np.zeros(1), axis, axis)[0])
    there = np.argwhere((coverage[0] < 0.99) | (labels > 0))
    margin = int(np.ceil(_MARGIN_NM / pixel_nm))
    low, high = np.maximum(there.min(axis=0) - margin, 0), there.max(axis=0) + margin + 1
    window = (slice(low[0], high[0]), slice(low[1], high[1]))
    shares = np.clip(np.rint(255.0 * coverage[:, window[0], window[1]]), 0, 255).astype(np.uint8)
    return Slice(shares, labels[window], pixel_nm)


def save_slices(slices: list[Slice], path: Path) -> None:
    """Write slices to a file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    arrays = {f"{name}{k}": getattr(s, name) for k, s in enumerate(slices) for name in ("coverage", "labels")}
    with partial.open("wb") as file:
        np.savez_compressed(file, pixel_nm=np.array([s.pixel_nm for s in slices]), **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def load_slices(path: Path) -> list[Slice]:
    """Read what `save_slices` wrote."""
    with np.load(path) as file:
        sides = file["pixel_nm"]
        return [Slice(file[f"coverage{k}"], file[f"labels{k}"], float(side)) for k, side in enumerate(sides)]


def simulated_slices(seed: int, count: int, pixel_nm: float) -> list[Slice]:
    """Slices of the cell of a seed, the same for the same seed."""
    return slices_of(draw_cell(seed), count, pixel_nm, np.random.default_rng([seed, 11]))


def picture(
    slices: list[Slice],
    side: int,
    pixel_nm: float,
    rng: np.random.Generator,
    *,
    held_out_stain: bool = False,
    whole: bool = False,
) -> Picture:
    """Put cells into a section, stain it, photograph it.

    Parameters
    ----------
    slices : list of Slice
        One to a cell; each further cell is pushed against those that lie there.
    side : int
        Pixels.
    pixel_nm : float
        Side of a pixel.
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    held_out_stain : bool
        Draw the stain from the family that is never trained on.
    whole : bool
        Place the first cell in the middle, where it fits, in its own size; else anywhere, 0.85 to 1.2 times as large.

    Returns
    -------
    Picture
        Compressed by 0 to 35 % along the cut; with probability .08 folded, .2 dirty, .08 inverted.
    """
    stain = draw_stain(rng, held_out=held_out_stain)
    flat = np.stack(np.meshgrid(centred(side, pixel_nm), centred(side, pixel_nm), indexing="ij"), axis=-1)
    cutting = float(rng.uniform(0.0, 180.0))
    compression = float(rng.uniform(0.0, 0.35)) if rng.random() < 0.4 else 0.0
    rows = _mixing(stain)
    canvas = np.zeros((len(rows), side, side), np.float32)
    canvas[:] = (np.eye(len(MATERIALS), dtype=np.float32)[0] @ rows.T)[:, None, None]
    labels, profiles = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    for number, cut in enumerate(slices, start=1):
        scale = 1.0 if whole else float(rng.uniform(0.85, 1.2))
        angle = float(rng.uniform(0.0, 2.0 * np.pi))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn[:, 0] *= -1.0 if rng.random() < 0.5 else 1.0
        # From the picture's frame to the slice's pixels.
        matrix = (turn / scale) @ np.linalg.inv(compression_matrix(compression, cutting)) * (pixel_nm / cut.pixel_nm)
        where = _place(labels, cut, matrix, rng, first=number == 1, whole=whole)
        shift = (np.array(cut.labels.shape) - 1) / 2.0 - matrix @ where
        codes = ndimage.affine_transform(cut.labels, matrix, shift, (side, side), order=0)
        layers = np.tensordot(rows, cut.coverage.astype(np.float32) / 255.0, axes=1)
        layers -= rows[:, :1, None] * (cut.coverage[0].astype(np.float32) / 255.0)
        shown = np.stack([
            ndimage.affine_transform(layer, matrix, shift, (side, side), order=1, output=np.float32)
            for layer in (*layers, 1.0 - cut.coverage[0] / np.float32(255.0))
        ])  # fmt: skip
        canvas = canvas * (1.0 - shown[-1]) + shown[:-1]
        mine = (codes > 0) & (labels == 0)
        labels[mine], profiles[mine] = codes[mine], number
    image = _textured(canvas, labels, stain, pixel_nm, rng)
    known = np.ones((side, side), bool)
    if rng.random() < 0.08:
        image, labels, profiles, known = _folded(image, labels, profiles, flat, pixel_nm, rng)
    image = _photographed(image, pixel_nm, cutting, rng)
    return Picture(image, labels, profiles, known, pixel_nm)


def _mixing(stain: Stain) -> Float32Array:
    """Density and three textures of each material, shape (4, 12)."""
    return np.concatenate([stain.density[None], stain.grain.T]).astype(np.float32)


def _place(
    labels: NDArray[np.uint8], cut: Slice, matrix: FloatArray, rng: np.random.Generator, *, first: bool, whole: bool
) -> FloatArray:
    """Pixel (y, x) of the picture at which the middle of a slice comes to lie."""
    side = labels.shape[0]
    middle = np.full(2, (side - 1) / 2.0)
    if first:
        return middle if whole else middle + rng.uniform(-0.35, 0.35, 2) * side
    # From far outside towards a point of the picture until the walls touch or overlap a little.
    angle, aim = rng.uniform(0.0, 2.0 * np.pi), middle + rng.uniform(-0.25, 0.25, 2) * side
    way = np.array([np.cos(angle), np.sin(angle)])
    points = np.argwhere(cut.labels[::4, ::4] > 0) * 4.0 - (np.array(cut.labels.shape) - 1) / 2.0
    points = points @ np.linalg.inv(matrix).T
    gap = 0.0 if rng.random() < 0.6 else float(rng.uniform(0.0, 25.0))
    for distance in np.arange(1.5 * side, -0.5 * side, -2.0):
        where = aim + distance * way
        at = np.rint(points + where).astype(int)
        seen = at[((at >= 0) & (at < side)).all(axis=1)]
        if len(seen) and labels[seen[:, 0], seen[:, 1]].any():
            return np.asarray(where + gap * way)
    return np.asarray(aim + 1.5 * side * way)


def _textured(
    canvas: Float32Array, labels: NDArray[np.uint8], stain: Stain, pixel_nm: float, rng: np.random.Generator
) -> Float32Array:
    image = canvas[0].copy()
    for amplitude, length in zip(canvas[1:], stain.grain_nm, strict=True):
        image += amplitude * grain(image.shape, length / pixel_nm / 2.0, rng)
    for name, excess, size_nm, least in (
        ("cytoplasm", stain.clumps, 60.0, 0.8),
        ("vacuole", stain.granules, 45.0, 1.8),
    ):
        if excess:
            clumps = np.clip(2.0 * (grain(image.shape, size_nm / pixel_nm, rng) - least), 0.0, 1.0)
            inside = ndimage.uniform_filter((labels == LABELS[name]).astype(np.float32), 3)
            image += np.float32(excess) * clumps * inside
    return image


def _folded(
    image: Float32Array, labels: NDArray[np.uint8], profiles: NDArray[np.uint8], flat: FloatArray, pixel_nm: float,
    rng: np.random.Generator,
) -> tuple[Float32Array, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:  # fmt: skip
    """The section lies over itself three times within a strip."""
    lowest, upper, inside = draw_fold(image.shape[0] * pixel_nm, rng).layers(flat)

    def seen(values: NDArray[Any], at_nm: FloatArray, order: int) -> NDArray[Any]:
        at = np.moveaxis(at_nm / pixel_nm, -1, 0) + (image.shape[0] - 1) / 2.0
        # The fold draws in what lay beyond the picture: its mirror image stands for it.
        return np.asarray(ndimage.map_coordinates(values, at, order=order, mode="mirror"))

    out = seen(image, lowest, 1) + np.where(inside, sum(seen(image, layer, 1) for layer in upper), 0.0)
    return np.asarray(out, np.float32), seen(labels, lowest, 0), seen(profiles, lowest, 0), ~inside


def _photographed(image: Float32Array, pixel_nm: float, cutting_deg: float, rng: np.random.Generator) -> Float32Array:
    """Uneven stain, knife marks, dirt, blur, electrons, tone curve."""
    shape, per_pixel = image.shape, 20.0 / pixel_nm
    # Stain and thickness vary slowly: six random numbers a side, smoothly joined.
    slow = ndimage.zoom(rng.standard_normal((6, 6), dtype=np.float32), np.array(shape) / 6.0, order=3)
    image = image * (1.0 + np.float32(rng.uniform(0.0, 0.08)) * slow)
    for mark in knife_marks(shape, 1.5, 0.12, cutting_deg, rng)[0]:
        image = image + mark.astype(np.float32)
    if rng.random() < 0.2:
        image = np.where(dirt_mask(shape, pixel_nm, int(rng.integers(1, 5)), rng), image + rng.uniform(0.4, 1.0), image)
    # Optics, and files that were scaled up, blur by up to 20 nm; defocus shows at a few nm only.
    image = ndimage.gaussian_filter(
        image, rng.uniform(0.2, 0.9) * min(1.0, per_pixel) + rng.uniform(0.0, 12.0) / pixel_nm
    )
    noise = per_pixel * 10.0 ** rng.uniform(-2.2, -1.35)
    passed = np.clip(1.0 - _ABSORBED * image, 0.05, None)
    image = image + noise * np.sqrt(passed) * rng.standard_normal(shape, dtype=np.float32)
    low, high = np.percentile(image, (0.2, 99.8))
    unit = np.clip((image - low) / max(float(high - low), 1e-6), -0.1 * (rng.random() < 0.7), 1.2)
    image = np.sign(unit) * np.abs(unit) ** 10.0 ** rng.uniform(-0.17, 0.17)
    if rng.random() < 0.08:
        image = 1.0 - image
    return np.asarray(image, dtype=np.float32)
