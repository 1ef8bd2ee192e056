"""A cell given as a volume of labels, looked at by the same simulated microscopes as a drawn one.

Belongs here: sampling a label volume as a `protocol.Scene`, the materials that names of labels stand for. Does not
belong here: drawn cells (`scene`), microscopes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import edt
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from em2cryo_assets.phantom.contrast import LABEL_OF_MATERIAL, MATERIALS
from em2cryo_assets.phantom.protocol import check_range

__all__ = ["MATERIAL_OF_NAME", "LabelScene", "LabelSurface"]

FloatArray = NDArray[np.float64]
_CHUNK = 400_000
_MARGIN = 4
"""Empty voxels about the cell: as far as the blur of the distance reaches (at 2, faces came out 2 nm too far out)."""

MATERIAL_OF_NAME: Final = MappingProxyType(
    {
        **{name: name for name in MATERIALS},
        "extracellular": "outside",
        "cellWall": "wall",
        "plasmaMembrane": "membrane",
        "ribosomes": "cytoplasm",
        "nuclearEnvelope": "envelope",
        "nuclearPores": "envelope",
        "nucleoplasm": "nucleus",
        "mitochondria": "mitochondrion",
    }
)
"""Material of each name that a file's labels may have: those of `contrast.MATERIALS`, and those of the lattices of
the Luthey-Schulten group's whole-cell yeast model. Its ribosomes are single voxels, as dense as the cytoplasm that
holds them, and its pores are voxels of the envelope: both count as what they lie in."""


@dataclass(frozen=True)
class LabelSurface:
    """The outer surface of a labelled cell.

    Parameters
    ----------
    field_nm : numpy.ndarray, float32, shape (z, y, x)
        Signed distance at the voxels' centres, negative inside.
    spacing_nm : numpy.ndarray, float64, shape (3,)
        Voxel sides.
    origin_nm : numpy.ndarray, float64, shape (3,)
        Position of the first voxel's centre in the frame of the cell.
    """

    field_nm: NDArray[np.float32]
    spacing_nm: FloatArray
    origin_nm: FloatArray

    def distance(self, points_nm: FloatArray, *, exact: bool = True) -> FloatArray:
        """Signed distance, (N, 3) to (N,), nm, interpolated; beyond the volume 0.7 to 1 times the true one.

        `exact` changes nothing: the field is a distance everywhere, to about half a voxel.
        """
        index = (np.asarray(points_nm, dtype=np.float64) - self.origin_nm) / self.spacing_nm
        held = np.clip(index, 0, np.array(self.field_nm.shape) - 1.0)
        beyond = np.linalg.norm((index - held) * self.spacing_nm, axis=-1)
        distance = ndimage.map_coordinates(self.field_nm, held.T, order=1, output=np.float64)
        # At the closest point of a box the way out and the way to anything in the box make a blunt angle: rays that
        # step by the root of the squares cannot pass the cell, by the sum they can.
        return np.where(beyond > 0, np.hypot(distance, beyond), distance)

    def gradient(self, points_nm: FloatArray) -> FloatArray:
        """Outward unit normals (N, 3), from differences over three voxels."""
        step = 1.5 * self.spacing_nm
        slope = np.stack(
            [
                (self.distance(points_nm + step * e) - self.distance(points_nm - step * e)) / (2 * step @ e)
                for e in np.eye(3)
            ],
            axis=-1,
        )
        return slope / np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-12)

    def half_extent_nm(self) -> float:
        """Radius of a sphere about the origin that holds the whole cell, nm."""
        return float(np.linalg.norm(self._rim_nm, axis=1).max() + np.linalg.norm(self.spacing_nm))

    def support_nm(self, direction: FloatArray) -> float:
        """How far the cell reaches along a unit vector (3,): its farthest voxel and half a voxel more, nm."""
        return float((self._rim_nm @ direction).max() + 0.5 * np.linalg.norm(self.spacing_nm * direction))

    @cached_property
    def _rim_nm(self) -> FloatArray:
        """Centres of the voxels inside that touch the outside, (N, 3), nm."""
        inside = self.field_nm < 0
        return np.argwhere(inside & ~ndimage.binary_erosion(inside)) * self.spacing_nm + self.origin_nm


def _voxel_sides_nm(spacing_nm: float | Sequence[float] | FloatArray) -> FloatArray:
    sides = np.asarray(spacing_nm, dtype=np.float64)
    if sides.shape not in ((), (3,)):
        raise ValueError(f"spacing_nm is {spacing_nm!r}; it has to be one number or three.")
    sides = np.broadcast_to(sides, (3,)).copy()
    for side in sides:
        check_range("spacing_nm", float(side), 0.0, above=True, unit="nm")
    return sides


def _half_voxel_nm(towards: NDArray[np.float32], spacing: FloatArray) -> NDArray[np.float32] | np.float32:
    """Half a voxel along the normals of a rough distance (z, y, x), nm; one number for cubes.

    The root of the sum of the squared parts of the sides along the normal. At sides of (60, 20, 20) nm it makes the
    distance to a face across z exact, from which half the mean side is 13 nm off (and rises 1.4 nm per nm there,
    which rays may step through); the surface of a ball of 1.5 µm is off by 15 nm at most, where that is by 18 nm.
    """
    if np.ptp(spacing) <= 1e-6 * spacing.max():
        return np.float32(0.5 * spacing[0])
    smooth = ndimage.gaussian_filter(towards, 1.0, mode="nearest")
    squared, weighted = np.zeros_like(smooth), np.zeros_like(smooth)
    for axis, side in enumerate(spacing):
        slope = np.square(np.gradient(smooth, np.float32(side), axis=axis))
        squared += slope
        weighted += slope * np.float32(side * side)
    return np.asarray(0.5 * np.sqrt(weighted / np.maximum(squared, np.float32(1e-12))), dtype=np.float32)


@dataclass(frozen=True)
class LabelScene:
    """A label volume in the place of a drawn cell.

    The origin of its frame is the middle of the cell's bounding box; everything beyond the volume is outside.
    Nothing finer than a voxel can be seen in it: a membrane labelled one voxel thick is that thick, and pictures of
    its surface with pixels smaller than a voxel show faint terraces.

    Parameters
    ----------
    materials : numpy.ndarray, uint8, shape (z, y, x)
        Indices into `contrast.MATERIALS`, cropped to the cell with an empty rim.
    spacing_nm : numpy.ndarray, float64, shape (3,)
        Voxel sides.
    origin_nm : numpy.ndarray, float64, shape (3,)
        Position of the first voxel's centre in the frame of the cell.
    body : LabelSurface
        Boundary between outside and all else.
    """

    materials: NDArray[np.uint8]
    spacing_nm: FloatArray
    origin_nm: FloatArray
    body: LabelSurface
    _binned: dict[int, tuple[NDArray[np.uint8], NDArray[np.float32]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def from_labels(
        cls, labels: ArrayLike, spacing_nm: float | Sequence[float] | FloatArray, names: Mapping[int, str]
    ) -> "LabelScene":
        """Take any integer label volume as a cell.

        Parameters
        ----------
        labels : array_like, integer, shape (z, y, x)
            One cell; values that `names` sends to "outside" surround it.
        spacing_nm : float or sequence of float
            Voxel side, or sides (z, y, x), nm.
        names : mapping of int to str
            Every value that occurs, to a name of `contrast.MATERIALS` (all of `vocabulary.LABELS` are among
            them; "envelope" counts as nucleus in the labels, "cristae" as mitochondrion, and so on).

        Returns
        -------
        LabelScene

        Raises
        ------
        ValueError
            If the volume is not three-dimensional, a voxel has no finite side above 0, a value or a name is
            unknown, or there is no cell.
        """
        volume = np.asarray(labels)
        spacing = _voxel_sides_nm(spacing_nm)
        if volume.ndim != 3 or not np.issubdtype(volume.dtype, np.integer):
            raise ValueError(f"A label volume is three-dimensional and integer, got {volume.dtype} {volume.shape}.")
        values, inverse = np.unique(volume, return_inverse=True)
        unknown = [int(v) for v in values if int(v) not in names]
        strange = sorted({names[int(v)] for v in values if int(v) in names} - set(MATERIALS))
        if unknown or strange:
            raise ValueError(f"No material is known for the values {unknown} and the names {strange}.")
        table = np.array([MATERIALS.index(names[int(v)]) for v in values], dtype=np.uint8)
        materials = table[inverse].reshape(volume.shape)
        if not materials.any():
            raise ValueError("The label volume holds nothing but the outside.")
        box = ndimage.find_objects((materials > 0).astype(np.uint8))[0]
        materials = np.pad(materials[box], _MARGIN)
        origin = -0.5 * (np.array(materials.shape) - 1.0) * spacing
        inside = materials > 0
        sides = tuple(spacing)
        signed = np.asarray(edt.edt(~inside, anisotropy=sides) - edt.edt(inside, anisotropy=sides), dtype=np.float32)
        # The surface lies between two voxels' centres: half a voxel, measured along the normal, from either.
        signed -= np.copysign(_half_voxel_nm(signed, spacing), signed)
        # A blur of one voxel takes the stairs out of the normals and moves a convex surface inwards, the more the
        # coarser the voxels: that of a ball of 1.5 µm radius by 0.1 nm on the mean at 10 nm, 0.8 to 1.1 nm at 30 nm
        # and 2.4 to 5.2 nm at 60 nm, and its points by 0.4, 1.6 and 5.5 nm either way (the largest where the ball
        # just touches a layer of voxels).
        smooth = ndimage.gaussian_filter(signed, 1.0, mode="nearest")
        return cls(materials, spacing, origin, LabelSurface(smooth, spacing, origin))

    @classmethod
    def from_npz(cls, path: str | Path, materials: Mapping[str, str] | None = None) -> "LabelScene":
        """Take the label volume in a NumPy archive as a cell.

        Parameters
        ----------
        path : str or pathlib.Path
            Archive with `labels` (integer, (z, y, x)), `names` (one name for each value from 0) and `spacing_m`
            (voxel side in metres, one number or three).
        materials : mapping of str to str, optional
            Names of labels to names of `contrast.MATERIALS`, beside and before `MATERIAL_OF_NAME`.

        Returns
        -------
        LabelScene

        Raises
        ------
        ValueError
            If an array is missing, a label occurs whose name is not known, or as `from_labels`.
        """
        with np.load(path, allow_pickle=False) as file:
            missing = sorted({"labels", "names", "spacing_m"} - set(file.files))
            if missing:
                raise ValueError(f"{path} holds no {', '.join(missing)}: a label volume has labels, names, spacing_m.")
            labels, names, spacing = file["labels"], [str(n) for n in np.atleast_1d(file["names"])], file["spacing_m"]
        known = {**MATERIAL_OF_NAME, **(materials or {})}
        present = [int(v) for v in np.unique(labels)]
        unnamed = [v for v in present if not 0 <= v < len(names)]
        unknown = sorted({names[v] for v in present if 0 <= v < len(names)} - set(known))
        if unnamed or unknown:
            raise ValueError(
                f"{path}: labels without a name {unnamed}, names without a material {unknown}; known are "
                f"{', '.join(sorted(known))}."
            )
        sides = 1e9 * np.asarray(spacing, dtype=np.float64)
        return cls.from_labels(labels, sides, {v: known[names[v]] for v in present})

    @property
    def raised_nm(self) -> float:
        """Nothing sits on the body that is not part of it."""
        return 0.0

    @property
    def longest_stride(self) -> float:
        """Times the outer distance that a ray may step on: a labelled cell need not be convex."""
        return 0.85

    def outer_distance(self, points_nm: FloatArray, *, exact: bool = True) -> FloatArray:
        """Signed distance to the outside of the wall, (N, 3) to (N,), nm."""
        return self.body.distance(points_nm, exact=exact)

    def labels(self, points_nm: FloatArray) -> NDArray[np.uint8]:
        """Label code (`vocabulary.LABELS`) of the voxel that holds each point, (..., 3) to (...)."""
        return LABEL_OF_MATERIAL[self._nearest(points_nm)]

    def sharp(self, zyx: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Material and label of the voxel that holds each point.

        Parameters
        ----------
        zyx : numpy.ndarray, float32 or float64, shape (3, N)
            Positions in the frame of the cell, nm.

        Returns
        -------
        material : numpy.ndarray, uint8, shape (N,)
            Index into `contrast.MATERIALS`.
        labels : numpy.ndarray, uint8, shape (N,)
            Codes of `vocabulary.LABELS`.
        """
        material = self._nearest(zyx.T)
        return material, LABEL_OF_MATERIAL[material]

    def _nearest(self, points_nm: NDArray[Any]) -> NDArray[np.uint8]:
        index = np.rint((np.asarray(points_nm, dtype=np.float64) - self.origin_nm) / self.spacing_nm).astype(np.int64)
        shape = np.array(self.materials.shape)
        # Far points fall onto the empty rim.
        z, y, x = np.moveaxis(np.clip(index, 0, shape - 1), -1, 0)
        return self.materials[z, y, x]

    def coverage(self, points_nm: FloatArray, softness_nm: float) -> NDArray[np.float32]:
        """Share of every material in a small box about each point.

        Where the softness exceeds a voxel, shares in blocks of whole voxels are interpolated, so that nothing
        thin is lost between samples; else voxels are.

        Parameters
        ----------
        points_nm : numpy.ndarray, float64, shape (..., 3)
            Positions in the frame of the cell, (z, y, x).
        softness_nm : float
            Width of the transition at an interface; never sharper than a voxel.

        Returns
        -------
        numpy.ndarray, float32, shape (12, ...)
            In the order of `contrast.MATERIALS`; sums to 1 at each point.
        """
        factor = max(1, int(softness_nm / float(self.spacing_nm.max()) + 1e-6))
        present, shares = self._shares(factor)
        flat = np.asarray(points_nm, dtype=np.float64).reshape(-1, 3)
        out = np.zeros((len(MATERIALS), len(flat)), dtype=np.float32)
        out[0] = 1.0
        first = self.origin_nm + 0.5 * (factor - 1) * self.spacing_nm
        for start in range(0, len(flat), _CHUNK):
            index = ((flat[start : start + _CHUNK] - first) / (factor * self.spacing_nm)).T
            near = np.flatnonzero(np.all((index > -1) & (index < np.array(shares.shape[1:])[:, None]), axis=0))
            for code, volume in zip(present, shares, strict=True):
                if code:
                    values = ndimage.map_coordinates(volume, index[:, near], order=1, mode="grid-constant", cval=0.0)
                    out[code, start + near] = values
            out[0, start + near] = np.maximum(1.0 - out[1:, start + near].sum(axis=0), 0.0)
        return out.reshape(len(MATERIALS), *np.shape(points_nm)[:-1])

    def _shares(self, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Materials that occur and the share of each in blocks of `factor` voxels a side; kept after first use."""
        if factor not in self._binned:
            present = np.unique(self.materials)
            shape = self.materials.shape
            padded = np.pad(self.materials, [(0, -n % factor) for n in shape])
            nz, ny, nx = (n // factor for n in padded.shape)
            blocks = padded.reshape(nz, factor, ny, factor, nx, factor)
            shares = np.stack([(blocks == code).mean(axis=(1, 3, 5), dtype=np.float32) for code in present])
            self._binned[factor] = (present, shares)
        return self._binned[factor]
