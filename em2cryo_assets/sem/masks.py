"""From a field to its cells: which pixels of a crowded pile belong to which cell.

Belongs here: choosing, among regions of every scale, the ones that look like whole cells.
Does not belong here: the hierarchy of regions (`sem.hierarchy`), occlusion and other records of a cell
(`sem.records`), identities over time (`sem.identity`).

No threshold separates a pile: a cell in front is brighter than the one behind it, and both than the gaps.
So regions of several merge trees compete. A region scores by how much of its outline lies on an edge, by how
well an ellipse with its moments covers it, by its convexity, and by whether it is brighter than what lies
around it; the set of disjoint regions of largest total score × area wins (after Arteta et al. 2012, who do
so with extremal regions and a learned score).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.hierarchy import MergeTree, edge_strength, merge_tree
from em2cryo_assets.sem.records import cell_records

__all__ = ["cell_records", "segment_cells"]

_WORK_NM = 40.0
"""Pixel of the search: a yeast is then 60-150 px across, and its rim shading 2-4 px wide."""

_DIAMETERS_NM = (1000.0, 7500.0)
"""Equal-area diameters looked for: from a bud worth a mesh to a large, undried diploid (6 µm)."""

_TREES = tuple(
    (sigma, marker, kind) for sigma, marker in ((1.2, 1.0), (2.0, 1.5), (3.0, 2.0)) for kind in range(3)
)
"""Scale of the edges, blur of the markers (both px of the search) and merge rule of each tree. Each tree
alone loses cells (to a scar, a glint or a weak crevice); what one loses another holds."""

_LEAST_SCORE = 0.2
"""Below it the overlay of the real field shows gaps and slivers; above it almost only cells."""

_OVERLAP = 0.12
"""Two regions conflict where they share more than this part of the smaller one."""


@dataclass(frozen=True)
class _Region:
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    score: float

    @property
    def weight(self) -> float:
        """What the selection adds up. The power keeps one good cell ahead of two halves of it."""
        return self.score**1.5 * len(self.rows)


def segment_cells(
    image: NDArray[np.float32], pixel_size_nm: float, excluded: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """Outline the visible part of every cell in a field.

    Parameters
    ----------
    image : numpy.ndarray, shape (y, x)
        Secondary-electron image, any linear grey scale.
    pixel_size_nm : float
        Side of a pixel, nm.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image (data bar, burnt-in text).

    Returns
    -------
    numpy.ndarray, int32, shape (y, x)
        0 outside, then 1 … n from the top of the image down. Masks are modal (only what can be seen), each in
        one piece and without holes unless another cell lies in them. An image without cells gives zeros.

    Raises
    ------
    ValueError
        If the image is not 2-D, not finite, the shapes differ, or the pixel size is not positive.
    """
    if image.ndim != 2:
        raise ValueError(f"A field is a (y, x) image; this array has shape {image.shape}.")
    excluded = np.zeros(image.shape, bool) if excluded is None else excluded
    if excluded.shape != image.shape:
        raise ValueError(f"The image is {image.shape} and the excluded pixels are {excluded.shape}.")
    if not pixel_size_nm > 0:
        raise ValueError(f"The pixel size must be positive, not {pixel_size_nm} nm.")
    if not np.isfinite(image).all():
        raise ValueError("The image holds NaN or infinite pixels.")
    zoom = min(1.0, pixel_size_nm / _WORK_NM)
    log_image, barred = _working_image(image, excluded, zoom)
    if barred.all() or np.ptp(log_image[~barred]) == 0:
        return np.zeros(image.shape, np.int32)
    limits = [np.pi / 4 * (d * zoom / pixel_size_nm) ** 2 for d in _DIAMETERS_NM]
    regions = _scored_regions(log_image, barred, limits[0], limits[1])
    small = _paint(_select(regions, log_image.shape), log_image.shape)
    return _refined(small, image, excluded, zoom, pixel_size_nm)


def _working_image(
    image: NDArray[np.float32], excluded: NDArray[np.bool_], zoom: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log intensity at the working scale, and the excluded pixels there.

    The log makes an edge between two dark cells deep in the pile count as much as one between bright cells;
    the offset of a tenth of the range keeps noise in the black from counting more.
    """
    blurred = ndimage.gaussian_filter(image.astype(np.float64), max(0.0, 0.5 / zoom - 0.5))
    small = ndimage.zoom(blurred, zoom, order=1)
    barred = ndimage.zoom(excluded.astype(np.float64), zoom, order=1) > 0.3
    if barred.all():
        return np.zeros_like(small), barred
    low, high = np.percentile(small[~barred], (0.5, 99.5))
    return np.log(((small - low) / max(high - low, 1e-12)).clip(0, 1) + 0.1), barred


