"""Fused volumes, computed block by block when asked for.

Belongs here: lazy volumes of a plan: density, labels, source, uncertainty. Does not belong here: the plan
(`fusion.plan`), what one block holds (`fusion.blocks`), the warped section (`fusion.cutaway`), writing volumes.

Every block is a pure function of the plan and its place, so any scheduler gives the same bytes.
"""

import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.fusion.blocks import density_block, labels_block, uncertainty_block
from em2cryo_assets.fusion.plan import FusionPlan, homogeneous_plan
from em2cryo_assets.geometry.grid import Grid

__all__ = ["FusedVolume", "fuse", "homogeneous_interior"]

_CHUNK = 128
_KEPT_BYTES = 128 << 20
"""Compressed labels of blocks; those of 1,024³ voxels take about 40 MB. Writers ask for one volume after another, and
labels come with the density."""

_DENSITY, _LABELS, _SOURCE, _UNCERTAINTY = range(4)


@dataclass(frozen=True)
class FusedVolume:
    """Lazy volumes on one grid.

    Parameters
    ----------
    grid : Grid
        Voxels.
    density : dask.array.Array, float32, (z, y, x)
        z of cytoplasm as in the atlas: 0 cytoplasm, higher is denser.
    labels : dask.array.Array, uint8
        Codes of `vocabulary.LABELS`.
    source : dask.array.Array, uint8
        Codes of `vocabulary.SOURCES`: what decided a voxel's label.
    uncertainty : dask.array.Array, float32
        Entropy of the label over seeded arrangements of organelles and over wall thicknesses, bits.
    fallbacks : list of str
        What was assumed.
    """

    grid: Grid
    density: da.Array
    labels: da.Array
    source: da.Array
    uncertainty: da.Array
    fallbacks: list[str]


def fuse(plan: FusionPlan) -> FusedVolume:
    """Volumes of a plan, computed block by block when asked for.

    Parameters
    ----------
    plan : FusionPlan
        From `plan_fusion`.

    Returns
    -------
    FusedVolume
        Chunks of at most 128³; no block needs its neighbours.
    """
    chunks = tuple(_even_chunks(n) for n in plan.grid.shape)

    def array(part: int, dtype: Any) -> da.Array:
        # The name carries the plan's digest: dask may then share blocks and never mixes two plans.
        return da.map_blocks(
            _part,
            plan=plan,
            part=part,
            chunks=chunks,
            dtype=dtype,
            meta=np.empty((0, 0, 0), dtype),
            name=f"fused-{plan.digest}-{part}",
        )

    return FusedVolume(
        plan.grid,
        array(_DENSITY, np.float32),
        array(_LABELS, np.uint8),
        array(_SOURCE, np.uint8),
        array(_UNCERTAINTY, np.float32),
        list(plan.fallbacks),
    )


def homogeneous_interior(plan: FusionPlan) -> FusedVolume:
    """Make the control: same shape, wall, membrane and texture, nothing but cytoplasm inside."""
    return fuse(homogeneous_plan(plan))


def _even_chunks(length: int) -> tuple[int, ...]:
    """Pieces of equal length, at most 128: no slivers at the far end."""
    count = -(-length // _CHUNK)
    base, extra = divmod(length, count)
    return tuple(base + (i < extra) for i in range(count))


_kept: "OrderedDict[tuple[Any, ...], bytes]" = OrderedDict()
_lock = threading.Lock()


def _part(plan: FusionPlan, part: int, block_info: Any = None) -> NDArray[Any]:
    """One of a block's four arrays."""
    where = tuple((int(a), int(b)) for a, b in block_info[None]["array-location"])
    start, stop = tuple(a for a, _ in where), tuple(b for _, b in where)
    key = (plan.digest, where)
    if part == _UNCERTAINTY:
        return uncertainty_block(plan, start, stop)
    if part == _DENSITY:
        density, labels = density_block(plan, start, stop)
        _keep(key, labels)
        return density
    with _lock:
        found = _kept.get(key)
    if found is None:
        labels = labels_block(plan, start, stop)
        _keep(key, labels)
    else:
        shape = [b - a for a, b in where]
        labels = np.frombuffer(zlib.decompress(found), np.uint8).reshape(shape)
    return plan.recipe.sources[labels] if part == _SOURCE else labels


def _keep(key: tuple[Any, ...], labels: NDArray[np.uint8]) -> None:
    """Keep a block's labels, and drop the oldest beyond what may be kept."""
    packed = zlib.compress(np.ascontiguousarray(labels).data, 1)
    with _lock:
        _kept[key] = packed
        total = sum(map(len, _kept.values()))
        while total > _KEPT_BYTES:
            total -= len(_kept.popitem(last=False)[1])
