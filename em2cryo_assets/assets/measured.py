"""The tomogram as it is labelled, measured and compared: at the level of its pyramid that this needs.

Belongs here: which level. Does not belong here: pyramids (`store.images`) or what is measured.
"""

from typing import Final

from em2cryo_assets.store.images import LazyImage, read_image
from em2cryo_assets.store.publish import Artifact

__all__ = ["MEASURED_NM", "measured_image"]

MEASURED_NM: Final = 8.0
"""Labels of slabs follow layers, not molecules, and are told apart at this voxel (`cryoet.labels`); pseudo-3D cells are
coarser still. Finer levels would be held in memory for nothing: one of 16 GB is 0.3 GB here."""

_MOST_VOXELS: Final = 200_000_000
"""0.8 GB in single precision, of which measuring holds three."""


def measured_image(tomogram: Artifact, name: str = "image") -> tuple[LazyImage, tuple[float, float, float]]:
    """The level of a stored tomogram that everything downstream works on.

    Parameters
    ----------
    tomogram : Artifact
        Of the stage `tomogram`.
    name : str
        "image", or a half: "even", "odd".

    Returns
    -------
    image : LazyImage
        Voxels of at most `MEASURED_NM` where the tomogram's own are finer; its own where they are not.
    origin_nm : tuple of float
        Centre of its voxel 0 in the tomogram's frame, nm.
    """
    image, origin = read_image(tomogram.path / f"{name}.ome.zarr").coarsened(MEASURED_NM, _MOST_VOXELS)
    z, y, x = origin
    return image, (z, y, x)
