"""What is known about each cell of a labelled field before its shape is estimated.

Belongs here: place, area, occlusion, contact with the border, and whether a cell may enter a comparison.
Does not belong here: finding the cells (`sem.masks`) or measuring a solid (`geometry.mesh`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["cell_records"]

_MOST_OCCLUDED = 0.10
"""Cells occluded by more are measured and shown, but never compared."""

_LEAST_EDGE_SUPPORT = 0.70
"""Share of the outline with a step or crevice to be seen: one drawn where nothing is seen is a guess."""

_LEAST_AREA = 0.45
"""Least area relative to the median of the cells that pass everything else. A bud by itself is not a cell, and
a smaller piece cannot be told from a fragment."""

_BUD_AREA = 0.60
"""A cell of less than this share of the area of a cell that it touches may be its bud. Buds part from their mothers
at about six tenths of the volume, seven tenths of the area. What a bud shows cannot be told by its neck: the network's
map of necks stays below .14 everywhere on held-out simulated piles."""

_LEAST_CONTACT = 0.10
"""Share of the smaller cell's outline along which it touches: a neck is wider than one pixel."""

_PROBE_NM = 90.0
"""Distance to either side of the outline at which the image is compared: beyond the blur of the rim."""

_TYPES = {
    **dict.fromkeys(("label", "y0", "x0", "y1", "x1"), "int64"),
    **{"area_um2": "float64", "occluded_fraction": "float64", "touches_border": "bool", "comparable": "bool"},
    **{"edge_support": "float64", "possible_mother": "int64", "why_not_comparable": "str"},
}


