"""Files of electron microscopes' own programs: DM3 and DM4 (Gatan), SER with its EMI (TIA), EMD (Velox, Berkeley).

Belongs here: finding the one image in such a file by way of RosettaSciIO, with its pixel size and what the microscope
wrote about it. Does not belong here: which pixel size is believed (`formats.image`, `cryoet.voxel`), or
the checks that come before the library sees a byte (`formats.vendor_guards`).

RosettaSciIO is under the GPL and this project is not: it is an extra, imported only when such a file is read. It was
chosen over ncempy, which is under the GPL too and brings matplotlib along.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.companions import image_companions
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.units import nm_per
from em2cryo_assets.formats.vendor_guards import check_emi, check_hdf5, check_ser

__all__ = ["VENDOR_ENDINGS", "VendorImage", "read_vendor_file"]

VENDOR_ENDINGS: Final = (".dm3", ".dm4", ".emd", ".ser")

_SOURCES: Final = {".dm3": "DM3 tags", ".dm4": "DM4 tags", ".emd": "EMD metadata", ".ser": "SER header"}
_PLUGINS: Final = {".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".emd": "emd", ".ser": "tia"}
_INSTALL: Final = 'install it by: pip install "em2cryo-assets[vendor-formats]"; or export the image as TIFF or MRC.'
_TAGS: Final = {
    "beam_energy": "voltage_kv",
    "magnification": "magnification",
    "tilt_alpha": "tilt_deg",
    "microscope": "microscope",
    "acquisition_mode": "mode",
}
_NO_PICTURE: Final = re.compile(r"ev\b|ray|1/|1 /|\^-1|rad|⁻¹|^s$", re.IGNORECASE)
"""Units of axes that make something else of an array than a picture: energies, angles, reciprocal lengths, times."""


@dataclass(frozen=True)
class VendorImage:
    """The image of a file, in the order of the file.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (y, x) or (z, y, x)
        Grey values as recorded; axes of length one are left out.
    sides_nm : tuple of float or None
        Side of a pixel along each axis; None where the file states no length.
    source : str
        Where the sides came from, as shown to people.
    tags : dict of str to str
        What the microscope wrote: voltage_kv, magnification, tilt_deg, microscope, mode.
    """

    pixels: NDArray[Any]
    sides_nm: tuple[float | None, ...]
    source: str
    tags: dict[str, str] = field(default_factory=dict)


def read_vendor_file(path: Path, most_bytes: int) -> VendorImage:
    """Read the one image, or stack of images, that a file of a microscope's program holds.

    Parameters
    ----------
    path : pathlib.Path
        ``.dm3``, ``.dm4``, ``.ser`` (with the ``.emi`` beside it, if there is one) or ``.emd``.
    most_bytes : int
        Largest size in memory that is accepted; checked on what the header declares, before memory is taken.

    Raises
    ------
    InputError
        If the reader is not installed, the file is damaged, or it holds no image, or several, or a diffraction
        pattern or spectrum, or one that is larger than allowed.
    """
    ending = path.suffix.lower()
    reader = _reader(path, ending)
    try:
        if ending == ".ser":
            check_ser(path)
        elif ending == ".emd":
            check_hdf5(path)
        with catch_warnings():
            simplefilter("ignore")  # the library's own, about metadata that is not used here
            with tempfile.TemporaryDirectory() as folder:
                name = _with_emi(path, Path(folder)) if ending == ".ser" else path
                more = {"select_type": "images"} if ending == ".emd" else {}  # spectra take another library
                signals = reader(str(name), lazy=True, **more)
                return _chosen(path, signals, _SOURCES[ending], most_bytes)
    except InputError:
        raise
    except Exception as error:  # each of the library's readers has its own zoo of exceptions for damaged files
        raise InputError(
            path,
            f"it cannot be read ({type(error).__name__}: {str(error)[:200]}).",
            "copy it again, as it may be truncated, or export it as TIFF or MRC.",
        ) from error


def _reader(path: Path, ending: str) -> Any:
    import importlib

    try:
        if ending == ".emd":
            importlib.import_module("h5py")
        return importlib.import_module(f"rsciio.{_PLUGINS[ending]}").file_reader
    except ImportError as error:
        raise InputError(path, f"the reader of {ending} files, RosettaSciIO, is not installed.", _INSTALL) from error


def _with_emi(path: Path, folder: Path) -> Path:
    """What to hand to the reader: the file, or the EMI that belongs to it in a folder where it finds both.

    The reader expects ``name.emi`` beside ``name_1.ser`` … ``name_9.ser``; the inbox may have renamed them.
    """
    emi = image_companions(path).get(".emi")
    if emi is None:
        return path
    check_emi(emi)
    number = re.search(r"_([1-9])$", path.stem)
    (folder / f"a_{number[1] if number else 1}.ser").symlink_to(path.resolve())
    (folder / "a.emi").symlink_to(emi.resolve())
    return folder / "a.emi"


def _chosen(path: Path, signals: list[dict[str, Any]], source: str, most_bytes: int) -> VendorImage:
    pictures = [signal for signal in signals if _is_picture(signal)]
    if not pictures:
        held = "; ".join(_described(signal) for signal in signals) or "nothing"
        raise InputError(path, f"it holds no image ({held}).", "export the image alone, as TIFF or MRC.")
    if len(pictures) > 1:
        held = "; ".join(_described(signal) for signal in pictures)
        raise InputError(path, f"it holds {len(pictures)} images: {held}.", "save the one that is meant by itself.")
    (signal,) = pictures
    data = signal["data"]
    size = int(np.prod([int(n) for n in data.shape], dtype=object)) * data.dtype.itemsize
    if size > most_bytes:
        raise InputError(
            path,
            f"its header declares {' × '.join(map(str, data.shape))} pixels, {size / 2**30:.1f} GiB; at most "
            f"{most_bytes / 2**30:.1f} GiB are read.",
            "crop or bin it, or export it as MRC.",
        )
    # In this process: on a dask worker, a bare compute() would go to the cluster that waits for this very task.
    pixels = np.asarray(data.compute(scheduler="synchronous"))
    axes = _axes(signal)
    kept = [i for i, n in enumerate(pixels.shape) if n > 1]
    names = [str(axes[i].get("name")).lower() for i in kept]
    if len({*names}) == len(names) and {*names} <= {*"zyx"}:
        # Berkeley's EMD may hold (x, y), and says so; whichever way, its axes have names.
        kept = [kept[names.index(name)] for name in "zyx" if name in names]
    rest = [i for i, n in enumerate(pixels.shape) if n == 1]
    return VendorImage(
        np.ascontiguousarray(pixels.transpose([*rest, *kept]).reshape([pixels.shape[i] for i in kept])),
        tuple(_side_nm(axes[i]) for i in kept),
        source,
        _tags(signal),
    )


def _axes(signal: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Axes in the order of the array."""
    axes = signal["axes"]
    placed = all("index_in_array" in axis for axis in axes)
    return sorted(axes, key=lambda axis: axis["index_in_array"]) if placed else list(axes)


