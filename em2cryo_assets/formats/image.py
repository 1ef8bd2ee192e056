"""Reading two-dimensional micrographs with a pixel size that somebody stated.

Belongs here: the order in which pixel sizes are believed, what is not image, and grey values.
Does not belong here: containers and tags (`formats.micrograph`), tomograms (`cryoet.mrc`), or finding cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.calibrate import ScaleBar, burnt_in, find_data_bar, find_scale_bar, length_nm
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.micrograph import RawImage, read_raw_image
from em2cryo_assets.formats.sem_companions import read_sem_companions
from em2cryo_assets.formats.sem_metadata import SemMetadata
from em2cryo_assets.formats.sidecar import Sidecar

__all__ = ["CalibratedImage", "read_image", "read_label_image"]

_CELL_NUMBERS: Final = range(2**16)

_TOLERANCE: Final = 0.01
_TALLEST_DATA_BAR: Final = 0.25


@dataclass
class CalibratedImage:
    """An image in nanometres.

    Parameters
    ----------
    pixels : numpy.ndarray, float32, shape (y, x)
        Grey values as recorded.
    pixel_size_nm : float
        Side of the square pixels.
    pixel_size_source : str
        Whose tags, header or text beside the image it is, such as ``Zeiss tags``; else ``sidecar`` or ``scale bar``.
    excluded : numpy.ndarray, bool, shape (y, x)
        Data bar and burnt-in marks.
    tags : dict of str to str
        What the microscope wrote about the exposure (`sem_metadata.SemMetadata`).
    warnings : list of str
        Oddities, in sentences.
    overlay : numpy.ndarray, uint8, shape (y, x, 3), or None
        The measured scale bar drawn over the image, to be confirmed by eye.
    """

    pixels: NDArray[np.float32]
    pixel_size_nm: float
    pixel_size_source: str
    excluded: NDArray[np.bool_]
    tags: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    overlay: NDArray[np.uint8] | None = None


def read_image(path: Path, sidecar: Sidecar, *, data_bar: bool) -> CalibratedImage:
    """Read a micrograph; its pixel size comes from the microscope, else the sidecar, else a measured scale bar.

    The microscope speaks through tags and headers of the file, then through a text beside it; where these differ, the
    first is kept and the rest told.

    Parameters
    ----------
    path : pathlib.Path
        TIFF, PNG, JPEG, 2-D MRC, DM3, DM4, SER or EMD.
    sidecar : Sidecar
        What lies beside it. A TIFF's dots per inch is never taken for a pixel size.
    data_bar : bool
        Whether to look for a data bar below the image and marks in it.

    Raises
    ------
    InputError
        If the file cannot be read, is too large, holds NaN or one grey level only, or if no pixel size is
        stated, or two that differ by more than 1 %.
    """
    raw = read_raw_image(path)
    warnings = list(raw.warnings)
    told = _settled([*raw.microscope, *read_sem_companions(path)], raw.pixels.shape, warnings)
    pixels = _grey(path, raw, warnings)
    excluded = np.zeros(pixels.shape, dtype=bool)
    bar: ScaleBar | None = None
    if data_bar:
        rows = find_data_bar(pixels) if told.bar_rows is None else told.bar_rows
        if rows:
            excluded[-rows:] = True
        bar = find_scale_bar(pixels, None if sidecar.scale_bar else excluded)
        if bar is not None:
            excluded |= burnt_in(pixels, bar)
    elif sidecar.scale_bar:
        bar = find_scale_bar(pixels)
        if bar is not None:
            excluded |= burnt_in(pixels, bar)
    size, source = _pixel_size(path, told, sidecar, bar, warnings)
    overlay = None if bar is None or source != "scale bar" else _drawn(pixels, bar)
    return CalibratedImage(pixels, size, source, excluded, told.tags, warnings, overlay)


def read_label_image(path: Path, shape: tuple[int, ...], *, codes: Mapping[int, str] | None) -> NDArray[np.int32]:
    """Read labels drawn by a person: whole numbers, 0 for background.

    Parameters
    ----------
    path : pathlib.Path
        TIFF or PNG of the image's size.
    shape : tuple of int
        Shape that the labels must have.
    codes : mapping of int to str, or None
        Names of the codes that have a meaning; None for numbers of cells, up to 65,535.

    Raises
    ------
    InputError
        If they cannot be read, have another size, or hold impossible values.
    """
    labels = read_raw_image(path).pixels
    if labels.ndim != 2:
        raise InputError(path, "the labels are a colour picture.", "save them as grey: one whole number a pixel.")
    if labels.shape != shape:
        raise InputError(path, f"the labels have shape {labels.shape}, the image {shape}.", "export them unscaled.")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise InputError(path, "labels must be whole numbers from 0.", "save them as 8- or 16-bit integers.")
    if int(labels.max()) not in (_CELL_NUMBERS if codes is None else codes):
        known = "0 to 65535" if codes is None else ", ".join(f"{code} {name}" for code, name in codes.items())
        raise InputError(path, f"label {int(labels.max())} has no meaning.", f"use {known}.")
    return labels.astype(np.int32)


def _settled(opinions: list[SemMetadata], shape: tuple[int, ...], warnings: list[str]) -> SemMetadata:
    """One opinion of all that a microscope wrote: the first that says a thing counts, for each thing."""
    settled = SemMetadata("")
    for told in opinions:
        warnings += told.warnings
        for name, value in told.tags.items():
            settled.tags.setdefault(name, value)
        rows, columns = told.image_px or (0, 0)
        if columns and columns != shape[1]:
            # Whether it was cropped (same pixels) or scaled (other pixels) cannot be told from the file.
            if told.size_nm is not None:
                warnings.append(
                    f"The {told.source} are of an image {columns} px wide, the file is {shape[1]} px wide: "
                    "it was cropped or scaled since, and the pixel size in them was not used."
                )
            continue
        # As many rows as the file has say nothing of a bar: it may be drawn into the image.
        bar_rows = (shape[0] - rows or None) if rows and told.bar_rows is None else told.bar_rows
        if settled.bar_rows is None and bar_rows is not None and 0 <= bar_rows <= shape[0] * _TALLEST_DATA_BAR:
            settled.bar_rows = bar_rows
        if told.size_nm is None:
            continue
        if settled.size_nm is None:
            settled.size_nm, settled.source = told.size_nm, told.source
        elif abs(told.size_nm[1] / settled.size_nm[1] - 1) > _TOLERANCE:
            warnings.append(
                f"By the {told.source} a pixel has {told.size_nm[1]:.5g} nm, by the {settled.source} "
                f"{settled.size_nm[1]:.5g} nm; the latter was kept."
            )
    return settled


def _pixel_size(
    path: Path, told: SemMetadata, sidecar: Sidecar, bar: ScaleBar | None, warnings: list[str]
) -> tuple[float, str]:
    stated = sidecar.pixel_size_nm
    if told.size_nm is not None:
        across, down = told.size_nm[1], told.size_nm[0]
        if abs(across / down - 1) > _TOLERANCE:
            raise InputError(
                path,
                f"its pixels are {across:.4g} nm wide and {down:.4g} nm high.",
                "resample it to square pixels.",
            )
        if stated is not None and abs(stated / across - 1) > _TOLERANCE:
            raise InputError(
                path,
                f"by its {told.source} a pixel has {across:.5g} nm, by the sidecar {stated:.5g} nm.",
                f"correct pixel_size_nm in {path.name}.toml, or remove it.",
            )
        return (across + down) / 2, told.source
    if stated is not None:
        return stated, "sidecar"
    if sidecar.scale_bar is not None:
        try:
            real = length_nm(sidecar.scale_bar)
        except ValueError as error:
            raise InputError(f"{path.name}.toml", f"scale_bar: {error}", 'write scale_bar = "5 um".') from error
        if bar is None:
            raise InputError(
                path,
                "no scale bar was found in the image.",
                f"write pixel_size_nm = … into {path.name}.toml.",
            )
        warnings.append(f"Pixel size from a bar of {bar.length_px:.1f} px for {sidecar.scale_bar}: confirm it by eye.")
        return real / bar.length_px, "scale bar"
    raise InputError(
        path,
        "nothing says how large a pixel is.",
        f'write pixel_size_nm = 12.5 into {path.name}.toml beside it, or scale_bar = "5 um" if a bar is burnt in.',
    )


def _grey(path: Path, raw: RawImage, warnings: list[str]) -> NDArray[np.float32]:
    pixels = raw.pixels
    if raw.palette is not None and pixels.ndim == 2:
        pixels = np.moveaxis(np.asarray(raw.palette)[:, pixels], 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] in (2, 3, 4):
        colours = pixels[..., : 1 if pixels.shape[-1] == 2 else 3].astype(np.float32)
        # JPEG shifts the three channels of a grey image by a few levels against each other.
        if float(np.ptp(colours, axis=-1).mean()) > 0.02 * float(np.ptp(colours)):
            warnings.append("It is a colour image; the mean of its channels was taken.")
        pixels = colours.mean(axis=-1)
    if pixels.ndim != 2 or min(pixels.shape) < 16:
        raise InputError(
            path, f"it is not one image (shape {pixels.shape}).", "export one plane of at least 16 pixels."
        )
    grey = pixels.astype(np.float32)
    if not np.isfinite(grey).all():
        raise InputError(path, f"{int((~np.isfinite(grey)).sum())} pixels are NaN or infinite.", "export it again.")
    if float(grey.max()) == float(grey.min()):
        raise InputError(path, f"all pixels have the value {float(grey.max()):g}.", "it shows nothing; replace it.")
    return -grey if raw.inverted else grey


def _drawn(pixels: NDArray[np.float32], bar: ScaleBar) -> NDArray[np.uint8]:
    low, high = np.percentile(pixels, (0.5, 99.5))
    grey = (np.clip((pixels - low) / max(float(high - low), 1e-9), 0, 1) * 255).astype(np.uint8)
    shown = np.repeat(grey[..., None], 3, axis=2)
    shown[bar.y0 : bar.y1, bar.x0 : bar.x1] = (255, 0, 160)
    shown[max(0, bar.y0 - 12) : bar.y1 + 12, [bar.x0, bar.x1 - 1]] = (255, 0, 160)
    return shown
