"""Which files of an entry are tomograms, and why the others are not.

Belongs here: rules by file ending, image set and header, each with its reason in words; what the metadata say of
modality and voxel. Does not belong here: asking the archive (`client`), or what is already here (`look`).
"""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any, Final

from em2cryo_assets.formats.companions import names_beside
from em2cryo_assets.resources.archives.modality import modality_in
from em2cryo_assets.resources.empiar.entries import Entry, ImageSet
from em2cryo_assets.resources.empiar.header import VolumeHeader

__all__ = [
    "ending_of",
    "imageset_of",
    "is_series",
    "modality_of",
    "not_a_companion",
    "not_a_series",
    "not_by_header",
    "not_by_name",
    "sidecar_of",
    "skip_folder",
]

_ENDINGS: Final = tuple(f"{one}{gz}" for one in (".mrc", ".rec", ".map") for gz in ("", ".gz"))
_SERIES: Final = (".st", ".ali", ".mrcs", ".preali")

_READ_SERIES: Final = (".st", ".ali")
_TILTS: Final = (".tlt", ".rawtlt", ".mdoc")
_LARGEST_COMPANION: Final = 4 * 2**20

# Image sets that hold no volume, whatever their files are called. "Tilt series" is not among them: reconstructions
# are often deposited in the same image set.
_NO_VOLUMES: Final = re.compile(r"micrograph|picked particle|class average|diffraction|sub-?tomogram|frames?\b", re.I)
_TILT_SERIES: Final = re.compile(r"tilt[ -]?series", re.I)


def _word(*words: str) -> re.Pattern[str]:
    """The words, standing alone between separators, digits or the ends of a name."""
    return re.compile(rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])", re.I)


_LABELS: Final = _word("labels?", "seg(?:mentation|mentations|mented|s)?", "masks?", "annotations?", "membranes?_?seg")
_HALVES: Final = _word("even", "odd", "evn", "half_?[12ab]?")
_STACKS: Final = _word("stacks?", "ali", "aligned")
_IMAGES: Final = _word("tilt[ _-]?series", "tilt[ _-]?stacks?", "frames?", "movies?")
_FRAMES: Final = _word("frames?", "movies?")
_DENOISED: Final = _word("denoised?", "cryocare", "isonet", "topaz", "noise2noise", "n2n")


def ending_of(name: str) -> str | None:
    """Ending by which a tomogram would be read, else None."""
    lowered = name.lower()
    return max((one for one in _ENDINGS if lowered.endswith(one)), key=len, default=None)


def imageset_of(entry: Entry, path: str) -> ImageSet | None:
    """The image set whose folder holds a file: the deepest one; None if none says so.

    Parameters
    ----------
    entry : Entry
        The entry.
    path : str
        Path below the folder of the entry, such as ``data/tomograms/a.rec``.
    """
    holding = [one for one in entry.imagesets if one.directory and f"{path}/".startswith(f"{one.directory}/")]
    return max(holding, key=lambda one: len(one.directory), default=None)


def skip_folder(entry: Entry, folder: str) -> str | None:
    """Reason not to open a folder: movies fill pages with 100,000 names. None if it may hold a tomogram."""
    if any(f"{one.directory}/".startswith(f"{folder}/") and one.directory != folder for one in entry.imagesets):
        return None  # another image set lies below it
    here = imageset_of(entry, folder)
    if here is not None and _NO_VOLUMES.search(here.category):
        return f"its image set is called {here.category!r}"
    return None


def not_by_name(entry: Entry, path: str) -> str | None:
    """Reason why a file is no tomogram, by its name and its image set; None if it may be one."""
    name = PurePosixPath(path).name
    ending = ending_of(name)
    imageset = imageset_of(entry, path)
    if ending is None:
        if name.lower().removesuffix(".gz").endswith(_SERIES):
            return "a tilt series, not a reconstruction"
        return "no .mrc, .rec or .map file"
    if imageset is not None and _NO_VOLUMES.search(imageset.category):
        return f"its image set is called {imageset.category!r}"
    stem = name[: -len(ending)]
    if stem.lower().endswith((*_SERIES, ".ali", "_st")):
        return "a tilt series by its name, not a reconstruction"
    if _LABELS.search(path):
        return "labels or a mask by its name, not a density"
    if _HALVES.search(name):
        return "an even or odd half by its name; halves are no tomograms of their own"
    if ending.startswith(".rec"):
        return None
    if _STACKS.search(name) or _IMAGES.search(path):
        return "a stack of images by its name, not a reconstruction"
    if imageset is not None and _TILT_SERIES.search(imageset.category):
        return f"its image set is called {imageset.category!r}, and only .rec files there are reconstructions"
    return None


