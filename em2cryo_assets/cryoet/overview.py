"""Outlines of frozen cells in a two-dimensional overview: a map of a lamella, or of whole cells in ice.

Belongs here: finding outlines by their density. Does not belong here: slabs and volumes (`cryoet.labels`), measuring
outlines (`compare.outlines`), reading files (`cryoet.mrc`).

Only the order of densities is used: cells above ice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["OverviewLabels", "outline_cells"]

_SMOOTH_NM: Final = 60.0
_OPENED_NM: Final = 200.0
_SMALLEST_UM2: Final = 0.2
_STANDS_OUT: Final = 3.0
_EDGE: Final = {True: 0.4, False: 0.9}
"""Share of the step in density, from ice to cell, at which the outline is drawn, for lamellae and for whole cells, by 16
simulated cells each, others than those of the tests. In a lamella .4 gave axis ratios off by -.000 ± .005 (SD) and radii
by -.7 %. Ice creeps up the sides of a whole cell and takes most of the step before the cell begins: half-way, axis ratios
were off by -.029 ± .011 and radii by +12 %; at .9 by -.003 ± .004 and -2.6 %."""


@dataclass(frozen=True)
class OverviewLabels:
    """Outlines and what to know about them.

    Parameters
    ----------
    outlines : numpy.ndarray, uint16, shape (y, x)
        Number of the cell from 1, 0 outside; each connected body is one.
    warnings : list of str
        What is doubtful; starts with "no cell found" where there is none.
    """

    outlines: NDArray[np.uint16]
    warnings: list[str] = field(default_factory=list)


def outline_cells(density: NDArray[np.floating], pixel_nm: tuple[float, float], *, lamella: bool) -> OverviewLabels:
    """Outline frozen cells by their density.

    Otsu's level parts cells from ice; the outline lies at a share of the step between the medians of both. Holes are
    filled (vacuoles are no denser than ice), and what is thinner than 200 nm or smaller than 0.2 µm² goes. Cells that
    touch remain one body.

    Parameters
    ----------
    density : numpy.ndarray, shape (y, x)
        High where matter is dense.
    pixel_nm : tuple of float
        (y, x), nm.
    lamella : bool
        Whether it shows profiles in a lamella, else whole cells in ice.

    Returns
    -------
    OverviewLabels
        Without any outline, and with the reason, where no cells can be told from ice.

    Raises
    ------
    ValueError
        If the density is not two-dimensional or not finite.
    """
    from skimage.filters import threshold_otsu

    image = np.asarray(density, dtype=np.float32)
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ValueError(f"An overview is two-dimensional and finite; got shape {image.shape}.")
    smooth = ndimage.gaussian_filter(image, [_SMOOTH_NM / side for side in pixel_nm], mode="nearest")
    level = float(threshold_otsu(smooth))
    dense, thin = smooth[smooth > level], smooth[smooth <= level]
    nothing = np.zeros(image.shape, dtype=np.uint16)
    if min(dense.size, thin.size) < 100:
        return OverviewLabels(nothing, ["no cell found: nothing stands out of the ice."])
    ice, cell = float(np.median(thin)), float(np.median(dense))
    scatter = 0.7413 * float(np.subtract(*np.percentile(thin, [75, 25])))
    if cell - ice < _STANDS_OUT * scatter:
        return OverviewLabels(nothing, ["no cell found: cells and ice differ by less than three times its scatter."])
    bodies = ndimage.binary_fill_holes(smooth > ice + _EDGE[lamella] * (cell - ice))
    reach = [max(1, round(_OPENED_NM / 2 / side)) for side in pixel_nm]
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    bodies = ndimage.binary_opening(bodies, (y / (reach[0] + 0.5)) ** 2 + (x / (reach[1] + 0.5)) ** 2 <= 1)
    found, count = ndimage.label(bodies)
    sizes = np.bincount(found.ravel(), minlength=count + 1) * pixel_nm[0] * pixel_nm[1] * 1e-6
    kept = np.flatnonzero(sizes[1:] >= _SMALLEST_UM2) + 1
    if not kept.size:
        return OverviewLabels(nothing, [f"no cell found: nothing dense is as large as {_SMALLEST_UM2} µm²."])
    if kept.size > np.iinfo(np.uint16).max:
        return OverviewLabels(nothing, [f"no cell found: {kept.size} bodies are no cells."])
    numbers = np.zeros(count + 1, dtype=np.uint16)
    numbers[kept] = np.arange(1, kept.size + 1)
    return OverviewLabels(numbers[found], ["outlines by density are unvalidated on real overviews."])
