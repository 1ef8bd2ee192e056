"""A stained thin section under a transmission electron microscope, with its truth.

Belongs here: thickness, stain, compression by the knife, flaws, defocus, dose. Does not belong here: the cell
(`scene`, `label_scene`), texture (`texture`), frozen specimens (`cryo`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.transfer import contrast_transfer, filter_images
from em2cryo_assets.phantom.contrast import MATERIALS
from em2cryo_assets.phantom.counting import poisson_counts
from em2cryo_assets.phantom.planes import Plane, centred
from em2cryo_assets.phantom.protocol import Scene, check_range
from em2cryo_assets.phantom.section_flaws import compression_matrix, dirt_mask, draw_fold, knife_marks
from em2cryo_assets.phantom.texture import grain, textured
from em2cryo_assets.vocabulary import LABELS

__all__ = ["Section", "Settings", "cut_section", "section_coverage", "tem_section"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

# Share of the electrons that a section of density 1 takes away (aperture contrast; assumed).
_ABSORBED = 0.60
# Amplitude contrast of osmium, uranium and lead in resin (assumed; it is 0.07 for ice).
_AMPLITUDE_CONTRAST = 0.35
_DIRT_DENSITY = 0.9
_STAIN_GRAIN_NM = 6.0


@dataclass(frozen=True)
class Settings:
    """How a section is cut and photographed; the defaults are those of the demo study.

    Parameters
    ----------
    thickness_nm : float
        Advance of the microtome: thickness in the block.
    compression : float
        Share by which lengths along the cut shrink, 0 to 0.6; 0.2 to 0.35 was measured on sections of
        Lowicryl and polystyrene (Studer and Gnaegi 2000). The section grows thicker by 1/(1 - compression).
    cutting_deg : float or None
        Direction of the cut from the picture's x towards its y; None draws one.
    knife_marks, knife_mark_depth : float
        Mean number of streaks along the cut and the largest change of density in one.
    folds, dirt : int
        Folds (0 or 1) and specks of dirt.
    stain_grain : float
        Standard deviation of fine grain of the stain over matter of density 1, correlated over 6 nm.
    defocus_um : float
        Underfocus positive; 0 leaves contrast transfer out.
    voltage_kv, spherical_aberration_mm : float
        Of the microscope, for the defocus.
    dose_e_per_nm2 : float or None
        Electrons that reach the section; None gives Gaussian noise of standard deviation 0.035, like film.
    camera_blur_px : float
        Standard deviation of the camera's point spread, which blurs signal and shot noise alike.

    Raises
    ------
    ValueError
        If a value is not finite or beyond what a section or a microscope can have.
    """

    thickness_nm: float = 80.0
    compression: float = 0.0
    cutting_deg: float | None = None
    knife_marks: float = 1.5
    knife_mark_depth: float = 0.04
    folds: int = 0
    dirt: int = 0
    stain_grain: float = 0.0
    defocus_um: float = 0.0
    voltage_kv: float = 120.0
    spherical_aberration_mm: float = 2.0
    dose_e_per_nm2: float | None = None
    camera_blur_px: float = 0.0

    def __post_init__(self) -> None:
        check_range("thickness_nm", self.thickness_nm, 0.0, above=True, unit="nm")
        check_range("compression", self.compression, 0.0, 0.6)
        check_range("knife_marks", self.knife_marks, 0.0)
        check_range("knife_mark_depth", self.knife_mark_depth, 0.0, 1.0)
        check_range("folds", self.folds, 0, 1)
        check_range("dirt", self.dirt, 0)
        for name in ("folds", "dirt"):
            if getattr(self, name) != int(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it has to be a whole number.")
        check_range("stain_grain", self.stain_grain, 0.0, 1.0)
        check_range("defocus_um", self.defocus_um, -1000.0, 1000.0, unit="µm")
        check_range("voltage_kv", self.voltage_kv, 1.0, 3000.0, unit="kV")
        # Correctors bring it below 0.
        check_range("spherical_aberration_mm", self.spherical_aberration_mm, -10.0, 10.0, unit="mm")
        check_range("camera_blur_px", self.camera_blur_px, 0.0, unit="pixels")
        if self.cutting_deg is not None:
            check_range("cutting_deg", self.cutting_deg, -360.0, 360.0, unit="degrees")
        if self.dose_e_per_nm2 is not None:
            check_range("dose_e_per_nm2", self.dose_e_per_nm2, 0.0, above=True, unit="electrons per nm²")


@dataclass(frozen=True)
class Section:
    """A picture of a section and the truth about it.

    Parameters
    ----------
    image : numpy.ndarray, float32, shape (y, x)
        Density about 0 (empty) to 1, high = dense; more in folds and dirt.
    labels : numpy.ndarray, uint8, shape (y, x)
        Codes of `vocabulary.LABELS` at the middle of the section's thickness, in the lowest layer of a fold.
    plane : Plane
        Middle of the section in the block.
    wall_angle_deg : numpy.ndarray, float32, shape (y, x)
        β, the angle between the wall's normal and the plane of the section as it lies, 0 where the wall stands
        upright; NaN where there is no wall.
    layers : numpy.ndarray, uint8, shape (y, x)
        1, or 3 in a fold.
    dirt : numpy.ndarray, bool, shape (y, x)
        Specks.
    cutting_deg : float
        Direction of the cut from the picture's x towards its y, within [0, 180); compression and knife
        marks run along it.
    thickness_nm : float
        Of the section as it lies.
    settings : Settings
        What was asked for.
    """

    image: Float32Array
    labels: NDArray[np.uint8]
    plane: Plane
    wall_angle_deg: Float32Array
    layers: NDArray[np.uint8]
    dirt: NDArray[np.bool_]
    cutting_deg: float
    thickness_nm: float
    settings: Settings


def section_coverage(
    scene: Scene, plane: Plane, shape: tuple[int, int], pixel_size_nm: float, thickness_nm: float
) -> Float32Array:
    """Mean share of each material through the thickness of an undeformed section.

    Parameters
    ----------
    scene : Scene
        The cell.
    plane : Plane
        Middle of the section.
    shape : tuple of int
        (y, x) pixels.
    pixel_size_nm, thickness_nm : float
        In nm; layers no farther apart than a pixel are averaged.

    Returns
    -------
    numpy.ndarray, float32, shape (12, y, x)
        Sums to 1 over the materials, as far as `protocol.Scene.coverage` does.
    """
    return _coverage_at(scene, plane, _picture(shape, pixel_size_nm), pixel_size_nm, thickness_nm)


def _picture(shape: tuple[int, int], pixel_size_nm: float) -> FloatArray:
    """Positions (y, x, 2) of the pixels in the picture's frame, nm."""
    axes = (centred(n, pixel_size_nm) for n in shape)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _coverage_at(
    scene: Scene, plane: Plane, yx_nm: FloatArray, pixel_size_nm: float, thickness_nm: float
) -> Float32Array:
    layers = max(1, int(np.ceil(thickness_nm / pixel_size_nm)))
    total = np.zeros((len(MATERIALS), *yx_nm.shape[:-1]), dtype=np.float32)
    for z in centred(layers, thickness_nm / layers):
        total += scene.coverage(plane.lifted_nm(float(z), yx_nm), pixel_size_nm)
    return np.asarray(total / layers, dtype=np.float32)


