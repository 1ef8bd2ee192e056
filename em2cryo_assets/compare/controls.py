"""Fakes that a good comparison must tell from the model.

Belongs here: controls made from a pristine slab (so that they go through the same degradation) or from a
cell's size alone. Does not belong here: which control is valid for which descriptor (`distances`,
`scalar_controls`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from em2cryo_assets.compare.record import MIN_SUPPORT
from em2cryo_assets.geometry.mesh import Mesh, volume_um3
from em2cryo_assets.vocabulary import LABELS

__all__ = ["homogeneous_interior", "label_permuted", "phase_randomised", "random_ellipsoid"]

_CYTOPLASM = LABELS["cytoplasm"]

Fake = tuple[NDArray[np.float32], NDArray[np.uint8]]


def homogeneous_interior(density: NDArray[np.floating], labels: NDArray[np.integer]) -> Fake:
    """Keep wall and membrane, fill the interior with its mean: right shape, right wall, no organelle.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        Pristine slab or volume.

    Returns
    -------
    density : numpy.ndarray, float32, same shape
    labels : numpy.ndarray, uint8, same shape
        The interior is cytoplasm throughout.
    """
    interior = labels >= _CYTOPLASM
    fake = np.array(density, dtype=np.float32)
    if interior.any():
        fake[interior] = fake[interior].mean(dtype=np.float64)
    return fake, _without_organelles(labels)


def label_permuted(density: NDArray[np.floating], labels: NDArray[np.integer], seed: int) -> Fake | None:
    """Exchange the contents of the interior's compartments: right parts in the wrong places.

    A random cyclic order sends the density (its deviation from the label's median kept) and the name of
    every compartment to another one, so that each still looks as it should but lies at another's depth.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        Pristine slab or volume.
    seed : int
        Of the order.

    Returns
    -------
    tuple of numpy.ndarray, or None
        Density (float32) and labels (uint8); None where fewer than two compartments have `MIN_SUPPORT`
        voxels, since then there is nothing to exchange.
    """
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))
    codes = np.flatnonzero(counts >= MIN_SUPPORT)
    codes = np.random.default_rng(seed).permutation(codes[codes >= _CYTOPLASM])
    if codes.size < 2:
        return None
    fake, named = np.array(density, dtype=np.float32), labels.astype(np.uint8)
    medians = {int(c): float(np.median(density[labels == c])) for c in codes}
    for here, there in zip(codes, np.roll(codes, 1), strict=True):
        place = labels == here
        fake[place] += medians[int(there)] - medians[int(here)]
        named[place] = there
    return fake, named


def phase_randomised(density: NDArray[np.floating], labels: NDArray[np.integer], seed: int) -> Fake:
    """Keep the interior's power spectrum, mean and variance but no structure (Theiler et al. 1992).

    The phases of the interior's deviation from its mean, zero elsewhere, are replaced by those of white
    noise; wall, membrane and outside stay. Since the spectrum is kept, this is no control for it.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        Pristine slab or volume.
    seed : int
        Of the phases.

    Returns
    -------
    density : numpy.ndarray, float32, same shape
    labels : numpy.ndarray, uint8, same shape
        The interior is cytoplasm throughout.
    """
    interior = labels >= _CYTOPLASM
    fake = np.array(density, dtype=np.float32)
    if interior.any():
        mean = fake[interior].mean(dtype=np.float64)
        texture = np.where(interior, fake - np.float32(mean), 0)
        grain = np.random.default_rng(seed).standard_normal(fake.shape, dtype=np.float32)
        phase = fft.rfftn(grain, workers=1)
        amplitude = np.abs(fft.rfftn(texture, workers=1))
        turned = fft.irfftn(amplitude * phase / np.maximum(np.abs(phase), 1e-20), fake.shape, workers=1)[interior]
        spread = float(turned.std())
        turned = (turned - turned.mean()) * (float(texture[interior].std()) / spread if spread > 0 else 0)
        fake[interior] = turned + mean
    return fake, _without_organelles(labels)


def random_ellipsoid(mesh: Mesh, seed: int) -> Mesh:
    """Ellipsoid of a cell's volume whose proportions say nothing about the cell.

    Both axis ratios are drawn log-uniformly between 1 and 2, which spans round and long budding yeast.

    Parameters
    ----------
    mesh : Mesh
        Closed and outward; only its volume is used.
    seed : int
        Of the ratios.

    Returns
    -------
    Mesh
        Centred on the origin, long axis along z.
    """
    import trimesh

    rng = np.random.default_rng(seed)
    ratios = np.sort(np.exp(rng.uniform(0, np.log(2), size=2)))[::-1]
    axes = np.array([1.0, 1 / ratios[1], 1 / ratios[0]])
    ball = trimesh.creation.icosphere(subdivisions=4)
    # Positions are (x, y, z) there and (z, y, x) here: reversing the columns keeps faces outward.
    body = Mesh(np.asarray(ball.vertices)[:, ::-1] * axes, np.asarray(ball.faces, dtype=np.int32))
    scale = (volume_um3(mesh) / volume_um3(body)) ** (1 / 3)
    return Mesh(np.ascontiguousarray(body.vertices_nm * scale), body.faces)


def _without_organelles(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    return np.where(labels >= _CYTOPLASM, _CYTOPLASM, labels).astype(np.uint8)
