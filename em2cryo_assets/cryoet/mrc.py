"""Opening a tomogram: container, voxel size, axes and sign, each with its source.

Belongs here: turning a raw volume and its sidecar into density that is high where matter is dense, (z, y, x), with
every assumption written down. Does not belong here: the containers themselves (:mod:`em2cryo_assets.cryoet.mrc_header`,
:mod:`em2cryo_assets.cryoet.tiff_stack`, :mod:`em2cryo_assets.cryoet.ome_zarr_input`), labels, or storage.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from em2cryo_assets.cryoet.denoised import denoised_word
from em2cryo_assets.cryoet.mrc_header import PACKINGS, read_mrc
from em2cryo_assets.cryoet.ome_zarr_input import read_ome_zarr
from em2cryo_assets.cryoet.raw_volume import RawVolume, VolumeView, check_values
from em2cryo_assets.cryoet.tiff_stack import read_tiff_stack
from em2cryo_assets.cryoet.tilt_series_file import recorded_tilts
from em2cryo_assets.cryoet.vendor_volume import read_vendor_volume
from em2cryo_assets.cryoet.voxel import believed_voxel
from em2cryo_assets.formats.companions import FOLDER_ENDINGS
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.vendor_files import VENDOR_ENDINGS
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
    density : VolumeView, float32, shape (z, y, x)
        High where matter is dense; boxes of it are read when asked for.
    voxel_nm : tuple of float
        Voxel sides along z, y, x in nm.
    voxel_source : str
        "MRC header", "ImageJ metadata", "OME-Zarr metadata", "DM4 tags" and the like, "sidecar" or "mdoc".
    tilts_deg : tuple of float or None
        Recorded tilt angles in degrees.
    modality : str
        As in the sidecar.
    denoised : bool
        Whether the sidecar, or else the name or the header, says that it was denoised or filled in; texture is then
        not the specimen's.
    warnings : list of str
        Contradictions and oddities.
    fallbacks : list of str
        Everything that had to be assumed, one sentence each.
    """

    density: VolumeView
    voxel_nm: tuple[float, float, float]
    voxel_source: str
    tilts_deg: tuple[float, ...] | None
    modality: str
    denoised: bool = False
    warnings: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)

    @property
    def data(self) -> Any:
        """The density as a dask array in blocks of 128 voxels."""
        import dask.array as da

        blocks = tuple(min(_CHUNK, n) for n in self.density.shape)
        return da.from_array(self.density, chunks=blocks, meta=np.empty((0, 0, 0), np.float32), name=False)


