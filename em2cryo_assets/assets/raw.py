"""Raw images as calibrated OME-Zarr: the first column of the lineage.

Belongs here: `sem_field`, `tem_section`, `tomogram`.
Does not belong here: how files are read (`formats`, `cryoet.mrc`) or which files exist (`resources.inbox`).
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets import checks
from em2cryo_assets.assets.pictures import pictures
from em2cryo_assets.assets.records import sidecar_record, write_record
from em2cryo_assets.assets.stage import Work, stage_asset
from em2cryo_assets.compare.record import CRYO_SECTION_COMPRESSION
from em2cryo_assets.cryoet.external_reconstruction import ExternalReconstruction, reconstruct_with
from em2cryo_assets.cryoet.from_tilt_series import BackProjection, Reconstruction, reconstruct_series
from em2cryo_assets.cryoet.mrc import Tomogram, open_tomogram
from em2cryo_assets.cryoet.raw_volume import VolumeView
from em2cryo_assets.cryoet.tilt_series_file import is_tilt_series, read_tilt_series
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.exposure import exposure
from em2cryo_assets.formats.image import CalibratedImage, read_image
from em2cryo_assets.formats.sidecar import Sidecar, read_sidecar
from em2cryo_assets.report.raster import grey
from em2cryo_assets.resources.inbox import Kind
from em2cryo_assets.store.images import write_image

__all__ = ["sem_field", "tem_section", "tomogram"]


@stage_asset("sem_field", checks.SEM_FIELD)
def sem_field(work: Work) -> None:
    """Read one SEM image; the data bar and burnt-in bars become the label ``excluded``."""
    path, sidecar = _raw(work, "sem")
    image = read_image(path, sidecar, data_bar=True)
    taken = exposure(image.tags, sidecar, image.warnings)
    work.metadata |= {name: value for name, value in taken.items() if value is not None}
    _publish_image(work, path, sidecar, image, taken)


@stage_asset("tem_section", checks.TEM_SECTION)
def tem_section(work: Work) -> None:
    """Read one TEM section and turn it so that high means dense."""
    path, sidecar = _raw(work, "tem")
    image = read_image(path, sidecar, data_bar=False)
    if sidecar.contrast is None:
        work.fallbacks.append("The sidecar does not say `contrast`; dark is taken as dense, as in stained sections.")
    if sidecar.section_thickness_nm is None:
        work.fallbacks.append("The sidecar does not say `section_thickness_nm`; 80 nm is assumed.")
    if (sidecar.contrast or "dark-is-dense") == "dark-is-dense":
        shown = image.pixels[~image.excluded]
        np.subtract(shown.max() + shown.min(), image.pixels, out=image.pixels)
    _publish_image(work, path, sidecar, image)


@stage_asset("tomogram", checks.TOMOGRAM)
def tomogram(work: Work) -> None:
    """Read one tomogram or whole-cell volume as density in nm; where only its views are given, reconstruct it."""
    path, sidecar = _raw(work, "tomogram")
    volume = _reconstructed(work, path, sidecar) if is_tilt_series(path) else open_tomogram(path, sidecar)
    work.fallbacks += volume.fallbacks
    for line in volume.warnings:
        work.context.log.warning(line)
    write_image(work.folder / "image.ome.zarr", volume.density, voxel_nm=volume.voxel_nm, name=work.slug)
    depth = volume.density.shape[0]
    middle = volume.density[depth // 2 : depth // 2 + 1, :, :][0]
    record = {
        "sidecar": sidecar_record(sidecar),
        "voxel_nm": list(volume.voxel_nm),
        "voxel_source": volume.voxel_source,
        "tilts_deg": None if volume.tilts_deg is None else list(volume.tilts_deg),
        "modality": volume.modality,
        "denoised": volume.denoised,
        "compression": _compression(work, sidecar, volume.modality),
        "unit": sidecar.cell or work.slug,
        "warnings": list(volume.warnings),
    }
    write_record(work.folder, record)
    voxel = " × ".join(f"{side:.3g}" for side in volume.voxel_nm)
    work.metadata |= {
        **pictures([grey(middle)], f"middle slice, voxels of {voxel} nm; dark is dense", simulated=work.simulated),
        "voxel_z_nm": volume.voxel_nm[0],
        "shape_zyx": " × ".join(map(str, volume.density.shape)),
        "modality": volume.modality,
        "voxel_source": volume.voxel_source,
    }
    _check_pixel(work, max(volume.voxel_nm), min(volume.voxel_nm), low=0.02, high=200)
    _tell_warnings(work, volume.warnings)


def _compression(work: Work, sidecar: Sidecar, modality: str) -> float | None:
    """Share by which the knife shortened a cryo-section, where it was recorded."""
    if modality != "cryo-section":
        return None
    if sidecar.compression is None:
        low, high = CRYO_SECTION_COMPRESSION
        work.fallbacks.append(
            "The sidecar does not say `compression`; the knife shortens cryo-sections by "
            f"{low:.0%} to {high:.0%} (as measured on others), and comparisons draw from that range."
        )
    return sidecar.compression


def _reconstructed(work: Work, path: Path, sidecar: Sidecar) -> Tomogram:
    """A tomogram from its tilt series; halves of every other view are published beside it."""
    series, program = read_tilt_series(path, sidecar), work.study.settings.reconstruction
    made: Reconstruction | ExternalReconstruction
    if program == "built-in":
        made = reconstruct_series(series, thickness_nm=sidecar.section_thickness_nm, device=work.compute.torch_device())
    else:
        made = reconstruct_with(program, series, work.folder.parent, thickness_nm=sidecar.section_thickness_nm)
        work.parameters |= {"reconstruction_version": made.version or "not said", "commands": list(made.commands)}
        work.metadata["reconstruction"] = " ".join(filter(None, (program, made.version)))
    for name in ("even", "odd"):
        half = getattr(made, name)
        if half is not None:
            volume = _on_disk(half, work.folder) if isinstance(half, BackProjection) else half
            write_image(
                work.folder / f"{name}.ome.zarr",
                volume,
                voxel_nm=(made.voxel_nm,) * 3,
                name=f"{work.slug}, {name} views",
            )
            work.context.log.info(f"reconstructed from {name} views")
    fallbacks = list(made.notes)
    if sidecar.modality is None:
        fallbacks.append("The modality was not recorded; the volume was treated as a lamella.")
    if made.residual_nm is not None:
        work.metadata["alignment_residual_nm"] = made.residual_nm
    density = made.density
    if isinstance(density, BackProjection):
        density = VolumeView(_on_disk(density, work.folder), (0, 1, 2), 1.0)
    return Tomogram(
        density, (made.voxel_nm,) * 3, "tilt series", made.tilts_deg, sidecar.modality or "lamella",
        warnings=list(series.warnings), fallbacks=fallbacks,
    )  # fmt: skip


def _on_disk(volume: BackProjection, folder: Path) -> NDArray[np.float32]:
    """The volume in a file without a name, which goes with the array: 1,024² × 300 voxels are 1.2 GB."""
    with tempfile.TemporaryFile(dir=folder.parent) as scratch:
        return volume.into(np.memmap(scratch, dtype=np.float32, mode="w+", shape=volume.shape))


def _raw(work: Work, kind: Kind) -> tuple[Path, Sidecar]:
    """The raw file of the key and its sidecar, refused if the study is of the other kind.

    Raises
    ------
    InputError
        If the file is gone, doubly claimed, or simulated in a study of real files or the other way round.
    """
    raw = work.study.inbox.require(kind, work.slug)
    sidecar = read_sidecar(raw.path)
    work.simulated = bool(sidecar.simulated)
    if (others := work.study.inbox.simulated()) is not None and others != work.simulated:
        mine, theirs = ("simulated", "real") if work.simulated else ("real", "simulated")
        raise InputError(
            raw.path,
            f"it is {mine}, and this study began with {theirs} files.",
            f"move it to a study of its own (EM2CRYO_DATA), or correct `simulated` in {raw.sidecar.name}.",
        )
    for name in sidecar.unknown:
        work.context.log.warning(f"{raw.sidecar.name}: {name!r} is not a field that is read.")
    return raw.path, sidecar


def _publish_image(
    work: Work, path: Path, sidecar: Sidecar, image: CalibratedImage, taken: Mapping[str, Any] = MappingProxyType({})
) -> None:
    side = image.pixel_size_nm
    write_image(
        work.folder / "image.ome.zarr",
        image.pixels,
        voxel_nm=(side, side),
        name=work.slug,
        labels={"excluded": image.excluded.astype(np.uint8)},
        label_names={0: "image", 1: "data bar or burnt-in mark"},
        chunk=512,
    )
    record = {
        "sidecar": sidecar_record(sidecar),
        "pixel_size_nm": side,
        "pixel_size_source": image.pixel_size_source,
        "tags": dict(image.tags),
        **taken,
        "unit": sidecar.cell or work.slug,
        "warnings": list(image.warnings),
    }
    write_record(work.folder, record)
    shown: NDArray[Any] | None = image.overlay
    if shown is None:
        shown = image.pixels if work.stage.name == "sem_field" else grey(image.pixels)  # as on the microscope
    caption = f"{path.name}, {side:.4g} nm a pixel by {image.pixel_size_source}"
    work.metadata |= {
        **pictures([shown], caption, simulated=work.simulated),
        "pixel_size_nm": side,
        "pixel_size_source": image.pixel_size_source,
        "field_um": f"{image.pixels.shape[0] * side / 1000:.3g} × {image.pixels.shape[1] * side / 1000:.3g}",
    }
    low, high = (1, 200) if work.stage.name == "sem_field" else (0.1, 50)
    _check_pixel(work, side, side, low=low, high=high)
    _tell_warnings(work, image.warnings)


def _check_pixel(work: Work, largest: float, smallest: float, *, low: float, high: float) -> None:
    work.check(
        "pixel_size_plausible",
        low <= smallest and largest <= high,
        f"A side of {largest:.4g} nm; plausible is {low:g} to {high:g} nm. If not, correct the sidecar.",
        largest_nm=float(largest),
    )


def _tell_warnings(work: Work, warnings: list[str]) -> None:
    if warnings:
        work.metadata["warnings"] = "; ".join(warnings)
