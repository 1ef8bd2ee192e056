"""Plots of numbers as inline SVG that follows the page's colours.

Belongs here: an interval against its margin, fractions with intervals, labels by depth. Does not
belong here: pictures of pixels (`figures`), tables of words (`tables`).
"""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from em2cryo_assets.colours import LABEL_COLOURS
from em2cryo_assets.report.words import DISTANCES, LABEL_WORDS
from em2cryo_assets.vocabulary import LABELS

__all__ = ["depth_chart", "fractions_chart", "interval_chart", "number"]

_REACH = 3.4  # margins shown on each side of zero


def number(value: Any, digits: int = 3) -> str:
    """Write a number with as many digits as it deserves, a dash where there is none.

    Parameters
    ----------
    value : object
        Usually a float.
    digits : int
        Significant digits.

    Returns
    -------
    str
        With a true minus sign.
    """
    if not _is_number(value):
        return "–"
    text = f"{float(value):.{digits}g}"
    if "e" in text and 1e-4 <= abs(float(value)) < 1e7:
        text = f"{float(value):.0f}"
    return text.replace("-", "−")


def interval_chart(row: Mapping[Any, Any]) -> str:
    """Draw a difference and its interval in units of the margin.

    The dark band is the margin ±δ, the light one ±2δ; of distances only the upper side counts, so there
    the bands reach to the left edge. What lies beyond the frame ends in an arrow.

    Parameters
    ----------
    row : mapping
        A row of the verdict table: `difference`, `low`, `high`, `margin`, `characteristic`.

    Returns
    -------
    str
        SVG; empty where there is no interval to draw.
    """
    margin: Any = row.get("margin")
    ends: tuple[Any, Any] = (row.get("low"), row.get("high"))
    if not (_is_number(margin) and float(margin) > 0 and any(map(_is_number, (*ends, row.get("difference"))))):
        return ""
    delta = float(margin)
    one_sided = row.get("characteristic") in DISTANCES

    def at(value: float) -> float:
        return 110 + max(-_REACH, min(_REACH, value / delta)) / _REACH * 104

    def left(times: int) -> float:
        return 4.0 if one_sided else at(-times * delta)

    parts = [
        f'<rect class="band2" x="{left(2):.1f}" y="3" width="{at(2 * delta) - left(2):.1f}" height="22"/>',
        f'<rect class="band1" x="{left(1):.1f}" y="3" width="{at(delta) - left(1):.1f}" height="22"/>',
        '<line class="zero" x1="110" x2="110" y1="0" y2="28"/>',
    ]
    if all(map(_is_end, ends)):
        low, high = float(ends[0]), float(ends[1])
        parts.append(f'<line class="span" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="14" y2="14"/>')
        parts += [_end(at(low), low / delta, -1), _end(at(high), high / delta, 1)]
    if _is_number(row.get("difference")):
        where = float(row["difference"])
        if abs(where / delta) <= _REACH:
            parts.append(f'<circle class="dot" cx="{at(where):.1f}" cy="14" r="4.4"/>')
    words = f"difference {number(row.get('difference'))}, interval {number(ends[0])} to {number(ends[1])}, "
    words += f"margin {'below ' if one_sided else '±'}{number(delta)}"
    return (
        f'<svg class="interval" viewBox="0 0 220 28" role="img" aria-label="{escape(words)}">'
        f"<title>{escape(words)}</title>{''.join(parts)}</svg>"
    )


def _end(x: float, in_margins: float, side: int) -> str:
    if abs(in_margins) > _REACH:
        if math.copysign(1, in_margins) != side:  # the whole interval lies beyond: the other end draws the arrow
            return ""
        tip = x + side * 5
        return f'<path class="tip" d="M{tip - side * 9:.1f} 8.5L{tip:.1f} 14L{tip - side * 9:.1f} 19.5"/>'
    return f'<line class="span" x1="{x:.1f}" x2="{x:.1f}" y1="9" y2="19"/>'


