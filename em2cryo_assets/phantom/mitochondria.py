"""Mitochondria of a simulated cell: branched tubes that run below the cortex.

Belongs here: their shape and growth. Does not belong here: what else is in the way (`organelles`), density.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.phantom.body import Body, columns
from em2cryo_assets.phantom.priors import PRIORS, draw

__all__ = ["FAR_NM", "Room", "Tube", "branched", "grow_tube"]

FloatArray = NDArray[np.float64]
Room = Callable[[FloatArray, float], FloatArray]
"""Distance from points (N, 3) to the nearest thing in the way, (N,), nm; it may stop counting at the second argument."""

FAR_NM = 1e6
"""Stands for any distance that does not matter."""
_STEP_NM = 220.0
_LEAST_NODES = 4


@dataclass(frozen=True)
class Tube:
    """A mitochondrion: all points within a radius of a chain of segments and of the chains that leave it.

    Parameters
    ----------
    nodes_nm : numpy.ndarray, shape (K, 3)
        Ends of the segments, K >= 2.
    radius_nm : float
        Half width.
    branches_nm : tuple of numpy.ndarray, each of shape (M, 3)
        More chains; the first node of each is one of `nodes_nm`.
    """

    nodes_nm: FloatArray
    radius_nm: float
    branches_nm: tuple[FloatArray, ...] = ()

    @property
    def chains_nm(self) -> tuple[FloatArray, ...]:
        """The trunk and all branches."""
        return (self.nodes_nm, *self.branches_nm)

    def distance(self, zyx_nm: FloatArray, margin_nm: float) -> tuple[FloatArray, FloatArray]:
        """Signed distance and position along the chain.

        Parameters
        ----------
        zyx_nm : numpy.ndarray, shape (3, N)
            Positions.
        margin_nm : float
            Points farther than this from the tube may be given a large distance instead of theirs.

        Returns
        -------
        distance : numpy.ndarray, shape (N,)
            Negative inside, nm.
        along : numpy.ndarray, shape (N,)
            Arc length from the first node of its chain to the closest point, nm.
        """
        distance = np.full_like(zyx_nm[0], FAR_NM)
        along = np.zeros_like(distance)
        if not distance.size:
            return distance, along
        reach = self.radius_nm + margin_nm
        # Points come in blocks: segments that do not pass theirs are left out before any point is looked at.
        low, high = zyx_nm.min(axis=1) - reach, zyx_nm.max(axis=1) + reach
        for chain in self.chains_nm:
            start = 0.0
            for a, b in pairwise(chain):
                length = float(np.linalg.norm(b - a))
                if (np.maximum(a, b) >= low).all() and (np.minimum(a, b) <= high).all():
                    _closer(zyx_nm, a, b, start, length, reach, self.radius_nm, distance, along)
                start += length
        return distance, along


def _closer(
    zyx_nm: FloatArray,
    a: FloatArray,
    b: FloatArray,
    start: float,
    length: float,
    reach: float,
    radius: float,
    distance: FloatArray,
    along: FloatArray,
) -> None:
    """Update distance and position where this segment is the closest so far."""
    inside = np.ones(distance.shape, dtype=bool)
    for axis in range(3):
        inside &= zyx_nm[axis] > float(min(a[axis], b[axis])) - reach
        inside &= zyx_nm[axis] < float(max(a[axis], b[axis])) + reach
    near = np.flatnonzero(inside)
    if not near.size:
        return
    direction = [float(v) for v in (b - a)]
    p = [zyx_nm[axis][near] - float(a[axis]) for axis in range(3)]
    share = np.clip((p[0] * direction[0] + p[1] * direction[1] + p[2] * direction[2]) * (1.0 / length**2), 0.0, 1.0)
    way = [p[axis] - share * direction[axis] for axis in range(3)]
    gap = np.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]) - radius
    closer = gap < distance[near]
    chosen = near[closer]
    distance[chosen], along[chosen] = gap[closer], start + share[closer] * length


def grow_tube(body: Body, room: Room, cortex_depth_nm: float, rng: np.random.Generator) -> Tube | None:
    """Grow a chain below the cortex, as yeast mitochondria run.

    Parameters
    ----------
    body : Body
        Outer surface.
    room : Room
        Distance to what is in the way.
    cortex_depth_nm : float
        Depth of the inner face of the plasma membrane below the outer surface.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Tube or None
        None where no room was found.
    """
    gap = PRIORS["gap"].mean
    radius, length = draw("mitochondrion_radius", rng), draw("mitochondrion_length", rng)
    reach = radius + gap
    starts = rng.normal(size=(32, 3))
    starts *= body.half_extent_nm() / np.linalg.norm(starts, axis=1, keepdims=True)
    starts = _sink(body, starts, -(cortex_depth_nm + reach + rng.uniform(10.0, 250.0, 32))).round(2)
    for start in starts[room(starts, reach) > reach][:6]:
        nodes, heading = [start], rng.normal(size=3)
        while len(nodes) * _STEP_NM < length:
            found = _step(body, nodes, heading, room, reach, cortex_depth_nm, None, rng)
            if found is None:
                break
            node, heading = found
            nodes.append(node)
        if len(nodes) >= _LEAST_NODES:
            return Tube(np.array(nodes), radius)
    return None


def branched(tube: Tube, body: Body, room: Room, cortex_depth_nm: float, rng: np.random.Generator) -> Tube:
    """Let the end of a tube grow from its side instead, so that it has a branch and keeps its length.

    Parameters
    ----------
    tube : Tube
        Without branches.
    body : Body
        Outer surface.
    room : Room
        Distance to what is in the way, the tube itself left out.
    cortex_depth_nm : float
        Depth of the inner face of the plasma membrane below the outer surface.
    rng : numpy.random.Generator
        Source of randomness; its state advances.

    Returns
    -------
    Tube
        The tube as it was where it is too short or its sides have no room.
    """
    nodes, reach = tube.nodes_nm, tube.radius_nm + PRIORS["gap"].mean
    wanted = round(len(nodes) * rng.uniform(0.2, 0.4))
    last = len(nodes) - wanted - 2
    if wanted < _LEAST_NODES - 1 or last < 2:
        return tube
    trunk = Tube(nodes, 0.0)
    for at in rng.permutation(np.arange(1, last)):
        for side in (1.0, -1.0):
            chain = [nodes[at]]
            heading = side * np.cross(body.gradient(nodes[at][None])[0], nodes[at + 1] - nodes[at - 1])
            while len(chain) <= wanted:
                found = _step(body, chain, heading, room, reach, cortex_depth_nm, trunk, rng)
                if found is None:
                    break
                node, heading = found
                chain.append(node)
            grown = len(chain) - 1
            if grown >= _LEAST_NODES - 1:
                return Tube(nodes[: len(nodes) - grown], tube.radius_nm, (np.array(chain),))
    return tube


def _step(
    body: Body,
    nodes: list[FloatArray],
    heading: FloatArray,
    room: Room,
    reach: float,
    cortex_depth_nm: float,
    trunk: Tube | None,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray] | None:
    """Next node of a chain and the heading there, out of six tries; None where all are barred."""
    gap = PRIORS["gap"].mean
    normal = body.gradient(nodes[-1][None])[0]
    turns = heading + 0.45 * np.linalg.norm(heading) * rng.normal(size=(6, 3))
    turns -= (turns @ normal)[:, None] * normal
    turns *= _STEP_NM / np.maximum(np.linalg.norm(turns, axis=1, keepdims=True), 1e-9)
    steps = _sink(body, nodes[-1] + turns, -(cortex_depth_nm + reach + rng.uniform(10.0, 120.0, 6)))
    share = np.linspace(0.25, 1.0, 4)[None, :, None]
    between = nodes[-1] + share * (steps[:, None] - nodes[-1])
    # The chain must not come back to itself either.
    own = np.linalg.norm(steps[:, None] - np.array(nodes)[None], axis=2)[:, :-2]
    free = np.all(room(between.reshape(-1, 3), reach).reshape(6, 4) > reach, axis=1)
    free &= np.all(own > 2 * reach - gap, axis=1)
    if trunk is not None:
        # A branch gets clear of its trunk within three steps.
        apart = min(0.75 * _STEP_NM * len(nodes), 2 * reach - gap)
        free &= trunk.distance(columns(steps), FAR_NM)[0] > apart
    if not free.any():
        return None
    first = int(np.argmax(free))
    # Whole hundredths of a nm: else what two processors round differently would grow from step to step.
    return steps[first].round(2), turns[first].round(2)


def _sink(body: Body, points: FloatArray, level_nm: FloatArray) -> FloatArray:
    """Move points along the gradient of the distance to given levels, (N, 3) and (N,) to (N, 3)."""
    for _ in range(4):
        error = body.distance(points, exact=False) - level_nm
        points = points - error[:, None] * body.gradient(points)
    return points
