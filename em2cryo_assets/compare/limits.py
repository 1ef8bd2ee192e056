"""What bounds each answer of a study, from the study's own numbers, and the acquisition that would move it.

Belongs here: one row a bound. Does not belong here: the closed forms (`bounds`), the numbers themselves, or verdicts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from em2cryo_assets.compare.bounds import (
    DRIED_LENGTH,
    HEIGHT_PRIOR,
    log_height_sd,
    log_shrinkage_half_width,
    opaque_wall_widening,
    unsampled_share,
    wedge_elongation,
)
from em2cryo_assets.compare.record import CRYO_SECTION_COMPRESSION
from em2cryo_assets.compare.tables import LIMITATION_COLUMNS

__all__ = ["StudyNumbers", "limitations"]

_SHAPE: Final = "log_volume, axis_ratio, sphericity, axial_asymmetry, mirror_asymmetry"
_INSIDE: Final = "fraction_nucleus, fraction_vacuole, fraction_mitochondrion, fraction_lipid_droplet"
_TEXTURE: Final = "depth_profile, density_distribution, power_spectrum, autocorrelation_length"
_TRIPLET_DEG: Final = 45.0


@dataclass(frozen=True)
class StudyNumbers:
    """What the bounds are made of; empty where a study has none of it.

    Parameters
    ----------
    cell_um3 : sequence of float
        Volumes of the comparable cells' meshes, µm³.
    slab_um3 : sequence of float
        Volumes inside a cell that each slab tomogram holds, µm³.
    tilts_deg : sequence of tuple of float
        Recorded tilts of each slab tomogram that has them.
    slabs : int
        Slab tomograms.
    cryo_sections : int
        Those cut with a knife.
    with_halves : int
        Those with even and odd halves.
    whole_cells : int
        Volumes of whole frozen cells.
    live_diameters : bool
        Whether the sizes of living cells are known.
    imposed : sequence of str
        What the surface estimator imposes.
    axis_error : float
        Relative error of one measured axis: the SEM pixel over the cell's median short axis; NaN without cells.
    section_nm, wall_nm : float
        Median thickness of the sections and of the wall, nm; NaN without sections.
    fused_voxel_nm : float
        Voxel of the pseudo-3D cells, nm.
    verdicts : pandas.DataFrame
        The study's verdicts, for the power of each.
    """

    cell_um3: Sequence[float] = ()
    slab_um3: Sequence[float] = ()
    tilts_deg: Sequence[tuple[float, ...]] = ()
    slabs: int = 0
    cryo_sections: int = 0
    with_halves: int = 0
    whole_cells: int = 0
    live_diameters: bool = False
    imposed: Sequence[str] = ()
    axis_error: float = float("nan")
    section_nm: float = float("nan")
    wall_nm: float = float("nan")
    fused_voxel_nm: float = float("nan")
    verdicts: pd.DataFrame = field(default_factory=pd.DataFrame)


def limitations(numbers: StudyNumbers) -> pd.DataFrame:
    """List what bounds the answers.

    Parameters
    ----------
    numbers : StudyNumbers
        Of one study.

    Returns
    -------
    pandas.DataFrame
        `tables.LIMITATION_COLUMNS`: bound, the characteristics it concerns, the quantity with value and unit, how it is
        derived, what it means, the acquisition that would move it and what the quantity would be then (NaN where it
        cannot be said).
    """
    rows = [*_coverage(numbers), *_wedge(numbers), *_compression(numbers), *_drying(numbers), *_far_side(numbers)]
    rows += [*_thickness(numbers), *_noise(numbers), *_resolution(numbers), *_units(numbers)]
    frame = pd.DataFrame(rows, columns=list(LIMITATION_COLUMNS))
    return frame.astype({name: float if name in ("value", "value_then") else str for name in LIMITATION_COLUMNS})


def _row(
    bound: str, concerns: str, quantity: str, value: float, unit: str, how: str, meaning: str, move: str, then: float
) -> dict[str, object]:
    return dict(
        zip(LIMITATION_COLUMNS, (bound, concerns, quantity, value, unit, how, meaning, move, then), strict=True)
    )


def _coverage(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not (len(n.cell_um3) and len(n.slab_um3)):
        return
    share = float(np.mean(n.slab_um3) / np.mean(n.cell_um3))
    meaning = "a tomogram of a part shows neither the shape of the whole nor its shares of organelles"
    if n.whole_cells:
        meaning += f"; here {n.whole_cells} volumes of whole cells do"
    yield _row(
        "coverage", f"{_SHAPE}, {_INSIDE}", "share of a cell in one tomogram", share, "",
        "mean volume inside the cell of a slab / mean volume of the meshes", meaning,
        "volumes of whole frozen cells (soft X-ray tomography, cryo-FIB-SEM)", 1.0,
    )  # fmt: skip


def _wedge(n: StudyNumbers) -> Iterator[dict[str, object]]:
    known = [tilts for tilts in n.tilts_deg if len(tilts) > 1]
    if not known:
        return
    typical = sorted(known, key=lambda tilts: max(tilts) - min(tilts))[len(known) // 2]
    yield _row(
        "missing wedge", _TEXTURE, "share of Fourier space unsampled", unsampled_share(typical), "",
        "1 - tilt range / 180°, median tomogram",
        "what varies along the beam is blurred; both sides are compared through the same wedge",
        "a second tilt series about the axis at a right angle", unsampled_share(typical, both_axes=True),
    )  # fmt: skip
    yield _row(
        "missing wedge", _TEXTURE, "elongation along the beam", wedge_elongation(typical), "×",
        "√((α + sin α cos α)/(α - sin α cos α)), α half of the tilt range (Radermacher)",
        "lengths along the beam are not those of the cell; none is corrected for it",
        "a tilt range of ±70°", wedge_elongation((-70.0, 70.0)),
    )  # fmt: skip


def _compression(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not n.cryo_sections:
        return
    low, high = CRYO_SECTION_COMPRESSION
    yield _row(
        "compression", f"log_wall_radius, {_TEXTURE}", "unknown factor between lengths along the knife's path",
        (1 - low) / (1 - high), "×", f"compression of {low:.0%} to {high:.0%} where none was recorded",
        f"{n.cryo_sections} vitreous sections are shorter along the knife by an amount of their own",
        "lamellae by focused ion beam, which are not compressed", 1.0,
    )  # fmt: skip


def _drying(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not len(n.cell_um3):
        return
    for name, power in (("log_wall_radius", 1.0), ("log_volume", 3.0)):
        known = n.live_diameters
        yield _row(
            "drying", name, "90 % half-width from drying alone", 0.0 if known else log_shrinkage_half_width(power), "ln",
            f"{power:g} · 1.645 · {DRIED_LENGTH[1]} / {DRIED_LENGTH[0]} (prior of the linear factor)",
            "the mean size is the light microscope's: diameters of living cells were given"
            if known
            else "the size in the SEM is that of a dried cell; absolute sizes cannot be assessed",
            "none needed" if known else "mean diameter of living cells of the strain, by light microscopy", 0.0,
        )  # fmt: skip


def _far_side(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not len(n.cell_um3):
        return
    if n.imposed:
        yield _row(
            "hidden hemisphere", "axial_asymmetry, mirror_asymmetry", "symmetries imposed", float(len(n.imposed)), "",
            "by the surface estimator: " + ", ".join(n.imposed),
            "one view says nothing about the far side: what the estimator imposes cannot be assessed",
            "a triplet of views: 0°, +45°, and +45° after turning the stage by 180°", float("nan"),
        )  # fmt: skip
    if np.isfinite(n.axis_error):
        yield _row(
            "hidden hemisphere", "log_volume, axis_ratio, sphericity", "SD of the half-height's logarithm",
            HEIGHT_PRIOR[1] / HEIGHT_PRIOR[0], "ln",
            f"prior of height over width, {HEIGHT_PRIOR[0]} ± {HEIGHT_PRIOR[1]}: a single view measures no height",
            "the height of a cell is a prior, however many pixels it has",
            f"a triplet at ±{_TRIPLET_DEG:.0f}° with this pixel size", log_height_sd(n.axis_error, _TRIPLET_DEG),
        )  # fmt: skip


def _thickness(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not np.isfinite([n.section_nm, n.wall_nm]).all():
        return
    yield _row(
        "section thickness", "wall_thickness", "widening of the opaque wall by the section",
        opaque_wall_widening(n.section_nm, n.wall_nm), "relative", "½ · thickness / wall, median over random planes",
        "it is corrected for; a thickness misjudged by a fifth leaves a fifth of it",
        "sections of 50 nm", opaque_wall_widening(50.0, n.wall_nm),
    )  # fmt: skip


def _noise(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not n.slabs:
        return
    yield _row(
        "noise", _TEXTURE, "tomograms whose noise was measured by halves", float(n.with_halves), f"of {n.slabs}",
        "even and odd halves beside the tomogram, or made from its tilt series",
        "all were" if n.with_halves == n.slabs else "the others have their noise estimated from a split in space",
        "keep even and odd halves of every reconstruction", float(n.slabs),
    )  # fmt: skip


def _resolution(n: StudyNumbers) -> Iterator[dict[str, object]]:
    if not np.isfinite(n.fused_voxel_nm) or not len(n.cell_um3):
        return
    finest = 2 * n.fused_voxel_nm
    # Sections hold nothing finer than they are thick: beyond, only thinner ones help.
    move, then = "thinner sections, and a fused_voxel_nm of half of their thickness", float("nan")
    if finest > n.section_nm:
        move, then = "a smaller fused_voxel_nm, down to half of the sections' thickness", n.section_nm
    yield _row(
        "resolution", _TEXTURE, "finest detail compared", finest, "nm",
        "two voxels of the pseudo-3D cell; finer frequencies of the tomograms are left out",
        "membranes and ribosomes lie below: nothing is said about them", move, then,
    )  # fmt: skip


def _units(n: StudyNumbers) -> Iterator[dict[str, object]]:
    for row in n.verdicts.to_dict("records"):
        if row["verdict"] != "inconclusive":
            continue
        yield _row(
            "number of units", str(row["characteristic"]), "power at no difference", float(row["power"]), "",
            f"equivalence test at {row['n']}", str(row["reason"]), str(row["would_change"]), 0.8,
        )  # fmt: skip
