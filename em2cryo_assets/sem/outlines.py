"""Outlines to the pixel.

Belongs here: what happens to labels after it is decided which cell is where.
Does not belong here: that decision (`sem.masks`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["largest_part", "refined"]


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask."""
    parts, n = ndimage.label(mask)
    return mask if n < 2 else parts == int(np.bincount(parts.ravel())[1:].argmax()) + 1


def refined(
    small: NDArray[np.int32],
    image: NDArray[np.float32],
    excluded: NDArray[np.bool_],
    pixel_size_nm: float,
    least_px: float,
) -> NDArray[np.int32]:
    """Bring coarse labels to full resolution: outlines go to the gradient's crest within ±120 nm, then smooth.

    Parameters
    ----------
    small : numpy.ndarray, int32, shape (v, u)
        Labels at a coarser scale, covering the same field.
    image : numpy.ndarray, shape (y, x)
        The field.
    excluded : numpy.ndarray, bool, shape (y, x)
        Pixels that are not image; they stay 0.
    pixel_size_nm : float
        Side of a pixel of the field, nm.
    least_px : float
        Pieces of fewer pixels are dropped.

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        Numbered from 1, from the top down by centroid.
    """
    from skimage.segmentation import watershed

    rows, columns = (
        np.minimum(np.rint(np.arange(n) * (s - 1) / max(n - 1, 1)).astype(int), s - 1)
        for n, s in zip(image.shape, small.shape, strict=True)
    )
    labels = small[np.ix_(rows, columns)]
    reach = max(1.0, 120.0 / pixel_size_nm)
    flat = ndimage.gaussian_gradient_magnitude(image.astype(np.float64), max(1.0, 40.0 / pixel_size_nm))
    border = np.zeros(labels.shape, bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[1:] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    border[:, 1:] |= labels[:, :-1] != labels[:, 1:]
    if not labels.any():
        return labels
    n = int(labels.max())
    far = ndimage.distance_transform_edt(~border) > reach
    markers = np.where(far, np.where(labels > 0, labels, n + 1), 0)
    markers[excluded] = n + 1
    moved = watershed(flat, markers)
    moved[moved == n + 1] = 0
    smooth = np.zeros_like(labels)
    best = np.full(labels.shape, 0.5, np.float32)
    for label, window in enumerate(ndimage.find_objects(moved, n), 1):
        if window is None:
            continue
        pad = int(np.ceil(2 * reach))
        window = tuple(slice(max(0, s.start - pad), s.stop + pad) for s in window)
        share = ndimage.gaussian_filter((moved[window] == label).astype(np.float32), reach / 2)
        wins = share > best[window]
        best[window][wins] = share[wins]
        smooth[window][wins] = label
    smooth[excluded] = 0
    return _numbered(smooth, least_px)


def _numbered(labels: NDArray[np.int32], least: float) -> NDArray[np.int32]:
    """One filled piece a cell, numbered from the top down; pieces below ``least`` pixels are dropped.

    Each piece is opened with a disc of 0.16 of its radius: crevices that leaked into the mask are narrower, a
    bud worth the name is wider.
    """
    out = np.zeros_like(labels)
    cells = []
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        mask = labels[window] == label
        radius = 0.16 * np.sqrt(mask.sum() / np.pi)
        # At the border of the image a cell goes on: pad there with itself, not with outside.
        sides = [(s.start == 0, s.stop == n) for s, n in zip(window, labels.shape, strict=True)]
        pad = int(np.ceil(radius)) + 1
        wide = np.pad(mask, [(pad * lo, pad * hi) for lo, hi in sides], mode="edge")
        wide = np.pad(wide, pad)
        core = ndimage.distance_transform_edt(wide) > radius
        if not core.any():
            continue
        opened = largest_part((ndimage.distance_transform_edt(~core) <= radius) & wide)
        y, x = (pad + pad * lo for lo, _ in sides)
        piece = opened[y : y + mask.shape[0], x : x + mask.shape[1]]
        piece = piece | (ndimage.binary_fill_holes(piece) & (labels[window] == 0))
        if piece.sum() >= least:
            centre = np.argwhere(piece).mean(axis=0) + [s.start for s in window]
            cells.append((float(centre[0]), float(centre[1]), window, piece))
    for number, (_, _, window, piece) in enumerate(sorted(cells, key=lambda cell: cell[:2]), 1):
        out[window][piece] = number
    return out
