"""Tilt-series projection and weighted back-projection about one axis.

Belongs here: the geometry of a single-axis tilt series, its exact adjoint, and the weighting that turns
back-projection into a reconstruction. Does not belong here: what the microscope does to an image
(:mod:`em2cryo_assets.cryoet.transfer`), reading files, or alignment.

Conventions. Volumes are (z, y, x), tilt series (n, y, x). With the tilt axis along y, the voxel at (z, x),
measured from the geometric centre of the box (index (n - 1)/2), lands on the detector at
``u = x cos(tilt) + z sin(tilt)``; y is untouched. A projection is the line integral in voxel units, so
that at zero tilt it is the plain sum over z.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["back_project", "project"]

TiltAxis = Literal["y", "x"]


def project(
    volume: ArrayLike,
    tilts_deg: Sequence[float],
    tilt_axis: TiltAxis = "y",
    *,
    edges: Literal["empty", "continued"] = "empty",
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Project a volume into a tilt series of the same field.

    Every voxel is a box; its footprint on the detector is the trapezium that a tilted box casts, integrated
    over each pixel. So mass is conserved, nothing aliases, and :func:`back_project` with
    ``weighting="none"`` is the exact transpose.

    Parameters
    ----------
    volume : array_like, shape (z, y, x)
        Density, any real dtype, isotropic voxels.
    tilts_deg : sequence of float, length n
        Tilt angles in degrees, in any order, within [-90, 90].
    tilt_axis : {"y", "x"}
        The axis that the specimen turns about.
    edges : {"empty", "continued"}
        What lies beside the box. "continued" mirrors the volume outwards across the tilt axis, as a
        lamella that is wider than the field: without it tilted views run out of matter at their sides.
    device : str
        Torch device.

    Returns
    -------
    numpy.ndarray, float32, shape (n, y, x)
        Line integrals, in density times voxel side.

    Raises
    ------
    ValueError
        If the volume is not three-dimensional, is empty or not finite, or a tilt is out of range.
    """
    import torch

    tilts = _checked_tilts(tilts_deg)
    array = np.ascontiguousarray(_turned(_checked_stack(volume, "volume"), tilt_axis))
    depth, height, width = array.shape
    pad = 0
    if edges == "continued":
        steepest = np.deg2rad(min(float(np.abs(tilts).max()), 80.0))
        reach = 0.5 * width / np.cos(steepest) + 0.5 * depth * np.tan(steepest)
        pad = max(0, int(np.ceil(reach - 0.5 * width)) + 1)
        array = np.pad(array, ((0, 0), (0, 0), (pad, pad)), mode="symmetric")
    # (z, x, y): the sparse operator acts on (z, x) pairs, y rides along as columns.
    columns = torch.from_numpy(array.transpose(0, 2, 1).reshape(-1, height).copy()).to(device)
    out = torch.empty((len(tilts), width, height), dtype=torch.float32, device=device)
    for i, tilt in enumerate(tilts):
        operator = _operator(float(tilt), depth, width + 2 * pad, width, device, transpose=False)
        out[i] = torch.sparse.mm(operator, columns)
    return _turned(out.cpu().numpy().transpose(0, 2, 1), tilt_axis)


def back_project(
    tilt_series: ArrayLike,
    tilts_deg: Sequence[float],
    depth: int,
    tilt_axis: TiltAxis = "y",
    *,
    weighting: Literal["ramp", "none"] = "ramp",
    device: str = "cpu",
) -> NDArray[np.float32]:
    r"""Reconstruct a volume from a tilt series by (weighted) back-projection.

    With "ramp" each view is filtered across the tilt axis by :math:`\max(|k|\,\Delta\theta_i,\;
    \cos\theta_i / (n D))`, k in cycles per voxel, :math:`\Delta\theta_i` the share of angle that view i stands
    for in radians, D the depth. The first term is the ramp of filtered back-projection (Radermacher 1988, in
    *Electron Tomography*, ch. 8), which with views over 180 degrees returns the density itself. The floor
    answers what the ramp leaves out: in a slab of thickness D waves longer than about 2 D are seen by all n
    views at once (the overlap of Harauz and van Heel 1986, Optik 73:146), and with it the mean density of a
    slab survives.

    Nothing is assumed beside the detector: voxels within ``depth / 2 * tan(steepest tilt)`` of the field's sides
    miss some views near the faces. Where that matters, give a wider series and crop.

    Parameters
    ----------
    tilt_series : array_like, shape (n, y, x)
        Line integrals as :func:`project` gives them.
    tilts_deg : sequence of float, length n
        Tilt angles in degrees, order as in the series.
    depth : int
        Number of voxels along z to reconstruct.
    tilt_axis : {"y", "x"}
        The axis that the specimen turned about.
    weighting : {"ramp", "none"}
        "none" is the bare transpose of :func:`project`.
    device : str
        Torch device.

    Returns
    -------
    numpy.ndarray, float32, shape (depth, y, x)
        Density (``weighting="ramp"``) or the unweighted sum of smeared views.

    Raises
    ------
    ValueError
        If shapes and number of tilts disagree, values are not finite, or depth < 1.
    """
    import torch

    tilts = _checked_tilts(tilts_deg)
    if depth < 1:
        raise ValueError(f"depth must be at least one voxel, got {depth}.")
    array = _turned(_checked_stack(tilt_series, "tilt series"), tilt_axis)
    count, height, width = array.shape
    if count != len(tilts):
        raise ValueError(f"The tilt series has {count} views but {len(tilts)} tilts were given.")
    views = torch.from_numpy(np.ascontiguousarray(array)).to(device)
    if weighting == "ramp":
        views = _ramp_filtered(views, tilts, depth)
    views = views.transpose(1, 2).contiguous()
    out = torch.zeros((depth * width, height), dtype=torch.float32, device=device)
    for i, tilt in enumerate(tilts):
        out += torch.sparse.mm(_operator(float(tilt), depth, width, width, device, transpose=True), views[i])
    return _turned(out.reshape(depth, width, height).cpu().numpy().transpose(0, 2, 1), tilt_axis)


