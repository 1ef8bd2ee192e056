"""From a recorded tilt series to a tomogram, in slices along the tilt axis.

Belongs here: grey values to line integrals, alignment, binning, and weighted back-projection of as much at a time as
memory allows. Does not belong here: reading files (:mod:`em2cryo_assets.cryoet.tilt_series_file`), the geometry of
back-projection (:mod:`em2cryo_assets.cryoet.reconstruct`), correction of the contrast transfer: give a corrected stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.align import correlate, transformed
from em2cryo_assets.cryoet.reconstruct import back_project
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.vocabulary import LEAST_VOXEL_NM

if TYPE_CHECKING:
    from em2cryo_assets.cryoet.tilt_series_file import RecordedSeries

__all__ = [
    "ASSUMED_DEPTH_NM",
    "BackProjection",
    "Reconstruction",
    "Registered",
    "binning_of",
    "depth_px",
    "reconstruct_series",
    "register",
]

Float32Array = NDArray[np.float32]

ASSUMED_DEPTH_NM: Final = 400.0
"""Depth reconstructed where nobody recorded the thickness of the slab: twice a usual lamella."""

_MARGIN: Final = 1.5
"""Reconstructed depth over the recorded thickness: slabs lie at a slant."""

_WORST_RESIDUAL: Final = 0.02
"""Residual of the alignment over the field's side above which a reconstruction is refused."""

_CLIP_SD: Final = 6.0
_ROWS: Final = 64
"""Planes at a time: 1,024 × 300 voxels of 64 planes take 80 MB beside the views."""


