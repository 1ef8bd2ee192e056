"""How well tomograms are labelled, and what is measured on the labels: held-out simulated ones only.

The cells, from 940,000 on, were neither trained on nor tuned on, nor was the default decided by them.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets_tests.benchmarks.figure import Figure

HELD_OUT_CELLS, HELD_OUT_SEED = 24, 40_000
LEAST_DICE = 0.85
ASKED = ("wall", "nucleus", "vacuole")

VOXEL_NM, THICKNESS_NM, SNR = 10.0, 200.0, 10.0
TILTS_DEG = np.arange(-60.0, 61.0, 3.0).tolist()
SHORT_NM, LONG_NM = 1000.0, 2000.0
SHORT_ARCS, LONG_ARCS = (1000.0, 1400.0), (1700.0, 2400.0)
ARCS, ARCS_OF_TRUTH = 60, 240


def figures() -> Iterator[Figure]:
    """Dice by label, seconds, thickness of slabs, radii of walls, agreement with another reconstruction."""
    yield from _labels()
    yield from _radii()
    yield from _other_reconstruction()


def _labels() -> Iterator[Figure]:
    from em2cryo_assets.cryoet.label_decoding import network_slab
    from em2cryo_assets.cryoet.label_scores import SETS, confusion, judged_tomograms
    from em2cryo_assets.cryoet.labels import label_slab, label_tomogram
    from em2cryo_assets.cryoet.slab_extent import slab_planes
    from em2cryo_assets.learning.overlap import pooled_overlap
    from em2cryo_assets.vocabulary import LABELS

    ways = {"network": network_slab, "layers": label_slab}
    volumes = {(kind, way): np.zeros((len(LABELS), len(LABELS))) for kind in SETS for way in ways}
    seconds, off = 0.0, []
    for judged in judged_tomograms(HELD_OUT_CELLS, seed=HELD_OUT_SEED):
        sides = (judged.voxel_nm,) * 3
        for way, slab in ways.items():
            started = time.process_time()
            labels = label_tomogram(judged.volume, sides, judged.modality, slab=slab).labels
            volumes[judged.kind, way] += confusion(judged.labels, labels) * judged.voxel_nm**3
            if way == "network":
                seconds += time.process_time() - started
                if judged.kind == SETS[1] and judged.labels.any():
                    found, true = (slab_planes(one) for one in (labels, judged.labels))
                    off.append(abs((found.stop - found.start) / (true.stop - true.start) - 1.0))
    for kind in SETS:
        ours, peer = (pooled_overlap(volumes[kind, way], LABELS) for way in ways)
        for label in ASKED:
            if label in ours:
                yield Figure.at_least(
                    f"{kind}, Dice of {label}", ours[label][0], "", LEAST_DICE, round(peer[label][0], 4)
                )
    yield Figure.at_most("thickness of slabs off the truth, median", float(np.median(off)), "relative", 0.1)
    yield Figure.at_least("slabs whose thickness is within 10 %", float(np.mean(np.array(off) <= 0.1)), "", 0.9)
    yield Figure.at_most("labelling a tomogram of 1 µm", seconds / (3 * HELD_OUT_CELLS), "CPU s", 5.0)


def _radii() -> Iterator[Figure]:
    """R_n of arcs over the radius of the sphere of the cell's volume; medians over cells."""
    for field_nm, arcs, corrected in ((SHORT_NM, SHORT_ARCS, True), (LONG_NM, LONG_ARCS, False)):
        seen = _ratios(field_nm, arcs, ARCS, first=950_000, imaged=True)
        median = float(np.median(seen))
        expected = float(np.median(_ratios(field_nm, arcs, ARCS_OF_TRUTH, first=960_000, imaged=False)))
        error = 1.2533 * float(np.std(np.log(seen), ddof=1)) / np.sqrt(len(seen))
        how = "corrected by simulation" if corrected else "not corrected"
        name = f"median R_n of {len(seen)} arcs of {arcs[0] / 1000:g} to {arcs[1] / 1000:g} µm, {how}, off the truth"
        # The standard error of the median says how much of the figure is chance.
        off = abs(median / (expected if corrected else 1.0) - 1.0)
        yield Figure.at_most(f"{name} (standard error {error:.3f})", off, "relative", 0.05)


