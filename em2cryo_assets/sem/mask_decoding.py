"""From the network's maps to one label a cell.

Belongs here: over-segmentation, merging, what is too small, too large or too faint to be a cell, and full resolution.
Does not belong here: the maps (`sem.mask_network`), how outlines follow the image's own gradient (`sem.outlines`).

A watershed on the boundary map alone falls apart at scars and runs together where two cells are equally bright.
So it starts from too many seeds, and neighbours are joined, weakest boundary first, where what lies between them is
no outline *and* both point to the same centre: two cells do not, and the pieces of one do.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.field import checked_field
from em2cryo_assets.sem.mask_network import WORKING_NM, MaskMaps, at_working_size, mask_maps
from em2cryo_assets.sem.outlines import largest_part, refined

if TYPE_CHECKING:
    from torch import nn

__all__ = ["decoded", "enlarged", "network_labels"]

Labels = NDArray[np.int32]

_FOREGROUND = 0.5
_SEED_HEIGHT = 0.06
"""Least height of a top of the smoothed distance map over the saddle to the next: 50 nm of half a cell's 800."""

_OUTLINE = 0.6
"""Weight of the boundary against the clipped distance in the landscape that the watershed floods."""

_VOTE_UM = 1.5
"""Distance between the centres voted for that counts as much as a boundary of certainty 1."""

_JOIN = 0.9
"""Boundary plus distance of votes up to which neighbours are one cell. Chosen, as all of these, on held-out simulated
piles: F1 at IoU .5 was .922 at .62, .938 at .95 and .930 at 1.3."""

_REFINED_BELOW_NM = 32.0
"""Pixel from which on a field is finer than the maps by enough for its own gradient to place outlines better: matched
cells of two simulated piles at 21.4 nm went from IoU .920 to .931 and from .947 to .965. On pixels of 54 nm the same
step costs .03."""

_OPENING = 0.1
"""Radius of the disc over that of a disc of the cell's area."""

_LEAST_UM2 = 0.45
"""Least area: just below that of a bud that is an instance of its own in training (0.6)."""

_DIAMETERS_UM = (0.75, 8.0)
_LEAST_CERTAINTY = 0.62
"""Least mean foreground of a cell."""


@dataclass
class _Piece:
    """Sums over the pixels of a fragment."""

    area: float
    vote: NDArray[np.float64]


def decoded(maps: MaskMaps, excluded: NDArray[np.bool_] | None = None) -> Labels:
    """Labels at the working pixel size.

    Parameters
    ----------
    maps : MaskMaps
        Of a field at `mask_network.WORKING_NM`.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image; never labelled.

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        From 1, in one piece each, holes filled where no other cell lies in them; 0 outside.
    """
    inside = maps.foreground > _FOREGROUND
    if excluded is not None:
        inside &= ~excluded
    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    labels = _joined(_fragments(maps, inside), maps)
    return _plausible(labels, maps, excluded)


def _fragments(maps: MaskMaps, inside: NDArray[np.bool_]) -> Labels:
    """More pieces than cells: one for every top of the distance map."""
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    height = ndimage.gaussian_filter(maps.distance, 1.0) * (1.0 - 0.5 * maps.boundary)
    # Distances are clipped: plateaus of large cells are told apart by what lies between them.
    tops = h_maxima(np.round(height.astype(np.float64), 3), _SEED_HEIGHT).astype(bool) & inside
    seeds, _ = ndimage.label(tops, np.ones((3, 3)))
    landscape = _OUTLINE * maps.boundary - (1.0 - _OUTLINE) * maps.distance
    return np.asarray(watershed(landscape, seeds, mask=inside), np.int32)


def _votes(maps: MaskMaps) -> NDArray[np.float64]:
    """Centre (2, y, x) that every pixel points to, µm."""
    rows, columns = np.indices(maps.foreground.shape, dtype=np.float64)
    return (np.stack([rows, columns]) + maps.offset) * (WORKING_NM / 1000.0)


