"""A tilt series as a camera records it: projection, contrast transfer, damage, misalignment, counts.

Belongs here: from the density of a slab to electrons in pixels, with the truth, and back by the reconstruction
that real series get. Does not belong here: cutting the slab (`cryo`), geometry of projection and transfer functions
(`cryoet`), files (`tilt_files`).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from em2cryo_assets.cryoet.reconstruct import back_project, project
from em2cryo_assets.cryoet.transfer import contrast_transfer, dose_filter, filter_images
from em2cryo_assets.phantom.contrast import CONTRASTS
from em2cryo_assets.phantom.counting import poisson_counts
from em2cryo_assets.phantom.cryo import Slab, slab_matter
from em2cryo_assets.phantom.planes import Plane
from em2cryo_assets.phantom.protocol import Scene, check_range

__all__ = ["Camera", "TiltSeries", "acquisition_ranks", "first_zero_per_nm", "reconstruct", "record", "tilt_series"]

Float32Array = NDArray[np.float32]

PHASE_RAD_PER_NM = 0.0098
"""Phase per nm of matter of density 1 above ice: 6.53 mrad/(V nm) at 300 kV times 1.5 V (assumed; protein is about
2 V above vitreous ice)."""
FREE_PATH_NM = 320.0
"""Mean free path of inelastic scattering in ice at 300 kV with an energy filter (Rice et al. 2018: 300 to 400 nm)."""
_ICE = CONTRASTS["cryo"]["outside"]
_RIM = 32


@dataclass(frozen=True)
class Camera:
    """How a tilt series is recorded.

    Parameters
    ----------
    dose_e_per_nm2 : float
        Electrons per nm² over the whole series, shared equally by the views.
    scheme : {"dose-symmetric", "bidirectional", "as-listed"}
        Order of the tilts (Hagen et al. 2017, J. Struct. Biol. 197:191, for the first).
    defocus_um : float
        Underfocus, positive; the same over the whole view.
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float
        Of the microscope. The camera itself is ideal: every electron counts once, in its own pixel.
    damage : bool
        Whether detail fades with the dose accumulated.
    shift_px, rotation_deg : float
        Standard deviations of each view's shift along y and x, and of its rotation about the view's middle.

    Raises
    ------
    ValueError
        If a value is not finite or beyond what a microscope can have, or there is no such scheme.
    """

    dose_e_per_nm2: float = 12000.0
    scheme: Literal["dose-symmetric", "bidirectional", "as-listed"] = "dose-symmetric"
    defocus_um: float = 4.0
    voltage_kv: float = 300.0
    spherical_aberration_mm: float = 2.7
    amplitude_contrast: float = 0.07
    damage: bool = True
    shift_px: float = 0.0
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        check_range("dose_e_per_nm2", self.dose_e_per_nm2, 0.0, above=True, unit="electrons per nm²")
        check_range("defocus_um", self.defocus_um, 0.0, 1000.0, above=True, unit="µm of underfocus")
        check_range("voltage_kv", self.voltage_kv, 1.0, 3000.0, unit="kV")
        # Correctors bring it below 0.
        check_range("spherical_aberration_mm", self.spherical_aberration_mm, -10.0, 10.0, unit="mm")
        check_range("amplitude_contrast", self.amplitude_contrast, 0.0, 1.0)
        check_range("shift_px", self.shift_px, 0.0, unit="pixels")
        check_range("rotation_deg", self.rotation_deg, 0.0, 90.0, unit="degrees")
        acquisition_ranks([0.0], self.scheme)


@dataclass(frozen=True)
class TiltSeries:
    """Electrons counted in every view, and the truth about the views.

    Parameters
    ----------
    counts, even, odd : numpy.ndarray, float32, shape (n, y, x)
        Whole numbers of electrons; `counts` is the sum of the halves, which are independent (movie frames dealt
        out alternately).
    tilts_deg : tuple of float
        Tilt of each view, as in the arrays.
    ranks : numpy.ndarray, int64, shape (n,)
        When each view was taken, 0 first.
    doses_before_e_per_nm2 : numpy.ndarray, float64, shape (n,)
        Exposure accumulated before each view; each view adds `camera.dose_e_per_nm2` / n.
    shifts_px : numpy.ndarray, float64, shape (n, 2)
        By how far (y, x) each view is off.
    rotations_deg : numpy.ndarray, float64, shape (n,)
        By how much each view is turned about its middle, from x towards y, before the shift.
    pixel_nm : float
        Pixel side.
    depth_px : int
        Depth of the slab in pixels.
    camera : Camera
        Settings.
    carries_zero : bool
        Whether the pixel carries the first zero of the contrast transfer function. Where it does not, the transfer
        only takes low frequencies down to the amplitude contrast, and no phase needs flipping.
    contrast : float
        What a line integral of density 1 over one voxel takes off a view's relative intensity at a transfer of 1.
    """

    counts: Float32Array
    even: Float32Array
    odd: Float32Array
    tilts_deg: tuple[float, ...]
    ranks: NDArray[np.int64]
    doses_before_e_per_nm2: NDArray[np.float64]
    shifts_px: NDArray[np.float64]
    rotations_deg: NDArray[np.float64]
    pixel_nm: float
    depth_px: int
    camera: Camera
    carries_zero: bool
    contrast: float

    @property
    def note(self) -> str:
        """What contrast transfer did, in words."""
        where = "within" if self.carries_zero else "beyond"
        zero_nm = 1.0 / first_zero_per_nm(self.camera)
        return (
            f"contrast transfer at {self.camera.defocus_um:g} µm underfocus; its first zero ({zero_nm:.2g} nm) lies "
            f"{where} what pixels of {self.pixel_nm:g} nm carry"
        )


def acquisition_ranks(tilts_deg: Sequence[float], scheme: str) -> NDArray[np.int64]:
    """When each tilt is taken.

    Parameters
    ----------
    tilts_deg : sequence of float
        Tilts in any order.
    scheme : str
        "dose-symmetric": outwards from the tilt nearest 0, alternately two on either side (0, 3, -3, -6, 6,
        9, -9, …). "bidirectional": from there to the highest, then to the lowest. "as-listed".

    Returns
    -------
    numpy.ndarray, int64, shape (n,)
        Rank of each tilt, 0 first.

    Raises
    ------
    ValueError
        If the scheme is unknown.
    """
    tilts = np.asarray(tilts_deg, dtype=np.float64)
    if scheme == "as-listed":
        return np.arange(len(tilts))
    start = int(np.argmin(np.abs(tilts)))
    rising = np.argsort(tilts, kind="stable")
    middle = int(np.flatnonzero(rising == start)[0])
    up, down = list(rising[middle + 1 :]), list(rising[:middle][::-1])
    order = [start]
    if scheme == "bidirectional":
        order += up + down
    elif scheme == "dose-symmetric":
        side, other, take = up, down, 1
        while side or other:
            order += side[:take]
            side, other, take = other, side[take:], 2
    else:
        raise ValueError(f"There is no tilt scheme {scheme!r}.")
    ranks = np.empty(len(tilts), dtype=np.int64)
    ranks[order] = np.arange(len(tilts))
    return ranks


def first_zero_per_nm(camera: Camera) -> float:
    """Lowest frequency at which the contrast transfer function vanishes, 1/nm; infinite where none below 5/nm does."""
    k = np.linspace(0.0, 5.0, 4097)
    transfer = _transfer((1, 8192), 0.1, camera)[0]
    changes = np.flatnonzero(np.diff(np.signbit(transfer)))
    return float(k[changes[0] + 1]) if changes.size else float("inf")


def _transfer(shape: tuple[int, int], pixel_nm: float, camera: Camera) -> Float32Array:
    return contrast_transfer(
        shape,
        pixel_nm,
        camera.defocus_um,
        voltage_kv=camera.voltage_kv,
        spherical_aberration_mm=camera.spherical_aberration_mm,
        amplitude_contrast=camera.amplitude_contrast,
    )


def tilt_series(
    scene: Scene,
    plane: Plane,
    shape: tuple[int, int, int],
    voxel_nm: float,
    tilts_deg: Sequence[float],
    camera: Camera | None = None,
    *,
    slab: Slab | None = None,
    seed: int,
) -> TiltSeries:
    """Cut a slab from a frozen cell and record it at given tilts.

    Parameters
    ----------
    scene : Scene
        The cell.
    plane : Plane
        Middle plane of the slab; the beam runs along its normal, the tilt axis along y.
    shape : tuple of int
        (z, y, x) voxels of the slab; (y, x) is the camera's field too.
    voxel_nm : float
        Voxel and pixel side.
    tilts_deg : sequence of float
        Tilts in degrees, within [-80, 80].
    camera : Camera, optional
        Settings.
    slab : Slab, optional
        An undeformed lamella where absent.
    seed : int
        Of texture, misalignment and counts.

    Returns
    -------
    TiltSeries
        Beside the field the slab goes on as its mirror image.
    """
    matter = slab_matter(scene, plane, shape, voxel_nm, np.random.default_rng([seed, 0]), slab)
    return record(matter, voxel_nm, tilts_deg, camera, seed=seed)


def record(
    matter: ArrayLike, voxel_nm: float, tilts_deg: Sequence[float], camera: Camera | None = None, *, seed: int
) -> TiltSeries:
    r"""Record a slab of given density at given tilts.

    A view's expected electrons in a pixel are
    :math:`N e^{-T/(\Lambda\cos\theta)}\,(1 - 2\,\mathcal{F}^{-1}[\mathrm{CTF}\cdot D\cdot\mathcal{F}\varphi])`, the
    weak-phase approximation (Reimer and Kohl 2008, ch. 6), with the phase φ of what is denser than ice, the dose
    filter D at the middle of the view's exposure, and the loss of electrons in a slab of thickness T.

    Parameters
    ----------
    matter : array_like, shape (z, y, x)
        Density, high = dense, on the scale of ``contrast.CONTRASTS["cryo"]``.
    voxel_nm : float
        Voxel and pixel side.
    tilts_deg : sequence of float
        Tilts in degrees, within [-80, 80].
    camera : Camera, optional
        Settings.
    seed : int
        Of misalignment and counts; each view draws from a stream of its own.

    Returns
    -------
    TiltSeries

    Raises
    ------
    ValueError
        If a tilt exceeds 80 degrees, or as `cryoet.reconstruct.project`.
    """
    camera = camera or Camera()
    tilts = np.asarray(tilts_deg, dtype=np.float64)
    if tilts.size and np.abs(tilts).max() > 80:
        raise ValueError("A slab cannot be recorded at more than 80 degrees.")
    volume = np.asarray(matter, dtype=np.float32) - np.float32(_ICE)
    views = project(volume, tilts.tolist(), edges="continued")
    depth = volume.shape[0]
    del volume
    count, *field = views.shape
    wide = (field[0] + 2 * _RIM, field[1] + 2 * _RIM)
    ranks = acquisition_ranks(tilts.tolist(), camera.scheme)
    each = camera.dose_e_per_nm2 / count
    before = ranks * each
    draw = np.random.default_rng([seed, 1])
    shifts = np.asarray(camera.shift_px * draw.standard_normal((count, 2)))
    turns = np.asarray(camera.rotation_deg * draw.standard_normal(count))
    transfer = _transfer(wide, voxel_nm, camera)
    contrast = 2.0 * PHASE_RAD_PER_NM * voxel_nm

    def expose(i: int) -> tuple[Float32Array, Float32Array]:
        rng = np.random.default_rng([seed, 2, i])
        fade = dose_filter(wide, voxel_nm, float(before[i]) + 0.5 * each) if camera.damage else np.float32(1)
        seen = filter_images(np.pad(views[i], _RIM, mode="symmetric"), transfer * fade)
        seen = _moved(seen, shifts[i], float(turns[i]))[_RIM:-_RIM, _RIM:-_RIM]
        left = np.exp(-depth * voxel_nm / (FREE_PATH_NM * np.cos(np.deg2rad(tilts[i]))))
        expected = 0.5 * each * voxel_nm**2 * left * np.clip(1.0 - contrast * seen, 0.02, None)
        even, odd = (poisson_counts(expected, rng).astype(np.float32) for _ in range(2))
        return even, odd

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        halves = list(pool.map(expose, range(count)))
    even, odd = (np.stack([half[j] for half in halves]) for j in range(2))
    return TiltSeries(
        even + odd, even, odd, tuple(tilts.tolist()), ranks, before, shifts, turns,
        voxel_nm, depth, camera, first_zero_per_nm(camera) < 0.5 / voxel_nm, contrast,
    )  # fmt: skip


def _moved(view: Float32Array, shift: NDArray[np.float64], turn_deg: float, *, back: bool = False) -> Float32Array:
    """Turn a view about its middle from x towards y, then shift it; or undo that."""
    if not shift.any() and not turn_deg:
        return view
    a = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    middle = 0.5 * (np.array(view.shape) - 1.0)
    # `affine_transform` asks where each output pixel comes from.
    matrix = turn if back else turn.T
    offset = middle + shift - matrix @ middle if back else middle - matrix @ (middle + shift)
    return np.asarray(ndimage.affine_transform(view, matrix, offset, order=3, mode="reflect"), dtype=np.float32)


def reconstruct(
    series: TiltSeries,
    depth: int | None = None,
    which: Literal["counts", "even", "odd"] = "counts",
    *,
    aligned: bool = True,
) -> Float32Array:
    """Reconstruct a recorded series by the weighted back-projection that real series get.

    Each view is divided by its mean, taken from 1 and scaled to line integrals of density; where the contrast
    transfer changes sign within the band, phases are flipped.

    Parameters
    ----------
    series : TiltSeries
        Recorded by `record` or `tilt_series`.
    depth : int, optional
        Voxels along z; the slab's where absent.
    which : {"counts", "even", "odd"}
        All electrons or a half.
    aligned : bool
        Whether the true shifts and rotations are undone first.

    Returns
    -------
    numpy.ndarray, float32, shape (depth, y, x)
        Density about 0, high = dense.
    """
    images: Float32Array = getattr(series, which)
    transfer = _transfer((images.shape[1], images.shape[2]), series.pixel_nm, series.camera)
    flip = np.where(transfer < 0, np.float32(-1), np.float32(1))

    def prepare(i: int) -> Float32Array:
        view = images[i] / np.float32(images[i].mean())
        view = (np.float32(1) - view) / np.float32(series.contrast)
        if aligned:
            view = _moved(view, series.shifts_px[i], float(series.rotations_deg[i]), back=True)
        return filter_images(view, flip) if series.carries_zero else view

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        views = np.stack(list(pool.map(prepare, range(len(images)))))
    return back_project(views, series.tilts_deg, series.depth_px if depth is None else depth)
