"""Labels that a person drew on a tomogram, brought to the voxels at which it is measured.

Belongs here: reading a label volume plane by plane. Does not belong here: labels of images (`formats.image`), computed
labels (`cryoet.labels`).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.vocabulary import LABEL_NAMES

__all__ = ["read_drawn_labels"]


def read_drawn_labels(path: Path, shape: tuple[int, int, int], coarse: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Read the label of the middle of each coarse voxel.

    Parameters
    ----------
    path : pathlib.Path
        Multi-page TIFF of the tomogram's own shape, one page a plane, codes of `vocabulary.LABELS`.
    shape : tuple of int
        (z, y, x) of the tomogram.
    coarse : tuple of int
        (z, y, x) of the level that is measured.

    Returns
    -------
    numpy.ndarray, uint8, shape `coarse`
        Memory is that of the result and one plane of the file.

    Raises
    ------
    InputError
        If it is no such file, or holds codes without a meaning.
    """
    import tifffile

    index = [((np.arange(m) + 0.5) * n / m).astype(int) for n, m in zip(shape, coarse, strict=True)]
    out = np.zeros(coarse, np.uint8)
    try:
        with tifffile.TiffFile(path) as file:
            found = (len(file.pages), *file.pages[0].shape)
            if found == shape:
                for k, z in enumerate(index[0]):
                    out[k] = _checked(path, file.pages[int(z)].asarray())[np.ix_(index[1], index[2])]
                return out
    except (tifffile.TiffFileError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, f"the labels cannot be read ({error}).", "save them as a multi-page TIFF.") from error
    raise InputError(
        path, f"the labels have {found[0]} planes of {found[1:]}, the tomogram {shape[0]} of {shape[1:]}.",
        "export them unscaled, as a TIFF with a page for each plane.",
    )  # fmt: skip


def _checked(path: Path, plane: NDArray[np.generic]) -> NDArray[np.uint8]:
    highest = max(LABEL_NAMES)
    if not np.issubdtype(plane.dtype, np.integer):
        raise InputError(path, f"the labels are {plane.dtype}.", "save them as 8- or 16-bit integers.")
    values = plane.astype(np.int64)
    if values.min() < 0 or values.max() > highest:
        known = ", ".join(f"{code} {name}" for code, name in LABEL_NAMES.items())
        raise InputError(
            path, f"label {values.min() if values.min() < 0 else values.max()} has no meaning.", f"use {known}."
        )
    return values.astype(np.uint8)