def _is_picture(signal: Mapping[str, Any]) -> bool:
    """Whether an array has two or three axes longer than one, real numbers, and no axis of another kind than length.

    The first of three may be of any kind but energy: frames of a series are told from slices by the caller.
    """
    data = signal["data"]
    axes = [axis for axis, n in zip(_axes(signal), data.shape, strict=True) if n > 1]
    if len(axes) not in (2, 3) or data.dtype.kind not in "iuf":
        return False
    return not any(_NO_PICTURE.search(_unit(axis)) for axis in axes[-2:]) and "ev" not in _unit(axes[0]).lower()


def _unit(axis: Mapping[str, Any]) -> str:
    unit = axis.get("units")
    return unit if isinstance(unit, str) else ""


def _side_nm(axis: Mapping[str, Any]) -> float | None:
    per, scale = nm_per(_unit(axis)), float(axis.get("scale", 0.0))
    return per * scale if per is not None and np.isfinite(scale) and scale > 0 else None


def _described(signal: Mapping[str, Any]) -> str:
    title = signal.get("metadata", {}).get("General", {}).get("title") or "untitled"
    size = " × ".join(map(str, signal["data"].shape))
    units = ", ".join(sorted({_unit(axis) for axis in _axes(signal)} - {""})) or "no units"
    return f"“{title}”, {size}, {units}"


def _tags(signal: Mapping[str, Any]) -> dict[str, str]:
    """What the library's own mapping makes of the file's metadata, of that which is wanted here."""
    found: dict[str, str] = {}
    for origin, (place, convert) in (signal.get("mapping") or {}).items():
        name = _TAGS.get(place.rsplit(".", 1)[-1])
        value = _looked_up(signal.get("original_metadata", {}), origin) if name else None
        if name and value not in (None, "", {}) and not isinstance(value, Mapping):
            converted = convert(value) if convert is not None else value
            if converted is not None:
                found.setdefault(name, f"{converted:g}" if isinstance(converted, float) else str(converted))
    return found


def _looked_up(tree: Any, origin: str) -> Any:
    for part in origin.split("."):
        if not isinstance(tree, Mapping):
            return None
        names = {str(key).replace(" ", "_"): key for key in tree}
        tree = tree.get(names.get(part.replace(" ", "_"), part))
    return tree
