"""Opening a tomogram: container, voxel size, axes and sign, each with its source.

Belongs here: turning a raw volume and its sidecar into density that is high where matter is dense, (z, y, x), with
every assumption written down. Does not belong here: the containers themselves (:mod:`em2cryo_assets.cryoet.mrc_header`,
:mod:`em2cryo_assets.cryoet.tiff_stack`), labels, or storage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from em2cryo_assets.cryoet.mrc_header import read_mrc
from em2cryo_assets.cryoet.raw_volume import RawVolume, check_values
from em2cryo_assets.cryoet.tiff_stack import read_tiff_stack
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.vocabulary import SLAB_MODALITIES, WHOLE_CELL_MODALITIES

if TYPE_CHECKING:
    from em2cryo_assets.formats.sidecar import Sidecar

__all__ = ["ASSUMED_TILTS_DEG", "SLAB_MODALITIES", "WHOLE_CELL_MODALITIES", "Tomogram", "open_tomogram"]

ASSUMED_TILTS_DEG: Final = tuple(float(t) for t in range(-60, 61, 3))
"""What stands in for a tilt scheme that nobody recorded; using it is a fallback to be reported."""

_CHUNK = 128


@dataclass(frozen=True)
class Tomogram:
    """A tomogram ready to be labelled or stored.

    Parameters
    ----------
    data : dask.array.Array, float32, shape (z, y, x)
        Density, high where matter is dense, read lazily.
    voxel_nm : tuple of float
        Voxel sides along z, y, x in nm.
    voxel_source : str
        "MRC header", "ImageJ metadata" or "sidecar".
    tilts_deg : tuple of float or None
        Recorded tilt angles in degrees.
    modality : str
        As in the sidecar.
    denoised : bool
        Whether the sidecar says that it was denoised or filled in; texture is then not the specimen's.
    warnings : list of str
        Contradictions and oddities.
    fallbacks : list of str
        Everything that had to be assumed, one sentence each.
    """

    data: Any
    voxel_nm: tuple[float, float, float]
    voxel_source: str
    tilts_deg: tuple[float, ...] | None
    modality: str
    denoised: bool = False
    warnings: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)


def open_tomogram(path: Path, sidecar: Sidecar) -> Tomogram:
    """Open a reconstruction of any supported format.

    Parameters
    ----------
    path : pathlib.Path
        ``.mrc``, ``.rec``, ``.map`` (also with ``.gz``), ``.tif`` or ``.tiff``.
    sidecar : Sidecar
        What the owner recorded beside the file; its empty form is fine where the file says enough.

    Returns
    -------
    Tomogram
        With every contradiction in `warnings` and every assumption in `fallbacks`.

    Raises
    ------
    InputError
        If the format is unknown, the file damaged, blank, NaN or too large, or no voxel size is known.
    """
    import dask.array as da

    path = Path(path)
    raw = _read(path)
    check_values(path, raw.array)
    warnings, fallbacks = list(raw.warnings), list[str]()
    voxel_nm, source = _voxel(path, raw, sidecar, warnings)
    modality = sidecar.modality
    if modality is None:
        modality = "lamella"
        fallbacks.append("The modality was not recorded; the volume was treated as a lamella.")
    if modality in ("sem", "tem"):
        raise InputError(
            path,
            f"its sidecar says modality = {modality!r}, which is no tomogram.",
            f"Write lamella, cryo-section, soft-x-ray, fib-sem or overview into {path.name}.toml.",
        )
    sign = -1.0 if _dark_is_dense(path, modality, sidecar, fallbacks) else 1.0
    chunks = tuple(min(_CHUNK, n) for n in raw.array.shape)
    data = da.from_array(raw.array, chunks=chunks, meta=np.empty((0, 0, 0), dtype=raw.array.dtype))
    data = (data.astype(np.float32) * np.float32(sign)).transpose(raw.axes)
    if modality in SLAB_MODALITIES and 2 * data.shape[1] < min(data.shape[0], data.shape[2]):
        # IMOD's tilt writes sections along y; a rotation (not a flip) about x keeps the handedness of the file.
        data = data.transpose(1, 0, 2)[:, ::-1, :]
        voxel_nm = (voxel_nm[1], voxel_nm[0], voxel_nm[2])
        fallbacks.append("The thin axis was y: the volume was turned by 90 degrees about x so that z is the thin axis.")
    tilts = None if sidecar.tilts_deg is None else tuple(float(t) for t in sidecar.tilts_deg)
    if tilts is None and modality in SLAB_MODALITIES:
        fallbacks.append("Tilt angles were not recorded; -60 to 60 degrees in steps of 3 are assumed.")
    return Tomogram(data, voxel_nm, source, tilts, modality, bool(sidecar.denoised), warnings, fallbacks)


def _read(path: Path) -> RawVolume:
    name = path.name.lower()
    if not path.is_file():
        raise InputError(path, "the file does not exist.", "Put it back or remove its sidecar.")
    if name.removesuffix(".gz").endswith((".mrc", ".rec", ".map")):
        return read_mrc(path)
    if name.endswith((".tif", ".tiff")):
        return read_tiff_stack(path)
    raise InputError(path, "this is no known tomogram format.", "Use .mrc, .rec, .map (also .gz) or a TIFF stack.")


def _voxel(path: Path, raw: RawVolume, sidecar: Sidecar, warnings: list[str]) -> tuple[tuple[float, float, float], str]:
    given = sidecar.voxel_size_nm
    declared = None if given is None else (given if isinstance(given, tuple) else (float(given),) * 3)
    if raw.voxel_nm is None:
        if declared is None:
            raise InputError(
                path,
                "the file holds no voxel size (0 or 1 angstrom means that nobody wrote one).",
                f"Write voxel_size_nm = ... (in nm) into {path.name}.toml beside it.",
            )
        return (declared[0], declared[1], declared[2]), "sidecar"
    if declared is not None and any(abs(a / b - 1) > 0.01 for a, b in zip(raw.voxel_nm, declared, strict=True)):
        ours, theirs = (" x ".join(f"{side:.4g}" for side in sides) for sides in (raw.voxel_nm, declared))
        warnings.append(
            f"The sidecar gives voxels of {theirs} nm (z, y, x), the {raw.source} {ours} nm; the latter was kept."
        )
    if max(raw.voxel_nm) > 1.01 * min(raw.voxel_nm):
        sides = " x ".join(f"{side:.4g}" for side in raw.voxel_nm)
        warnings.append(f"The voxel sides differ: {sides} nm (z, y, x).")
    return raw.voxel_nm, raw.source


def _three(sides: float | tuple[float, ...]) -> tuple[float, float, float]:
    return (sides[0], sides[1], sides[2]) if isinstance(sides, tuple) else (sides, sides, sides)


def _dark_is_dense(path: Path, modality: str, sidecar: Sidecar, fallbacks: list[str]) -> bool:
    """Sign of the density: recorded, else the custom of the modality, said aloud."""
    if sidecar.contrast is not None:
        return sidecar.contrast == "dark-is-dense"
    # EMDB maps and X-ray absorption are bright where dense; reconstructions as IMOD writes them are dark.
    bright = modality == "soft-x-ray" or path.name.lower().removesuffix(".gz").endswith(".map")
    custom = "bright" if bright else "dark"
    fallbacks.append(f"The contrast was not recorded; {custom} was taken to be dense, as is the custom.")
    return not bright
