"""Reading two-dimensional micrographs with a pixel size that somebody stated.

Belongs here: TIFF (Thermo/FEI tags), PNG, JPEG and 2-D MRC; the order in which pixel sizes are believed.
Does not belong here: tomograms (`cryoet.mrc`), or finding cells.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.calibrate import ScaleBar, burnt_in, find_data_bar, find_scale_bar, length_nm
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar

__all__ = ["CalibratedImage", "read_image", "read_label_image"]

_MOST_PIXELS: Final = 400_000_000
_TOLERANCE: Final = 0.01


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
        ``Thermo/FEI tags``, ``MRC header``, ``sidecar`` or ``scale bar``.
    excluded : numpy.ndarray, bool, shape (y, x)
        Data bar and burnt-in marks.
    tags : dict of str to str
        What the microscope wrote about the exposure.
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


@dataclass
class _Raw:
    """Pixels as stored, with what the file itself says."""

    pixels: NDArray[Any]
    size_nm: tuple[float, float] | None = None
    source: str = ""
    bar_rows: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    palette: NDArray[Any] | None = None  # (3, n) if the pixels are indices into colours
    inverted: bool = False  # whether 0 is to be shown white
    warnings: list[str] = field(default_factory=list)


def read_image(path: Path, sidecar: Sidecar, *, data_bar: bool) -> CalibratedImage:
    """Read a micrograph; its pixel size comes from the file, else the sidecar, else a measured scale bar.

    Parameters
    ----------
    path : pathlib.Path
        TIFF, PNG, JPEG or 2-D MRC.
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
    raw = _read(path)
    warnings = list(raw.warnings)
    pixels = _grey(path, raw, warnings)
    excluded = np.zeros(pixels.shape, dtype=bool)
    bar: ScaleBar | None = None
    if data_bar:
        rows = find_data_bar(pixels) if raw.bar_rows is None else raw.bar_rows
        if rows:
            excluded[-rows:] = True
        bar = find_scale_bar(pixels, None if sidecar.scale_bar else excluded)
        if bar is not None:
            excluded |= burnt_in(pixels, bar)
    elif sidecar.scale_bar:
        bar = find_scale_bar(pixels)
        if bar is not None:
            excluded |= burnt_in(pixels, bar)
    size, source = _pixel_size(path, raw, sidecar, bar, warnings)
    overlay = None if bar is None or source != "scale bar" else _drawn(pixels, bar)
    return CalibratedImage(pixels, size, source, excluded, raw.tags, warnings, overlay)


def read_label_image(path: Path, shape: tuple[int, ...], *, highest: int | None) -> NDArray[np.int32]:
    """Read labels drawn by a person: whole numbers, 0 for background.

    Parameters
    ----------
    path : pathlib.Path
        TIFF or PNG of the image's size.
    shape : tuple of int
        Shape that the labels must have.
    highest : int or None
        Largest code that has a meaning; None for instance numbers.

    Raises
    ------
    InputError
        If they cannot be read, have another size, or hold impossible values.
    """
    labels = _read(path).pixels
    if labels.ndim != 2 or labels.shape != shape:
        raise InputError(path, f"the labels have shape {labels.shape}, the image {shape}.", "export them unscaled.")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise InputError(path, "labels must be whole numbers from 0.", "save them as 8- or 16-bit integers.")
    if highest is not None and int(labels.max()) > highest:
        raise InputError(path, f"label {int(labels.max())} has no meaning.", f"use 0 to {highest}.")
    return labels.astype(np.int32)


def _pixel_size(
    path: Path, raw: _Raw, sidecar: Sidecar, bar: ScaleBar | None, warnings: list[str]
) -> tuple[float, str]:
    stated = sidecar.pixel_size_nm
    if raw.size_nm is not None:
        across, down = raw.size_nm[1], raw.size_nm[0]
        if abs(across / down - 1) > _TOLERANCE:
            raise InputError(
                path,
                f"its pixels are {across:.4g} nm wide and {down:.4g} nm high.",
                "resample it to square pixels.",
            )
        if stated is not None and abs(stated / across - 1) > _TOLERANCE:
            raise InputError(
                path,
                f"its {raw.source} say {across:.5g} nm a pixel, the sidecar {stated:.5g} nm.",
                f"correct pixel_size_nm in {path.name}.toml, or remove it.",
            )
        return (across + down) / 2, raw.source
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


def _read(path: Path) -> _Raw:
    name = path.name.lower()
    try:
        if name.endswith((".tif", ".tiff")):
            return _read_tiff(path)
        if name.endswith(".mrc"):
            return _read_mrc(path)
        return _read_pillow(path)
    except InputError:
        raise
    except Exception as error:  # each reader has its own zoo of exceptions for damaged files
        raise InputError(
            path,
            f"it cannot be read ({type(error).__name__}: {error}).",
            "export it again; it may be truncated.",
        ) from error