def _contacts(labels: Labels, values: NDArray[np.float32]) -> dict[tuple[int, int], tuple[float, int]]:
    """Sum of a map along every border between two labels, and its length in pairs of pixels.

    At each pair the larger of the two values counts: outlines are two pixels wide and may lie to one side.
    """
    sums: dict[tuple[int, int], tuple[float, int]] = {}
    for axis in (0, 1):
        low, high = (tuple(s if a == axis else slice(None) for a in (0, 1)) for s in (slice(None, -1), slice(1, None)))
        one, other = labels[low].ravel(), labels[high].ravel()
        touch = (one != other) & (one > 0) & (other > 0)
        if not touch.any():
            continue
        pairs = np.sort(np.stack([one[touch], other[touch]]), axis=0).astype(np.int64)
        value = np.maximum(values[low].ravel()[touch], values[high].ravel()[touch])
        keys, place = np.unique(pairs[0] * (labels.max() + 1) + pairs[1], return_inverse=True)
        total, length = np.bincount(place, value), np.bincount(place)
        for key, t, n in zip(keys.tolist(), total.tolist(), length.tolist(), strict=True):
            pair = (key // (int(labels.max()) + 1), key % (int(labels.max()) + 1))
            before = sums.get(pair, (0.0, 0))
            sums[pair] = (before[0] + t, before[1] + n)
    return sums


def _joined(labels: Labels, maps: MaskMaps) -> Labels:
    """Join neighbours, the most alike first, until what is left differs by more than `_JOIN`."""
    n = int(labels.max())
    flat = labels.ravel()
    area = np.bincount(flat, minlength=n + 1).astype(np.float64)
    votes = np.stack([np.bincount(flat, v.ravel(), n + 1) for v in _votes(maps)], axis=1)
    pieces = {k: _Piece(area[k], votes[k]) for k in range(1, n + 1)}
    # The outline runs where the map is highest across the border, within a pixel.
    contacts = _contacts(labels, ndimage.maximum_filter(maps.boundary, 3))
    beside: dict[int, dict[int, tuple[float, int]]] = {k: {} for k in pieces}
    for (a, b), value in contacts.items():
        beside[a][b] = beside[b][a] = value
    parent = np.arange(n + 1)

    def unlike(a: int, b: int) -> float:
        total, length = beside[a][b]
        apart = pieces[a].vote / pieces[a].area - pieces[b].vote / pieces[b].area
        return total / length + float(np.hypot(*apart)) / _VOTE_UM

    while True:
        best = min(((unlike(a, b), a, b) for a in beside for b in beside[a] if a < b), default=(np.inf, 0, 0))
        if best[0] > _JOIN:
            return np.asarray(_roots(parent)[labels], np.int32)
        _, keep, gone = best
        parent[gone] = keep
        pieces[keep] = _Piece(pieces[keep].area + pieces[gone].area, pieces[keep].vote + pieces[gone].vote)
        for other, (total, length) in beside.pop(gone).items():
            del beside[other][gone]
            if other != keep:
                had = beside[keep].get(other, (0.0, 0))
                beside[keep][other] = beside[other][keep] = (had[0] + total, had[1] + length)


def _roots(parent: NDArray[np.int_]) -> NDArray[np.int_]:
    while (parent != parent[parent]).any():
        parent = parent[parent]
    return parent


def _plausible(labels: Labels, maps: MaskMaps, excluded: NDArray[np.bool_] | None) -> Labels:
    """Drop what no cell can be, keep the largest part of each, fill what no other cell fills."""
    out = np.zeros_like(labels)
    um2 = (WORKING_NM / 1000.0) ** 2
    number = 0
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        parts, n = ndimage.label(labels[window] == label)
        if not n:
            continue
        mask = _opened(parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()), window, labels.shape)
        size = float(mask.sum()) * um2
        diameter = 2.0 * np.sqrt(size / np.pi)
        if size < _LEAST_UM2 or not _DIAMETERS_UM[0] <= diameter <= _DIAMETERS_UM[1]:
            continue
        if float(maps.foreground[window][mask].mean()) < _LEAST_CERTAINTY:
            continue
        hole = ndimage.binary_fill_holes(mask) & ~mask & (labels[window] == 0)
        if excluded is not None:
            hole &= ~excluded[window]
        number += 1
        out[window][mask | hole] = number
    return out