def _checked_tilts(tilts_deg: Sequence[float]) -> NDArray[np.float64]:
    tilts = np.asarray(tilts_deg, dtype=np.float64)
    if tilts.ndim != 1 or tilts.size == 0 or not np.isfinite(tilts).all() or np.abs(tilts).max() > 90:
        raise ValueError("tilts_deg must be a non-empty list of angles between -90 and 90 degrees.")
    return tilts


def _checked_stack(array: ArrayLike, name: str) -> NDArray[np.float32]:
    stack = np.asarray(array, dtype=np.float32)
    if stack.ndim != 3 or stack.size == 0:
        raise ValueError(f"The {name} must have three non-empty axes, got shape {stack.shape}.")
    if not np.isfinite(stack).all():
        raise ValueError(f"The {name} contains NaN or infinite values.")
    return stack


def _turned(stack: NDArray[np.float32], tilt_axis: TiltAxis) -> NDArray[np.float32]:
    """Swap y and x where the tilt axis is x; its own inverse."""
    if tilt_axis not in ("y", "x"):
        raise ValueError(f"tilt_axis must be 'y' or 'x', got {tilt_axis!r}.")
    return stack if tilt_axis == "y" else np.ascontiguousarray(stack.swapaxes(1, 2))


def _operator(tilt_deg: float, depth: int, width: int, pixels: int, device: str, *, transpose: bool) -> torch.Tensor:
    r"""Sparse matrix from (z, x) voxels to detector pixels, or its transpose.

    Entry (u, zx) is the overlap of pixel u with the trapezium cast by the voxel: the convolution of two boxes
    of widths |cos| and |sin|, whose running integral is piecewise quadratic.
    """
    import torch

    # Below 1e-3 the second difference of squares loses its digits; a box that narrow is a point anyway.
    cos = max(abs(np.cos(np.deg2rad(tilt_deg))), 1e-3)
    sin = max(abs(np.sin(np.deg2rad(tilt_deg))), 1e-3)
    x = np.arange(width) - 0.5 * (width - 1)
    z = np.arange(depth) - 0.5 * (depth - 1)
    centre = x * np.cos(np.deg2rad(tilt_deg)) + z[:, None] * np.sin(np.deg2rad(tilt_deg))
    centre = centre.ravel() + 0.5 * (pixels - 1)
    first = np.floor(centre - 0.5 * (cos + sin) + 0.5)
    # cos + sin <= sqrt 2, so a footprint never touches more than three pixels.
    pixel = first[:, None] + np.arange(3)
    edge = first[:, None] + np.arange(4) - 0.5 - centre[:, None]
    wide, narrow = 0.5 * (cos + sin), 0.5 * (cos - sin)

    def half_square(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * np.square(np.maximum(t, 0.0))

    running = half_square(edge + wide) - half_square(edge + narrow)
    running += half_square(edge - wide) - half_square(edge - narrow)
    weight = np.diff(running, axis=1) / (cos * sin)
    voxel = np.broadcast_to(np.arange(centre.size)[:, None], pixel.shape)
    keep = (pixel >= 0) & (pixel < pixels) & (weight > 1e-7)
    pair = (pixel[keep].astype(np.int64), voxel[keep].astype(np.int64))
    rows, columns = (pair[1], pair[0]) if transpose else pair
    order = np.lexsort((columns, rows))
    shape = (centre.size, pixels) if transpose else (pixels, centre.size)
    return torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows[order], columns[order]])),
        torch.from_numpy(weight[keep][order].astype(np.float32)),
        shape,
        is_coalesced=True,
        check_invariants=False,
    ).to(device)


def _angle_shares(tilts_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle in radians that each view stands for: half-way to its neighbours, repeated views share."""
    unique, inverse, counts = np.unique(np.round(tilts_deg, 4), return_inverse=True, return_counts=True)
    if unique.size == 1:
        return np.full(tilts_deg.size, np.pi / tilts_deg.size)
    gaps = np.diff(unique)
    share = 0.5 * (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]]))
    return np.deg2rad(share[inverse] / counts[inverse])


def _ramp_filtered(views: torch.Tensor, tilts_deg: NDArray[np.float64], depth: int) -> torch.Tensor:
    """Filter each view along x; the padding bridges the two edges linearly so that nothing rings."""
    import torch

    count, _, width = views.shape
    bridge = torch.linspace(0.0, 1.0, width + 2, dtype=torch.float32, device=views.device)[1:-1]
    padded = torch.cat([views, views[..., -1:] * (1 - bridge) + views[..., :1] * bridge], dim=-1)
    frequency = np.fft.rfftfreq(2 * width)
    cos = np.clip(np.cos(np.deg2rad(tilts_deg)), 0.0, None)
    ramp = np.maximum(frequency * _angle_shares(tilts_deg)[:, None], cos[:, None] / (count * depth))
    filtered = torch.fft.rfft(padded, dim=-1)
    filtered *= torch.from_numpy(ramp[:, None, :].astype(np.float32)).to(views.device)
    return torch.fft.irfft(filtered, n=2 * width, dim=-1)[..., :width]
