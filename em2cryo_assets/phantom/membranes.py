"""What a membrane is made of when one looks closely: leaflets, the space between two membranes, pores.

Belongs here: how matter lies across a membrane and about a nuclear pore. Does not belong here: where membranes are
(`scene`, `organelles`), how dense they are (`contrast`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from em2cryo_assets.phantom.priors import PRIORS

__all__ = ["BILAYER", "ENVELOPE", "MERGED_NM", "Layering", "Pores", "draw_pores", "share_inside"]

FloatArray = NDArray[np.float64]

_LEAFLET, _CORE = PRIORS["leaflet_thickness"].mean, PRIORS["core_thickness"].mean
_UNIT_NM = 2.0 * _LEAFLET + _CORE

MERGED_NM: Final = _UNIT_NM
"""Samples this soft or softer show a membrane as one layer: a period of leaflets, 5.5 nm, has no contrast left
there, and every whole-cell volume and demo picture stays as fast as with plain layers. Each `Layering` has its own."""


def share_inside(distance: FloatArray, softness_nm: float) -> FloatArray:
    """Share of a small ball that lies at negative distance, linear over the softness."""
    return np.clip(0.5 - distance / softness_nm, 0.0, 1.0)


@dataclass(frozen=True)
class Layering:
    """Amount of matter by depth, relative to the layer's mean.

    Parameters
    ----------
    depths_nm : tuple of float
        Ends of the zones below the layer's outer face, the first 0, rising.
    amounts : tuple of float
        Of each zone, one fewer; their mean over depth is 1, so that finer sampling adds no mass.
    merged_nm : float
        Samples this soft or softer show one layer.
    """

    depths_nm: tuple[float, ...]
    amounts: tuple[float, ...]
    merged_nm: float

    def matter(self, distance: FloatArray, layer: FloatArray, softness_nm: float) -> FloatArray:
        """Matter about points.

        Parameters
        ----------
        distance : numpy.ndarray, shape (N,)
            Signed distance to the layer's outer face, nm, negative inside.
        layer : numpy.ndarray, shape (N,)
            Share of the layer as a plain one.
        softness_nm : float
            Width of the transition at an edge.

        Returns
        -------
        numpy.ndarray, shape (N,)
            1 is the layer's mean; `layer` itself from `merged_nm` on.
        """
        if softness_nm >= self.merged_nm:
            return layer
        out = np.zeros_like(layer)
        near = np.flatnonzero(layer)
        before = 0.0
        for depth, amount in zip(self.depths_nm, (*self.amounts, 0.0), strict=True):
            out[near] += (amount - before) * share_inside(distance[near] + depth, softness_nm)
            before = amount
        return out


def _layering(zones: list[tuple[float, float | None]], merged_nm: float) -> Layering:
    """Zones of (thickness, amount); those without an amount share what the others leave of the layer's matter."""
    total = sum(thickness for thickness, _ in zones)
    open_nm = sum(thickness for thickness, amount in zones if amount is None)
    rest = (total - sum(thickness * amount for thickness, amount in zones if amount is not None)) / open_nm
    depths = np.cumsum([0.0, *(thickness for thickness, _ in zones)])
    amounts = tuple(rest if amount is None else amount for _, amount in zones)
    return Layering(tuple(depths.tolist()), amounts, merged_nm)


def _unit(core: float) -> list[tuple[float, float | None]]:
    return [(_LEAFLET, None), (_CORE, core), (_LEAFLET, None)]


_SHOULDER_NM = 0.5 * (PRIORS["membrane_thickness"].mean - _UNIT_NM)
_LUMEN_NM = PRIORS["envelope_thickness"].mean - 2.0 * _UNIT_NM

# Amounts of cores, shoulders and lumen are assumed: a core as dense as lipid, shoulders as cytoplasm in ice
# (0.45 × 0.75 = 0.34 and 0.65 × 0.75 = 0.49 on the scale of `contrast`), a lumen a little lighter than cytoplasm.
# Leaflets get the rest, 1.7 and 1.8 times the mean.
BILAYER: Final = _layering([(_SHOULDER_NM, 0.65), *_unit(0.45), (_SHOULDER_NM, 0.65)], MERGED_NM)
"""One membrane within the layer of `membrane_thickness`."""
ENVELOPE: Final = _layering([*_unit(0.75), (_LUMEN_NM, 0.70), *_unit(0.75)], _LUMEN_NM)
"""Outer nuclear membrane, perinuclear space, inner nuclear membrane. One layer only from 15 nm on, the width of the
space: up to there a sample fits into it, and the membranes, 22.5 nm apart, are two lines."""


