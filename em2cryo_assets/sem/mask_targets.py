"""What a mask network is asked for at every pixel of a simulated field.

Belongs here: turning the truth about a field into maps. Does not belong here: the truth (`sem.mask_training`), what
the maps mean to the network (`sem.mask_network`), reading them (`sem.mask_decoding`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.mask_network import DISTANCE_NM, OFFSET_NM, WORKING_NM
from em2cryo_assets.sem.mask_training import SLIVER_UM2, Field

__all__ = ["Targets", "targets"]

_DARK = 0.45
"""Cells not asked for that are darker than this share of the field's bright cells are gaps, and must stay empty."""


@dataclass(frozen=True)
class Targets:
    """What the network is asked for at every pixel.

    Parameters
    ----------
    maps : numpy.ndarray, float32, shape (6, y, x)
        In the order of `mask_network.MAPS`: foreground, boundary and neck (0 or 1), distance (0 to 1), offset to
        the amodal centre (y, x; in units of `OFFSET_NM`).
    weight : numpy.ndarray, float32, shape (y, x)
        Of the foreground's error: 0 on slivers and on bright cells of which no outline shows.
    """

    maps: NDArray[np.float32]
    weight: NDArray[np.float32]


def targets(field: Field) -> Targets:
    """What the network should say about a field.

    Parameters
    ----------
    field : Field
        The truth.

    Returns
    -------
    Targets
        Boundaries are two pixels wide, one on either side, between instances and between cell and support.
    """
    labels = field.labels
    maps = np.zeros((6, *labels.shape), np.float32)
    sliver = np.zeros(len(field.counts), bool)
    area = np.bincount(labels.ravel(), minlength=len(field.counts)) * (WORKING_NM / 1000.0) ** 2
    sliver[1:] = area[1:] < SLIVER_UM2
    grey = np.zeros(len(field.counts))
    present = np.unique(labels)
    grey[present] = ndimage.median(field.image, labels, present)
    unclear = ~field.counts & (sliver | (grey > _DARK * np.percentile(field.image, 95)))
    unclear[0] = False
    weight = np.ones(labels.shape, np.float32)
    weight[unclear[labels]] = 0.0
    maps[0] = field.counts[labels]
    for axis in (0, 1):
        low, high = (tuple(s if a == axis else slice(None) for a in (0, 1)) for s in (slice(None, -1), slice(1, None)))
        one, other = labels[low], labels[high]
        split = (one != other) & (field.counts[one] | field.counts[other])
        neck = split & ((field.mother_of[one] == other) & (other > 0) | (field.mother_of[other] == one) & (one > 0))
        for channel, where in ((1, split), (2, neck)):
            maps[channel][low] = np.maximum(maps[channel][low], where)
            maps[channel][high] = np.maximum(maps[channel][high], where)
    reach = DISTANCE_NM / WORKING_NM
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None or not field.counts[label]:
            continue
        mask = labels[window] == label
        # Beyond the picture a cell goes on: only other instances and the support end it.
        sides = [(int(s.start > 0), int(s.stop < n)) for s, n in zip(window, labels.shape, strict=True)]
        away = ndimage.distance_transform_edt(np.pad(mask, sides)) if any(map(any, sides)) else None
        if away is None:
            maps[3][window][mask] = 1.0
        else:
            crop = tuple(slice(lo, lo + n) for (lo, _), n in zip(sides, mask.shape, strict=True))
            maps[3][window][mask] = np.minimum((away[crop][mask] - 0.5) / reach, 1.0)
        rows, columns = np.nonzero(mask)
        where = (window[0].start + rows, window[1].start + columns)
        for channel, at in enumerate(where):
            maps[4 + channel][where] = (field.centres[label, channel] - at) * (WORKING_NM / OFFSET_NM)
    return Targets(maps, weight)