def tem_section(
    scene: Scene,
    plane: Plane,
    shape: tuple[int, int],
    pixel_size_nm: float,
    *,
    thickness_nm: float = 80.0,
    seed: int,
) -> Float32Array:
    """Take a picture of an undeformed, clean section: the image of `cut_section` without its truth.

    Parameters
    ----------
    scene, plane, shape, pixel_size_nm, thickness_nm, seed
        As for `cut_section`.

    Returns
    -------
    numpy.ndarray, float32, shape (y, x)
        About 0 (empty) to 1.
    """
    return _photographed(scene, plane, shape, pixel_size_nm, Settings(thickness_nm=thickness_nm), seed)[0]


def cut_section(
    scene: Scene,
    plane: Plane,
    shape: tuple[int, int],
    pixel_size_nm: float,
    settings: Settings | None = None,
    *,
    seed: int,
) -> Section:
    """Cut a stained section from a cell and take its picture.

    Parameters
    ----------
    scene : Scene
        The cell.
    plane : Plane
        Middle of the section; what lies there comes to lie in the middle of the picture.
    shape : tuple of int
        (y, x) pixels.
    pixel_size_nm : float
        Pixel side.
    settings : Settings, optional
        Of microtome and microscope.
    seed : int
        Of stain, texture, flaws and noise; what the settings leave out does not change the rest.

    Returns
    -------
    Section
        The picture is exposed for the section's mean thickness, so that compression alone does not darken it.
    """
    settings = settings or Settings()
    image, at_nm, inside_fold, dirt, cutting_deg = _photographed(scene, plane, shape, pixel_size_nm, settings, seed)
    points = plane.lifted_nm(0.0, at_nm)
    labels = scene.labels(points)
    angle = np.full(shape, np.nan, dtype=np.float32)
    wall = labels == LABELS["wall"]
    if wall.any():
        angle[wall] = _lying_angle_deg(scene.body.gradient(points[wall]) @ plane.axes.T, settings, cutting_deg)
    layers = np.where(inside_fold, 3, 1).astype(np.uint8)
    lying_nm = settings.thickness_nm / (1.0 - settings.compression)
    return Section(image, labels, plane, angle, layers, dirt, cutting_deg, lying_nm, settings)


