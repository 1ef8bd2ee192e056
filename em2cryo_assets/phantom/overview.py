"""A medium-magnification map of vitrified cells: outlines in ice, or profiles in a lamella.

Belongs here: the two-dimensional frozen-hydrated overview with its truth. Does not belong here: tilt series
(`tilt_series`), stained sections (`tem`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.contrast import MATERIALS, density, jittered
from em2cryo_assets.phantom.counting import poisson_counts
from em2cryo_assets.phantom.planes import Plane, centred
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.texture import grain

__all__ = ["Overview", "overview"]

# Mean free paths for all scattering outside a small aperture (assumed): ice, and how much shorter for density 1.
_ICE_PATH_NM = 400.0
_DENSE_PATH_NM = 250.0


@dataclass(frozen=True)
class Overview:
    """A map and the truth about it.

    Parameters
    ----------
    counts : numpy.ndarray, float32, shape (y, x)
        Electrons a pixel: dark = dense, unlike the density of other simulated pictures.
    outlines : numpy.ndarray, uint16, shape (y, x)
        Number of the cell (1 first) that a pixel's beam meets, of several the deepest, 0 for ice; in a lamella
        the cell has to fill half its thickness.
    pixel_nm : float
        Pixel side.
    thickness_nm : float or None
        Of the lamella; None where whole cells lie in the ice.
    """

    counts: NDArray[np.float32]
    outlines: NDArray[np.uint16]
    pixel_nm: float
    thickness_nm: float | None


def overview(
    scenes: Sequence[Scene],
    planes: Sequence[Plane],
    centres_px: Sequence[tuple[float, float]],
    shape: tuple[int, int],
    pixel_nm: float,
    *,
    thickness_nm: float | None = None,
    ice_nm: float = 150.0,
    dose_e_per_nm2: float = 10.0,
    seed: int,
) -> Overview:
    """Image vitrified cells by transmission at medium magnification.

    Electrons are lost as exp(-path), a micrometre of cell and more lets next to none through: whole cells are black
    with a rim, and only their outlines can be measured. A lamella shows profiles.

    Parameters
    ----------
    scenes : sequence of Scene
        Cells.
    planes : sequence of Plane
        How each lies: its normal is the beam, its centre comes to lie at the pixel given; for a lamella it is the
        middle of the cut.
    centres_px : sequence of tuple of float
        (y, x) of each plane's centre in the picture.
    shape : tuple of int
        (y, x) pixels.
    pixel_nm : float
        Pixel side.
    thickness_nm : float, optional
        Thickness of the lamella; whole cells in a film of ice where absent.
    ice_nm : float
        Thickness of the film away from whole cells; it rises around them over about 400 nm.
    dose_e_per_nm2 : float
        Electrons that reach the specimen.
    seed : int
        Of ice and counts.

    Returns
    -------
    Overview

    Raises
    ------
    ValueError
        If the numbers of scenes, planes and centres differ.
    """
    rng = np.random.default_rng(seed)
    path = np.full(shape, (thickness_nm or ice_nm) / _ICE_PATH_NM)
    deepest = np.zeros(shape)
    outlines = np.zeros(shape, dtype=np.uint16)
    table = jittered("cryo", rng)
    per_nm = (table - table[0]) / _DENSE_PATH_NM
    for number, (scene, plane, centre) in enumerate(zip(scenes, planes, centres_px, strict=True), start=1):
        half = scene.body.half_extent_nm() + float(np.linalg.norm(plane.centre_nm))
        reach = int(np.ceil(half / pixel_nm)) + 1
        low = [max(0, round(c) - reach) for c in centre]
        high = [min(n, round(c) + reach + 1) for c, n in zip(centre, shape, strict=True)]
        if low[0] >= high[0] or low[1] >= high[1]:
            continue
        y, x = (np.asarray((np.arange(low[i], high[i]) - centre[i]) * pixel_nm, dtype=np.float64) for i in range(2))
        depth = thickness_nm if thickness_nm is not None else 2.0 * half
        step = min(depth, max(pixel_nm, 20.0))
        layers = max(1, int(np.ceil(depth / step)))
        matter, inside = np.zeros((len(y), len(x))), np.zeros((len(y), len(x)))
        for z in centred(layers, depth / layers):
            shares = scene.coverage(plane.points_nm(np.array([z]), y, x)[0], max(pixel_nm, step))
            matter += density(shares, per_nm) * depth / layers
            inside += (1.0 - shares[MATERIALS.index("outside")]) * depth / layers
        box = (slice(low[0], high[0]), slice(low[1], high[1]))
        path[box] += matter
        least = 0.5 * (step if thickness_nm is None else thickness_nm)
        ahead = (inside > least) & (inside > deepest[box])
        outlines[box][ahead] = number
        deepest[box] = np.maximum(deepest[box], inside)
    if thickness_nm is None:
        # Where a cell is, ice is as deep as the cell, and creeps up its sides.
        rise = ndimage.gaussian_filter(np.minimum(deepest, 1500.0), 400.0 / pixel_nm)
        path += np.maximum(rise, deepest) / _ICE_PATH_NM
    path *= 1.0 + 0.03 * grain(shape, min(shape) / 6.0, rng)
    electrons = dose_e_per_nm2 * pixel_nm**2 * np.exp(-np.maximum(path, 0.0))
    return Overview(poisson_counts(electrons, rng).astype(np.float32), outlines, pixel_nm, thickness_nm)
