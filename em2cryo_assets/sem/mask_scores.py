"""How good instance masks are, against fields whose truth is known.

Belongs here: overlap, matching, the validation table. Does not belong here: making masks or truth.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.sem.mask_network import WORKING_NM
from em2cryo_assets.sem.mask_training import Field

__all__ = ["DEEP_NM", "THRESHOLDS", "field_scores", "overlaps", "validation_table"]

Labels = NDArray[np.int32]

THRESHOLDS: Final = (0.5, 0.75, 0.9)

DEEP_NM: Final = 3000.0
"""Cells whose visible surface lies deeper below the highest of the field, one cell, are deep."""

_ASKED_UM2, _ASKED_SHARE = 0.6, 0.3
"""Least visible area and share of a cell that a segmentation is asked for; whatever covers less is not held against
it either."""

_DRAWS = 1000


def overlaps(truth: Labels, labels: Labels) -> NDArray[np.float64]:
    """IoU of every pair, shape (truth.max() + 1, labels.max() + 1); row and column 0 are 0."""
    rows, columns = int(truth.max()) + 1, int(labels.max()) + 1
    shared = np.bincount(truth.ravel().astype(np.int64) * columns + labels.ravel(), minlength=rows * columns)
    shared = shared.reshape(rows, columns).astype(np.float64)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    out = shared / np.maximum(union, 1.0)
    out[0], out[:, 0] = 0.0, 0.0
    return out


def field_scores(field: Field, labels: Labels) -> pd.DataFrame:
    """One row for each cell asked for and each label that answers none.

    Parameters
    ----------
    field : Field
        The truth.
    labels : numpy.ndarray, int32, shape (y, x)
        A segmentation of it.

    Returns
    -------
    pandas.DataFrame
        kind (clear, deep, other or extra), iou (best with any label, for extra with any instance). Clear cells lie
        high and show .9 or more of themselves, deep ones lie below `DEEP_NM`. Labels mostly on cells that are not
        asked for are no extra ones.
    """
    iou = overlaps(field.labels, labels)
    area = np.bincount(field.labels.ravel(), minlength=len(field.counts)) * (WORKING_NM / 1000.0) ** 2
    asked = field.counts & (area >= _ASKED_UM2) & (field.visible >= _ASKED_SHARE)
    rows: list[dict[str, object]] = []
    for k in np.flatnonzero(asked[: len(iou)]).tolist():
        deep, clear = field.depth_nm[k] > DEEP_NM, field.visible[k] >= 0.9
        rows.append({"kind": "deep" if deep else "clear" if clear else "other", "iou": float(iou[k].max())})
    optional = ~asked[field.labels] & (field.labels > 0)
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        best = int(iou[:, label].argmax())
        if asked[best] and iou[best, label] >= THRESHOLDS[-1]:
            continue
        if optional[window][labels[window] == label].mean() <= 0.5:
            rows.append({"kind": "extra", "iou": float(iou[asked[: len(iou)], label].max(initial=0.0))})
    return pd.DataFrame(rows, columns=["kind", "iou"])


def validation_table(fields: Sequence[Field], weights: Path, seed: int = 0) -> pd.DataFrame:
    """Network and classical baseline on held-out simulated piles.

    Parameters
    ----------
    fields : sequence of Field
        Never trained on.
    weights : Path
        Of the network.
    seed : int
        Of the bootstrap over fields.

    Returns
    -------
    pandas.DataFrame
        One row for each segmenter and figure: segmenter (network, regions), figure, threshold (0 for the mean),
        value, low, high (95 % percentile bootstrap over fields), n (what the value is a share of).
    """
    from em2cryo_assets.learning.unet import unet
    from em2cryo_assets.learning.weights import load_weights
    from em2cryo_assets.sem.mask_decoding import network_labels
    from em2cryo_assets.sem.mask_network import MAPS
    from em2cryo_assets.sem.region_selection import select_cells

    net = unet(2, len(MAPS))
    load_weights(weights, net)

    def network(field: Field) -> Labels:
        return network_labels(field.image.astype(np.float32), WORKING_NM, net=net)

    def regions(field: Field) -> Labels:
        # The baseline searches at 40 nm; on pixels half as wide it is at its best.
        fine = ndimage.zoom(field.image.astype(np.float32), 2, order=1, grid_mode=True, mode="nearest")
        return np.ascontiguousarray(select_cells(fine, WORKING_NM / 2)[::2, ::2])

    segmenters: dict[str, Callable[[Field], Labels]] = {"network": network, "regions": regions}
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(fields), size=(_DRAWS, len(fields)))
    rows = []
    for name, segment in segmenters.items():
        tables = [field_scores(field, segment(field)) for field in fields]
        for (figure, threshold), sums in _sums(tables).items():
            value = _ratio(sums.sum(axis=0))
            drawn = _ratio(sums[draws].sum(axis=1))
            drawn = drawn[np.isfinite(drawn)]  # a figure of which there is none in any field has no interval
            low, high = np.percentile(drawn, (2.5, 97.5)) if drawn.size else (np.nan, np.nan)
            rows.append((name, figure, threshold, float(value), float(low), float(high), int(sums[:, 1].sum())))
    return pd.DataFrame(rows, columns=["segmenter", "figure", "threshold", "value", "low", "high", "n"])


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def _sums(tables: Sequence[pd.DataFrame]) -> dict[tuple[str, float], NDArray[np.float64]]:
    """Numerator and denominator (fields, 2) of each figure."""
    out: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for table in tables:
        real, extra = table[table["kind"] != "extra"], table[table["kind"] == "extra"]
        out.setdefault(("mean IoU", 0.0), []).append((float(real["iou"].sum()), len(real)))
        for t in THRESHOLDS:
            found = int((real["iou"] >= t).sum())
            wrong = int((extra["iou"] < t).sum())
            out.setdefault(("recall", t), []).append((found, len(real)))
            out.setdefault(("precision", t), []).append((found, found + wrong))
            out.setdefault(("F1", t), []).append((2 * found, found + wrong + len(real)))
            for kind in ("clear", "deep"):
                some = real[real["kind"] == kind]
                out.setdefault((f"recall of {kind} cells", t), []).append((int((some["iou"] >= t).sum()), len(some)))
    return {key: np.array(values, np.float64) for key, values in out.items()}
