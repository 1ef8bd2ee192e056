"""From a field to its cells without a network: the baseline that every learned mask stands beside.

Belongs here: choosing, among regions of every scale, the ones that look like whole cells.
Does not belong here: the network (`sem.mask_network`), the hierarchy of regions (`sem.hierarchy`), moving outlines to the
pixel (`sem.outlines`), occlusion and other records (`sem.records`), identities over time (`sem.identity`).

No threshold separates a pile: a cell in front is brighter than the one behind it, and both than the gaps.
So regions of several merge trees compete. A region scores by how much of its outline lies on an edge, by how
well an ellipse with its moments covers it, by its convexity, and by whether it is brighter than what lies
around it; the set of disjoint regions of largest total weight wins (after Arteta et al. 2012, who do so with
extremal regions and a learned score). Cells in front are taken first, what they hide is judged after.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.field import checked_field
from em2cryo_assets.sem.hierarchy import MergeTree, edge_strength, merge_tree
from em2cryo_assets.sem.outlines import largest_part, refined

__all__ = ["select_cells"]

_WORK_NM = 40.0
"""Pixel of the search: a yeast is then 60-150 px across, and its rim shading 2-4 px wide."""

_DIAMETERS_NM = (1000.0, 7500.0)
"""Equal-area diameters looked for: from a bud worth a mesh to a large, undried diploid (6 µm)."""

_TREES = tuple((sigma, marker, kind) for sigma, marker in ((1.2, 1.0), (2.0, 1.5), (3.0, 2.0)) for kind in range(3))
"""Scale of the edges, blur of the markers (both px of the search) and merge rule of each tree. Each tree
alone loses cells (to a scar, a glint or a weak crevice); what one loses another holds."""

_ROUNDS = (0.6, 0.4, 0.3)
"""Least score in each round. Cells in front are whole and score high: they are taken first, cut out of all
other regions, and what they hide is then no longer held against the cells behind them."""

_EDGE = 0.085
"""Edge strength that counts as seen: a blurred step of about a quarter of the local intensity."""

_FRONT_SCORE, _REST_SCORE = 0.7, 0.3
_FRONT_SHARE = (0.2, 0.85)
"""When a chosen region is split in two: least scores of the cell in front and of the rest, and the part of the
region that the front cell covers. Bud scars are smaller."""

_LEAST_RANGE = 10.0
"""Least range of grey (0.5-99.5 %) over the difference of neighbouring pixels. Pure noise has 4, a field
with cells 40-100."""

_OVERLAP = 0.12
"""Two regions conflict where they share more than this part of the smaller one."""


@dataclass(frozen=True)
class _Region:
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    score: float

    @property
    def weight(self) -> float:
        """What the selection adds up. The power keeps one good cell ahead of a passable pair holding it."""
        return self.score**3 * len(self.rows)


def select_cells(
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
    excluded = checked_field(image, pixel_size_nm, excluded)
    zoom = min(1.0, pixel_size_nm / _WORK_NM)
    log_image, barred = _working_image(image, excluded, zoom)
    if barred.all() or np.ptp(log_image[~barred]) == 0:
        return np.zeros(image.shape, np.int32)
    limits = [np.pi / 4 * (d * zoom / pixel_size_nm) ** 2 for d in _DIAMETERS_NM]
    pool = _pool(log_image, barred, limits[0], limits[1])
    evidence = ndimage.maximum_filter(edge_strength(log_image, 1.5), 3) > _EDGE
    blurred = ndimage.gaussian_filter(log_image, 1.0)
    small = np.zeros(log_image.shape, np.int32)

    def score(pixels: NDArray[np.intp], taken: NDArray[np.int32]) -> _Region | None:
        return _scored(pixels, taken, evidence, blurred, barred, limits[0])

    scored = [score(pixels, small) for pixels in pool]
    for least in _ROUNDS:
        regions = [r for r in scored if r is not None and r.score >= least]
        before = small > 0
        for region in _split(_select(regions, small.shape), regions, small, score):
            free = small[region.rows, region.columns] == 0
            small[region.rows[free], region.columns[free]] = small.max() + 1
        # A region that no new cell touches keeps its score.
        near = ndimage.binary_dilation((small > 0) & ~before, iterations=4).ravel()
        scored = [score(p, small) if near[p].any() else r for p, r in zip(pool, scored, strict=True)]
    least_px = limits[0] / zoom**2 / 2
    return refined(small, image, excluded, pixel_size_nm, least_px)


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
    noise = 1.4826 * float(np.median(np.abs(np.diff(small, axis=1))))
    if high - low < _LEAST_RANGE * noise:
        return np.zeros_like(small), barred
    return np.log(((small - low) / max(high - low, 1e-12)).clip(0, 1) + 0.1), barred


def _pool(
    log_image: NDArray[np.float64], barred: NDArray[np.bool_], least: float, most: float
) -> list[NDArray[np.intp]]:
    """Flat pixel indices of all regions of all trees that may be cells, each once."""
    found: dict[tuple[int, ...], NDArray[np.intp]] = {}
    for sigma, marker, kind in _TREES:
        edges = edge_strength(log_image, sigma)
        tree = merge_tree(edges, barred, marker, 0.5 if kind else 0.0, log_image if kind == 2 else None)
        for node in _elliptic_nodes(tree, least, most):
            # Trees agree on most clear cells: moments within some 3 % are the same region.
            m = tree.moments[node]
            twin = [40 * np.log(m[0]), *(m[1:3] / m[0] / 2), *(m[3:] / m[0] / 400)]
            key = tuple(np.rint(twin).astype(int).tolist())
            if key not in found:
                found[key] = tree.pixels(node)
    return list(found.values())


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
    return np.flatnonzero((area >= least) & (area <= most) & (area > 0.85 * 4 * np.pi * root) & (elongated < 0.70))


def _scored(
    pixels: NDArray[np.intp],
    taken: NDArray[np.int32],
    evidence: NDArray[np.bool_],
    blurred: NDArray[np.float64],
    barred: NDArray[np.bool_],
    least: float,
) -> _Region | None:
    """Score what the cells already taken leave of one region; None where that cannot be a cell."""
    free = pixels[taken.ravel()[pixels] == 0]
    if len(free) < max(least, 0.3 * len(pixels)):
        return None
    shape = evidence.shape
    rows, columns = np.unravel_index(free, shape)
    corner = np.array([rows.min() - 4, columns.min() - 4])
    mask = np.zeros((int(np.ptp(rows)) + 9, int(np.ptp(columns)) + 9), bool)
    mask[rows - corner[0], columns - corner[1]] = True
    # Beyond the image, or under a cell in front, a cell may go on: its shape is not judged there.
    hidden = ~_window((taken == 0) & ~barred, corner, mask.shape)
    mask = largest_part(ndimage.gaussian_filter(mask.astype(np.float32), 1.5) > 0.5)
    mask = ndimage.binary_fill_holes(mask) & ~hidden
    if mask.sum() < least:
        return None
    overlap, convexity = _regularity(mask[::2, ::2], hidden[::2, ::2])
    if overlap <= 0.80 or convexity <= 0.88:
        return None
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 2.0)
    slope = np.stack(np.gradient(soft))
    rim = np.stack(np.nonzero(mask & ~ndimage.binary_erosion(mask)))
    outward = -slope[:, rim[0], rim[1]]
    outward /= np.linalg.norm(outward, axis=0) + 1e-9
    at = rim + corner[:, None]
    limit = np.array(shape)[:, None] - 1

    def look(array: NDArray[np.generic], step: float) -> NDArray[np.float64]:
        r, c = np.clip(np.rint(at + step * outward).astype(int), 0, limit)
        return array[r, c].astype(np.float64)

    # Nothing can be said, for or against, along the border of the image and along cells in front.
    known = ((at > 2) & (at < limit - 2)).all(axis=0) & (look(barred, 3) == 0) & (look(taken, 3) == 0)
    if known.mean() < 0.4:
        return None
    supported = float(look(evidence, 0)[known].mean())
    brighter = float((look(blurred, -2) - look(blurred, 3) > 0.04)[known].mean())
    score = (
        supported**2
        * np.clip((overlap - 0.80) / 0.14, 0, 1)
        * np.clip((convexity - 0.88) / 0.08, 0, 1) ** 0.7
        * np.clip((brighter - 0.2) / 0.6, 0, 1) ** 0.5
        * known.mean() ** 0.3
    )
    rows, columns = (c + o for c, o in zip(np.nonzero(mask), corner, strict=True))
    inside = (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1])
    return _Region(rows[inside], columns[inside], float(score))


def _window(array: NDArray[np.bool_], corner: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Crop that may reach beyond the image, where it is False."""
    out = np.zeros(shape, bool)
    low = np.maximum(corner, 0)
    high = np.minimum(corner + shape, array.shape)
    out[low[0] - corner[0] : high[0] - corner[0], low[1] - corner[1] : high[1] - corner[1]] = array[
        low[0] : high[0], low[1] : high[1]
    ]
    return out


