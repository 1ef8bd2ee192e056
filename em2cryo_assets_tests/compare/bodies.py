"""Model cells of known geometry for the tests of the comparison."""

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.compare.degrade import cut_wide, degrade_slabs, field_of, noise_of
from em2cryo_assets.compare.pose import SlabPose
from em2cryo_assets.compare.record import TomogramRecord
from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.vocabulary import LABELS

TILTS_DEG = tuple(float(t) for t in range(-60, 61, 3))
DENSITY = np.array([0.10, 0.25, 0.85, 0.55, 0.43, 0.20, 0.72, 0.08], dtype=np.float32)


def ellipsoid_mesh(axes_nm: tuple[float, float, float], subdivisions: int = 4) -> Mesh:
    """Outward mesh with semi-axes (z, y, x), nm, centred on the origin."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = np.ascontiguousarray(np.asarray(ball.vertices)[:, ::-1] * np.asarray(axes_nm, dtype=float))
    return Mesh(vertices, np.asarray(ball.faces, dtype=np.int32))


def cell(
    voxel_nm: float = 40.0,
    semi_axes_nm: tuple[float, float, float] = (1900.0, 1900.0, 2300.0),
    wall_nm: float = 150.0,
    texture: float = 0.05,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Ellipsoid with a wall, a nucleus, a vacuole and twelve mitochondria; density and labels."""
    n = [int(2 * a / voxel_nm) + 8 for a in semi_axes_nm]
    grid = np.meshgrid(*[(np.arange(k) - (k - 1) / 2) * voxel_nm for k in n], indexing="ij", sparse=True)
    outer = sum((g / a) ** 2 for g, a in zip(grid, semi_axes_nm, strict=True))
    inner = sum((g / (a - wall_nm)) ** 2 for g, a in zip(grid, semi_axes_nm, strict=True))
    labels = np.where(inner < 1, LABELS["cytoplasm"], np.where(outer < 1, LABELS["wall"], 0)).astype(np.uint8)

    def ball(centre: NDArray[np.float64], radius: float, code: int) -> None:
        near = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < radius**2
        labels[near & (labels == LABELS["cytoplasm"])] = code

    rng = np.random.default_rng(seed)
    ball(np.array([0.0, 300.0, 1000.0]), 850.0, LABELS["nucleus"])
    ball(np.array([200.0, -200.0, -900.0]), 950.0, LABELS["vacuole"])
    for _ in range(12):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        ball(direction * (np.asarray(semi_axes_nm) - wall_nm - 300), 220.0, LABELS["mitochondrion"])
    density = DENSITY[labels] + texture * rng.standard_normal(labels.shape, dtype=np.float32)
    return density, labels


def tomogram_of(
    density: NDArray[np.float32],
    labels: NDArray[np.uint8],
    voxel_nm: float,
    record: TomogramRecord,
    pose: SlabPose,
    *,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Image a slab of a cell; density, and labels that tell apart outside, wall, vacuole and the rest."""
    wide, wide_labels = cut_wide(density, labels, voxel_nm, pose, record)
    seen = np.ascontiguousarray(field_of(wide_labels, record))
    image = degrade_slabs({"model": wide}, seen, record, noise_of(record, seed=seed), first="model")["model"]
    told = np.array([0, 1, 3, 3, 3, 5, 3, 3], dtype=np.uint8)
    return image, told[seen]