def _lying_angle_deg(normals: FloatArray, settings: Settings, cutting_deg: float) -> FloatArray:
    """β of normals (N, 3) in the picture's frame after the section was deformed (inverse transpose)."""
    keep = 1.0 - settings.compression
    upright = normals[:, 0] * keep
    in_plane = normals[:, 1:] @ np.linalg.inv(compression_matrix(settings.compression, cutting_deg))
    return np.rad2deg(np.arctan2(np.abs(upright), np.linalg.norm(in_plane, axis=1)))


def _photographed(
    scene: Scene, plane: Plane, shape: tuple[int, int], pixel_nm: float, settings: Settings, seed: int
) -> tuple[Float32Array, FloatArray, NDArray[np.bool_], NDArray[np.bool_], float]:
    """Picture; where in the block each pixel's lowest layer comes from (y, x, 2); fold; dirt; cutting direction."""
    rng = np.random.default_rng(seed)
    # A stream of its own, so that flaws leave stain and noise as they are.
    flaws = np.random.default_rng([seed, 1])
    cutting = settings.cutting_deg
    if cutting is None and settings.compression > 0:
        cutting = float(flaws.uniform(0.0, 180.0))
    back = np.linalg.inv(compression_matrix(settings.compression, cutting or 0.0)).T
    flat = _picture(shape, pixel_nm)
    inside = np.zeros(shape, dtype=bool)
    upper: list[FloatArray] = []
    if settings.folds:
        flat, upper, inside = draw_fold(min(shape) * pixel_nm, flaws).layers(flat)
    at_nm = flat @ back
    # What a pixel stands for in the block.
    volume = pixel_nm**2 * settings.thickness_nm / (1.0 - settings.compression)
    coverage = _coverage_at(scene, plane, at_nm, pixel_nm, settings.thickness_nm)
    image = textured(coverage, "tem", pixel_nm, volume, rng)
    for layer in upper:
        more = _coverage_at(scene, plane, layer @ back, pixel_nm, settings.thickness_nm)
        image += np.where(inside, textured(more, "tem", pixel_nm, volume, flaws), 0.0).astype(np.float32)
    if settings.stain_grain:
        image *= 1.0 + settings.stain_grain * grain(shape, _STAIN_GRAIN_NM / pixel_nm / 2.0, flaws)
    # Stain and thickness vary slowly over a section; the knife leaves faint straight streaks.
    image *= 1.0 + 0.02 * grain(shape, shape[0] / 5.0, rng)
    marks, cutting_deg = knife_marks(shape, settings.knife_marks, settings.knife_mark_depth, cutting, rng)
    for mark in marks:
        image += mark
    dirt = dirt_mask(shape, pixel_nm, settings.dirt, flaws)
    image[dirt] += _DIRT_DENSITY
    image = ndimage.gaussian_filter(image, 0.6)
    if settings.defocus_um:
        image = _defocused(image, pixel_nm, settings)
    if settings.dose_e_per_nm2 is None:
        noisy = image + 0.035 * rng.standard_normal(shape)
    else:
        electrons = settings.dose_e_per_nm2 * pixel_nm**2
        passed = poisson_counts(electrons * np.clip(1.0 - _ABSORBED * image, 0.02, None), rng) / electrons
        noisy = (1.0 - passed) / _ABSORBED
    if settings.camera_blur_px:
        noisy = ndimage.gaussian_filter(noisy, settings.camera_blur_px)
    return np.asarray(noisy, dtype=np.float32), at_nm, inside, dirt, cutting_deg


def _defocused(image: Float32Array, pixel_nm: float, settings: Settings) -> Float32Array:
    """Phase contrast beside the stain's: the transfer function over its value at zero frequency, so mass stays."""
    rim = min(32, *image.shape)
    wide = np.pad(image, rim, mode="symmetric")
    height, width = wide.shape
    transfer = contrast_transfer(
        (height, width),
        pixel_nm,
        settings.defocus_um,
        voltage_kv=settings.voltage_kv,
        spherical_aberration_mm=settings.spherical_aberration_mm,
        amplitude_contrast=_AMPLITUDE_CONTRAST,
    )
    return filter_images(wide, transfer / np.float32(_AMPLITUDE_CONTRAST))[rim:-rim, rim:-rim]