def open_tomogram(path: Path, sidecar: Sidecar) -> Tomogram:
    """Open a reconstruction of any supported format.

    Parameters
    ----------
    path : pathlib.Path
        ``.mrc``, ``.rec``, ``.map`` (also with ``.gz`` or ``.bz2``), ``.tif``, ``.tiff``, ``.dm3``, ``.dm4``, ``.emd``,
        ``.ser``, or a folder ``.ome.zarr`` or ``.zarr``.
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
    path = Path(path)
    raw = _read(path)
    if sidecar.modality == "overview":
        if raw.array.shape[raw.axes[0]] != 1:
            raise InputError(path, "an overview is one plane, and it has several.", "stitch them, or export one.")
        if sidecar.voxel_size_nm is None and sidecar.pixel_size_nm is not None:
            sidecar = replace(sidecar, voxel_size_nm=sidecar.pixel_size_nm)
    elif min(raw.array.shape) == 1:
        raise InputError(
            path,
            "it is a single image, no volume.",
            f'if it is a map of frozen cells, write modality = "overview" into {path.name}.toml; a section is added '
            "with: em2cryo add tem.",
        )
    check_values(path, raw.array)
    warnings, fallbacks = list(raw.warnings), list[str]()
    voxel_nm, source = believed_voxel(path, raw, sidecar, warnings, fallbacks)
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
    density = VolumeView(raw.array, raw.axes, sign)
    if modality in SLAB_MODALITIES and 2 * density.shape[1] < min(density.shape[0], density.shape[2]):
        # IMOD's tilt writes sections along y; a rotation (not a flip) about x keeps the handedness of the file.
        density = VolumeView(raw.array, raw.axes, sign, turned=True)
        voxel_nm = (voxel_nm[1], voxel_nm[0], voxel_nm[2])
        fallbacks.append("The thin axis was y: the volume was turned by 90 degrees about x so that z is the thin axis.")
    denoised = _denoised(path, raw, sidecar, warnings, fallbacks)
    tilts = _tilts(path, sidecar, modality, warnings)
    if modality in SLAB_MODALITIES:
        # A wrong sign of the tilts mirrors a reconstruction, and none of the formats has a field for it.
        fallbacks.append("The handedness was not recorded; it is taken as the file has it, and nothing was mirrored.")
    if tilts is None and modality in SLAB_MODALITIES:
        fallbacks.append("Tilt angles were not recorded; -60 to 60 degrees in steps of 3 are assumed.")
    return Tomogram(density, voxel_nm, source, tilts, modality, denoised, warnings, fallbacks)


def _tilts(path: Path, sidecar: Sidecar, modality: str, warnings: list[str]) -> tuple[float, ...] | None:
    """Tilts by the sidecar, else by what lies beside a slab; an unreadable list is told and left."""
    if sidecar.tilts_deg is not None or modality not in SLAB_MODALITIES:
        return None if sidecar.tilts_deg is None else tuple(float(t) for t in sidecar.tilts_deg)
    try:
        found = recorded_tilts(path)
    except InputError as error:
        warnings.append(str(error))
        return None
    return None if found is None else tuple(found[0].tolist())


def _read(path: Path) -> RawVolume:
    name = _unpacked_name(path)
    if path.is_dir() and path.name.lower().endswith(FOLDER_ENDINGS):
        return read_ome_zarr(path)
    if not path.is_file():
        raise InputError(path, "the file does not exist.", "Put it back or remove its sidecar.")
    if name.endswith((".mrc", ".rec", ".map")):
        return read_mrc(path)
    if path.name.lower().endswith((".tif", ".tiff")):
        return read_tiff_stack(path)
    if path.name.lower().endswith(VENDOR_ENDINGS):
        return read_vendor_volume(path)
    raise InputError(
        path,
        "this is no known tomogram format.",
        "Use .mrc, .rec, .map (also .gz or .bz2), a TIFF stack, DM3, DM4, EMD, SER or an OME-Zarr folder.",
    )


def _unpacked_name(path: Path) -> str:
    name = path.name.lower()
    return next((name.removesuffix(end) for end in PACKINGS if name.endswith(end)), name)


def _denoised(path: Path, raw: RawVolume, sidecar: Sidecar, warnings: list[str], fallbacks: list[str]) -> bool:
    """Whether a network or a filter made the texture: recorded, else by the words that programs leave."""
    word = denoised_word((path.name, *raw.labels))
    if word is None or sidecar.denoised:
        return bool(sidecar.denoised)
    if sidecar.denoised is False:
        warnings.append(
            f"The sidecar says denoised = false, the name or the header says {word!r}; the former was kept."
        )
        return False
    fallbacks.append(
        f"The name or the header says {word!r}: the volume is taken as denoised, and its texture is left out. If it is "
        f"not, write denoised = false into {path.name}.toml."
    )
    return True


def _dark_is_dense(path: Path, modality: str, sidecar: Sidecar, fallbacks: list[str]) -> bool:
    """Sign of the density: recorded, else the custom of the modality, said aloud."""
    if sidecar.contrast is not None:
        return sidecar.contrast == "dark-is-dense"
    # EMDB maps and X-ray absorption are bright where dense; reconstructions as IMOD writes them are dark.
    bright = modality == "soft-x-ray" or _unpacked_name(path).endswith(".map")
    custom = "bright" if bright else "dark"
    fallbacks.append(f"The contrast was not recorded; {custom} was taken to be dense, as is the custom.")
    return not bright
