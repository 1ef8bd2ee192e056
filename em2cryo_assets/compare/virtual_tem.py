"""Virtual TEM: tomograms projected through a section's thickness, compared directly with TEM sections.

Belongs here: the projection, the layers of a cell's edge in a real or a virtual section, and both sides in one table
with controls. Does not belong here: the fit of layers (`cryoet.layers`), verdicts: no tolerance was laid down for any
of this, so every row is exploratory and none is judged.

Both sides cut the wall at some angle β, which widens it to w / cos β; smearing by t tan β blurs its edges about the same
middles and leaves their distance. Planes of sections are random, those of tomograms were chosen by a person, and
reconstructions show strongly inclined walls too upright and too narrow: so beside the walls as they are cut stand those
that random planes would have cut, from the thickness along the normal. The membrane is fitted at the second rise, so
the width is the spacing from the wall's outer face to the membrane. What stays different: resin shrinks, a stain is no
density.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.statistics import MIN_UNITS, Sample, binomial_interval, compare_means
from em2cryo_assets.cryoet.layers import WIDEST_NM, depth_map_nm, fit_layers, mean_profile
from em2cryo_assets.tem.stereology import mean_oblique_width
from em2cryo_assets.vocabulary import LABELS

__all__ = [
    "EDGE_COLUMNS",
    "RANDOM",
    "SECTION",
    "SINGLE",
    "VIRTUAL",
    "VirtualSection",
    "edge_row",
    "random_plane_row",
    "virtual_section",
    "virtual_sections",
    "virtual_tem_table",
]

SECTION: Final = "TEM section"
VIRTUAL: Final = "virtual section"
RANDOM: Final = "random planes"
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
    "reason",
)
"""``width_nm`` to ``permuted_in_order`` are NaN where undefined, and ``reason`` then says why."""

_EDGE: Final = [LABELS[name] for name in ("outside", "wall", "membrane", "cytoplasm")]
_HALF: Final = 0.5

_NAN: Final = float("nan")
_NO_EDGE: Final = "no wall borders on outside"
_ONLY_WALL: Final = "the cut runs along the wall and shows nothing else, so the wall has no width here"
_NOT_TWICE: Final = "the density does not rise twice from outside to inside"
_SQUEEZED: Final = "the knife shortened one direction, and one piece of wall does not say by how much it was thinned"


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
        If the slab has no planes, a size is not positive, or labels and density differ in shape.
    """
    count = _planes(density, labels, voxel_z_nm, thickness_nm)
    first = (len(density) - count) // 2
    return _projected(density, labels, slice(first, first + count), voxel_z_nm)


def virtual_sections(
    density: NDArray[np.floating], labels: NDArray[np.integer], voxel_z_nm: float, thickness_nm: float
) -> tuple[VirtualSection, ...]:
    """Cut a slab into as many sections as fit into it without sharing a plane.

    They share no noise, but they show one cell: they count as one unit.

    Parameters
    ----------
    density, labels, voxel_z_nm, thickness_nm
        As for `virtual_section`.

    Returns
    -------
    tuple of VirtualSection
        From small to large z, about the middle of the slab; one where the slab is thinner than a section.

    Raises
    ------
    ValueError
        As `virtual_section`.
    """
    count = _planes(density, labels, voxel_z_nm, thickness_nm)
    many = len(density) // count
    first = (len(density) - many * count) // 2
    starts = range(first, first + many * count, count)
    return tuple(_projected(density, labels, slice(start, start + count), voxel_z_nm) for start in starts)


def _planes(density: NDArray[np.floating], labels: NDArray[np.integer], voxel_z_nm: float, thickness_nm: float) -> int:
    """Planes that make up a section."""
    depth = len(density)
    if not (depth and voxel_z_nm > 0 and thickness_nm > 0):
        raise ValueError(f"A slab of {depth} planes of {voxel_z_nm} nm cannot be seen through {thickness_nm} nm.")
    if density.shape != labels.shape:
        raise ValueError(f"Labels have shape {labels.shape}, density {density.shape}.")
    return min(depth, max(1, round(thickness_nm / voxel_z_nm)))


def _projected(
    density: NDArray[np.floating], labels: NDArray[np.integer], kept: slice, voxel_z_nm: float
) -> VirtualSection:
    votes = np.stack([(labels[kept] == code).sum(axis=0) for code in range(len(LABELS))])
    return VirtualSection(
        density[kept].mean(axis=0, dtype=np.float64).astype(np.float32),
        votes.argmax(axis=0).astype(np.uint8),
        (kept.stop - kept.start) * voxel_z_nm,
    )