def cell_records(
    labels: NDArray[np.int32],
    image: NDArray[np.float32],
    pixel_size_nm: float,
    excluded: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """One row a cell, in order of its label.

    A stretch of outline is *hidden* where the image is brighter outside than inside, or where a brighter cell
    lies across the crevice: what lies in front is brighter at its rim and shades what lies behind. An ellipse
    is fitted to the free rest of the outline; the occluded fraction is its part beyond hidden stretches.

    Parameters
    ----------
    labels : numpy.ndarray, int, shape (y, x)
        Cells from 1, 0 outside; from `segment_cells` or drawn by a person.
    image : numpy.ndarray, shape (y, x)
        The field.
    pixel_size_nm : float
        Side of a pixel, nm.
    excluded : numpy.ndarray, bool, shape (y, x), optional
        Pixels that are not image; touching them counts as touching the border.

    Returns
    -------
    pandas.DataFrame
        label; y0, x0, y1, x1 (px, half open); area_um2; occluded_fraction (0 … 1; where less than 40 % of the
        outline is free, the hidden share of the outline stands for it); touches_border; comparable (fully
        inside, occluded by at most 10 %, outline seen along at least 70 %, no bud or fragment by its area, and no
        possible bud of a neighbour); edge_support (0 … 1); possible_mother (label of the largest cell it touches
        along a tenth of its outline where its own area is below .6 of that one's, else 0); why_not_comparable
        (words; empty where it is comparable).

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    excluded = np.zeros(labels.shape, bool) if excluded is None else excluded
    if not labels.shape == image.shape == excluded.shape:
        raise ValueError(f"Labels {labels.shape}, image {image.shape} and excluded {excluded.shape} must agree.")
    blur = max(0.7, 30.0 / pixel_size_nm)
    smooth = ndimage.gaussian_filter(image.astype(np.float64), blur)
    noise = _noise(image, blur)
    reach = max(2, round(_PROBE_NM / pixel_size_nm))
    rows = []
    areas = np.bincount(labels.ravel())
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        (y0, y1), (x0, x1) = ((s.start, s.stop) for s in window)
        pad = 4 * reach + 3
        corner = (max(0, y0 - pad), max(0, x0 - pad))
        around = (slice(corner[0], y1 + pad), slice(corner[1], x1 + pad))
        mask = labels[around] == label
        others = (labels[around] > 0) & ~mask
        occluded, support = _outline(mask, others, smooth[around], reach, noise)
        ring = ndimage.binary_dilation(mask, iterations=2)
        touches = (y0 == 0 or x0 == 0 or y1 == labels.shape[0] or x1 == labels.shape[1]) or bool(
            (ring & excluded[around]).any()
        )
        rows.append(
            {
                "label": label,
                "y0": y0,
                "x0": x0,
                "y1": y1,
                "x1": x1,
                "area_um2": float(mask.sum()) * pixel_size_nm**2 / 1e6,
                "occluded_fraction": occluded,
                "touches_border": touches,
                "comparable": False,
                "edge_support": support,
                "possible_mother": _possible_mother(labels[around], label, areas, reach),
                "why_not_comparable": "",
            }
        )
    table = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    table["why_not_comparable"] = _why_not_comparable(table)
    table["comparable"] = table["why_not_comparable"] == ""
    return table


def _why_not_comparable(table: pd.DataFrame) -> list[str]:
    """The first reason that holds for each cell, in words; sizes are judged among those for which none holds."""
    columns = (table[c] for c in ("touches_border", "occluded_fraction", "edge_support", "possible_mother"))
    reasons = []
    for border, occluded, support, mother in zip(*columns, strict=True):
        reason = ""
        if border:
            reason = "cut by the border of its field or by the data bar"
        elif occluded > _MOST_OCCLUDED:
            reason = f"more than {100 * _MOST_OCCLUDED:.0f} % of it hidden by other cells"
        elif support < _LEAST_EDGE_SUPPORT:
            reason = f"less than {100 * _LEAST_EDGE_SUPPORT:.0f} % of its outline seen"
        elif mother:
            reason = "perhaps a bud of a much larger cell that it touches"
        reasons.append(reason)
    whole = [not reason for reason in reasons]
    if any(whole):
        least = _LEAST_AREA * float(table.loc[whole, "area_um2"].median())
        for i, area in enumerate(table["area_um2"]):
            if whole[i] and area < least:
                reasons[i] = f"below {100 * _LEAST_AREA:.0f} % of the median area: a bud or a fragment"
    return reasons


def _possible_mother(around: NDArray[np.int32], label: int, areas: NDArray[np.intp], reach: int) -> int:
    """Label of the largest cell in touch of which this one may be the bud; 0 if there is none."""
    mask = around == label
    # The outlines of two cells in touch lie up to two probes apart where the crevice is no cell's.
    ring = ndimage.binary_dilation(mask, iterations=reach) & ~mask
    near = np.bincount(around[ring], minlength=areas.size)
    near[0] = 0
    larger = (near >= _LEAST_CONTACT * ring.sum()) & (areas[label] < _BUD_AREA * areas)
    return int(np.argmax(np.where(larger, areas, 0))) if larger.any() else 0


def _noise(image: NDArray[np.float32], blur: float) -> float:
    """Robust SD of the blurred image's noise, from differences of neighbouring pixels."""
    difference = np.diff(image.astype(np.float64), axis=1)
    return 1.4826 * float(np.median(np.abs(difference))) / np.sqrt(2) / max(1.0, 2 * np.sqrt(np.pi) * blur)


def _outline(
    mask: NDArray[np.bool_],
    others: NDArray[np.bool_],
    smooth: NDArray[np.float64],
    reach: int,
    noise: float,
) -> tuple[float, float]:
    """Occluded fraction and edge support of one cell in a crop."""
    slope = np.stack(np.gradient(ndimage.gaussian_filter(mask.astype(np.float64), reach / 2)))
    rim = np.stack(np.nonzero(mask & ~ndimage.binary_erosion(mask, border_value=1)))
    if rim.shape[1] < 12:
        return 1.0, 0.0
    outward = -slope[:, rim[0], rim[1]]
    outward /= np.linalg.norm(outward, axis=0) + 1e-12
    limit = np.array(mask.shape)[:, None] - 1

    def look(array: NDArray[np.float64], step: float) -> NDArray[np.float64]:
        r, c = np.clip(np.rint(rim + step * outward).astype(int), 0, limit)
        return array[r, c]

    inner, outer, crest = look(smooth, -reach), look(smooth, reach), look(smooth, 1)
    threshold = max(3 * noise, 0.04 * float(np.median(smooth[mask])))
    behind = outer - inner > threshold
    valley = np.minimum(inner, outer) - crest > threshold / 2
    support = float((behind | (inner - outer > threshold) | valley).mean())
    # A crevice may be darker than both sides. Then what lies across it decides: along another mask, the
    # cell that is brighter farther in is in front; without one, a crevice hides nothing.
    near = look(ndimage.distance_transform_edt(~others) if others.any() else np.full(mask.shape, 1e9), 0)
    across = look(smooth, 4 * reach) - look(smooth, -2 * reach) > 2 * threshold
    hidden = np.where(near <= 3 * reach, behind | across, behind & (crest >= inner - threshold))
    hidden = _majority(hidden, rim, mask, reach)
    if not hidden.any():
        return 0.0, support
    share = float(hidden.mean())
    if share > 0.6:
        return share, support
    # Room for what lies beyond the crop: a cell is never hidden by more than itself here.
    room = max(mask.shape) // 2
    ellipse = _fitted_ellipse(rim[:, ~hidden] + room, (mask.shape[0] + 2 * room, mask.shape[1] + 2 * room))
    if ellipse is None:
        return share, support
    whole = np.pad(mask, room)
    beyond = np.stack(np.nonzero(ellipse & ~whole))
    # A pixel of the ellipse is hidden where the nearest stretch of outline is.
    away = np.ones(whole.shape, bool)
    away[rim[0] + room, rim[1] + room] = False
    state = np.zeros(whole.shape, bool)
    state[rim[0] + room, rim[1] + room] = hidden
    _, (r, c) = ndimage.distance_transform_edt(away, return_indices=True)
    at = tuple(beyond)
    n_hidden = int(state[r[at], c[at]].sum())
    return n_hidden / (float(mask.sum()) + n_hidden), support


def _fitted_ellipse(rim: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Pixels inside the ellipse through outline points (direct least squares, Halir and Flusser 1998).

    None where the points fix no ellipse.
    """
    centre = rim.mean(axis=1, keepdims=True)
    scale = float(np.abs(rim - centre).max())
    y, x = (rim - centre) / scale
    quadratic = np.stack([x * x, x * y, y * y], axis=1)
    linear = np.stack([x, y, np.ones_like(x)], axis=1)
    try:
        elimination = -np.linalg.solve(linear.T @ linear, linear.T @ quadratic)
    except np.linalg.LinAlgError:
        return None
    reduced = quadratic.T @ quadratic + quadratic.T @ linear @ elimination
    _, vectors = np.linalg.eig(np.stack([reduced[2] / 2, -reduced[1], reduced[0] / 2]))
    vectors = np.real(vectors)
    elliptic = 4 * vectors[0] * vectors[2] - vectors[1] ** 2 > 0
    if not elliptic.any():
        return None
    first = vectors[:, int(np.argmax(elliptic))]
    a, b, c, d, e, f = np.concatenate([first, elimination @ first])
    rows, columns = np.indices(shape, dtype=np.float64)
    yy, xx = (rows - centre[0]) / scale, (columns - centre[1]) / scale
    value = a * xx**2 + b * xx * yy + c * yy**2 + d * xx + e * yy + f
    inside: NDArray[np.bool_] = value * np.sign(a) < 0
    return inside if inside.any() else None


def _majority(
    hidden: NDArray[np.bool_], rim: NDArray[np.intp], mask: NDArray[np.bool_], reach: int
) -> NDArray[np.bool_]:
    """Give each outline pixel the state of most of its neighbours within two probes: noise drops out."""
    total, count = np.zeros(mask.shape), np.zeros(mask.shape)
    total[rim[0], rim[1]] = hidden
    count[rim[0], rim[1]] = 1
    size = 4 * reach + 1
    votes = ndimage.uniform_filter(total, size, mode="constant") / np.maximum(
        ndimage.uniform_filter(count, size, mode="constant"), 1e-12
    )
    result: NDArray[np.bool_] = votes[rim[0], rim[1]] > 0.5
    return result
