"""The simulated tilt series: how fast it comes about and whether its reconstruction holds what it must."""

import resource
import time
from collections.abc import Iterator

import numpy as np

from em2cryo_assets_tests.benchmarks.figure import Figure

SHAPE, VOXEL_NM = (128, 512, 512), 2.0
TILTS_DEG, STEP_DEG = np.arange(-60.0, 61.0, 3.0).tolist(), 3.0
SMALL, SMALL_VOXEL_NM = (48, 160, 160), 4.0
RESOLUTION_NM = 20.0


def figures() -> Iterator[Figure]:
    """A large series with its reconstruction; resolution, wedge and mass on a small one."""
    from em2cryo_assets.cryoet.fsc import crossing_per_nm, sampled_to_deg, shell_correlation
    from em2cryo_assets.cryoet.reconstruct import back_project, project
    from em2cryo_assets.phantom.cryo import slab_matter
    from em2cryo_assets.phantom.planes import wall_plane
    from em2cryo_assets.phantom.scene import draw_cell
    from em2cryo_assets.phantom.tilt_series import Camera, reconstruct, record, tilt_series

    cell = draw_cell(3)
    plane = wall_plane(cell.body, np.random.default_rng(1), 350.0)

    rng = np.random.default_rng(0)
    volume = rng.standard_normal((32, 48, 48), dtype=np.float32)
    views = rng.standard_normal((len(TILTS_DEG), 48, 48), dtype=np.float32)
    forward = float(np.vdot(project(volume, TILTS_DEG).astype(float), views))
    backward = float(np.vdot(volume.astype(float), back_project(views, TILTS_DEG, 32, weighting="none")))
    error = abs(forward - backward) / float(np.linalg.norm(volume) * np.linalg.norm(views))
    yield Figure.at_most("projection and back-projection, error of adjointness", error, "relative", 1e-4)
    blob = np.zeros((32, 16, 96), dtype=np.float32)
    blob[8:24, 4:12, 40:56] = rng.random((16, 8, 16))
    mass = project(blob, TILTS_DEG).sum(axis=(1, 2), dtype=np.float64)
    spread = float(np.abs(mass / blob.sum(dtype=np.float64) - 1).max())
    yield Figure.at_most("projected mass off the volume's", spread, "relative", 1e-4)

    matter = slab_matter(cell, plane, SMALL, SMALL_VOXEL_NM, np.random.default_rng(0))
    straight = record(matter, SMALL_VOXEL_NM, TILTS_DEG, seed=1)
    crooked = record(matter, SMALL_VOXEL_NM, TILTS_DEG, Camera(shift_px=2.0, rotation_deg=0.5), seed=1)

    def truth_nm(reconstruction: np.ndarray) -> float:
        curve = shell_correlation(reconstruction, matter, SMALL_VOXEL_NM, within_deg=60.0)
        return 1.0 / max(crossing_per_nm(*curve, 0.5), 1e-9)

    whole = reconstruct(straight)
    reached = truth_nm(whole)
    yield Figure.at_most("FSC against truth is above 0.5 down to", reached, "nm", RESOLUTION_NM)
    halves = (reconstruct(straight, which=name) for name in ("even", "odd"))
    halves_nm = 1.0 / crossing_per_nm(*shell_correlation(*halves, SMALL_VOXEL_NM, within_deg=60.0), 0.143)
    yield Figure.at_most(
        "FSC of halves crosses 0.143 off the truth's 0.5", abs(halves_nm / reached - 1), "relative", 0.2
    )
    yield Figure.at_least(
        "resolution lost to shifts of 2 px", truth_nm(reconstruct(crooked, aligned=False)) / reached, "times", 1.25
    )
    undone = truth_nm(reconstruct(crooked))
    yield Figure.at_most("resolution after undoing the true shifts", undone / reached, "times", 1.1)
    # A view stands for half a step beyond it.
    off = abs(sampled_to_deg(whole) - (TILTS_DEG[-1] + 0.5 * STEP_DEG))
    yield Figure.at_most("missing wedge in the reconstruction off the one asked for", off, "deg", 2.0)
    del whole, straight, crooked

    started = time.perf_counter()
    series = tilt_series(cell, plane, SHAPE, VOXEL_NM, TILTS_DEG, seed=1)
    taken = time.perf_counter() - started
    reconstruct(series)
    seconds = time.perf_counter() - started
    yield Figure.at_most(f"{len(TILTS_DEG)} views of 512² of a cell, recorded", taken, "s", 60)
    yield Figure.at_most("the same with its reconstruction to 512 × 512 × 128", seconds, "s", 60)
    yield Figure.at_most("peak memory of these", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "GB", 3)
