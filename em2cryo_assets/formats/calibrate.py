"""Marks that a microscope burns into an image: the data bar below it and the scale bar in it.

Belongs here: finding them and measuring the scale bar in pixels.
Does not belong here: reading files (`formats.image`) or deciding which pixel size counts.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.formats.units import nm_per

__all__ = ["ScaleBar", "burnt_in", "find_data_bar", "find_scale_bar", "length_nm"]

_TALLEST_DATA_BAR: Final = 0.25
_LOWEST_DATA_BAR: Final = 12
_LEVELS: Final = 32
_FLAT_SHARE: Final = 0.4
"""Share of the background's grey in any row of a data bar: letters and lines leave at least half of it."""

_SMOOTHEST: Final = 0.008
"""SD of a data bar's background, of the grey range; JPEG leaves about 0.004, noise clipped at black 0.014."""

_SHORTEST_BAR: Final = 0.04
_THICKEST_BAR: Final = 1 / 8
_FLATTEST: Final = 0.06
"""SD along a burnt-in bar, of the grey range; streaks of charging vary more."""


@dataclass(frozen=True)
class ScaleBar:
    """A burnt-in scale bar.

    Parameters
    ----------
    y0, x0, y1, x1 : int
        Its bounding box, half-open, pixels.
    length_px : float
        Its length, to a fraction of a pixel.
    bright : bool
        White on dark, else black on white.
    """

    y0: int
    x0: int
    y1: int
    x1: int
    length_px: float
    bright: bool


def find_data_bar(pixels: NDArray[Any]) -> int:
    """Rows of a data bar at the bottom of an image.

    A data bar has one background grey in every row, or rows of one grey (its frame), and ends at a
    step across the whole image; a dark substrate fades into what lies on it.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (y, x)
        The image as recorded.

    Returns
    -------
    int
        0 without one.
    """
    height = pixels.shape[0]
    limit = int(height * _TALLEST_DATA_BAR)
    low, high = np.percentile(pixels, (0.05, 99.95))
    if limit <= _LOWEST_DATA_BAR or not high > low:
        return 0
    bottom = pixels[-limit:].astype(np.float64)[::-1]
    levels = np.clip((bottom - low) / (high - low) * _LEVELS, 0, _LEVELS - 1).astype(np.intp)
    background = int(np.bincount(levels[:_LOWEST_DATA_BAR].ravel()).argmax())
    share = (np.abs(levels - background) <= 1).mean(axis=1)  # two levels of room for the noise of a JPEG
    of_one_grey = np.ptp(levels, axis=1) <= 1
    outside = ~((share >= _FLAT_SHARE) | of_one_grey)
    rows = int(outside.argmax()) if outside.any() else limit
    if not _LOWEST_DATA_BAR <= rows < limit:
        return 0  # an edge artefact, or the image itself is flat
    ground = bottom[:rows][np.abs(levels[:rows] - background) <= 1]
    if float(ground.std()) > _SMOOTHEST * (high - low):
        return 0  # a dark ground clipped at black shares one level, but its noise shows
    steps = share[rows : rows + 8].mean() < 0.5 * float(np.median(share[:rows]))
    return rows if steps else 0


def find_scale_bar(pixels: NDArray[Any], excluded: NDArray[np.bool_] | None = None) -> ScaleBar | None:
    """Find the horizontal bar of a scale: the longest thin, even line at an end of the grey range.

    Both ``|--- 5 um ---|``, where the caption interrupts the line, and a plain bar are known.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (y, x)
        The image, data bar included: some microscopes draw the scale there.
    excluded : numpy.ndarray of bool, shape (y, x), optional
        Where not to look.

    Returns
    -------
    ScaleBar or None
        None where nothing looks like one.
    """
    low, high = _ends(pixels)
    if not high > low:
        return None
    scaled = (pixels.astype(np.float64) - low) / (high - low)
    found: list[ScaleBar] = []
    for bright in (False, True):
        # JPEG blurs a black bar of a few pixels up to a third of the range; half would join it to shadows.
        solid = scaled >= 0.75 if bright else scaled <= 0.25
        if excluded is not None:
            solid &= ~excluded
        bars = [bar for stack in _stacks(solid) if (bar := _bar_in(scaled, solid, stack, bright))]
        found += _joined(bars, solid)
    # The margin of the box around a bar is itself a thin, even line; the bar lies within its ends.
    margins = [bar for bar in found if any(_frames(bar, other) for other in found)]
    return max((bar for bar in found if bar not in margins), key=lambda bar: bar.length_px, default=None)