def fractions_chart(fractions: pd.DataFrame) -> str:
    """Draw the volume fractions of the atlas with their intervals.

    Parameters
    ----------
    fractions : pandas.DataFrame
        Columns `label` (name or code), `v_v`, and if known `low`, `high`.

    Returns
    -------
    str
        SVG; empty where there is nothing to draw.
    """
    rows = [row for row in fractions.to_dict("records") if _is_number(row.get("v_v"))]
    if not rows:
        return ""
    tops = [float(row[k]) for row in rows for k in ("v_v", "high") if _is_number(row.get(k))]
    top = max(max(tops), 1e-6) * 1.06
    step = _tick_step(top)
    x0, width, pitch = 128.0, 380.0, 26.0
    height = pitch * len(rows)

    def at(value: float) -> float:
        return x0 + value / top * width

    parts = []
    for tick in np.arange(0, top + 1e-12, step):
        parts.append(f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="4" y2="{height + 4:.0f}"/>')
        parts.append(f'<text x="{at(tick):.1f}" y="{height + 19:.0f}" text-anchor="middle">{100 * tick:g} %</text>')
    for index, row in enumerate(rows):
        y = 4 + pitch * (index + 0.5)
        name, value = _label_name(row["label"]), float(row["v_v"])
        colour = LABEL_COLOURS.get(name, "#888888")
        words = LABEL_WORDS[name].en if name in LABEL_WORDS else name
        parts.append(f'<text x="{x0 - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(words)}</text>')
        parts.append(
            f'<rect class="fill" x="{x0}" y="{y - 7:.1f}" width="{at(value) - x0:.1f}" height="14" '
            f'fill="{colour}"><title>{escape(words)} {100 * value:.1f} %</title></rect>'
        )
        if _is_number(row.get("low")) and _is_number(row.get("high")):
            low, high = at(max(float(row["low"]), 0)), at(float(row["high"]))
            parts.append(
                f'<path class="span" d="M{low:.1f} {y:.1f}H{high:.1f}'
                f'M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8"/>'
            )
    title = "Volume fractions of the atlas with their intervals"
    return _frame(x0 + width + 24, height + 26, title, parts)


def depth_chart(depth: pd.DataFrame) -> str:
    """Draw which label lies at which depth below the wall, as shares that add up to one.

    Parameters
    ----------
    depth : pandas.DataFrame
        Columns `s_bin` (depth over inradius, or the number of its bin), `label`, `p`.

    Returns
    -------
    str
        SVG; empty where there is nothing to draw.
    """
    if not {"s_bin", "label", "p"} <= set(depth.columns) or depth["p"].notna().sum() == 0:
        return ""
    share = depth.assign(label=[_label_name(one) for one in depth["label"]]).pivot_table(
        index="s_bin", columns="label", values="p", aggfunc="sum", fill_value=0.0, observed=True
    )
    share = share.loc[share.sum(axis=1) > 0]
    if len(share) < 2:
        return ""
    share = share.div(share.sum(axis=1), axis=0)
    order = [name for name in LABELS if name in share.columns and name != "outside"]
    positions = np.linspace(46, 446, len(share))
    base = np.zeros(len(share))
    parts, names = [], []
    for name in order:
        upper = base + share[name].to_numpy()
        edge = [f"{x:.1f},{174 - 160 * y:.1f}" for x, y in zip(positions, upper, strict=True)]
        edge += [f"{x:.1f},{174 - 160 * y:.1f}" for x, y in zip(positions[::-1], base[::-1], strict=True)]
        words = LABEL_WORDS[name].en
        parts.append(
            f'<polygon points="{" ".join(edge)}" fill="{LABEL_COLOURS[name]}"><title>{words}</title></polygon>'
        )
        middle = int(np.argmax(upper - base))
        if (upper - base)[middle] > 0.09:
            half = 4 * len(words) + 5  # about half its width: no name may leave the frame
            x = float(np.clip(positions[middle], positions[0] + half, positions[-1] - half))
            y = 178 - 80 * (upper + base)[middle]
            names.append(f'<text class="on" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{words}</text>')
        base = upper
    parts += names  # above all areas
    for tick in (0, 0.5, 1):
        parts.append(f'<text x="38" y="{178 - 160 * tick:.1f}" text-anchor="end">{100 * tick:g} %</text>')
    parts.append('<text x="46" y="194">wall</text><text x="446" y="194" text-anchor="end">centre of the cell</text>')
    return _frame(470, 202, "Share of each label by depth below the wall", parts)


def _frame(width: float, height: float, title: str, parts: list[str]) -> str:
    head = f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"


def _tick_step(top: float) -> float:
    decade = 10.0 ** math.floor(math.log10(top / 4))
    return min((step * decade for step in (1, 2, 5, 10)), key=lambda step: abs(top / step - 4.5))


def _label_name(label: Any) -> str:
    if isinstance(label, str):
        return label
    return next((name for name, code in LABELS.items() if code == label), str(label))


def _is_end(value: Any) -> bool:
    """Whether it ends an interval; a one-sided one ends at infinity."""
    try:
        return not math.isnan(float(value))
    except (TypeError, ValueError):
        return False


def _is_number(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        return False
