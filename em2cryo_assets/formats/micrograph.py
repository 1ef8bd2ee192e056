"""Pixels of an image file with what the file says of itself, before anyone has judged it.

Belongs here: TIFF, PNG, JPEG and 2-D MRC; handing over to the readers of vendors' tags and files.
Does not belong here: which pixel size is believed (`formats.image`), or volumes (`cryoet`).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sem_metadata import (
    TESCAN_TAG,
    SemMetadata,
    fei_metadata,
    ini_sections,
    tescan_metadata,
    zeiss_metadata,
)
from em2cryo_assets.formats.vendor_files import VENDOR_ENDINGS, read_vendor_file

__all__ = ["RawImage", "read_raw_image"]

_MOST_PIXELS: Final = 400_000_000


@dataclass
class RawImage:
    """Pixels as stored, with what the file itself says.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (y, x) or (y, x, colours)
        As stored.
    microscope : list of SemMetadata
        What each party that wrote into the file says of pixel size, data bar and exposure; the most reliable first.
    palette : numpy.ndarray, shape (3, n), or None
        Colours that the pixels are indices of.
    inverted : bool
        Whether 0 is to be shown white.
    warnings : list of str
        Oddities, in sentences.
    """

    pixels: NDArray[Any]
    microscope: list[SemMetadata] = field(default_factory=list)
    palette: NDArray[Any] | None = None
    inverted: bool = False
    warnings: list[str] = field(default_factory=list)


def read_raw_image(path: Path) -> RawImage:
    """Read the pixels of an image file and what it says of itself.

    Parameters
    ----------
    path : pathlib.Path
        TIFF, PNG, JPEG, 2-D MRC, or a file of a microscope's program (`vendor_files`).

    Raises
    ------
    InputError
        If it cannot be read, is cut short, or claims more than 400 million pixels.
    """
    name = path.name.lower()
    try:
        if name.endswith(VENDOR_ENDINGS):
            return _read_vendor(path)
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


def _read_tiff(path: Path) -> RawImage:
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
        microscope = _microscope(tiff, page)
        warnings = [] if len(tiff.pages) == 1 else [f"It holds {len(tiff.pages)} pages; the first was read."]
        photometric, palette = page.photometric, page.colormap
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise InputError(path, f"its compression is not supported ({error}).", "save it uncompressed.") from error
    inverted = photometric == tifffile.PHOTOMETRIC.MINISWHITE
    return RawImage(pixels, microscope=microscope, palette=palette, inverted=inverted, warnings=warnings)


def _microscope(tiff: Any, page: Any) -> list[SemMetadata]:
    """What the private tags of SEM vendors say."""
    said = []
    if fei := tiff.fei_metadata:
        said.append(fei_metadata(fei, page.shape[0]))
    if zeiss := tiff.sem_metadata:
        said.append(zeiss_metadata(zeiss, page.shape[1]))
    if (tag := page.tags.get(TESCAN_TAG)) is not None:
        value = tag.value
        text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
        # Binary fields may stand before the text of names and values.
        begin = max(text.find("[MAIN]"), 0) or max(text.find("AccFrames="), 0)
        sections = ini_sections(text[begin:].replace("\x00", ""))
        if sections.get("MAIN", {}).get("PixelSizeX"):
            said.append(tescan_metadata(sections, "TESCAN tags"))
    return said


def _read_vendor(path: Path) -> RawImage:
    image = read_vendor_file(path, 4 * _MOST_PIXELS)
    shape = image.pixels.shape
    if len(shape) != 2:
        raise InputError(
            path,
            f"it holds {shape[0]} images of {shape[1]} × {shape[2]} pixels.",
            "export one of them, or their sum; a volume is added as a tomogram.",
        )
    _check_size(path, shape)
    down, across = image.sides_nm
    side = None if down is None or across is None else (down, across)
    return RawImage(image.pixels, [SemMetadata(image.source, side, tags=image.tags)])


def _read_mrc(path: Path) -> RawImage:
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
    return RawImage(pixels, [SemMetadata("MRC header", side)] if known else [])


def _read_pillow(path: Path) -> RawImage:
    from PIL import Image

    with catch_warnings():
        simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
        with Image.open(path) as image:  # the header only; Pillow reads pixels when they are asked for
            _check_size(path, (image.height, image.width))
            colours = image.getpalette("RGB") if image.mode == "P" else None
            palette = None if colours is None else np.array(colours).reshape(-1, 3).T
            return RawImage(np.asarray(image), palette=palette)


def _check_size(path: Path, shape: tuple[int, ...]) -> None:
    if int(np.prod([int(n) for n in shape], dtype=object)) > _MOST_PIXELS:
        size = " × ".join(map(str, shape))
        raise InputError(
            path, f"it claims {size} pixels, more than 400 million.", "crop it, or check that it is whole."
        )
