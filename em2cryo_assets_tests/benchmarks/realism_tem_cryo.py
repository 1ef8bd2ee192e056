"""How far simulated sections and tomograms are from real ones in grey levels and in detail.

The real section is of a fly: it calibrates noise and contrast, nothing else, and its distance to a yeast cannot become
0. The real tomogram is of a microtubule in vitro; a model of one goes through the simulated microscope to compare like
with like (cytoplasm instead is 0.40 off in its spectrum, for want of a microtubule's lines alone). The peer is the
distance between two parts of the real picture.

Run as a script with a folder it draws a pair of simulated sections and a simulated tomogram, for the documentation.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets_tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from PIL import Image

RINGS = 20
SECTION_PIXEL_NM, TOMOGRAM_VOXEL_NM = 4.0, 1.052


def figures() -> Iterator[Figure]:
    """Grey levels and spectra against the real section and the real tomogram; a note where there are none."""
    folder = os.environ.get("EM2CRYO_REFERENCE_DATA")
    if not folder:
        print("realism: EM2CRYO_REFERENCE_DATA is not set, so there is nothing real to compare with", file=sys.stderr)
        return
    import tifffile
    from PIL import Image

    root = Path(folder)
    real = [np.asarray(Image.open(root / "tem" / f"isbi2012_{i}.png").convert("L"), float) for i in (0, 12)]
    section = simulated_section()
    yield from _compared("TEM section", section, real[0], real[1], 0.20)
    # Settings were chosen by the first section, not by this one of the same specimen.
    other = float(np.sqrt(np.mean((log_spectrum(section) - log_spectrum(real[1])) ** 2)))
    yield Figure.at_most("log power spectrum of it against another real section, RMS", other, "ln", 0.3)
    crop = tifffile.imread(root / "cryoet" / "microtubule_13pf.tif").astype(float)
    # Ends of the crop without the microtubule's middle; its top and bottom layers are used up by the filter.
    layers = crop[8:28]
    yield from _compared("tomogram", simulated_tomogram(), layers[::2], layers[1::2], 0.15)


def _compared(
    name: str, simulated: NDArray[np.float64], real: NDArray[np.float64], peer: NDArray[np.float64], limit: float
) -> Iterator[Figure]:
    distance, within = (grey_distance(other, real) for other in (simulated, peer))
    yield Figure.at_most(
        f"grey levels of a simulated {name}, Wasserstein-1", distance, "standard deviations", limit, round(within, 4)
    )
    spectra = [log_spectrum(a) for a in (simulated, real, peer)]
    error, least = (float(np.sqrt(np.mean((s - spectra[1]) ** 2))) for s in (spectra[0], spectra[2]))
    yield Figure.at_most(f"log power spectrum of a simulated {name}, RMS", error, "ln", 0.3, round(least, 4))


def grey_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Wasserstein-1 of grey levels after standardizing both."""
    q = np.linspace(0.001, 0.999, 999)
    first, second = (np.quantile((v - v.mean()) / v.std(), q) for v in (a, b))
    return float(np.abs(first - second).mean())