def _ratios(field_nm: float, arcs_nm: Sequence[float], count: int, *, first: int, imaged: bool) -> NDArray[np.float64]:
    from em2cryo_assets.cryoet.arcs import fit_wall_arc
    from em2cryo_assets.cryoet.label_decoding import network_slab
    from em2cryo_assets.cryoet.labels import label_tomogram
    from em2cryo_assets.phantom.cryo import cryo_slab, slab_labels
    from em2cryo_assets.phantom.planes import wall_plane
    from em2cryo_assets.phantom.scene import draw_cell

    shape = (round(THICKNESS_NM / VOXEL_NM), *[round(field_nm / VOXEL_NM)] * 2)
    voxel, out = (VOXEL_NM,) * 3, []
    for seed in range(first, first + count):
        cell = draw_cell(seed)
        plane = wall_plane(cell.body, np.random.default_rng([seed, 29]), 0.35 * field_nm)
        if imaged:
            volume = cryo_slab(cell, plane, shape, VOXEL_NM, TILTS_DEG, snr=SNR, seed=seed)
            labels = label_tomogram(volume, voxel, "lamella", slab=network_slab).labels
        else:
            labels = slab_labels(cell, plane, shape, VOXEL_NM)
        arc = fit_wall_arc(labels, voxel, tilts_deg=None)  # as `tomogram_features` does
        if arc is not None and arc.usable and arcs_nm[0] <= arc.arc_length_nm <= arcs_nm[1]:
            radius_nm = (0.75 / np.pi * cell.truth().volume_um3) ** (1 / 3) * 1000.0
            out.append(arc.normal_radius_nm / radius_nm)
    return np.array(out)


def _other_reconstruction() -> Iterator[Figure]:
    """Slice by slice against scikit-image's filtered back-projection, a piece of a cell; the wedge is missing in both."""
    from skimage.transform import iradon

    from em2cryo_assets.cryoet.fsc import shell_correlation
    from em2cryo_assets.cryoet.reconstruct import back_project, project
    from em2cryo_assets.phantom.cryo import Slab, slab_matter
    from em2cryo_assets.phantom.planes import wall_plane
    from em2cryo_assets.phantom.scene import draw_cell

    side = 64
    y, x = np.meshgrid(np.arange(side) - 31.5, np.arange(side) - 31.5, indexing="ij")
    cell = draw_cell(940_000)
    plane = wall_plane(cell.body, np.random.default_rng(5), 200.0)
    matter = slab_matter(cell, plane, (side, 24, side), 8.0, np.random.default_rng(5), Slab("cryo-section"))
    volume = (matter - matter.mean()) * np.clip((29.0 - np.hypot(y, x)) / 4.0, 0.0, 1.0)[:, None]
    tilts = np.arange(-60.0, 61.0, 2.0)
    views = project(volume, tilts)
    ours = back_project(views, tilts, side)
    # There a pixel lies at x cos θ - z sin θ.
    slices = [
        iradon(views[:, k].T, theta=-tilts, filter_name="ramp", circle=False, output_size=side) for k in range(24)
    ]
    theirs = np.stack(slices, axis=1)

    def least(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        frequency, correlation = shell_correlation(one, other, 1.0, within_deg=60.0)
        return float(correlation[(frequency > 0.02) & (frequency < 0.25)].min())

    yield Figure.at_least("FSC with another reconstruction, up to half Nyquist", least(ours, theirs), "", 0.95)
    # Where the two differ, which is right?
    peer = least(theirs, volume)
    yield Figure.at_least("FSC with the truth, up to half Nyquist", least(ours, volume), "", peer, round(peer, 4))
