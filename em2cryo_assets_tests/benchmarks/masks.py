"""How well cells are found: in a real crowded field with outlines drawn by hand, and in simulated ones held out.

The real field is for judging only; nothing is trained or tuned on it.
"""

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets_tests.benchmarks.figure import Figure

PIXEL_NM = 21.4
SCALES_NM = (46.0, 54.0, 64.0)
HELD_OUT_FIELDS = 12
HELD_OUT_FIRST = 900_000  # seeds that no training uses: trainings draw from 100,000 times their own seed

Image = NDArray[np.float32]
Masks = NDArray[np.int32]


def figures() -> Iterator[Figure]:
    """Real field at three scales and degraded, seconds, and F1 on simulated piles beside the baseline's."""
    field = real_field()
    if field is None:
        print("masks: EM2CRYO_REFERENCE_DATA is not set, so there is no real field", file=sys.stderr)
    else:
        yield from _real(*field)
    yield from _simulated()


def real_field() -> tuple[Image, NDArray[np.bool_], dict[str, NDArray[np.bool_]]] | None:
    """The real field, its burnt-in bar and the masks of its outlined cells; None where the data is missing."""
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder:
        return None
    from PIL import Image as Picture
    from skimage.draw import polygon2mask

    path = Path(folder) / "sem" / "saccharomyces_field.jpg"
    image = np.asarray(Picture.open(path).convert("L")).astype(np.float32)
    excluded = np.zeros(image.shape, bool)
    excluded[728:, 950:] = True
    cells = json.loads(path.with_name("saccharomyces_field_outlines.json").read_text())["cells"]
    return image, excluded, {k: polygon2mask(image.shape, np.array(p)[:, ::-1]) for k, p in cells.items()}


def best_overlaps(labels: Masks, outlines: dict[str, NDArray[np.bool_]]) -> dict[str, float]:
    """IoU of each outline with the label that fits it best."""
    out = {}
    for name, truth in outlines.items():
        near = [k for k in np.unique(labels[truth]).tolist() if k]
        out[name] = max(
            (float((truth & (labels == k)).sum() / (truth | (labels == k)).sum()) for k in near), default=0.0
        )
    return out


def degraded(image: Image) -> dict[str, tuple[Image, float]]:
    """The field as worse instruments and files would give it, with the pixel size of each."""
    from PIL import Image as Picture

    rng = np.random.default_rng(0)
    rows, columns = image.shape
    half = image[: rows // 2 * 2, : columns // 2 * 2].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
    with io.BytesIO() as file:
        Picture.fromarray(image.astype(np.uint8)).save(file, "JPEG", quality=30)
        jpeg = np.asarray(Picture.open(file)).astype(np.float32)

    def eight_bit(values: NDArray[np.floating]) -> Image:
        return np.clip(np.rint(values), 0, 255).astype(np.float32)

    return {
        "half resolution": (eight_bit(half), 2 * PIXEL_NM),
        "noise at SNR 3 (mean over SD)": (eight_bit(rng.normal(image, image.mean() / 3)), PIXEL_NM),
        "gamma 0.6": (eight_bit(255 * (image / 255) ** 0.6), PIXEL_NM),
        "gamma 1.6": (eight_bit(255 * (image / 255) ** 1.6), PIXEL_NM),
        "JPEG quality 30": (jpeg, PIXEL_NM),
        "half contrast": (eight_bit(64 + 0.5 * image), PIXEL_NM),
    }


def _real(image: Image, excluded: NDArray[np.bool_], outlines: dict[str, NDArray[np.bool_]]) -> Iterator[Figure]:
    from em2cryo_assets.sem.mask_network import WORKING_NM
    from em2cryo_assets.sem.masks import segment_cells
    from em2cryo_assets.sem.region_selection import select_cells

    segment_cells(image[:64, :64], PIXEL_NM)  # loads the weights
    started = time.perf_counter()
    labels = segment_cells(image, PIXEL_NM, excluded)
    yield Figure.at_most("cells of a real field of 1200 × 775", time.perf_counter() - started, "s", 10)
    old = np.array(list(best_overlaps(select_cells(image, PIXEL_NM, excluded), outlines).values()))
    new = np.array(list(best_overlaps(labels, outlines).values()))
    yield Figure.at_least("outlined real cells at IoU .75", int((new >= 0.75).sum()), "of 11", 11, (old >= 0.75).sum())
    yield Figure.at_least("outlined real cells at IoU .90", int((new >= 0.9).sum()), "of 11", 10, (old >= 0.9).sum())
    yield Figure.at_least("mean IoU of outlined real cells", float(new.mean()), "", 0.94, round(float(old.mean()), 4))
    yield Figure.at_most("pixels of the burnt-in bar with a cell", int((labels[excluded] > 0).sum()), "px", 0)
    for scale in SCALES_NM:
        # Told a pixel size that is off by the ratio, the network sees the field at another scale.
        scaled = segment_cells(image, PIXEL_NM * WORKING_NM / scale, excluded)
        found = sum(v >= 0.75 for v in best_overlaps(scaled, outlines).values())
        yield Figure.at_least(f"outlined real cells at IoU .75, seen at {scale:g} nm", found, "of 11", 11)
    for name, (worse, pixel) in degraded(image).items():
        step = round(pixel / PIXEL_NM)
        shape = worse.shape
        cut = {k: m[::step, ::step][: shape[0], : shape[1]] for k, m in outlines.items()}
        found = best_overlaps(segment_cells(worse, pixel, excluded[::step, ::step][: shape[0], : shape[1]]), cut)
        yield Figure.at_least(
            f"outlined real cells at IoU .75, {name}", sum(v >= 0.75 for v in found.values()), "of 11", 10
        )
    for factor in (0.1, 10.0):
        wrong = segment_cells(image, PIXEL_NM * factor, excluded)
        yield Figure.at_most(f"cells found with the pixel size times {factor:g}", int(wrong.max()), "cells", 3)


def _simulated() -> Iterator[Figure]:
    from em2cryo_assets.sem.mask_network import WEIGHTS
    from em2cryo_assets.sem.mask_scores import validation_table
    from em2cryo_assets.sem.mask_training import simulated_field

    fields = [simulated_field(HELD_OUT_FIRST + k, held_out=True) for k in range(HELD_OUT_FIELDS)]
    table = validation_table(fields, WEIGHTS)

    def value(segmenter: str, figure: str, threshold: float) -> float:
        row = table[(table["segmenter"] == segmenter) & (table["figure"] == figure) & (table["threshold"] == threshold)]
        return float(row["value"].iloc[0])

    wanted: list[tuple[str, float, float]] = [
        ("F1", 0.5, 0.85), ("F1", 0.75, 0.75), ("recall of clear cells", 0.75, 0.95), ("recall of deep cells", 0.5, 0.8)
    ]  # fmt: skip
    for figure, threshold, limit in wanted:
        name = f"held-out simulated piles, {figure} at IoU {threshold:g}"
        peer = round(value("regions", figure, threshold), 4)
        yield Figure.at_least(name, value("network", figure, threshold), "", limit, peer)
