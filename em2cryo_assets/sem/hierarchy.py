"""Regions of an image at every scale: over-segmentation, then a tree of merges.

Belongs here: the hierarchy and the moments of its regions.
Does not belong here: what makes a region a cell (`sem.masks`).
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["MergeTree", "edge_strength", "merge_tree"]


@dataclass(frozen=True)
class MergeTree:
    """Binary tree of regions: leaves are watershed basins, every other node joins two.

    Parameters
    ----------
    leaves : numpy.ndarray, int32, shape (y, x)
        Leaf of every pixel, from 1; 0 where excluded.
    children : numpy.ndarray, int64, shape (N + 1, 2)
        The two nodes a node joins, zeros for leaves. Children come before their parents.
    moments : numpy.ndarray, float64, shape (N + 1, 6)
        Sums over the pixels of a node of 1, y, x, y², x², yx.
    order : numpy.ndarray, int64, shape (y · x,)
        Flat pixel indices sorted by leaf.
    starts : numpy.ndarray, int64, shape (leaves + 2,)
        Where each leaf begins in ``order``.
    """

    leaves: NDArray[np.int32]
    children: NDArray[np.int64]
    moments: NDArray[np.float64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def pixels(self, node: int) -> NDArray[np.intp]:
        """Flat pixel indices of a node, ascending."""
        members, stack = [], [node]
        while stack:
            item = stack.pop()
            if self.children[item, 0]:
                stack.extend(self.children[item].tolist())
            else:
                members.append(item)
        parts = [self.order[self.starts[leaf] : self.starts[leaf + 1]] for leaf in members]
        return np.sort(np.concatenate(parts))


def edge_strength(log_image: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    """Evidence for an outline at one scale: gradient magnitude plus dark-valley curvature, both of the log.

    Between equally bright cells there is no step, only the thin shadow of the crevice: the positive part of
    the largest Hessian eigenvalue sees it. Scale-normalised (σ, σ²) so that both are dimensionless.
    """
    gradient = ndimage.gaussian_gradient_magnitude(log_image, sigma_px) * sigma_px
    yy, xx, yx = (ndimage.gaussian_filter(log_image, sigma_px, order=o) for o in ((2, 0), (0, 2), (1, 1)))
    valley = (yy + xx) / 2 + np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    return gradient + 0.7 * sigma_px**2 * valley.clip(0)


def merge_tree(
    edges: NDArray[np.float64],
    excluded: NDArray[np.bool_],
    marker_sigma_px: float,
    size_power: float,
    log_image: NDArray[np.float64] | None = None,
) -> MergeTree:
    """Watershed basins of an edge map, merged in order of the edge between them.

    Parameters
    ----------
    edges : numpy.ndarray, shape (y, x)
        Edge strength, high on outlines.
    excluded : numpy.ndarray, bool, shape (y, x)
        Pixels in no region.
    marker_sigma_px : float
        Blur before the basins are found.
    size_power : float
        The cost of a merge is the mean edge on the common border times (area of the smaller region)^power:
        0 merges along the weakest border, a positive power also swallows small regions (scars, glints) early.
    log_image : numpy.ndarray, shape (y, x), optional
        Where given, the difference of mean log intensity is added to the edge.

    Returns
    -------
    MergeTree
    """
    from skimage.segmentation import watershed

    smooth = ndimage.gaussian_filter(edges, marker_sigma_px)
    markers, _ = ndimage.label((ndimage.minimum_filter(smooth, 5) == smooth) & ~excluded)
    leaves = watershed(smooth, markers, mask=~excluded).astype(np.int32)
    n = int(leaves.max())
    size = max(2 * n, n + 1)
    flat = leaves.ravel()
    y, x = (c.ravel().astype(np.float64) for c in np.indices(leaves.shape))
    moments = np.zeros((size, 6))
    for column, weights in enumerate((np.ones_like(y), y, x, y * y, x * x, y * x)):
        moments[: n + 1, column] = np.bincount(flat, weights, minlength=n + 1)
    moments[0] = 0
    intensity = np.zeros(size)
    if log_image is not None:
        intensity[: n + 1] = np.bincount(flat, log_image.ravel(), minlength=n + 1)
    neighbours = _borders(leaves, edges)

    def cost(a: int, b: int) -> float:
        total, count = neighbours[a][b]
        step = abs(intensity[a] / moments[a, 0] - intensity[b] / moments[b, 0])
        return (total / count + 0.3 * step) * min(moments[a, 0], moments[b, 0]) ** size_power

    heap = [(cost(a, b), a, b) for a in neighbours for b in neighbours[a] if a < b]
    heapq.heapify(heap)
    children = np.zeros((size, 2), np.int64)
    node = n
    while heap:
        _, a, b = heapq.heappop(heap)
        # A node that was merged is gone from the table; borders of living pairs never change.
        if a not in neighbours or b not in neighbours:
            continue
        node += 1
        children[node] = a, b
        moments[node] = moments[a] + moments[b]
        intensity[node] = intensity[a] + intensity[b]
        joined: dict[int, tuple[float, float]] = {}
        for part, other in ((a, b), (b, a)):
            for k, (total, count) in neighbours.pop(part).items():
                if k != other:
                    before = joined.get(k, (0.0, 0.0))
                    joined[k] = before[0] + total, before[1] + count
                    neighbours[k].pop(part, None)
        neighbours[node] = joined
        for k, border in joined.items():
            neighbours[k][node] = border
            heapq.heappush(heap, (cost(k, node), k, node))
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(n + 2))
    return MergeTree(leaves, children[: node + 1], moments[: node + 1], order, starts)


def _borders(leaves: NDArray[np.int32], edges: NDArray[np.float64]) -> dict[int, dict[int, tuple[float, float]]]:
    """Sum of edge strength and number of pixel pairs on the border of every two touching leaves."""
    n = int(leaves.max())
    first, second, strength = [], [], []
    for one, two in (
        ((slice(None, -1),), (slice(1, None),)),
        ((..., slice(None, -1)), (..., slice(1, None))),
    ):
        a, b = leaves[one], leaves[two]
        touching = (a != b) & (a > 0) & (b > 0)
        first.append(np.minimum(a, b)[touching])
        second.append(np.maximum(a, b)[touching])
        strength.append(np.maximum(edges[one], edges[two])[touching])
    code = np.concatenate(first).astype(np.int64) * (n + 1) + np.concatenate(second)
    pairs, inverse, count = np.unique(code, return_inverse=True, return_counts=True)
    total = np.bincount(inverse, np.concatenate(strength), minlength=len(pairs))
    table: dict[int, dict[int, tuple[float, float]]] = {i: {} for i in range(1, n + 1)}
    for pair, s, c in zip(pairs.tolist(), total.tolist(), count.tolist(), strict=True):
        a, b = divmod(pair, n + 1)
        table[a][b] = table[b][a] = (s, float(c))
    return table
