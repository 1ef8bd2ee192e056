"""What a fused volume may take, checked before anything is computed.

Belongs here: voxels and memory of a fused volume against what the study allows. Does not belong here: filling it.
"""

import numpy as np

from em2cryo_assets.fusion.plan import fused_grid
from em2cryo_assets.geometry.mesh import Mesh

__all__ = ["check_budget", "memory_gb"]

_BASE_GB = 0.7
_BYTES_A_VOXEL = 2.0
"""Measured: the features of a cell, which hold its labels and a mask of them, peak at 0.33 GB for 10 million voxels and at
2.40 GB for 1,024³; Dagster's imports come on top. Filling and writing 1,024³ voxels takes 0.85 GB."""


def memory_gb(voxels: float) -> float:
    """Peak memory of making and measuring a fused volume, GB, from above."""
    return _BASE_GB + _BYTES_A_VOXEL * voxels / 1e9


def check_budget(mesh: Mesh, voxel_nm: float, *, megavoxels: float, memory_limit_gb: float) -> None:
    """Refuse a fused volume beyond the study's budget.

    Parameters
    ----------
    mesh : Mesh
        The cell, nm.
    voxel_nm : float
        Voxel side that the study asks for.
    megavoxels : float
        Most voxels of one volume, millions.
    memory_limit_gb : float
        Most memory, GB.

    Raises
    ------
    ValueError
        Which budget is exceeded by how much, and the voxel that would fit both.
    """
    voxels = float(np.prod(fused_grid(mesh, voxel_nm).shape))
    room = min(megavoxels * 1e6, (memory_limit_gb - _BASE_GB) / _BYTES_A_VOXEL * 1e9)
    if voxels <= room:
        return
    needed = f"{voxels / 1e6:,.0f} million voxels and {memory_gb(voxels):.1f} GB of memory"
    allowed = f"fused_megavoxels = {megavoxels:g} and fused_memory_gb = {memory_limit_gb:g}"
    if room <= 0:
        raise ValueError(f"A fused volume takes {needed}, {allowed} allow none: raise fused_memory_gb.")
    fitting = voxel_nm
    while float(np.prod(fused_grid(mesh, fitting).shape)) > room:
        fitting = np.ceil(fitting * 1.02 * 10) / 10
    raise ValueError(
        f"At {voxel_nm:g} nm this cell takes {needed}; {allowed} allow less. It fits with fused_voxel_nm = {fitting:g}."
    )
