"""Frozen-hydrated matter: what of a cell lies in a lamella or a cryo-section, and a quick tomogram of it.

Belongs here: the slab that goes under the beam, with damage or compression, and `cryo_slab`.
Does not belong here: what the microscope adds (`tilt_series`), stained sections (`tem`), the cell.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.reconstruct import back_project, project
from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.planes import Plane, centred
from em2cryo_assets.phantom.protocol import Scene
from em2cryo_assets.phantom.section_flaws import compression_matrix
from em2cryo_assets.phantom.texture import textured

__all__ = ["Slab", "cryo_slab", "slab_labels", "slab_matter"]

Float32Array = NDArray[np.float32]

DAMAGE_NM = 30.0
"""Depth below each face of a lamella that the ion beam damages (Tuijtel 2023)."""
_LEAST_CONTRAST = 0.4


@dataclass(frozen=True)
class Slab:
    """How a slab is made of a vitrified cell.

    Parameters
    ----------
    kind : {"lamella", "cryo-section"}
        A lamella is damaged for 30 nm below each face and not deformed; a cryo-section is cut with a knife.
    compression : float
        Of a cryo-section: share by which lengths along the cut shrink, 0.3 to 0.6 usually (Studer and Gnaegi
        2000 describe how); the slab grows thicker by 1/(1 - compression).
    cutting_deg : float
        Direction of the cut from the picture's x (across the tilt axis) towards its y.
    """

    kind: Literal["lamella", "cryo-section"] = "lamella"
    compression: float = 0.0
    cutting_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("lamella", "cryo-section"):
            raise ValueError(f"A slab is a lamella or a cryo-section, not {self.kind!r}.")
        if not 0.0 <= self.compression <= 0.7 or (self.kind == "lamella" and self.compression):
            raise ValueError("Only a cryo-section is compressed, by 0 to 0.7.")

    def block_plane(self, plane: Plane) -> Plane:
        """The plane whose (skewed) axes lead from a voxel of the slab back to the uncut block."""
        back = np.linalg.inv(compression_matrix(self.compression, self.cutting_deg))
        axes = np.concatenate([plane.axes[:1] * (1.0 - self.compression), back.T @ plane.axes[1:]])
        return Plane(plane.centre_nm, axes)


def _axes_nm(shape: tuple[int, int, int], voxel_nm: float) -> list[NDArray[np.float64]]:
    return [centred(n, voxel_nm) for n in shape]


def slab_labels(
    scene: Scene, plane: Plane, shape: tuple[int, int, int], voxel_nm: float, slab: Slab | None = None
) -> NDArray[np.uint8]:
    """Label code of every voxel of a slab as it lies.

    Parameters
    ----------
    scene : Scene
        The cell.
    plane : Plane
        Middle plane of the slab.
    shape : tuple of int
        (z, y, x) voxels.
    voxel_nm : float
        Voxel side.
    slab : Slab, optional
        A lamella where absent.

    Returns
    -------
    numpy.ndarray, uint8, shape (z, y, x)
    """
    block = (slab or Slab()).block_plane(plane)
    z, y, x = _axes_nm(shape, voxel_nm)
    return np.concatenate([scene.labels(block.points_nm(z[i : i + 8], y, x)) for i in range(0, len(z), 8)])


def slab_matter(
    scene: Scene,
    plane: Plane,
    shape: tuple[int, int, int],
    voxel_nm: float,
    rng: np.random.Generator,
    slab: Slab | None = None,
) -> Float32Array:
    """Density of a slab cut from a frozen cell, with its texture.

    Parameters
    ----------
    scene : Scene
        The cell.
    plane : Plane
        Middle plane of the slab; the beam runs along its normal.
    shape : tuple of int
        (z, y, x) voxels; the slab fills its depth.
    voxel_nm : float
        Voxel side.
    rng : numpy.random.Generator
        Of the texture; its state advances.
    slab : Slab, optional
        A lamella where absent.

    Returns
    -------
    numpy.ndarray, float32, shape (z, y, x)
        High = dense; contrast fades to 0.4 at the faces of a lamella (the fading is assumed).
    """
    slab = slab or Slab()
    coverage = _slab_coverage(scene, slab.block_plane(plane), shape, voxel_nm)
    matter = textured(coverage, "cryo", voxel_nm, voxel_nm**3, rng)
    del coverage
    if slab.kind == "lamella":
        depth = shape[0]
        below = np.minimum(np.arange(depth), np.arange(depth)[::-1]) * voxel_nm
        kept = _LEAST_CONTRAST + (1.0 - _LEAST_CONTRAST) * np.clip(below / DAMAGE_NM, 0.0, 1.0)
        mean = float(matter.mean())
        matter -= mean
        matter *= kept.astype(np.float32)[:, None, None]
        matter += mean
    return matter


def _slab_coverage(scene: Scene, block: Plane, shape: tuple[int, int, int], voxel_nm: float) -> Float32Array:
    """Shares of materials (12, z, y, x), a few layers at a time: points take many times the memory of a slab."""
    z, y, x = _axes_nm(shape, voxel_nm)
    layers = max(1, int(1e6 / (len(y) * len(x))))
    coverage = np.zeros((len(MATERIALS), *shape), dtype=np.float32)

    def fill(i: int) -> None:
        shares = scene.coverage(block.points_nm(z[i : i + layers], y, x), voxel_nm)
        for code, share in enumerate(shares):
            # Materials that are not there cost no memory: their pages are never written.
            if share.any():
                coverage[code, i : i + layers] = share

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(0, len(z), layers)))
    return coverage


def cryo_slab(
    scene: Scene,
    plane: Plane,
    shape: tuple[int, int, int],
    voxel_nm: float,
    tilts_deg: Sequence[float],
    *,
    snr: float,
    seed: int,
) -> Float32Array:
    """Project a lamella at its tilts and reconstruct it from them, at a given signal-to-noise ratio.

    The matter beside the field is simulated too, since tilted views see it. At voxels of 8 nm the first
    zero of the contrast transfer function (about 3 nm at 5 µm defocus) lies far beyond what is
    recorded, so none is applied; `tilt_series.tilt_series` is the full instrument.

    Parameters
    ----------
    scene : Scene
        The cell.
    plane : Plane
        Middle plane of the lamella; the beam runs along its normal, the tilt axis along y.
    shape : tuple of int
        (z, y, x) voxels of the tomogram; the lamella fills its depth.
    voxel_nm : float
        Voxel side.
    tilts_deg : sequence of float
        Tilt angles.
    snr : float
        Variance of the untilted view over the variance of its noise.
    seed : int
        Of texture and noise.

    Returns
    -------
    numpy.ndarray, float32, shape (z, y, x)
        Reconstructed density, high = dense, with a missing wedge.
    """
    rng = np.random.default_rng(seed)
    depth, height, width = shape
    wide, margin = 2 * width, width // 6
    matter = slab_matter(scene, plane, (depth, height, wide), voxel_nm, rng)
    start = (wide - width) // 2 - margin
    views = project(matter, tilts_deg, edges="continued")[:, :, start : start + width + 2 * margin]
    flat = views[int(np.argmin(np.abs(np.asarray(tilts_deg))))]
    noise = float(flat.std()) / np.sqrt(snr)
    # Tilted views look through more ice: fewer electrons arrive, so noise grows with 1/cos.
    growth = 1.0 / np.sqrt(np.cos(np.deg2rad(np.asarray(tilts_deg))))
    noisy = views + (noise * growth).astype(np.float32)[:, None, None] * rng.standard_normal(
        views.shape, dtype=np.float32
    )
    return np.asarray(back_project(noisy, tilts_deg, depth)[:, :, margin : margin + width], dtype=np.float32)