def edge_row(
    kind: str, key: str, unit: str, block: str, thickness_nm: float,
    density: NDArray[np.floating], labels: NDArray[np.integer], pixel_nm: float, *, stretch: float = 1.0, seed: int = 0,
) -> dict[str, object]:  # fmt: skip
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
    stretch : float
        What undoes the knife's compression in a width (`tem.compression.wall_stretch`); NaN where that is unknown, and
        widths with it.
    seed : int
        Of the permutation of depths.

    Returns
    -------
    dict
        `EDGE_COLUMNS`: ``width_nm`` from the first to the second rise of the mean density with depth and ``level``, the
        wall's share of the rise from outside to inside, both NaN where the density does not rise twice; ``in_order``
        1 where it does, else 0; ``permuted_in_order`` the same of depths at random, a control. Nothing is defined where no
        wall borders on outside, or where nothing but wall is cut.
    """
    codes = np.asarray(labels)
    body = codes != LABELS["outside"]
    start = (kind, key, unit, block, thickness_nm)
    if body.all() or not (codes == LABELS["wall"]).any():
        return _edge(*start, reason=_NO_EDGE)
    # Near a pole the fit would take any structure of so wide a wall for its inner face.
    if np.isin(codes, (LABELS["outside"], LABELS["wall"])).all():
        return _edge(*start, reason=_ONLY_WALL)
    sides = (thickness_nm, pixel_nm, pixel_nm)
    depth = depth_map_nm(body[None], sides)
    at, mean, weight = mean_profile(np.asarray(density, np.float64)[None], depth, np.isin(codes, _EDGE)[None])
    layers = fit_layers(at, mean, weight)
    in_order = layers is not None and layers.is_wall
    shuffled = np.random.default_rng(seed).permutation(len(at))
    fake = fit_layers(at, mean[shuffled], weight)
    orders = (float(in_order), float(fake is not None and fake.is_wall))
    if layers is None or not in_order:
        return _edge(*start, _NAN, _NAN, *orders, reason=_NOT_TWICE)
    level = (layers.wall - layers.outside) / (layers.inside - layers.outside)
    width = (layers.inner_nm - layers.outer_nm) * stretch
    return _edge(*start, width, level, *orders, reason="" if np.isfinite(stretch) else _SQUEEZED)


def random_plane_row(key: str, unit: str, thickness_nm: float, normal_nm: float) -> dict[str, object]:
    """Width at which random planes would have cut a wall whose thickness along the normal is known.

    Parameters
    ----------
    key, unit : str
        Tomogram and independent cell.
    thickness_nm : float
        Of a section, nm.
    normal_nm : float
        Thickness along the normal (`cryoet.arcs.wall_thickness`), nm; NaN where it was not measured.

    Returns
    -------
    dict
        `EDGE_COLUMNS`; the mean of the widths that the fit of layers can find (`tem.stereology.mean_oblique_width`).
    """
    width = mean_oblique_width(normal_nm, WIDEST_NM)
    reason = "" if np.isfinite(width) else "no thickness of the wall along its normal"
    return _edge(RANDOM, key, unit, "", thickness_nm, width, reason=reason)


def _edge(
    kind: str, key: str, unit: str, block: str, thickness_nm: float, width: float = _NAN, level: float = _NAN,
    in_order: float = _NAN, permuted: float = _NAN, *, reason: str = "",
) -> dict[str, object]:  # fmt: skip
    row = (kind, key, unit, block, thickness_nm, width, level, in_order, permuted, reason)
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
        side. The control of the projection is a single plane, that of the order permuted depths. Widths that random planes
        would have cut take the place of those that lamellae cut where these were not placed at random.
    """
    tem = _units(edges, SECTION)
    rows = []
    for kind, control in ((VIRTUAL, False), (SINGLE, True)):
        cryo = _units(edges, kind)
        rows.append(_means("wall_width", "nm", kind, tem["width_nm"], cryo["width_nm"], ratio=True, control=control))
        rows.append(_means("wall_level", "", kind, tem["level"], cryo["level"], ratio=False, control=control))
    turned = _units(edges, RANDOM)["width_nm"]
    rows.insert(1, _means("wall_width", "nm", RANDOM, tem["width_nm"], turned, ratio=True, control=False))
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
    counts = [(int((side >= _HALF).sum()), int(side.notna().sum())) for side in (tem, cryo)]
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


_LESS_OBLIQUE: Final = (
    "Tomograms show inclined walls narrower than they are cut, so this is not the difference of walls alone."
)
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
        spread = f"{said}: {100 * np.expm1(low):+.0f} to {100 * np.expm1(high):+.0f} % of the latter."
        return spread if kind == RANDOM else f"{spread} {_LESS_OBLIQUE}"
    return f"{said}: a difference of {low:+.2f} to {high:+.2f}."
