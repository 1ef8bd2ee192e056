"""Virtual TEM: tomograms projected through a section's thickness, compared directly with TEM sections.

Belongs here: the projection, the layers of a cell's edge in a real or a virtual section, and both sides in one table
with controls. Does not belong here: the fit of layers (`cryoet.layers`), verdicts: no tolerance was laid down for any
of this, so every row is exploratory and none is judged.

Both sides are cut at an angle to the wall that nobody chose, which widens the wall alike; what stays different is that a
person chose the field of a tomogram, that resin shrinks, and that a stain is no density.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.statistics import MIN_UNITS, Sample, binomial_interval, compare_means
from em2cryo_assets.cryoet.layers import depth_map_nm, fit_layers, mean_profile
from em2cryo_assets.vocabulary import LABELS

__all__ = ["EDGE_COLUMNS", "SECTION", "SINGLE", "VIRTUAL", "edge_row", "virtual_section", "virtual_tem_table"]

SECTION: Final = "TEM section"
VIRTUAL: Final = "virtual section"
SINGLE: Final = "single plane"
PERMUTED: Final = "permuted depth"

EDGE_COLUMNS: Final = (
    "kind",
    "key",
    "unit",
    "block",
    "thickness_nm",
    "width_nm",
    "level",
    "in_order",
    "permuted_in_order",
)

_EDGE: Final = [LABELS[name] for name in ("outside", "wall", "membrane", "cytoplasm")]
_HALF: Final = 0.5


@dataclass(frozen=True)
class VirtualSection:
    """What a section through a tomogram would have shown.

    Parameters
    ----------
    density : numpy.ndarray, float32, shape (y, x)
        Mean through the thickness.
    labels : numpy.ndarray, uint8, shape (y, x)
        The label that most of the thickness has; codes of `vocabulary.LABELS`.
    thickness_nm : float
        Through which was projected; less than was asked for where the slab is thinner.
    """

    density: NDArray[np.float32]
    labels: NDArray[np.uint8]
    thickness_nm: float


def virtual_section(
    density: NDArray[np.floating], labels: NDArray[np.integer], voxel_z_nm: float, thickness_nm: float
) -> VirtualSection:
    """Project the middle of a slab through a section's thickness.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        Planes that no beam damaged.
    voxel_z_nm : float
        Voxel side along z, nm.
    thickness_nm : float
        Of a TEM section; one plane at least is taken.

    Returns
    -------
    VirtualSection

    Raises
    ------
    ValueError
        If the slab has no planes, or a size is not positive.
    """
    depth = len(density)
    if not (depth and voxel_z_nm > 0 and thickness_nm > 0):
        raise ValueError(f"A slab of {depth} planes of {voxel_z_nm} nm cannot be seen through {thickness_nm} nm.")
    count = min(depth, max(1, round(thickness_nm / voxel_z_nm)))
    first = (depth - count) // 2
    kept = slice(first, first + count)
    votes = np.stack([(labels[kept] == code).sum(axis=0) for code in range(len(LABELS))])
    return VirtualSection(
        density[kept].mean(axis=0, dtype=np.float64).astype(np.float32),
        votes.argmax(axis=0).astype(np.uint8),
        count * voxel_z_nm,
    )


def edge_row(
    kind: str, key: str, unit: str, block: str, thickness_nm: float,
    density: NDArray[np.floating], labels: NDArray[np.integer], pixel_nm: float, *, seed: int = 0,
) -> dict[str, object] | None:  # fmt: skip
    """Layers of the cell's edge in one section, real or virtual: the same code for both.

    Parameters
    ----------
    kind : str
        `SECTION`, `VIRTUAL` or `SINGLE`.
    key, unit, block : str
        Image, independent cell and resin block; empty where not known.
    thickness_nm : float
        Through which was projected.
    density, labels : numpy.ndarray, shape (y, x)
        High where dense; codes of `vocabulary.LABELS`.
    pixel_nm : float
        Pixel side.
    seed : int
        Of the permutation of depths.

    Returns
    -------
    dict or None
        `EDGE_COLUMNS`: ``width_nm`` from the first to the second rise of the mean density with depth and ``level``, the
        wall's share of the rise from outside to inside, both NaN where the density does not rise twice; ``in_order``
        whether it does; ``permuted_in_order`` the same of depths at random, a control. None without a wall that borders
        on outside.
    """
    codes = np.asarray(labels)
    body = codes != LABELS["outside"]
    if body.all() or not (codes == LABELS["wall"]).any():
        return None
    sides = (thickness_nm, pixel_nm, pixel_nm)
    depth = depth_map_nm(body[None], sides)
    at, mean, weight = mean_profile(np.asarray(density, np.float64)[None], depth, np.isin(codes, _EDGE)[None])
    layers = fit_layers(at, mean, weight)
    in_order = layers is not None and layers.is_wall
    shuffled = np.random.default_rng(seed).permutation(len(at))
    fake = fit_layers(at, mean[shuffled], weight)
    width, level = float("nan"), float("nan")
    if layers is not None and in_order:
        width = layers.inner_nm - layers.outer_nm
        level = (layers.wall - layers.outside) / (layers.inside - layers.outside)
    row = (kind, key, unit, block, thickness_nm, width, level, in_order, fake is not None and fake.is_wall)
    return dict(zip(EDGE_COLUMNS, row, strict=True))


def virtual_tem_table(edges: pd.DataFrame) -> pd.DataFrame:
    """Both sides, quantity by quantity, over independent units.

    Parameters
    ----------
    edges : pandas.DataFrame
        `EDGE_COLUMNS`, as `edge_row` gives them.

    Returns
    -------
    pandas.DataFrame
        Columns of `compare.tables.VIRTUAL_TEM`. Intervals are of 95 %: Fieller's for the ratio of widths, Welch's for
        levels, Newcombe's way of combining those of Clopper and Pearson for shares; none with fewer than four units a
        side. The control of the projection is a single plane, that of the order permuted depths.
    """
    tem = _units(edges, SECTION)
    rows = []
    for kind, control in ((VIRTUAL, False), (SINGLE, True)):
        cryo = _units(edges, kind)
        rows.append(_means("wall_width", "nm", kind, tem["width_nm"], cryo["width_nm"], ratio=True, control=control))
        rows.append(_means("wall_level", "", kind, tem["level"], cryo["level"], ratio=False, control=control))
    virtual = _units(edges, VIRTUAL)
    rows.append(_shares(VIRTUAL, tem["in_order"], virtual["in_order"], control=False))
    rows.append(_shares(PERMUTED, tem["permuted_in_order"], virtual["permuted_in_order"], control=True))
    return pd.DataFrame(rows)


def _units(edges: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Means by unit: of sections, by block where there are enough; NaN where no image of the unit shows it."""
    mine = edges[edges["kind"] == kind] if len(edges) else pd.DataFrame(columns=list(EDGE_COLUMNS))
    columns = ["width_nm", "level", "in_order", "permuted_in_order"]
    unit = mine["unit"].where(mine["unit"] != "", mine["key"])
    if len(mine) and (mine["block"] != "").all() and mine["block"].nunique() >= MIN_UNITS:
        unit = mine["block"]
    return mine[columns].astype(float).groupby(unit.to_numpy(object)).mean()


