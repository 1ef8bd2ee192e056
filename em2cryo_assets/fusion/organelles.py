"""Place organelles inside a cell: a seeded hard-core process on a coarse grid, bodies as closed forms.

Belongs here: the form of one organelle, how many there are, where they go, and their exact evaluation at any
point. Does not belong here: volumes, densities, chunks (`fusion.volume`), estimating sizes (`tem.atlas`).

A body is a capsule (two ends and a radius) cut by the *clearance*: the distance to the plasma membrane and
to all bodies placed before, less a gap. Bodies therefore never overlap or leave the cell by construction,
and large ones flatten against their neighbours as vacuoles and nuclei do, instead of failing to fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Body", "Demand", "body_distance", "body_window", "place_bodies"]

_GAP_NM = 30.0
"""Cytoplasm left between neighbours: a ribosome's width, below which sections show contact."""
_REACH_NM = 400.0
"""How far a body takes room from others, beyond its surface."""
_MITOCHONDRION_ASPECT = 4.0
_MOST_BODIES = {"nucleus": 1, "vacuole": 4, "mitochondrion": 24, "lipid_droplet": 40}
_CANDIDATES = 24


@dataclass(frozen=True)
class Body:
    """One organelle, a capsule.

    Parameters
    ----------
    label : str
        Organelle name.
    start_nm, stop_nm : tuple of float
        Ends of its axis, (z, y, x); equal for a sphere.
    radius_nm : float
        Radius about the axis, before it is cut by the clearance.
    """

    label: str
    start_nm: tuple[float, float, float]
    stop_nm: tuple[float, float, float]
    radius_nm: float


@dataclass(frozen=True)
class Demand:
    """How much of one organelle a cell is to hold.

    Parameters
    ----------
    label : str
        Organelle name.
    volume_nm3 : float
        Total volume.
    width_nm : float
        Typical diameter of one body (of a tube, across).
    part : int
        Mother (1) or bud (2) that it is placed in.
    """

    label: str
    volume_nm3: float
    width_nm: float
    part: int = 1