@dataclass(frozen=True)
class Pores:
    """Nuclear pores: round openings through both membranes, filled by a ring about a channel.

    Parameters
    ----------
    centres_nm : numpy.ndarray, float64, shape (P, 3)
        On the middle of the envelope, frame of the cell, (z, y, x).
    normals : numpy.ndarray, float64, shape (P, 3)
        Outward unit normals there.
    """

    centres_nm: FloatArray
    normals: FloatArray

    def opened(self, zyx_nm: FloatArray, matter: FloatArray, layer: FloatArray, softness_nm: float) -> FloatArray:
        """Matter of an envelope with its pores.

        Ring and channel together hold what the envelope in their place would: its mass stays.

        Parameters
        ----------
        zyx_nm : numpy.ndarray, shape (3, N)
            Points.
        matter, layer : numpy.ndarray, shape (N,)
            Matter of the envelope without pores, and its share as a plain layer.
        softness_nm : float
            Width of the transition at an edge.

        Returns
        -------
        numpy.ndarray, shape (N,)
            `matter` itself where samples are softer than an opening's radius: a pore then shows no more.
        """
        opening, channel = PRIORS["pore_radius"].mean, PRIORS["pore_channel_radius"].mean
        near = np.flatnonzero(layer)
        if softness_nm > opening or not near.size or not len(self.centres_nm):
            return matter
        reach = float(np.hypot(opening + softness_nm, PRIORS["envelope_thickness"].mean + softness_nm))
        points = zyx_nm.T[near]
        gap, nearest = cKDTree(self.centres_nm).query(points, distance_upper_bound=reach)
        found = np.flatnonzero(np.isfinite(gap))
        near, pore = near[found], nearest[found]
        along = np.einsum("ij,ij->i", points[found] - self.centres_nm[pore], self.normals[pore])
        radius = np.sqrt(np.maximum(np.square(gap[found]) - np.square(along), 0.0))
        in_opening, in_channel = (share_inside(radius - r, softness_nm) for r in (opening, channel))
        ring = (opening**2 - _CHANNEL * channel**2) / (opening**2 - channel**2)
        out = matter.copy()
        out[near] *= 1.0 - in_opening
        out[near] += layer[near] * (ring * (in_opening - in_channel) + _CHANNEL * in_channel)
        return out


_CHANNEL = 0.60
"""Matter in the channel: about as dense as the nucleus (assumed)."""


def draw_pores(
    centre_nm: FloatArray, rotation: FloatArray, semi_axes_nm: FloatArray, rng: np.random.Generator
) -> Pores:
    """Pores spread evenly over an ellipsoid's surface, none closer to another than the prior's spacing.

    Parameters
    ----------
    centre_nm, rotation, semi_axes_nm : numpy.ndarray
        Of the nucleus with its envelope, as in `organelles.Nucleus`.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Pores
    """
    middle = semi_axes_nm - 0.5 * PRIORS["envelope_thickness"].mean
    a, b, c = middle
    # Knud Thomsen's formula, within 1.1 %.
    p = 1.6075
    area_um2 = 4e-6 * np.pi * (((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3.0) ** (1.0 / p)
    wanted = round(PRIORS["pores"].mean * float(area_um2))
    directions = rng.normal(size=(12 * wanted, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Equal areas of the sphere become areas of the ellipsoid that grow with |direction / axes|.
    stretch = np.linalg.norm(directions / middle, axis=1)
    kept = directions[rng.random(len(directions)) < stretch / (1.0 / middle).max()]
    places, spacing = kept * middle, PRIORS["pore_spacing"].mean
    chosen: list[int] = []
    for i in range(len(places)):
        if len(chosen) == wanted:
            break
        if not chosen or np.linalg.norm(places[chosen] - places[i], axis=1).min() >= spacing:
            chosen.append(i)
    normals = kept[chosen] / middle
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    # `turned` takes the frame of the cell to the axes by rotation @ (p - centre).
    return Pores(places[chosen] @ rotation + centre_nm, normals @ rotation)