@dataclass(frozen=True)
class BackProjection:
    """A volume that is made plane by plane across the tilt axis, which do not mix.

    Parameters
    ----------
    views : numpy.ndarray, float32, shape (n, y, x)
        Aligned line integrals.
    tilts_deg : list of float
        Their tilts.
    shape : tuple of int
        (z, y, x) of the volume.
    device : str
        Torch device.
    """

    views: Float32Array
    tilts_deg: list[float]
    shape: tuple[int, int, int]
    device: str

    def into(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill an array (z, y, x), in memory or mapped from a file, with density about 0, high = dense."""
        for start in range(0, self.shape[1], _ROWS):
            rows = slice(start, start + _ROWS)
            volume[:, rows] = back_project(self.views[:, rows], self.tilts_deg, self.shape[0], device=self.device)
        return volume

    def compute(self) -> NDArray[np.float32]:
        """The volume in memory."""
        return self.into(np.empty(self.shape, dtype=np.float32))


@dataclass(frozen=True)
class Registered:
    """Views of a tilt series, binned, with the way to bring them into register.

    Parameters
    ----------
    binned : numpy.ndarray, float32, shape (n, y, x)
        Grey values.
    transforms : numpy.ndarray, float64, shape (n, 2, 3)
        As in an ``.xf``, in binned pixels.
    factor : int
        How many pixels became one.
    voxel_nm : float
        Side of a binned pixel.
    field : tuple of int
        (y, x) of the aligned views.
    residual_nm : float or None
        Of an alignment by cross-correlation; None where the series came aligned.
    notes : list of str
        What was done, a sentence each.
    """

    binned: Float32Array
    transforms: NDArray[np.float64]
    factor: int
    voxel_nm: float
    field: tuple[int, int]
    residual_nm: float | None
    notes: list[str]

    def aligned(self, number: int) -> Float32Array:
        """One view, (y, x), with the tilt axis along y."""
        return transformed(self.binned[number], self.transforms[number], self.field)


@dataclass(frozen=True)
class Reconstruction:
    """A tomogram made from its views.

    Parameters
    ----------
    density, even, odd : BackProjection
        From all views, and from every other one by tilt.
    voxel_nm : float
        Voxel side.
    tilts_deg : tuple of float
        Tilts used.
    residual_nm : float or None
        Of an alignment by cross-correlation; None where the series came aligned.
    notes : list of str
        What was done and assumed, a sentence each.
    """

    density: BackProjection
    even: BackProjection
    odd: BackProjection
    voxel_nm: float
    tilts_deg: tuple[float, ...]
    residual_nm: float | None
    notes: list[str]


def reconstruct_series(
    series: RecordedSeries, *, thickness_nm: float | None = None, device: str = "cpu"
) -> Reconstruction:
    """Align, bin and reconstruct a tilt series by weighted back-projection.

    Parameters
    ----------
    series : RecordedSeries
        As read from its files.
    thickness_nm : float, optional
        Recorded thickness of the slab; `ASSUMED_DEPTH_NM` are reconstructed where it is absent.
    device : str
        Torch device.

    Returns
    -------
    Reconstruction
        Views are held in memory, binned; a volume is computed when it is asked for.

    Raises
    ------
    InputError
        If the views cannot be aligned, or there is nothing to align them by.
    """
    views = register(series)
    notes = [
        f"Reconstructed by weighted back-projection from {len(views.binned)} views, tilts from {series.tilts_from}."
    ]
    notes += views.notes
    lined = np.empty((len(views.binned), *views.field), dtype=np.float32)
    for number in range(len(lined)):
        lined[number] = _line_integrals(views.aligned(number))
    shape = (depth_px(thickness_nm, views.voxel_nm, notes), *views.field)
    notes.append("The handedness of z follows from the sign of the tilts and was not verified.")
    order = np.argsort(series.tilts_deg, kind="stable")

    def of(chosen: NDArray[np.intp]) -> BackProjection:
        return BackProjection(lined[chosen], [series.tilts_deg[i] for i in chosen], shape, device)

    every, even, odd = of(order), of(order[::2]), of(order[1::2])
    return Reconstruction(every, even, odd, views.voxel_nm, series.tilts_deg, views.residual_nm, notes)


def register(series: RecordedSeries) -> Registered:
    """Bin the views of a tilt series, and find how each must be moved.

    Raises
    ------
    InputError
        If a view is blank, the views cannot be aligned, or there is nothing to align them by.
    """
    factor = binning_of(series.pixel_nm)
    views, voxel_nm = _binned(series, factor), series.pixel_nm * factor
    notes = [f"Views were binned {factor} times, to pixels of {voxel_nm:.4g} nm."] if factor > 1 else []
    residual_nm, transforms = _alignment(series, views, factor, voxel_nm, notes)
    return Registered(views, transforms, factor, voxel_nm, _field(views, transforms), residual_nm, notes)


def binning_of(pixel_nm: float) -> int:
    """How many pixels of a view become one, so that nothing is smaller than what is compared."""
    return max(1, int(np.ceil(LEAST_VOXEL_NM / pixel_nm - 1e-6)))


def depth_px(thickness_nm: float | None, voxel_nm: float, notes: list[str]) -> int:
    """Depth that is reconstructed, in voxels; an assumed one is noted."""
    if thickness_nm is None:
        notes.append(f"The thickness was not recorded; a depth of {ASSUMED_DEPTH_NM:g} nm was reconstructed.")
        return round(ASSUMED_DEPTH_NM / voxel_nm)
    return round(_MARGIN * thickness_nm / voxel_nm)


def _alignment(
    series: RecordedSeries, views: Float32Array, factor: int, voxel_nm: float, notes: list[str]
) -> tuple[float | None, NDArray[np.float64]]:
    """Transforms of the binned views, by what the files give or by cross-correlation."""
    if series.aligned:
        return None, np.repeat(np.eye(2, 3)[None], len(views), axis=0)
    if series.transforms is not None:
        notes.append("Aligned by the .xf beside the stack.")
        scaled = series.transforms.copy()
        scaled[:, :, 2] /= factor
        return None, scaled
    if series.axis_deg is None:
        raise InputError(
            series.path,
            "the direction of its tilt axis was not recorded, so the views cannot be aligned.",
            f"put {series.path.stem}.xf or {series.path.name}.mdoc beside it, or give the aligned .ali.",
        )
    found = correlate(views, series.tilts_deg, series.axis_deg)
    residual_nm = found.residual_px * voxel_nm
    if found.residual_px > _WORST_RESIDUAL * min(views.shape[1:]):
        raise InputError(
            series.path,
            f"its views could not be aligned by cross-correlation (residual {residual_nm:.3g} nm).",
            f"align them with fiducials or patches and put {series.path.stem}.xf beside it.",
        )
    notes.append(
        f"There was no .xf: views were aligned by cross-correlation of neighbours, residual {residual_nm:.2g} nm; "
        "detail finer than that is lost."
    )
    return residual_nm, found.transforms


def _binned(series: RecordedSeries, factor: int) -> Float32Array:
    """Views as means over squares, hot pixels clipped, one view in memory at its full size."""
    count, height, width = series.views.shape
    out = np.empty((count, height // factor, width // factor), dtype=np.float32)
    for number in range(count):
        view = np.asarray(series.views[number], dtype=np.float32)
        if not np.isfinite(view).all() or view.std() == 0:
            raise InputError(series.path, f"view {number} is blank or holds NaN.", "remove that view and its tilt.")
        middle, spread = float(np.median(view)), float(view.std())
        view = np.clip(view, middle - _CLIP_SD * spread, middle + _CLIP_SD * spread)
        cut = view[: out.shape[1] * factor, : out.shape[2] * factor]
        out[number] = cut.reshape(out.shape[1], factor, out.shape[2], factor).mean(axis=(1, 3))
    return out


def _field(views: Float32Array, transforms: NDArray[np.float64]) -> tuple[int, int]:
    """(y, x) of the aligned views: turned by about 90 degrees where the tilt axis runs along x."""
    _, height, width = views.shape
    across = float(np.median(np.abs(transforms[:, 0, 1])))
    return (width, height) if across > 0.71 else (height, width)


def _line_integrals(view: Float32Array) -> Float32Array:
    """Logarithm of the mean over the value: proportional to the mass along the beam (Lambert and Beer).

    Counts and camera units alike; views that were normalised to a mean near 0 are taken as they are, dark = dense.
    """
    mean, spread = float(view.mean()), float(view.std())
    if mean > 4.0 * spread:
        return np.asarray(-np.log(np.maximum(view, 0.02 * mean) / mean), dtype=np.float32)
    return np.asarray((mean - view) / spread, dtype=np.float32)