def burnt_in(pixels: NDArray[Any], bar: ScaleBar) -> NDArray[np.bool_]:
    """Pixels (y, x) covered by a scale bar, its box if it has one, and its caption."""
    low, high = _ends(pixels)
    scaled = (pixels.astype(np.float64) - low) / (high - low)
    covered = np.zeros(pixels.shape, dtype=bool)
    covered[max(0, bar.y0 - 3) : bar.y1 + 3, max(0, bar.x0 - 3) : bar.x1 + 3] = True
    reach = int(0.35 * bar.length_px)
    near = np.zeros_like(covered)
    near[max(0, bar.y0 - reach) : bar.y1 + reach, max(0, bar.x0 - reach // 4) : bar.x1 + reach // 4] = True
    # The box is the flat patch the bar stands in; letters stand beside the bar at the bar's own grey.
    patch, _ = ndimage.label((scaled <= 0.25 if bar.bright else scaled >= 0.9) & near)
    touching = np.unique(patch[covered & (patch > 0)])
    boxes = [box for box in ndimage.find_objects(np.isin(patch, touching).astype(int)) if box is not None]
    if boxes and not bar.bright:
        for box in boxes:
            covered[box] = True
        return ndimage.binary_dilation(covered, iterations=3)
    letters = (scaled >= 0.99 if bar.bright else scaled <= 0.01) & near
    for box in ndimage.find_objects(ndimage.label(ndimage.binary_dilation(letters, iterations=2))[0]):
        if box[0].stop - box[0].start < reach and box[1].stop - box[1].start <= 1.1 * bar.length_px:
            covered[box] = True
    return ndimage.binary_dilation(covered, iterations=3)


def length_nm(text: str) -> float:
    """Length of a caption such as ``"5 um"`` in nm.

    Raises
    ------
    ValueError
        If it is not a positive number with one of Å, nm, um, µm, mm.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*(Å|nm|um|µm|μm|mm)\s*", text)
    per = None if match is None else nm_per(match[2])
    if match is None or per is None or float(match[1].replace(",", ".")) <= 0:
        raise ValueError(f'{text!r} is not a length such as "5 um" or "200 nm".')
    return float(match[1].replace(",", ".")) * per


def _ends(pixels: NDArray[Any]) -> tuple[float, float]:
    return float(pixels.min()), float(pixels.max())


def _frames(outer: ScaleBar, inner: ScaleBar) -> bool:
    """Whether `outer` is the light margin above or below a dark bar, or the other way round."""
    apart = max(outer.y0 - inner.y1, inner.y0 - outer.y1)
    within = outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and inner.length_px < outer.length_px
    return outer.bright != inner.bright and within and apart <= 4


def _stacks(solid: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Boxes (y0, x0, y1, x1) of successive rows whose long solid runs begin and end alike."""
    width = solid.shape[1]
    change = np.diff(np.pad(solid, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, stops) = np.nonzero(change == 1), np.nonzero(change == -1)
    long = (stops - starts >= _SHORTEST_BAR * width) & (stops - starts <= 0.95 * width)
    done: list[tuple[int, int, int, int]] = []
    growing: list[tuple[int, int, int, int]] = []
    for row, start, stop in zip(rows[long].tolist(), starts[long].tolist(), stops[long].tolist(), strict=True):
        done += [box for box in growing if box[2] < row]
        growing = [box for box in growing if box[2] >= row]
        alike = [box for box in growing if box[2] == row and max(abs(box[1] - start), abs(box[3] - stop)) <= 2]
        if alike:
            growing.remove(alike[0])
            start, stop = max(start, alike[0][1]), min(stop, alike[0][3])
        growing.append((alike[0][0] if alike else row, start, row + 1, stop))
    return done + growing


def _bar_in(
    scaled: NDArray[np.float64], solid: NDArray[np.bool_], box: tuple[int, int, int, int], bright: bool
) -> ScaleBar | None:
    y0, x0, y1, x1 = box
    tall, wide = y1 - y0, x1 - x0
    if not 2 <= tall <= max(3, min(wide * _THICKEST_BAR, 0.04 * scaled.shape[0])):
        return None
    # A line has another grey on both sides; two rows away, because a JPEG blurs its edges.
    beside = [row for row in (y0 - 3, y1 + 2) if 0 <= row < len(scaled)]
    if len(beside) < 2 or any(solid[row, x0:x1].mean() > 0.5 for row in beside):
        return None
    profile = scaled[y0 + tall // 4 : y1 - tall // 4].mean(axis=0)
    if profile[x0 + 3 : x1 - 3].std() > _FLATTEST:
        return None
    inside = profile if bright else 1 - profile
    body = float(inside[x0 + 3 : x1 - 3].mean())
    left, right = _end(inside, x0, -1, body), _end(inside, x1 - 1, 1, body)
    if left is None or right is None:
        return None  # it has no ends: a horizontal edge of the picture
    return ScaleBar(y0, x0, y1, x1, right - left, bright)


def _joined(bars: list[ScaleBar], solid: NDArray[np.bool_]) -> list[ScaleBar]:
    """Bars, and for two alike in one line with something written between them, the whole."""
    joined = list(bars)
    for left in bars:
        for right in bars:
            gap = right.x0 - left.x1
            one_line = abs(left.y0 - right.y0) <= 1 and abs(left.y1 - right.y1) <= 1
            alike = 0.8 < left.length_px / right.length_px < 1.25
            if not (one_line and alike and 0 < gap < left.length_px + right.length_px):
                continue
            if not solid[left.y0 - 4 : left.y1 + 4, left.x1 + 2 : right.x0 - 2].any():
                continue  # nothing is written there: two separate lines
            ends = (left.length_px - (left.x1 - left.x0)) / 2 + (right.length_px - (right.x1 - right.x0)) / 2
            length = right.x1 - left.x0 + ends
            joined.append(ScaleBar(left.y0, left.x0, right.y1, right.x1, length, left.bright))
    return joined


def _end(inside: NDArray[np.float64], start: int, step: int, body: float) -> float | None:
    """Position where the profile falls to half, from the last solid pixel outward; None if it does not."""
    outward = inside[start : start + 5 * step : step] if start + 5 * step >= 0 else inside[start::step]
    beyond = float(outward.min())
    if body - beyond < 0.3:
        return None
    level = (body + beyond) / 2
    k = int(np.flatnonzero(outward < level)[0])
    if k == 0:
        return float(start)
    return start + step * (k - 1 + float((outward[k - 1] - level) / (outward[k - 1] - outward[k])))