def _scored_regions(
    log_image: NDArray[np.float64], barred: NDArray[np.bool_], least: float, most: float
) -> list[_Region]:
    """Regions of all trees that may be cells, with their scores."""
    edges = edge_strength(log_image, 1.5)
    low, high = np.percentile(edges[~barred], (50, 90))
    # The outline of a region may lie one pixel beside the crest of the edge.
    evidence = ((ndimage.maximum_filter(edges, 3) - low) / max(high - low, 1e-12)).clip(0, 1)
    blurred = ndimage.gaussian_filter(log_image, 1.0)
    found: list[_Region] = []
    seen: set[tuple[int, ...]] = set()
    for sigma, marker, kind in _TREES:
        tree = merge_tree(
            edge_strength(log_image, sigma),
            barred,
            marker,
            0.5 if kind else 0.0,
            log_image if kind == 2 else None,
        )
        for node in _elliptic_nodes(tree, least, most):
            # Trees agree on most clear cells: moments within some 3 % are the same region.
            m = tree.moments[node]
            twin = tuple(
                np.rint([40 * np.log(m[0]), *(m[1:3] / m[0] / 2), *(m[3:] / m[0] / 400)]).astype(int).tolist()
            )
            if twin in seen:
                continue
            seen.add(twin)
            region = _scored(tree.pixels(node), evidence, blurred, barred)
            if region is not None:
                found.append(region)
    return found


def _elliptic_nodes(tree: MergeTree, least: float, most: float) -> NDArray[np.intp]:
    """Nodes of a cell's size that fill at least 0.85 of the ellipse with their own second moments.

    An ellipse has area 4π√det(covariance); anything else of the same moments is smaller. This throws out nine
    of ten nodes before a single pixel is looked at.
    """
    m = tree.moments
    area = np.maximum(m[:, 0], 1)
    y, x = m[:, 1] / area, m[:, 2] / area
    yy, xx, yx = m[:, 3] / area - y * y + 1 / 12, m[:, 4] / area - x * x + 1 / 12, m[:, 5] / area - y * x
    root = np.sqrt((yy * xx - yx**2).clip(1e-9))
    elongated = np.sqrt(((yy - xx) / 2) ** 2 + yx**2) / ((yy + xx) / 2)
    # (r² − 1)/(r² + 1) of the axis ratio r: .70 is r = 2.4, longer than any budding yeast without its bud.
    return np.flatnonzero(
        (area >= least) & (area <= most) & (area > 0.85 * 4 * np.pi * root) & (elongated < 0.70)
    )


def _scored(
    pixels: NDArray[np.intp],
    evidence: NDArray[np.float64],
    blurred: NDArray[np.float64],
    barred: NDArray[np.bool_],
) -> _Region | None:
    """Score one region, or None where it cannot be a cell."""
    from skimage.morphology import convex_hull_image

    shape = evidence.shape
    rows, columns = np.unravel_index(pixels, shape)
    corner = rows.min() - 4, columns.min() - 4
    mask = np.zeros((int(np.ptp(rows)) + 9, int(np.ptp(columns)) + 9), bool)
    mask[rows - corner[0], columns - corner[1]] = True
    mask = _largest(ndimage.gaussian_filter(mask.astype(np.float32), 1.5) > 0.5)
    if not mask.any():
        return None
    mask = ndimage.binary_fill_holes(mask)
    overlap = _ellipse_overlap(mask)
    if overlap <= 0.75:
        return None
    convexity = mask.sum() / convex_hull_image(mask).sum()
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 2.0)
    slope = np.stack(np.gradient(soft))
    rim = np.stack(np.nonzero(mask & ~ndimage.binary_erosion(mask)))
    outward = -slope[:, rim[0], rim[1]]
    outward /= np.linalg.norm(outward, axis=0) + 1e-9
    at = rim + np.array(corner)[:, None]
    limit = np.array(shape)[:, None] - 1

    def look(step: float) -> NDArray[np.float64]:
        r, c = np.clip(np.rint(at + step * outward).astype(int), 0, limit)
        return blurred[r, c]

    r, c = np.clip(at, 0, limit)
    # The border of the image is no outline of a cell: nothing can be said there, for or against.
    known = ((at > 2) & (at < limit - 2)).all(axis=0) & ~barred[r, c]
    if known.mean() < 0.5:
        return None
    supported = float((evidence[r, c] > 0.35)[known].mean())
    brighter = float((look(-2) - look(3) > 0.03)[known].mean())
    score = (
        supported**1.5
        * np.clip((overlap - 0.75) / 0.2, 0, 1)
        * np.clip((convexity - 0.85) / 0.1, 0, 1) ** 0.7
        * np.clip((brighter - 0.2) / 0.6, 0, 1) ** 0.5
    )
    rows, columns = np.nonzero(mask)
    rows, columns = rows + corner[0], columns + corner[1]
    inside = (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1])
    if score < _LEAST_SCORE:
        return None
    return _Region(rows[inside], columns[inside], float(score))


