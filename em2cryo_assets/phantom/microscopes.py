"""Simulated pictures of one cell: a TEM section, a cryo-ET slab, a soft X-ray volume.

Belongs here: what each instrument does to the density of a cell (thickness, blur, missing wedge, noise).
Does not belong here: the cell (`scene`), piles of cells under an SEM (`pile`), file formats (`study`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.phantom.contrast import MATERIALS, density, jittered
from em2cryo_assets.phantom.counting import poisson_counts
from em2cryo_assets.phantom.priors import PRIORS
from em2cryo_assets.phantom.scene import Cell

__all__ = ["Plane", "cryo_slab", "section_coverage", "soft_x_ray", "tem_section"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_CYTOPLASM = MATERIALS.index("cytoplasm")
# Excess density of a ribosome over the cytoplasm between ribosomes, per modality.
_RIBOSOME_EXCESS = {"tem": 0.30, "cryo": 0.42}
# Grain: standard deviation of the texture in each material and its correlation length in nm.
_GRAIN = {
    "outside": (0.008, 30.0),
    "wall": (0.020, 25.0),
    "cytoplasm": (0.020, 16.0),
    "nucleus": (0.045, 45.0),
    "nucleolus": (0.035, 20.0),
    "vacuole": (0.022, 60.0),
    "mitochondrion": (0.020, 16.0),
}


@dataclass(frozen=True)
class Plane:
    """A plane through a cell, with directions in it.

    Parameters
    ----------
    centre_nm : numpy.ndarray, shape (3,)
        Point of the plane that becomes the middle of the picture, in the frame of the cell (z, y, x).
    axes : numpy.ndarray, shape (3, 3)
        Rows are unit vectors: normal, picture's y, picture's x.
    """

    centre_nm: FloatArray
    axes: FloatArray

    def points_nm(self, z_nm: FloatArray, y_nm: FloatArray, x_nm: FloatArray) -> FloatArray:
        """Positions in the cell's frame of a grid in the picture's frame, (Z, Y, X, 3), nm."""
        points = np.empty((len(z_nm), len(y_nm), len(x_nm), 3))
        points[:] = self.centre_nm
        points += z_nm[:, None, None, None] * self.axes[0]
        points += y_nm[:, None, None] * self.axes[1]
        points += x_nm[:, None] * self.axes[2]
        return points


def _centred(count: int, step: float) -> FloatArray:
    return (np.arange(count, dtype=np.float64) - 0.5 * (count - 1)) * step


def section_coverage(
    cell: Cell, plane: Plane, shape: tuple[int, int], pixel_size_nm: float, thickness_nm: float
) -> Float32Array:
    """Mean share of each material through the thickness of a section.

    Parameters
    ----------
    cell : Cell
        The scene.
    plane : Plane
        Middle of the section.
    shape : tuple of int
        (y, x) pixels.
    pixel_size_nm, thickness_nm : float
        In nm; layers no farther apart than a pixel are averaged.

    Returns
    -------
    numpy.ndarray, float32, shape (12, y, x)
        Sums to 1 over the materials.
    """
    layers = max(1, int(np.ceil(thickness_nm / pixel_size_nm)))
    total = np.zeros((len(MATERIALS), *shape), dtype=np.float32)
    for z in _centred(layers, thickness_nm / layers):
        points = plane.points_nm(np.array([z]), _centred(shape[0], pixel_size_nm), _centred(shape[1], pixel_size_nm))[0]
        total += cell.coverage(points, pixel_size_nm)
    return np.asarray(total / layers, dtype=np.float32)


def _grain(shape: Sequence[int], correlation_px: float, rng: np.random.Generator) -> Float32Array:
    """Unit-variance Gaussian texture."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), max(correlation_px, 0.3), mode="wrap")
    return np.asarray(noise / noise.std(), dtype=np.float32)


def _ribosomes(cytoplasm: Float32Array, pixel_nm: float, volume_nm3: float, rng: np.random.Generator) -> Float32Array:
    """Mean-free granularity of ribosomes, as share of a pixel's volume filled, same shape as `cytoplasm`.

    `volume_nm3` is the volume that one element of the array stands for.
    """
    size = 4.0 / 3.0 * np.pi * PRIORS["ribosome_radius"].mean ** 3
    expected = PRIORS["ribosomes"].mean * 1e-9 * volume_nm3 * np.clip(cytoplasm, 0.0, 1.0)
    counts = poisson_counts(expected, rng).astype(np.float32)
    # A ball of radius R has the second moment of a Gaussian of width R/√5; the box of a pixel adds its own.
    width = PRIORS["ribosome_radius"].mean / np.sqrt(5.0) / pixel_nm
    filled = ndimage.gaussian_filter((counts - expected.astype(np.float32)) * np.float32(size / volume_nm3), width)
    return np.asarray(filled, dtype=np.float32)


def _textured(
    coverage: Float32Array, modality: str, pixel_nm: float, volume_nm3: float, rng: np.random.Generator
) -> Float32Array:
    """Density of a coverage with its texture, same shape without the first axis."""
    table = jittered(modality, rng)
    out = density(coverage, table)
    # A section averages texture over its thickness: fewer grains along z, less contrast.
    depth = max(volume_nm3 / pixel_nm**2, pixel_nm)
    for name, (amplitude, length) in _GRAIN.items():
        share = coverage[MATERIALS.index(name)]
        if share.any():
            averaged = amplitude * min(1.0, np.sqrt(2.0 * length / depth))
            out += np.float32(averaged) * share * _grain(out.shape, length / pixel_nm / 2.0, rng)
    out += _RIBOSOME_EXCESS[modality] * _ribosomes(coverage[_CYTOPLASM], pixel_nm, volume_nm3, rng)
    return out


