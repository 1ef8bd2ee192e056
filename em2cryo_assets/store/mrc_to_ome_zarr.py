"""Streaming an MRC file into an OME-Zarr image.

Belongs here: joining the reader of the one to the writer of the other, whatever the size of the file.
Does not belong here: reading MRC (`cryoet.mrc_header`), writing OME-Zarr (`store.images`), or turning grey values into
density, which the asset `tomogram` does (`cryoet.mrc`).
"""

from dataclasses import dataclass
from pathlib import Path

from em2cryo_assets.cryoet.mrc_header import read_mrc
from em2cryo_assets.cryoet.raw_volume import VolumeView
from em2cryo_assets.cryoet.voxel import believed_voxel
from em2cryo_assets.formats.sidecar import read_sidecar
from em2cryo_assets.store.images import write_image

__all__ = ["Conversion", "mrc_to_ome_zarr"]


@dataclass(frozen=True)
class Conversion:
    """What was found while converting.

    Parameters
    ----------
    voxel_nm : tuple of float
        Voxel sides along z, y, x, nm.
    voxel_source : str
        "MRC header", "sidecar" or "mdoc".
    warnings : list of str
        Contradictions and oddities of the file.
    fallbacks : list of str
        Everything that had to be assumed, one sentence each.
    """

    voxel_nm: tuple[float, float, float]
    voxel_source: str
    warnings: list[str]
    fallbacks: list[str]


def mrc_to_ome_zarr(source: Path, target: Path) -> Conversion:
    """Convert an MRC file to an OME-Zarr 0.5 image with its pyramid, in about 0.2 GB of memory.

    Grey values stay as they are, in the integer type of the file (modes 0, 1 and 6); float16 (mode 12) becomes float32.
    Axes are brought into the order z, y, x by the header; nothing is mirrored or cut.

    Parameters
    ----------
    source : pathlib.Path
        ``.mrc``, ``.rec`` or ``.map``, also with ``.gz`` or ``.bz2``. Where its header has no voxel size, a sidecar
        ``<file name>.toml`` or a ``.mdoc`` beside it must give one.
    target : pathlib.Path
        Folder to write; must not hold a Zarr group yet.

    Returns
    -------
    Conversion

    Raises
    ------
    InputError
        If the file is damaged or too large, or nobody says how large its voxels are.
    ValueError
        If the target holds a Zarr group.
    """
    raw = read_mrc(source)
    warnings, fallbacks = list(raw.warnings), list[str]()
    voxel_nm, voxel_source = believed_voxel(source, raw, read_sidecar(source), warnings, fallbacks)
    name = source.name.split(".")[0]
    write_image(target, VolumeView(raw.array, raw.axes), voxel_nm=voxel_nm, name=name)
    return Conversion(voxel_nm, voxel_source, warnings, fallbacks)