def _ellipse_overlap(mask: NDArray[np.bool_]) -> float:
    """Intersection over union of a mask and the ellipse with its centroid and second moments."""
    points = np.stack(np.nonzero(mask), axis=1).astype(np.float64)
    covariance = np.cov(points.T, bias=True) + np.eye(2) / 12
    offsets = np.moveaxis(np.indices(mask.shape, dtype=np.float64), 0, -1) - points.mean(axis=0)
    ellipse = np.einsum("yxi,ij,yxj->yx", offsets, np.linalg.inv(4 * covariance), offsets) <= 1
    return float((ellipse & mask).sum() / (ellipse | mask).sum())


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, n = ndimage.label(mask)
    return mask if n < 2 else parts == int(np.bincount(parts.ravel())[1:].argmax()) + 1


def _select(regions: list[_Region], shape: tuple[int, ...]) -> list[_Region]:
    """Disjoint regions of (nearly) the largest total weight: greedy, then exchanges until none helps.

    An exchange puts in one region, or the best disjoint ones lying inside a chosen region, against all that
    they conflict with. Overlaps are counted on every third pixel.
    """
    if not regions:
        return []
    coarse = np.zeros((len(regions), -(-shape[0] // 3) * -(-shape[1] // 3)), np.float32)
    for i, region in enumerate(regions):
        keep = (region.rows % 3 == 0) & (region.columns % 3 == 0)
        coarse[i, region.rows[keep] // 3 * -(-shape[1] // 3) + region.columns[keep] // 3] = 1
    shared = coarse @ coarse.T
    area = np.maximum(coarse.sum(axis=1), 1)
    conflict = shared > _OVERLAP * np.minimum(area[:, None], area[None])
    inside = shared > 0.85 * area[:, None]  # row i lies inside column j
    weight = np.array([region.weight for region in regions])

    def greedy(among: NDArray[np.intp]) -> list[int]:
        picked: list[int] = []
        for i in among[np.argsort(-weight[among], kind="stable")].tolist():
            if not conflict[i, picked].any():
                picked.append(i)
        return picked

    chosen = set(greedy(np.arange(len(regions))))
    for _ in range(10):
        before = set(chosen)
        for j in sorted(chosen):
            smaller = np.flatnonzero(inside[:, j] & (area < 0.85 * area[j]))
            _exchange(chosen, greedy(smaller), conflict, weight)
        for i in range(len(regions)):
            if i not in chosen:
                _exchange(chosen, [i], conflict, weight)
        if chosen == before:
            break
    return [regions[i] for i in sorted(chosen)]


def _exchange(
    chosen: set[int], newcomers: list[int], conflict: NDArray[np.bool_], weight: NDArray[np.float64]
) -> None:
    """Put the newcomers in place of what they conflict with, where that adds weight."""
    if not newcomers:
        return
    out = {i for i in chosen if conflict[i, newcomers].any()}
    if weight[newcomers].sum() > weight[sorted(out)].sum() * (1 + 1e-9):
        chosen.difference_update(out)
        chosen.update(newcomers)


def _paint(regions: list[_Region], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Label image; where two regions share pixels, the one with the better score has them."""
    labels = np.zeros(shape, np.int32)
    for i, region in sorted(enumerate(regions, 1), key=lambda item: (item[1].score, item[0])):
        labels[region.rows, region.columns] = i
    return labels


def _refined(
    small: NDArray[np.int32],
    image: NDArray[np.float32],
    excluded: NDArray[np.bool_],
    zoom: float,
    pixel_size_nm: float,
) -> NDArray[np.int32]:
    """Labels at full resolution: outlines move to the crest of the gradient within ±120 nm, then are smoothed.

    Numbered from the top down by centroid, so that equal fields give equal numbers.
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
    return _numbered(smooth, np.pi / 4 * (_DIAMETERS_NM[0] / pixel_size_nm) ** 2 / 2)


def _numbered(labels: NDArray[np.int32], least: float) -> NDArray[np.int32]:
    """One filled piece a cell, numbered from the top down; pieces below ``least`` pixels are dropped."""
    out = np.zeros_like(labels)
    cells = []
    for label in np.unique(labels).tolist():
        piece = _largest(labels == label) if label else np.zeros(labels.shape, bool)
        if piece.sum() >= least:
            piece = piece | (ndimage.binary_fill_holes(piece) & (labels == 0))
            cells.append((*np.argwhere(piece).mean(axis=0).tolist(), piece))
    for number, (_, _, piece) in enumerate(sorted(cells, key=lambda cell: cell[:2]), 1):
        out[piece] = number
    return out