def is_series(path: str) -> bool:
    """Whether a file is a tilt series that can be reconstructed, by its ending."""
    return path.lower().endswith(_READ_SERIES)


def not_a_series(entry: Entry, path: str, files: Collection[str]) -> str | None:
    """Reason why a file of an entry without reconstructions is no tilt series to make one from; None if it is.

    Parameters
    ----------
    entry : Entry
        The entry.
    path : str
        Path below the folder of the entry.
    files : collection of str
        Paths of all its files.
    """
    here = PurePosixPath(path)
    imageset = imageset_of(entry, path)
    if imageset is not None and _NO_VOLUMES.search(imageset.category):
        return f"its image set is called {imageset.category!r}"
    if _LABELS.search(path) or _HALVES.search(here.name) or _FRAMES.search(path):
        return "labels, a half or movies by its name"
    if here.suffix.lower() == ".st" and str(here.with_suffix(".ali")) in files:
        return "a tilt series of which the aligned copy comes"
    if not any(str(here.with_name(one)) in files for ending in _TILTS for one in names_beside(here.name, ending)):
        return "a tilt series without a list of its tilts"
    return None


def not_a_companion(size: int) -> str | None:
    """Reason why a file beside a tomogram is left, by its size in bytes; None if it is to come."""
    return None if 0 < size <= _LARGEST_COMPANION else f"{size:,} bytes, which no such list has"


def not_by_header(path: str, header: VolumeHeader, size: int) -> str | None:
    """Reason why a file is not fetched, by its header and size in bytes.

    None for a volume, and for the images of a tilt series whose name says so (`not_a_series`).
    """
    shape = " × ".join(map(str, header.shape))
    if header.shape[0] == 1:
        return f"a single image ({shape})"
    if header.images and not is_series(path):
        return f"a stack of images by its header ({shape}), not a reconstruction"
    if not path.lower().endswith(".gz") and size < header.whole_bytes:
        return f"cut short in the archive: its header announces {header.whole_bytes:,} bytes, it has {size:,}"
    return None


def modality_of(entry: Entry, imageset: ImageSet | None) -> str | None:
    """Modality in the words of a sidecar, where the metadata say exactly one."""
    kind = entry.experiment_type.upper()
    if kind in ("SXT", "FIB-SEM"):
        return {"SXT": "soft-x-ray", "FIB-SEM": "fib-sem"}[kind]
    return modality_in((f"{imageset.name} {imageset.details}" if imageset else "", entry.title))


def sidecar_of(entry: Entry, path: str, url_path: str, header: VolumeHeader) -> dict[str, Any]:
    """Content of the sidecar of a tomogram; None where the metadata are silent.

    It holds nothing that changes with each update of the entry, so that an unchanged file stays what it was.
    """
    imageset = imageset_of(entry, path)
    data = f"Data doi {entry.doi}" if entry.doi else ""
    return {
        "source": f"{entry.id} {url_path}",
        "modality": modality_of(entry, imageset),
        "voxel_size_nm": _voxel_of(imageset, header),
        "denoised": True if _DENOISED.search(path) else None,
        "licence": entry.licence or None,
        "notes": ". ".join(filter(None, (entry.title.rstrip("."), entry.citation, data))) or None,
    }


def _voxel_of(imageset: ImageSet | None, header: VolumeHeader) -> float | None:
    """Voxel side that the metadata give, as a second opinion, nm.

    Often the metadata describe the tilt series and the volume is binned: only pixels of images as wide and high as the
    volume count.
    """
    if imageset is None or imageset.pixel_nm is None or imageset.image_px is None:
        return None
    width, height = imageset.pixel_nm
    square = abs(width / height - 1) <= 0.01
    fits = sorted(imageset.image_px) in (sorted(header.shape[1:]), sorted((header.shape[0], header.shape[2])))
    return round(width, 6) if square and fits and 1e-3 <= width <= 1e8 else None