def log_spectrum(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the mean power by ring, 0.03 to 0.45 cycles a pixel, of unit total; over the layers of a volume."""
    stack = np.atleast_3d(image) if image.ndim == 3 else image[None]
    _, height, width = stack.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = (np.abs(np.fft.fft2((stack - stack.mean(axis=(1, 2), keepdims=True)) * window)) ** 2).mean(axis=0)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    index = np.digitize(radius, np.linspace(0.03, 0.45, RINGS + 1))
    rings = np.array([power[index == i].mean() for i in range(1, RINGS + 1)])
    return np.log(rings / rings.sum())


def simulated_section() -> NDArray[np.float64]:
    """Interior of a yeast cell at the real section's pixel, dark = dense."""
    from em2cryo_assets.phantom.planes import Plane
    from em2cryo_assets.phantom.scene import draw_cell
    from em2cryo_assets.phantom.tem import Settings, cut_section

    cell = draw_cell(5)
    plane = Plane(cell.organelles.nucleus.centre_nm, np.eye(3))
    # A scintillator and fibre-coupled camera: counts are those its quantum efficiency leaves, its point spread leaves
    # 0.06 of the contrast at Nyquist's frequency and 0.5 at half of it (McMullan et al. 2009 measured such ones at
    # 120 kV; our values are chosen). Of 330 settings tried the best had a spectrum 0.24 off; sharper, less noisy ones
    # (0.6 px, 600 electrons) 0.34.
    settings = Settings(
        thickness_nm=50.0, stain_grain=0.13, defocus_um=1.0, dose_e_per_nm2=60.0, camera_blur_px=0.75
    )  # fmt: skip
    return -cut_section(cell, plane, (512, 512), SECTION_PIXEL_NM, settings, seed=0).image.astype(float)


def simulated_tomogram() -> NDArray[np.float64]:
    """Layers of a reconstruction of a microtubule at the real tomogram's voxel, dense = bright as there."""
    from em2cryo_assets.phantom.tilt_series import Camera, reconstruct, record

    # 100 electrons per square angstrom at a quantum efficiency of one half (McMullan et al. 2014 compare cameras at
    # 300 kV) and views 0.7 nm off after alignment. With perfect alignment the monomers' line at 4 nm is twice too
    # strong. The spectrum is 0.16 off so, 0.32 off when perfectly aligned, 0.30 with half or twice the electrons.
    camera = Camera(dose_e_per_nm2=5000.0, shift_px=0.7)
    matter = microtubule((60, 206, 160), TOMOGRAM_VOXEL_NM)
    series = record(matter, TOMOGRAM_VOXEL_NM, np.arange(-60.0, 61.0, 3.0).tolist(), camera, seed=0)
    return sirt_like(reconstruct(series, aligned=False))[20:40, :, 33:127].astype(float)


def microtubule(shape: tuple[int, int, int], voxel_nm: float) -> NDArray[np.float32]:
    """Density of a microtubule in ice, on the scale of `contrast`, lying in the plane as the real one does.

    Balls of 60 nm³ (50 kDa) every 4.05 nm along 13 protofilaments on a cylinder of 11.2 nm, three monomers higher after
    one turn (Nogales et al. 1999, Cell 96:79); protein is 2 V above ice where density 1 stands for 1.5 V.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x) voxels, the axis through their middle and 17 degrees off y.
    voxel_nm : float
        Voxel side.

    Returns
    -------
    numpy.ndarray, float32, shape (z, y, x)
    """
    from scipy.spatial import cKDTree

    from em2cryo_assets.phantom.contrast import CONTRASTS
    from em2cryo_assets.phantom.planes import centred

    strand = np.arange(13)[:, None]
    around, turn, radius = 2 * np.pi * strand / 13, np.deg2rad(17.0), 2.43
    reach = float(np.hypot(shape[1], shape[2])) * voxel_nm
    along = np.arange(-reach / 2, reach / 2, 4.05) + strand * (3 * 4.05 / 13)
    z, across = (np.broadcast_to(11.2 * f(around), along.shape) for f in (np.sin, np.cos))
    y, x = along * np.cos(turn) + across * np.sin(turn), across * np.cos(turn) - along * np.sin(turn)
    monomers = cKDTree(np.stack([z, y, x], axis=-1).reshape(-1, 3))
    points = np.stack(np.meshgrid(*(centred(n, voxel_nm) for n in shape), indexing="ij"), axis=-1)
    gap = monomers.query(points.reshape(-1, 3), distance_upper_bound=2 * radius)[0].reshape(shape)
    filled = np.clip(0.5 - (gap - radius) / voxel_nm, 0.0, 1.0)
    return (CONTRASTS["cryo"]["outside"] + 2.0 / 1.5 * filled).astype(np.float32)


def sirt_like(volume: NDArray[np.float32], iterations: int = 30) -> NDArray[np.float32]:
    """Filter that makes a weighted back-projection look as after so many iterations, as the real one was made.

    1 - (1 - α/k)^n with k across the tilt axis and α = 0.00195 (Zeng 2012, Med. Phys. 39:603; IMOD's value). How many
    the real one had is not known; its noise is about as strong across the tilt axis as along, which asks for 20 to 200
    (10 leave a third of it across).
    """
    nz, _, nx = volume.shape
    k = np.hypot(np.fft.fftfreq(nz)[:, None, None], np.fft.rfftfreq(nx)[None, None, :])
    weight = 1.0 - (1.0 - 0.00195 / np.maximum(k, 0.00195)) ** iterations
    return np.fft.irfftn(np.fft.rfftn(volume, axes=(0, 2)) * weight, s=(nz, nx), axes=(0, 2)).astype(np.float32)


def draw_simulated(folder: Path) -> None:
    """Save ``tem_simulated.png`` and ``tomogram_simulated.png`` with that word burnt in; nothing real is in them."""
    plain, spoilt = _sections()
    pair = np.concatenate([plain, np.full((len(plain), 6), 255, dtype=np.uint8), spoilt], axis=1)
    height, width = pair.shape
    _marked(pair, "1 um", round(1000.0 / _SECTION_NM), (width - 176, height - 58)).save(
        folder / "tem_simulated.png", optimize=True
    )
    _marked(_tomogram(), "200 nm", round(200.0 / _SLAB_NM), (0, _SLAB_SHAPE[1] - 58)).save(
        folder / "tomogram_simulated.png", optimize=True
    )


_SECTION_NM, _SECTION_SHAPE = 13.5, (430, 396)
_SLAB_NM, _SLAB_SHAPE = 2.1, (96, 400, 560)


def _sections() -> list[NDArray[np.uint8]]:
    """A section as it should be, and one compressed by a third with knife marks, dirt and a fold."""
    from em2cryo_assets.phantom.planes import Plane
    from em2cryo_assets.phantom.scene import draw_cell
    from em2cryo_assets.phantom.tem import Settings, cut_section

    plain = Settings(
        thickness_nm=70.0, stain_grain=0.10, defocus_um=1.0, dose_e_per_nm2=60.0, camera_blur_px=0.5, knife_marks=0
    )
    spoilt = replace(
        plain, compression=0.33, cutting_deg=65.0, knife_marks=12.0, knife_mark_depth=0.07, folds=1, dirt=3
    )  # fmt: skip
    out = []
    for number, settings, seed in ((5, plain, 1), (2, spoilt, 8)):
        cell = draw_cell(number)
        plane = Plane(0.6 * cell.organelles.nucleus.centre_nm * np.array([1.0, 0.0, 0.0]), np.eye(3))
        image = cut_section(cell, plane, _SECTION_SHAPE, _SECTION_NM, settings, seed=seed).image
        out.append(np.clip(255.0 * (0.95 - 0.85 * image), 0, 255).astype(np.uint8))
    return out


def _tomogram() -> NDArray[np.uint8]:
    """Slices in the plane of a lamella and across it, of a thickness of five voxels."""
    from em2cryo_assets.phantom.planes import wall_plane
    from em2cryo_assets.phantom.scene import draw_cell
    from em2cryo_assets.phantom.tilt_series import Camera, reconstruct, tilt_series

    cell = draw_cell(5)
    plane = wall_plane(cell.body, np.random.default_rng(11), 250.0)
    camera = Camera(dose_e_per_nm2=14000.0, defocus_um=5.0, shift_px=1.0)
    series = tilt_series(
        cell, plane, _SLAB_SHAPE, _SLAB_NM, np.arange(-60.0, 61.0, 3.0).tolist(), camera, seed=2
    )  # fmt: skip
    volume = reconstruct(series)
    middle = [n // 2 for n in volume.shape]
    flat = volume[middle[0] - 2 : middle[0] + 3].mean(axis=0)
    across = volume[:, middle[1] - 2 : middle[1] + 3].mean(axis=1)
    low, high = np.percentile(flat, [0.5, 99.5])
    gap = np.full((6, flat.shape[1]), low)
    grey = np.concatenate([flat, gap, across])
    return np.clip(255.0 * (high - grey) / (high - low), 0, 255).astype(np.uint8)


def _marked(grey: NDArray[np.uint8], words: str, length: int, corner: tuple[int, int]) -> "Image.Image":
    """Burn in the word SIMULATED and a scale bar, on white, with its upper left corner at (x, y)."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(grey)
    pen = ImageDraw.Draw(image)
    x, y = corner
    pen.rectangle((x, y, x + 175, y + 57), fill=255)
    pen.text((x + 6, y + 2), "SIMULATED", fill=0, font=ImageFont.load_default(26))
    pen.rectangle((x + 6, y + 41, x + 5 + length, y + 46), fill=0)
    pen.text((x + 10 + length, y + 34), words, fill=0, font=ImageFont.load_default(16))
    return image


if __name__ == "__main__":
    draw_simulated(Path(sys.argv[1]))