def tem_section(
    cell: Cell,
    plane: Plane,
    shape: tuple[int, int],
    pixel_size_nm: float,
    *,
    thickness_nm: float = 80.0,
    seed: int,
) -> Float32Array:
    """Take a picture of a stained thin section, density high = dense.

    Parameters
    ----------
    cell : Cell
        The scene.
    plane : Plane
        Middle of the section.
    shape : tuple of int
        (y, x) pixels.
    pixel_size_nm, thickness_nm : float
        In nm.
    seed : int
        Of stain, texture and noise.

    Returns
    -------
    numpy.ndarray, float32, shape (y, x)
        About 0 (empty) to 1; the section is not compressed.
    """
    rng = np.random.default_rng(seed)
    coverage = section_coverage(cell, plane, shape, pixel_size_nm, thickness_nm)
    image = _textured(coverage, "tem", pixel_size_nm, pixel_size_nm**2 * thickness_nm, rng)
    # Stain and thickness vary slowly over a section; the knife leaves faint straight streaks.
    image *= 1.0 + 0.02 * _grain(shape, shape[0] / 5.0, rng)
    angle = rng.uniform(0, np.pi)
    across = np.cos(angle) * _centred(shape[0], 1.0)[:, None] + np.sin(angle) * _centred(shape[1], 1.0)[None, :]
    for _ in range(int(rng.poisson(1.5))):
        offset, width = rng.uniform(-0.45, 0.45) * shape[0], rng.uniform(0.8, 2.0)
        image += rng.uniform(-0.04, 0.04) * np.exp(-0.5 * ((across - offset) / width) ** 2)
    image = ndimage.gaussian_filter(image, 0.6)
    return np.asarray(image + 0.035 * rng.standard_normal(shape), dtype=np.float32)


def cryo_slab(
    cell: Cell,
    plane: Plane,
    shape: tuple[int, int, int],
    voxel_nm: float,
    tilts_deg: Sequence[float],
    *,
    snr: float,
    seed: int,
) -> Float32Array:
    """Project a lamella at its tilts and reconstruct it from them.

    The matter beside the field is simulated too, since tilted views see it. At voxels of 8 nm the first
    zero of the contrast transfer function (about 3 nm at 5 µm defocus) lies far beyond what is
    recorded, so none is applied.

    Parameters
    ----------
    cell : Cell
        The scene.
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
    from em2cryo_assets.cryoet.reconstruct import back_project, project

    rng = np.random.default_rng(seed)
    depth, height, width = shape
    wide, margin = 2 * width, width // 6
    points = plane.points_nm(_centred(depth, voxel_nm), _centred(height, voxel_nm), _centred(wide, voxel_nm))
    coverage = cell.coverage(points, voxel_nm)
    del points
    matter = _textured(coverage, "cryo", voxel_nm, voxel_nm**3, rng)
    del coverage
    # The ion beam damages about 30 nm below each face: contrast fades there (assumed).
    below = np.minimum(np.arange(depth), np.arange(depth)[::-1]) * voxel_nm
    kept = (0.4 + 0.6 * np.clip(below / 30.0, 0.0, 1.0)).astype(np.float32)[:, None, None]
    mean = float(matter.mean())
    matter -= mean
    matter *= kept
    matter += mean
    start = (wide - width) // 2 - margin
    views = project(matter, tilts_deg, edges="continued")[:, :, start : start + width + 2 * margin]
    flat = views[int(np.argmin(np.abs(np.asarray(tilts_deg))))]
    noise = float(flat.std()) / np.sqrt(snr)
    # Tilted views look through more ice: fewer electrons arrive, so noise grows with 1/cos.
    growth = 1.0 / np.sqrt(np.cos(np.deg2rad(np.asarray(tilts_deg))))
    grain = rng.standard_normal(views.shape, dtype=np.float32)
    noisy = views + (noise * growth).astype(np.float32)[:, None, None] * grain
    tomogram = back_project(noisy, tilts_deg, depth)
    return np.asarray(tomogram[:, :, margin : margin + width], dtype=np.float32)


def soft_x_ray(
    cell: Cell, axes: FloatArray, shape: tuple[int, int, int], voxel_nm: float, *, seed: int
) -> Float32Array:
    """Image a whole hydrated cell in a capillary by soft X-ray tomography: no missing wedge.

    Parameters
    ----------
    cell : Cell
        The scene.
    axes : numpy.ndarray, shape (3, 3)
        Rows are the volume's z, y, x in the frame of the cell.
    shape : tuple of int
        (z, y, x) voxels; the cell's bounding box is centred in it.
    voxel_nm : float
        Voxel side; resolution is 60 nm at best (Larabell 2004).
    seed : int
        Of texture and noise.

    Returns
    -------
    numpy.ndarray, float32, shape (z, y, x)
        Absorption, high = dense.
    """
    rng = np.random.default_rng(seed)
    reach = cell.body.half_extent_nm()
    axis = np.arange(-reach, reach + 1, 150.0)
    probe = Plane(np.zeros(3), axes).points_nm(axis, axis, axis)
    inside = cell.outer_distance(probe.reshape(-1, 3), exact=False).reshape(probe.shape[:3]) < 0
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    middle = np.array([0.5 * (axis[s.start] + axis[s.stop - 1]) for s in box])
    plane = Plane(middle @ axes, axes)
    coverage = cell.coverage(plane.points_nm(*(_centred(n, voxel_nm) for n in shape)), voxel_nm)
    volume = density(coverage, jittered("soft-x-ray", rng))
    volume += 0.010 * _grain(shape, 1.0, rng) * coverage[1:].sum(axis=0)
    volume = ndimage.gaussian_filter(volume, 30.0 / voxel_nm)
    return np.asarray(volume + 0.022 * _grain(shape, 0.4, rng), dtype=np.float32)