def _means(
    quantity: str, unit: str, kind: str, tem: pd.Series, cryo: pd.Series, *, ratio: bool, control: bool
) -> dict[str, object]:
    a, b = (Sample.of(side.dropna().to_numpy(float)) for side in (tem, cryo))
    difference = low = high = float("nan")
    if min(a.n, b.n) >= MIN_UNITS:
        estimate = compare_means(a, b, ratio=ratio)
        difference, (low, high) = estimate.value, estimate.interval(0.05)
    scale = "ln ratio" if ratio else "difference"
    return _row(quantity, unit, kind, scale, (a.mean, b.mean, a.n, b.n), (difference, low, high), control=control)


def _shares(kind: str, tem: pd.Series, cryo: pd.Series, *, control: bool) -> dict[str, object]:
    """Share of units that show the layers in order in half of their images or more."""
    counts = [(int((side >= _HALF).sum()), len(side)) for side in (tem, cryo)]
    p, q = (hits / n if n else float("nan") for hits, n in counts)
    difference = low = high = float("nan")
    if min(n for _, n in counts) >= MIN_UNITS:
        (a, b), (c, d) = (binomial_interval(hits, n) for hits, n in counts)
        difference = p - q
        low, high = difference - float(np.hypot(p - a, d - q)), difference + float(np.hypot(b - p, q - c))
    estimates = (p, q, counts[0][1], counts[1][1])
    return _row("layers_in_order", "", kind, "difference", estimates, (difference, low, high), control=control)


def _row(
    quantity: str, unit: str, kind: str, scale: str, estimates: tuple[float, float, int, int],
    found: tuple[float, float, float], *, control: bool,
) -> dict[str, object]:  # fmt: skip
    tem, cryo, n_tem, n_cryo = estimates
    difference, low, high = found
    return {
        "quantity": quantity, "unit": unit, "compared": kind, "scale": scale, "control": control, "estimate_tem": tem,
        "estimate_cryo": cryo, "n_tem": n_tem, "n_cryo": n_cryo, "difference": difference, "low": low, "high": high,
        "sentence": _sentence(quantity, kind, estimates, found),
    }  # fmt: skip


_NAMES: Final = {
    "wall_width": "The wall as it is cut",
    "wall_level": "The wall's share of the rise in density from outside to inside",
    "layers_in_order": "Outside, wall and inside in this order of density, by share of units,",
}


def _sentence(
    quantity: str, kind: str, estimates: tuple[float, float, int, int], found: tuple[float, float, float]
) -> str:
    tem, cryo, n_tem, n_cryo = estimates
    if not n_tem or not n_cryo:
        return f"{_NAMES[quantity]} cannot be compared: no {'TEM section' if not n_tem else 'tomogram'} shows it."
    unit = " nm" if quantity == "wall_width" else ""
    digits = 0 if unit else 2
    said = (
        f"{_NAMES[quantity]} is {tem:.{digits}f}{unit} in {n_tem} units of TEM and {cryo:.{digits}f}{unit} in {n_cryo} "
        f"frozen-hydrated cells ({kind})"
    )
    _, low, high = found
    if not np.isfinite([low, high]).all():
        return f"{said}; with so few units there is no interval."
    if quantity == "wall_width":
        return f"{said}: {100 * np.expm1(low):+.0f} to {100 * np.expm1(high):+.0f} % of the latter."
    return f"{said}: a difference of {low:+.2f} to {high:+.2f}."