def _regularity(mask: NDArray[np.bool_], hidden: NDArray[np.bool_]) -> tuple[float, float]:
    """Overlap (IoU) with the ellipse of the mask's moments, and convexity, both where nothing lies in front.

    The ellipse is that of the mask together with what its convex hull covers of the cells in front: closer to
    the whole cell than the bitten mask is.
    """
    from skimage.morphology import convex_hull_image

    hull = convex_hull_image(mask, offset_coordinates=False)
    whole = mask | (hull & hidden)
    points = np.stack(np.nonzero(whole), axis=1).astype(np.float64)
    covariance = np.cov(points.T, bias=True) + np.eye(2) / 12
    offsets = np.moveaxis(np.indices(mask.shape, dtype=np.float64), 0, -1) - points.mean(axis=0)
    inverse = np.linalg.inv(4 * covariance)
    q = inverse[0, 0] * offsets[..., 0] ** 2 + inverse[1, 1] * offsets[..., 1] ** 2
    q += 2 * inverse[0, 1] * offsets[..., 0] * offsets[..., 1]
    ellipse = (q <= 1) & ~hidden
    n = mask.sum()
    return float((ellipse & mask).sum() / (ellipse | mask).sum()), float(n / max((hull & ~hidden).sum(), n))


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


def _split(
    chosen: list[_Region],
    regions: list[_Region],
    taken: NDArray[np.int32],
    score: Callable[[NDArray[np.intp], NDArray[np.int32]], _Region | None],
) -> list[_Region]:
    """Replace a region by a whole cell inside it and the rest, where both look like cells.

    Two cells of which one lies on the other can fill an ellipse well. What gives them away is that the one in
    front is a good cell by itself and that the rest, the front cell taken out, is one as well.
    """
    result = []
    for region in chosen:
        best: tuple[float, list[_Region]] = (0.0, [region])
        canvas = np.zeros(taken.shape, bool)
        canvas[region.rows, region.columns] = True
        pixels = np.flatnonzero(canvas)
        for front in regions:
            share = len(front.rows) / len(region.rows)
            if front.score < _FRONT_SCORE or not _FRONT_SHARE[0] < share < _FRONT_SHARE[1]:
                continue
            if canvas[front.rows, front.columns].mean() < 0.9:
                continue
            after = taken.copy()
            after[front.rows, front.columns] = taken.max() + 1
            rest = score(pixels, after)
            if rest is not None and rest.score >= _REST_SCORE and front.weight + rest.weight > best[0]:
                best = (front.weight + rest.weight, [front, rest])
        result += best[1]
    return result


def _exchange(chosen: set[int], newcomers: list[int], conflict: NDArray[np.bool_], weight: NDArray[np.float64]) -> None:
    """Put the newcomers in place of what they conflict with, where that adds weight."""
    if not newcomers:
        return
    out = {i for i in chosen if conflict[i, newcomers].any()}
    if weight[newcomers].sum() > weight[sorted(out)].sum() * (1 + 1e-9):
        chosen.difference_update(out)
        chosen.update(newcomers)
