"""Mother and bud of one cell, and what each of them is to hold.

Belongs here: where the neck divides the inside of a cell, and how organelles are shared between both sides.
Does not belong here: placing them (`fusion.organelles`), how much the population holds (`fusion.recipe`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.fusion.organelles import Demand

__all__ = ["compartments", "shared"]

_PROMINENCE = 0.15
"""A bud is at least this much of its own depth deeper than the neck: less is a bump."""
_LEAST_DEPTH_NM = 150.0
"""Half the width of the narrowest body that is placed, with a gap on both sides: less inside a bud holds nothing."""
_DIVIDED = 0.40
"""Bud over mother, by volume, beyond which both have a nucleus. Nuclei divide when the bud is almost as large as it
will be; vacuoles, mitochondria and droplets enter it before (Hartwell 1974; the number is assumed)."""
_SMALLEST_BODY_NM = 120.0


def compartments(depth_nm: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Divide the inside of a cell at its necks.

    Parameters
    ----------
    depth_nm : numpy.ndarray, shape (z, y, x) or (y, x)
        Depth below the plasma membrane, or any surface, positive inside.

    Returns
    -------
    numpy.ndarray, uint8
        0 outside, 1 the largest part, 2 and on smaller ones that can hold something; the rest belongs to nobody and
        is 0 as well.
    """
    from skimage.measure import label
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    inside = depth_nm > 0
    if not inside.any():
        return np.zeros(depth_nm.shape, np.uint8)
    # In logarithms a prominence is a share of the depth. What is too shallow to hold a body starts no part.
    level = np.log(np.maximum(depth_nm, 1.0)).astype(np.float64)
    peaks = h_maxima(level, -np.log1p(-_PROMINENCE)) > 0
    peaks &= depth_nm >= min(_LEAST_DEPTH_NM, float(depth_nm.max()))
    if not peaks.any():
        return inside.astype(np.uint8)
    parts = watershed(-level, label(peaks, connectivity=peaks.ndim), mask=inside)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    renumbered = np.zeros(len(sizes), np.uint8)
    renumbered[order] = np.arange(1, len(order) + 1)
    return renumbered[parts]


def shared(demands: Sequence[Demand], parts: NDArray[np.uint8], fallbacks: list[str]) -> tuple[Demand, ...]:
    """Share what a cell is to hold between mother and bud.

    Vacuoles, mitochondria and droplets go by volume; the nucleus stays with the mother until the bud has two fifths
    of her volume, and then both have one, by volume.

    Parameters
    ----------
    demands : sequence of Demand
        Of the whole cell.
    parts : numpy.ndarray, uint8
        From `compartments`.
    fallbacks : list of str
        What is assumed is added.

    Returns
    -------
    tuple of Demand
        In the order of ``demands``, each with its part; the volumes add up to what was asked for.
    """
    sizes = np.bincount(parts.ravel())[1:].astype(float)
    if len(sizes) < 2:
        return tuple(replace(d, part=1) for d in demands)
    fallbacks.append(
        "Mother and bud: vacuole, mitochondria and droplets are shared by volume, "
        + ("each has a nucleus" if sizes[1] >= _DIVIDED * sizes[0] else "the mother has the nucleus")
        + "; sections of the population do not say otherwise."
    )
    result = []
    for demand in demands:
        holds = sizes >= (_DIVIDED * sizes[0] if demand.label == "nucleus" else 0.0)
        shares = np.where(holds, sizes, 0.0)
        shares /= shares.sum()
        # A share that makes no body is left to the mother.
        crumbs = shares * demand.volume_nm3 < np.pi / 6 * _SMALLEST_BODY_NM**3
        shares = np.where(crumbs, 0.0, shares)
        shares[0] += 1.0 - shares.sum()
        result += [
            replace(demand, volume_nm3=demand.volume_nm3 * share, part=number + 1)
            for number, share in enumerate(shares)
            if share > 0
        ]
    return tuple(result)