def body_distance(
    body: Body,
    clearance_nm: NDArray[np.floating],
    z: NDArray[np.floating],
    y: NDArray[np.floating],
    x: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Lower bound of the signed distance to a body, nm, negative inside; broadcasts over z, y, x.

    Parameters
    ----------
    body : Body
        What is evaluated.
    clearance_nm : numpy.ndarray
        Distance to the membrane and to every body placed before, nm, positive where free.
    z, y, x : numpy.ndarray
        Positions, nm, broadcastable to the clearance.
    """
    return np.maximum(_axis_distance(body, z, y, x) - np.float32(body.radius_nm), _GAP_NM - clearance_nm).astype(
        np.float32
    )


def _axis_distance(
    body: Body, z: NDArray[np.floating], y: NDArray[np.floating], x: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Distance to the axis of a capsule."""
    start = np.array(body.start_nm)
    axis = np.array(body.stop_nm) - start
    dz, dy, dx = (np.asarray(c - s, np.float32) for c, s in zip((z, y, x), start, strict=True))
    length2 = float(axis @ axis)
    if length2 < 1e-6:  # shorter than a picometre: a sphere, and its square would vanish in single precision
        return np.sqrt(dz**2 + dy**2 + dx**2)
    a = axis.astype(np.float32)
    t = np.clip((dz * a[0] + dy * a[1] + dx * a[2]) / np.float32(length2), 0, 1)
    return np.sqrt((dz - t * a[0]) ** 2 + (dy - t * a[1]) ** 2 + (dx - t * a[2]) ** 2)


def body_window(body: Body, axes_nm: Sequence[NDArray[np.float64]]) -> tuple[slice, slice, slice]:
    """Voxels of a grid that a body can change: farther than 400 nm beyond its surface all keep what they were."""
    reach = body.radius_nm + _REACH_NM
    spans = [
        np.searchsorted(axis, [min(a, b) - reach, max(a, b) + reach])
        for axis, a, b in zip(axes_nm, body.start_nm, body.stop_nm, strict=True)
    ]
    first, second, third = (slice(int(low), int(high)) for low, high in spans)
    return first, second, third


def place_bodies(
    depth_nm: NDArray[np.floating],
    axes_nm: Sequence[NDArray[np.float64]],
    demands: Sequence[Demand],
    preference: dict[str, NDArray[np.float64]],
    parts: NDArray[np.uint8],
    rng: np.random.Generator,
) -> tuple[list[Body], list[str]]:
    """Draw one arrangement of organelles.

    Large kinds first; each body goes to the best of a few positions drawn by ``preference`` among those
    where it fits (or comes nearest to fitting). A body that would be cut gets the radius at which its cut
    volume is right.

    Parameters
    ----------
    depth_nm : numpy.ndarray, shape (z, y, x)
        Depth below the plasma membrane on a coarse grid, positive inside.
    axes_nm : three arrays
        Voxel centres of that grid along z, y, x.
    demands : sequence of Demand
        In order of placement.
    preference : dict of str to numpy.ndarray
        Relative weight of twenty bins of depth / inradius of the part for each label.
    parts : numpy.ndarray, uint8, shape (z, y, x)
        Mother and bud (`fusion.budding`): the middle of each body lies in the part that its demand names.
    rng : numpy.random.Generator
        Source of all chance.

    Returns
    -------
    bodies : list of Body
        In order of placement, which `body_distance` relies on.
    fallbacks : list of str
        What could not be placed as asked.
    """
    z, y, x = (
        a.astype(np.float32).reshape(s) for a, s in zip(axes_nm, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    voxel_nm3 = float(np.prod([a[1] - a[0] for a in axes_nm]))
    clearance = np.array(depth_nm, dtype=np.float32)  # a copy: what is placed is taken out of it
    numbers = range(1, int(parts.max(initial=0)) + 1)
    relative = np.zeros(depth_nm.shape, np.float32)
    for number in numbers:
        mine = parts == number
        relative[mine] = depth_nm[mine] / max(float(depth_nm[mine].max()), 1.0)
    bodies: list[Body] = []
    fallbacks: list[str] = []
    for demand in demands:
        if demand.volume_nm3 <= 0:
            continue
        weights = preference.get(demand.label, np.ones(20))
        bins = np.clip((relative * len(weights)).astype(np.int8), 0, len(weights) - 1)
        mine = parts == demand.part
        if not mine.any():
            fallbacks.append(f"{demand.label}: no room for any in this shape.")
            continue
        left = demand.volume_nm3
        shapes = _shapes(demand)
        for index, (length, radius) in enumerate(shapes):
            wanted = left / (len(shapes) - index)
            # The body keeps its proportions when the volume it has to make up for differs from its share.
            scale = (wanted / _capsule_volume(length, radius)) ** (1 / 3)
            length, radius = length * scale, radius * scale
            start, stop = _position(clearance, mine, bins, weights, axes_nm, length, radius, rng)
            body = Body(demand.label, start, stop, radius)
            body, volume = _fitted(body, wanted, clearance, z, y, x, voxel_nm3)
            if volume > 0:
                bodies.append(body)
                window = body_window(body, axes_nm)
                free = clearance[window]
                near = body_distance(body, free, z[window[0]], y[:, window[1]], x[:, :, window[2]])
                clearance[window] = np.minimum(free, near)
            left -= volume
        if left > 0.05 * demand.volume_nm3:
            fallbacks.append(
                f"{demand.label}: only {1 - left / demand.volume_nm3:.0%} of its volume found room in this shape."
            )
    return bodies, fallbacks


def _capsule_volume(length: float, radius: float) -> float:
    """Volume of a cylinder with two half spheres."""
    return np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3


def _shapes(demand: Demand) -> list[tuple[float, float]]:
    """Axis length and radius of each body: as many bodies of the typical width as the volume holds."""
    radius = max(demand.width_nm / 2, 40.0)
    length = 2 * radius * (_MITOCHONDRION_ASPECT - 1) if demand.label == "mitochondrion" else 0.0
    if demand.label == "nucleus":
        # One nucleus whatever the sections say about its size: cells in mitosis are not modelled.
        return [(0.0, (demand.volume_nm3 * 3 / 4 / np.pi) ** (1 / 3))]
    count = round(demand.volume_nm3 / _capsule_volume(length, radius))
    count = int(np.clip(count, 1, _MOST_BODIES[demand.label]))
    return [(length, radius)] * count


def _position(
    clearance: NDArray[np.float32],
    mine: NDArray[np.bool_],
    bins: NDArray[np.int8],
    weights: NDArray[np.float64],
    axes_nm: Sequence[NDArray[np.float64]],
    length: float,
    radius: float,
    rng: np.random.Generator,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Choose the ends of the axis: the roomiest of a few draws."""
    need = radius + _GAP_NM
    room = mine & (clearance >= need)
    if not room.any():
        # Nowhere does it fit whole: the roomiest fifth, and the cut form does the rest.
        room = mine & (clearance >= 0.8 * float(clearance[mine].max(initial=-np.inf)))
    candidates = np.flatnonzero(room)
    weight = weights[bins.ravel()[candidates]] + 1e-6
    drawn = candidates[rng.choice(len(candidates), size=_CANDIDATES, p=weight / weight.sum())]
    directions = rng.normal(size=(_CANDIDATES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    jitter = rng.uniform(-0.5, 0.5, size=(_CANDIDATES, 3))
    origin = np.array([a[0] for a in axes_nm])
    step = np.array([a[1] - a[0] for a in axes_nm])
    centre = np.stack(np.unravel_index(drawn, clearance.shape), axis=1)
    half = directions * length / 2
    if length == 0:
        chosen = 0
    else:
        along = np.linspace(-1, 1, 5)
        points = centre[:, None, :] + (along[None, :, None] * half[:, None, :]) / step
        index = np.clip(np.rint(points).astype(int), 0, np.array(clearance.shape) - 1)
        tightest = clearance[tuple(np.moveaxis(index, -1, 0))].min(axis=1)
        fits = np.flatnonzero(tightest >= need)
        chosen = int(fits[0]) if len(fits) else int(np.argmax(tightest))
    middle = origin + (centre[chosen] + jitter[chosen]) * step
    start, stop = middle - half[chosen], middle + half[chosen]
    return (
        (float(start[0]), float(start[1]), float(start[2])),
        (float(stop[0]), float(stop[1]), float(stop[2])),
    )


def _fitted(
    body: Body,
    wanted_nm3: float,
    clearance: NDArray[np.float32],
    z: NDArray[np.float32],
    y: NDArray[np.float32],
    x: NDArray[np.float32],
    voxel_nm3: float,
) -> tuple[Body, float]:
    """Set the radius at which what the clearance leaves of the body has the wanted volume."""
    # The window holds three radii around the axis: what is cut off may have to be made up elsewhere.
    reach = 2.2 * body.radius_nm
    window = tuple(
        slice(
            int(np.searchsorted(c.ravel(), min(a, b) - reach)),
            max(1, int(np.searchsorted(c.ravel(), max(a, b) + reach))),
        )
        for c, a, b in zip((z, y, x), body.start_nm, body.stop_nm, strict=True)
    )
    free = clearance[window]
    distance = _axis_distance(body, z[window[0]], y[:, window[1]], x[:, :, window[2]])
    near = distance <= body.radius_nm
    if near.any() and free[near].min() > _GAP_NM + 0.5 * voxel_nm3 ** (1 / 3):
        return body, wanted_nm3  # whole: its closed form is exact, the coarse grid is not
    inside = np.sort(distance[free > _GAP_NM])
    count = wanted_nm3 / voxel_nm3
    if len(inside) < 2 or count < 1:
        return body, wanted_nm3 if near.any() and free[near].min() > _GAP_NM else 0.0
    position = min(round(count), len(inside) - 1)
    radius = float(inside[position])
    radius = min(radius, reach)
    volume = float(np.count_nonzero(inside < radius)) * voxel_nm3
    return Body(body.label, body.start_nm, body.stop_nm, radius), volume