def _opened(mask: NDArray[np.bool_], window: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The largest part of a mask opened with a disc: glow in a crevice is narrower than a bud or a nipple."""
    radius = _OPENING * float(np.sqrt(mask.sum() / np.pi))
    pad = int(np.ceil(radius)) + 1
    # At the border of the image a cell goes on: there the mask is continued, elsewhere it ends.
    sides = [(pad * (s.start == 0), pad * (s.stop == n)) for s, n in zip(window, shape, strict=True)]
    wide = np.pad(np.pad(mask, sides, mode="edge"), pad)
    core = ndimage.distance_transform_edt(wide) > radius
    opened = (ndimage.distance_transform_edt(~core) <= radius) & wide
    crop = tuple(slice(pad + lo, pad + lo + n) for (lo, _), n in zip(sides, mask.shape, strict=True))
    return largest_part(opened[crop])


def enlarged(labels: Labels, shape: tuple[int, ...], excluded: NDArray[np.bool_]) -> Labels:
    """Bring labels to another resolution, with outlines as smooth as they were meant.

    Parameters
    ----------
    labels : numpy.ndarray, int32, shape (v, u)
        At the working pixel size.
    shape : tuple of int
        (y, x) pixels wanted of the same field.
    excluded : numpy.ndarray, bool, shape (y, x)
        Pixels that are not image; they stay 0.

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        Every pixel goes to the label of largest share about it, the outside being one; numbered from the top of the
        image down by centroid.
    """
    out = np.zeros(shape, np.int32)
    zoom = [n / m for n, m in zip(shape, labels.shape, strict=True)]
    best = np.full(shape, 0.5, np.float32)
    smooth = 1.0
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        padded = np.pad(labels == label, 0)[tuple(slice(max(0, s.start - 4), s.stop + 4) for s in window)]
        share = ndimage.gaussian_filter(padded.astype(np.float32), smooth, mode="nearest")
        corner = [max(0, s.start - 4) for s in window]
        place, at = [], []
        for axis, z in enumerate(zoom):
            low = int(np.floor(corner[axis] * z))
            high = min(shape[axis], int(np.ceil((corner[axis] + share.shape[axis]) * z)))
            place.append(slice(low, high))
            at.append((np.arange(low, high) + 0.5) / z - 0.5 - corner[axis])
        fine = ndimage.map_coordinates(share, np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")
        target = (place[0], place[1])
        wins = fine > best[target]
        best[target][wins] = fine[wins]
        out[target][wins] = label
    out[excluded] = 0
    return _numbered(out)


def _numbered(labels: Labels) -> Labels:
    """Number labels from the top down by centroid."""
    present = np.unique(labels)
    present = present[present > 0]
    if not present.size:
        return labels
    centre = np.array(ndimage.center_of_mass(labels > 0, labels, present))
    order = np.lexsort((centre[:, 1], centre[:, 0]))
    table = np.zeros(int(labels.max()) + 1, np.int32)
    table[present[order]] = np.arange(1, present.size + 1)
    return np.asarray(table[labels], np.int32)


def network_labels(
    image: NDArray[np.floating],
    pixel_size_nm: float,
    excluded: NDArray[np.bool_] | None = None,
    net: "nn.Module | None" = None,
) -> Labels:
    """Cells of a field by the network.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        The field.
    pixel_size_nm : float
        Pixel side.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image.
    net : torch.nn.Module, optional
        Another network than the one that comes with the package.

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        0 outside, then 1 … n from the top down.

    Raises
    ------
    ValueError
        As `sem.field.checked_field`.
    """
    excluded = checked_field(image, pixel_size_nm, excluded)
    small, barred = at_working_size(image, pixel_size_nm, excluded)
    if barred.all() or np.ptp(small[~barred]) == 0 or min(small.shape) < 8:
        return np.zeros(image.shape, np.int32)
    labels = decoded(mask_maps(small, barred, net), barred)
    labels = enlarged(labels, image.shape, excluded)
    if pixel_size_nm >= _REFINED_BELOW_NM:
        return labels
    least_px = 0.5 * _LEAST_UM2 * 1e6 / pixel_size_nm**2
    return refined(labels, np.asarray(image, np.float32), excluded, pixel_size_nm, least_px)
