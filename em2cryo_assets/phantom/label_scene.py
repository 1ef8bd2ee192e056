"""A cell given as a volume of labels, looked at by the same simulated microscopes as a drawn one.

Belongs here: sampling a label volume as a `protocol.Scene`. Does not belong here: reading files, drawn cells
(`scene`), microscopes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import edt
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from em2cryo_assets.phantom.contrast import LABEL_OF_MATERIAL, MATERIALS

__all__ = ["LabelScene", "LabelSurface"]

FloatArray = NDArray[np.float64]
_CHUNK = 400_000
_MARGIN = 2


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
        """Signed distance, (N, 3) to (N,), nm, interpolated; beyond the volume never less than the true one.

        `exact` changes nothing: the field is a distance everywhere, to about half a voxel.
        """
        index = (np.asarray(points_nm, dtype=np.float64) - self.origin_nm) / self.spacing_nm
        held = np.clip(index, 0, np.array(self.field_nm.shape) - 1.0)
        beyond = np.linalg.norm((index - held) * self.spacing_nm, axis=-1)
        return np.asarray(ndimage.map_coordinates(self.field_nm, held.T, order=1, output=np.float64) + beyond)

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
        inside = np.argwhere(self.field_nm < 0) * self.spacing_nm + self.origin_nm
        return float(np.linalg.norm(inside, axis=1).max() + np.linalg.norm(self.spacing_nm))


@dataclass(frozen=True)
class LabelScene:
    """A label volume in the place of a drawn cell.

    The origin of its frame is the middle of the cell's bounding box; everything beyond the volume is outside.
    Nothing finer than a voxel can be seen in it: a membrane labelled one voxel thick is that thick.

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
        cls, labels: ArrayLike, spacing_nm: float | tuple[float, float, float], names: Mapping[int, str]
    ) -> "LabelScene":
        """Take any integer label volume as a cell.

        Parameters
        ----------
        labels : array_like, integer, shape (z, y, x)
            One cell; values that `names` sends to "outside" surround it.
        spacing_nm : float or tuple of float
            Voxel sides (z, y, x), nm.
        names : mapping of int to str
            Every value that occurs, to a name of `contrast.MATERIALS` (all of `vocabulary.LABELS` are among
            them; "envelope" counts as nucleus in the labels, "cristae" as mitochondrion, and so on).

        Returns
        -------
        LabelScene

        Raises
        ------
        ValueError
            If the volume is not three-dimensional, a value or a name is unknown, or there is no cell.
        """
        volume = np.asarray(labels)
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
        spacing = np.broadcast_to(np.asarray(spacing_nm, dtype=np.float64), (3,)).copy()
        origin = -0.5 * (np.array(materials.shape) - 1.0) * spacing
        inside = materials > 0
        # The surface lies between two voxels' centres: half a voxel from either.
        half = 0.5 * float(spacing.mean())
        signed = np.where(
            inside,
            half - edt.edt(inside, anisotropy=tuple(spacing)),
            edt.edt(~inside, anisotropy=tuple(spacing)) - half,
        )
        # A blur of one voxel takes the stairs out of the normals and moves a smooth surface by less than 1 nm.
        smooth = ndimage.gaussian_filter(signed.astype(np.float32), 1.0, mode="nearest")
        return cls(materials, spacing, origin, LabelSurface(smooth, spacing, origin))

    def outer_distance(self, points_nm: FloatArray, *, exact: bool = True) -> FloatArray:
        """Signed distance to the outside of the wall, (N, 3) to (N,), nm."""
        return self.body.distance(points_nm, exact=exact)

    def labels(self, points_nm: FloatArray) -> NDArray[np.uint8]:
        """Label code (`vocabulary.LABELS`) of the voxel that holds each point, (..., 3) to (...)."""
        index = np.rint((np.asarray(points_nm, dtype=np.float64) - self.origin_nm) / self.spacing_nm).astype(np.int64)
        shape = np.array(self.materials.shape)
        # Far points fall onto the empty rim.
        z, y, x = np.moveaxis(np.clip(index, 0, shape - 1), -1, 0)
        return LABEL_OF_MATERIAL[self.materials[z, y, x]]

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