def _read_tiff(path: Path) -> _Raw:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        _check_size(path, page.shape)
        if page.dtype is None:
            raise InputError(path, "its pixels are of no known type.", "save it as 8- or 16-bit grey.")
        stored = sum(page.databytecounts)
        if page.compression == 1 and stored < int(np.prod(page.shape)) * page.dtype.itemsize:
            raise InputError(path, "its header claims more pixels than the file holds.", "export it again.")
        # tifffile fills what is missing with zeros, which would look like a dark substrate.
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > path.stat().st_size:
            raise InputError(path, "it ends before its pixels do.", "copy it again; it is truncated.")
        fei = tiff.fei_metadata
        warnings = [] if len(tiff.pages) == 1 else [f"It holds {len(tiff.pages)} pages; the first was read."]
        photometric, palette = page.photometric, page.colormap
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise InputError(path, f"its compression is not supported ({error}).", "save it uncompressed.") from error
    raw = _Raw(pixels, palette=palette) if not fei else _with_fei(pixels, fei)
    raw.inverted = photometric == tifffile.PHOTOMETRIC.MINISWHITE
    raw.warnings += warnings
    return raw


def _with_fei(pixels: NDArray[Any], fei: dict[str, Any]) -> _Raw:
    scan, image = fei.get("EScan") or fei.get("Scan") or {}, fei.get("Image") or {}
    size = None
    across, down = scan.get("PixelWidth"), scan.get("PixelHeight")
    if isinstance(across, float | int) and isinstance(down, float | int) and across > 0 and down > 0:
        size = (float(down) * 1e9, float(across) * 1e9)
    warnings = []
    recorded = image.get("ResolutionX")
    if size is not None and isinstance(recorded, int) and recorded != pixels.shape[1]:
        # Whether it was cropped (same pixels) or scaled (other pixels) cannot be told from the file.
        warnings.append(
            f"The tags are of an image {recorded} px wide, the file is {pixels.shape[1]} px wide: "
            "it was cropped or scaled since, and the pixel size in the tags was not used."
        )
        size, image = None, {}
    rows = image.get("ResolutionY")
    bar_rows = pixels.shape[0] - int(rows) if isinstance(rows, int) and 0 < rows <= pixels.shape[0] else None
    beam, stage, detectors = fei.get("EBeam") or {}, fei.get("Stage") or {}, fei.get("Detectors") or {}
    wanted = {
        "voltage_v": beam.get("HV"),
        "working_distance_m": beam.get("WD"),
        "tilt_rad": stage.get("StageT"),
        "detector": detectors.get("Name"),
        "dwell_s": scan.get("Dwell"),
    }
    tags = {name: str(value) for name, value in wanted.items() if value not in (None, "")}
    return _Raw(pixels, size, "Thermo/FEI tags", bar_rows, tags, warnings=warnings)


def _read_mrc(path: Path) -> _Raw:
    import mrcfile

    with mrcfile.open(path, header_only=True) as header:
        shape = (int(header.header.nz), int(header.header.ny), int(header.header.nx))
        voxel = header.voxel_size
        side = (float(voxel.y) / 10, float(voxel.x) / 10)
    _check_size(path, shape)
    if shape[0] != 1:
        raise InputError(path, f"it has {shape[0]} slices.", "add it as a tomogram, or export one slice.")
    with mrcfile.open(path) as mrc:
        pixels = np.array(mrc.data).reshape(shape[1:])
    # A header of 0 or 1 Å is what software writes when it does not know.
    known = min(side) > 0 and all(abs(one - 0.1) > 1e-6 for one in side)
    return _Raw(pixels, side if known else None, "MRC header")


def _read_pillow(path: Path) -> _Raw:
    from PIL import Image

    with catch_warnings():
        simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
        with Image.open(path) as image:  # the header only; Pillow reads pixels when they are asked for
            _check_size(path, (image.height, image.width))
            colours = image.getpalette("RGB") if image.mode == "P" else None
            palette = None if colours is None else np.array(colours).reshape(-1, 3).T
            return _Raw(np.asarray(image), palette=palette)


def _check_size(path: Path, shape: tuple[int, ...]) -> None:
    if int(np.prod([int(n) for n in shape], dtype=object)) > _MOST_PIXELS:
        size = " × ".join(map(str, shape))
        raise InputError(
            path, f"it claims {size} pixels, more than 400 million.", "crop it, or check that it is whole."
        )


def _grey(path: Path, raw: _Raw, warnings: list[str]) -> NDArray[np.float32]:
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
