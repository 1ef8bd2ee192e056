"""What the report shows of raw files: each as it was read, its place in the study folder and its checksum.

Belongs here: raw files of a study into `report.entries.RawEntry`. Does not belong here: reading raw files (`assets.raw`).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.assets.measured import measured_image
from em2cryo_assets.assets.pictures import windowed
from em2cryo_assets.assets.stage import Work
from em2cryo_assets.report.entries import RawEntry
from em2cryo_assets.report.raster import grey
from em2cryo_assets.resources.inbox import Kind
from em2cryo_assets.store.images import read_image
from em2cryo_assets.store.publish import Artifact

__all__ = ["raw_entries"]

_KINDS: Final[Mapping[str, Kind]] = MappingProxyType({"sem_field": "sem", "tem_section": "tem", "tomogram": "tomogram"})
_MOST_PX: Final = 800
"""Longest side of a picture in the report: the file itself is a click away."""


def raw_entries(work: Work) -> Iterator[RawEntry]:
    """Every raw file that was read for this study, in the order of the work.

    Parameters
    ----------
    work : Work
        Of the report.
    """
    for asset, kind in _KINDS.items():
        files = work.study.inbox.files(kind)
        for key, artifact in work.all(asset).items():
            pixels, pixel_nm, note = _picture(asset, artifact)
            shown, factor = _fewer(pixels)
            if factor > 1:
                note = f"{note}; shown at 1/{factor} of its size".removeprefix("; ")
            read = {ref.digest for ref in artifact.provenance.inputs if ref.asset == "inbox"}
            file = files.get(key)
            place = sha256 = ""
            if file is not None:
                place = file.path.relative_to(work.study.root).as_posix()
                sha256 = work.study.inbox.sha256(file) if work.study.inbox.digest(file) in read else ""
            yield RawEntry(asset, key, place, shown, pixel_nm * factor, sha256, note)


def _picture(asset: str, artifact: Artifact) -> tuple[NDArray[np.uint8], float, str]:
    """Grey levels as the microscope gave them, pixel size in nm, and what is left out."""
    if asset == "tomogram":
        image = measured_image(artifact)[0]
        slices = len(image.data)
        middle = np.asarray(image.data[slices // 2], dtype=np.float32)
        return grey(middle), float(image.voxel_nm[-1]), f"slice {slices // 2 + 1} of {slices}"
    image = read_image(artifact.path / "image.ome.zarr")
    pixels = np.asarray(image.data, dtype=np.float32)
    return windowed(pixels) if asset == "sem_field" else grey(pixels), float(image.voxel_nm[-1]), ""


def _fewer(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Means of blocks, as few as fit into `_MOST_PX`, and the side of a block."""
    factor = -(-max(pixels.shape) // _MOST_PX)
    if factor == 1:
        return pixels, 1
    rows, columns = (side // factor * factor for side in pixels.shape)
    blocks = pixels[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8), factor
