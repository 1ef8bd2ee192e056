"""What a report shows in pictures: plain records of one cell, tomogram, section or pair.

Belongs here: their types, and the checks of their shapes. Does not belong here: the report as a whole (`data`),
how anything is drawn, or where anything was read from.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.geometry.mesh import Mesh

__all__ = ["ArcCircle", "CellEntry", "Cutaway", "FusedSlice", "PairEntry", "RawEntry", "SectionEntry", "TomogramEntry"]


@dataclass(frozen=True)
class Cutaway:
    """A real TEM profile warped onto the mid-plane of the mesh.

    Parameters
    ----------
    density : numpy.ndarray, float32, shape (y, x)
        High where matter is dense. NaN is allowed outside `mask`.
    mask : numpy.ndarray, bool, shape (y, x)
        Where the mesh is cut.
    pixel_nm : float
        Pixel size, nm.
    origin_nm : tuple of float
        Position (z, y, x) of the centre of pixel [0, 0] in the frame of the mesh, nm.
    caption : str
        Says whose profile it is.
    """

    density: NDArray[np.float32]
    mask: NDArray[np.bool_]
    pixel_nm: float
    origin_nm: tuple[float, float, float]
    caption: str

    def __post_init__(self) -> None:
        _need_plane("cutaway density", self.density)
        _need_same_shape("cutaway mask", self.mask, self.density)
        _need_positive("cutaway pixel_nm", self.pixel_nm)


@dataclass(frozen=True)
class FusedSlice:
    """One plane through a fused volume.

    Parameters
    ----------
    axis : str
        ``"z"``, ``"y"`` or ``"x"``: the axis the plane is perpendicular to. Rows and columns are the
        other two in (z, y, x) order.
    density : numpy.ndarray, float32, shape (r, c)
        High where matter is dense.
    labels, source : numpy.ndarray, uint8, shape (r, c)
        Codes of `em2cryo_assets.vocabulary`.
    uncertainty : numpy.ndarray, float32, shape (r, c)
        Entropy of the label over realisations, bits.
    pixel_nm : float
        Pixel size, nm.
    origin_nm : tuple of float
        Position (row, column) of the centre of pixel [0, 0] in the frame of the mesh, nm.
    position_nm : float
        Where the plane lies on its axis, nm.
    """

    axis: str
    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    source: NDArray[np.uint8]
    uncertainty: NDArray[np.float32]
    pixel_nm: float
    origin_nm: tuple[float, float]
    position_nm: float = 0.0

    def __post_init__(self) -> None:
        if self.axis not in ("z", "y", "x"):
            raise ValueError(f"The axis of a fused slice must be z, y or x, not {self.axis!r}.")
        _need_plane("fused density", self.density)
        for name in ("labels", "source", "uncertainty"):
            _need_same_shape(f"fused {name}", getattr(self, name), self.density)
        _need_positive("fused pixel_nm", self.pixel_nm)


@dataclass(frozen=True)
class CellEntry:
    """One cell of an SEM field, from micrograph to fused volume.

    Parameters
    ----------
    key : str
        The cell's key.
    crop : numpy.ndarray, uint8, shape (y, x)
        The micrograph around the cell, as recorded.
    crop_pixel_nm : float
        Pixel size of the crop, nm.
    outlines_px : tuple of numpy.ndarray, float, each of shape (N, 2)
        Closed polygons (y, x) of the mask in pixels of the crop.
    mesh : Mesh or None
        The closed mesh; None where the stage failed.
    measurements : pandas.DataFrame
        Rows of the measurement table that belong to this cell.
    imposed : tuple of str
        What the shape estimator assumed.
    cutaway : Cutaway or None
        None where the study has no TEM section.
    slices : tuple of FusedSlice
        Planes of the fused volume, none where there is none.
    notes : tuple of str
        Fallbacks and warnings, in words.
    field : str
        Key of the SEM field it was cut from.
    why_not : str
        Why it is shown and never compared, in words; empty where it is compared.
    """

    key: str
    crop: NDArray[np.uint8]
    crop_pixel_nm: float
    outlines_px: tuple[NDArray[np.float64], ...]
    mesh: Mesh | None
    measurements: pd.DataFrame
    imposed: tuple[str, ...] = ()
    cutaway: Cutaway | None = None
    slices: tuple[FusedSlice, ...] = ()
    notes: tuple[str, ...] = ()
    field: str = ""
    why_not: str = ""

    def __post_init__(self) -> None:
        _need_plane(f"crop of {self.key}", self.crop)
        _need_positive(f"crop_pixel_nm of {self.key}", self.crop_pixel_nm)


@dataclass(frozen=True)
class ArcCircle:
    """The circle fitted to the outer wall in the plane of the slice.

    Parameters
    ----------
    center_px : tuple of float
        Centre (y, x) in pixels of the slice; may lie outside it.
    radius_nm : float
        Radius in the plane, nm.
    text : str
        The fit in words: radius, standard error, inclination, or why it is not used.
    usable : bool
        False draws it dashed.
    """

    center_px: tuple[float, float]
    radius_nm: float
    text: str = ""
    usable: bool = True


@dataclass(frozen=True)
class TomogramEntry:
    """One tomogram: a slice, its labels, its wall arc and what was measured.

    Parameters
    ----------
    key : str
        The tomogram's key.
    modality : str
        As the sidecar names it.
    density : numpy.ndarray, float32, shape (y, x)
        One slice, high where matter is dense.
    labels : numpy.ndarray, uint8, shape (y, x)
        Label codes of the same slice.
    pixel_nm : float
        Pixel size of the slice, nm.
    features : pandas.DataFrame
        Rows of the measurement table that belong to this tomogram.
    arc : ArcCircle or None
        None where no wall is in view.
    notes : tuple of str
        Fallbacks and warnings, in words.
    """

    key: str
    modality: str
    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    pixel_nm: float
    features: pd.DataFrame
    arc: ArcCircle | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _need_plane(f"slice of {self.key}", self.density)
        _need_same_shape(f"labels of {self.key}", self.labels, self.density)
        _need_positive(f"pixel_nm of {self.key}", self.pixel_nm)


@dataclass(frozen=True)
class SectionEntry:
    """One TEM section with its labels.

    Parameters
    ----------
    key : str
        The section's key.
    density : numpy.ndarray, float32, shape (y, x)
        High where matter is dense.
    labels : numpy.ndarray, uint8, shape (y, x)
        Label codes.
    pixel_nm : float
        Pixel size, nm.
    notes : tuple of str
        Warnings, in words.
    """

    key: str
    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    pixel_nm: float
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _need_plane(f"section {self.key}", self.density)
        _need_same_shape(f"labels of {self.key}", self.labels, self.density)
        _need_positive(f"pixel_nm of {self.key}", self.pixel_nm)


@dataclass(frozen=True)
class PairEntry:
    """A tomogram slab beside the slab of a pseudo-volume, before and after matched degradation.

    Parameters
    ----------
    cell, tomogram : str
        The two keys.
    tomogram_slab, before, after : numpy.ndarray, float32, shape (y, x)
        One slice of each, high where matter is dense, all with the same pixel.
    voxel_nm : float
        The common pixel, nm: the three are drawn at one scale.
    notes : tuple of str
        Fallbacks, in words.
    """

    cell: str
    tomogram: str
    tomogram_slab: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    voxel_nm: float
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("tomogram_slab", "before", "after"):
            _need_plane(f"{name} of {self.cell} and {self.tomogram}", getattr(self, name))
        _need_positive(f"voxel_nm of {self.cell} and {self.tomogram}", self.voxel_nm)


@dataclass(frozen=True)
class RawEntry:
    """One raw file as it was read.

    Parameters
    ----------
    asset, key : str
        The asset that read it: sem_field, tem_section or tomogram; and its key.
    file : str
        Path inside the study folder, such as ``inbox/sem/field-01.png``; empty where it was taken away.
    pixels : numpy.ndarray, uint8, shape (y, x)
        The picture, or the middle slice of a volume, stretched to grey levels.
    pixel_nm : float
        Pixel size of `pixels`, nm.
    sha256 : str
        Of the file's bytes; empty where the file is not the one that was read.
    note : str
        What the picture leaves out of the file, in words; may be empty.
    """

    asset: str
    key: str
    file: str
    pixels: NDArray[np.uint8]
    pixel_nm: float
    sha256: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        _need_plane(f"raw picture of {self.key}", self.pixels)
        _need_positive(f"pixel_nm of {self.key}", self.pixel_nm)


def _need_plane(name: str, array: NDArray[np.generic]) -> None:
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"The {name} must be a plane with pixels, not of shape {array.shape}.")


def _need_same_shape(name: str, array: NDArray[np.generic], like: NDArray[np.generic]) -> None:
    if array.shape != like.shape:
        raise ValueError(f"The {name} has shape {array.shape}, its density {like.shape}.")


def _need_positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"The {name} must be a positive length in nm, not {value}.")
