"""Rows of the measurement table: what one cell and one tomogram give, and what they cannot give.

Belongs here: the measurement table's columns, and for each characteristic whether the estimator or the
imaged volume allows it at all, with the reason. Does not belong here: the numbers themselves (`shape`,
`interior`, `geometry`), and anything that compares two sides (`statistics`, `verdicts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from em2cryo_assets.compare.drying import ABSOLUTE, DRIED
from em2cryo_assets.compare.interior import autocorrelation_lengths, depth_nm, normalised
from em2cryo_assets.compare.record import (
    SLAB_MODALITIES,
    WHOLE_CELL_MODALITIES,
    Arc,
    TomogramRecord,
    why_not_comparable,
)
from em2cryo_assets.compare.shape import shape_values
from em2cryo_assets.geometry.mesh import Mesh, solidity
from em2cryo_assets.vocabulary import LABELS, ORGANELLES

__all__ = [
    "MEASUREMENT_COLUMNS",
    "OF_ONE_CELL",
    "UNITS",
    "Row",
    "cell_measurements",
    "measurement_row",
    "measurement_table",
    "tomogram_measurements",
]

MEASUREMENT_COLUMNS: Final = (
    "side",
    "key",
    "unit",
    "block",
    "modality",
    "characteristic",
    "value",
    "sd",
    "unit_of_measure",
    "assessable",
    "reason",
    "n_support",
)

UNITS: Final[Mapping[str, str]] = {
    "log_volume": "ln µm³",
    "sphericity": "",
    "axis_ratio": "",
    "axial_asymmetry": "",
    "mirror_asymmetry": "",
    "log_wall_radius": "ln nm",
    "outline_axis_ratio": "",
    "silhouette_axis_ratio": "",
    "wall_thickness": "nm",
    **{f"fraction_{name}": "" for name in ORGANELLES},
    "depth_profile": "",
    "density_distribution": "",
    "power_spectrum": "",
    "autocorrelation_length": "nm",
}
"""Characteristic to its unit of measure; contrast_order is a matter of pairs and has no row here."""

_SHAPE: Final = (
    "log_volume",
    "sphericity",
    "axis_ratio",
    "axial_asymmetry",
    "mirror_asymmetry",
)
_OUTLINES: Final = ("outline_axis_ratio", "silhouette_axis_ratio")
_VECTORS: Final = ("depth_profile", "density_distribution", "power_spectrum")

OF_ONE_CELL: Final = "this cell: "
"""Begins a reason that says nothing of the other cells of a study."""
_ONE_ATLAS: Final = "every fused cell shares the study's one atlas; the independent units are the TEM cells"
_BUDDED: Final = "it carries a bud, and shapes from SEM are of single bodies"
_LEAST_SOLIDITY: Final = 0.97
"""Share of its convex hull that a single body fills. Of 60 simulated cells at 100 nm a voxel those without a bud filled
.997 and more, those with one .876 to .935. Unlike sphericity it says nothing of elongation, which is to be compared."""
_DENOISED: Final = "the volume was denoised, which makes texture of its own"

Row = dict[str, object]
"""One row of the table by column."""


def cell_measurements(
    mesh: Mesh,
    fused_labels: NDArray[np.integer] | None = None,
    *,
    key: str,
    unit: str,
    field: str,
    why_not: str = "",
    imposed: tuple[str, ...] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Measure one SEM cell, its sizes as dried (`drying.undried` scales them where a study allows it).

    Parameters
    ----------
    mesh : Mesh
        Closed and outward.
    fused_labels : numpy.ndarray, integer, shape (z, y, x), optional
        The fused volume's labels. Its fractions are recorded but never assessable from this side.
    key, unit : str
        The cell's key and independent identity.
    field : str
        Key of the SEM field, kept as block: cells of a field share focus, charging and drying.
    why_not : str
        Why the whole cell cannot be seen, in words; empty where it can.
    imposed : tuple of str
        Symmetries that the surface estimator imposes, as it names them.
    seed : int
        Of the random plane cuts.

    Returns
    -------
    pandas.DataFrame
        `MEASUREMENT_COLUMNS`, side "sem".

    Raises
    ------
    ValueError
        If the mesh encloses no positive volume.
    """
    base: Row = {"side": "sem", "key": key, "unit": unit, "block": field, "modality": "sem"}
    rows = []
    for name, value in shape_values(mesh, seed=seed).items():
        reason = f"{OF_ONE_CELL}{why_not}" if why_not else ""
        if not reason and name in ABSOLUTE:
            reason = DRIED
        if not reason:
            reason = _imposed_reason(name, imposed) or _undefined(value)
        rows.append(measurement_row(base, name, value, reason, n_support=len(mesh.faces)))
    if fused_labels is not None:
        n_cell = int(np.count_nonzero(fused_labels))
        for name, value in _fractions(fused_labels).items():
            rows.append(measurement_row(base, name, value, _ONE_ATLAS, n_support=n_cell))
    return measurement_table(rows)


def tomogram_measurements(
    density: NDArray[np.floating],
    labels: NDArray[np.integer],
    voxel_nm: tuple[float, float, float],
    info: TomogramRecord,
    *,
    key: str,
    unit: str,
    mesh: Mesh | None = None,
    wall_thickness: tuple[float, float] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure one tomogram; every characteristic of `UNITS` gets a row, if only with a reason.

    Parameters
    ----------
    density, labels : numpy.ndarray, shape (z, y, x)
        Density high where matter is dense; vocabulary codes. All outside is no error: every row then says
        that no cell was found.
    voxel_nm : tuple of float
        (z, y, x), nm.
    info : TomogramRecord
        Its modality, arc and whether it was denoised are read.
    key, unit : str
        The tomogram's key and the independent cell imaged.
    mesh : Mesh, optional
        Surface of the cell, for whole-cell modalities.
    wall_thickness : (float, float), optional
        Value and SD, nm; NaN where not measurable.
    seed : int
        Of the random plane cuts.

    Returns
    -------
    pandas.DataFrame
        `MEASUREMENT_COLUMNS`, side "cryo". Vector characteristics have the value NaN: their row says only
        whether `interior_vectors` of this tomogram may be used; autocorrelation_length is the mean of the
        two in-plane lengths. n_support is in faces (shape) or voxels: of the wall, of
        the cell for fractions, of the interior for the rest.
    """
    base: Row = {"side": "cryo", "key": key, "unit": unit, "block": "", "modality": info.modality}
    no_cell = "" if (labels != LABELS["outside"]).any() else why_not_comparable(labels, SLAB_MODALITIES[0])
    rows = []
    if no_cell:
        return measurement_table([measurement_row(base, name, float("nan"), no_cell, n_support=0) for name in UNITS])
    rows += _shape_rows(base, labels, voxel_nm, info, mesh, seed)
    rows.append(_thickness_row(base, labels, wall_thickness))
    whole = info.modality in WHOLE_CELL_MODALITIES
    n_cell = int(np.count_nonzero(labels))
    for name, value in _fractions(labels).items():
        reason = "" if whole else "a slab or outline shows an unknown part of the cell"
        if whole and value == 0:
            # Nothing found is no measurement of nothing there: the labelling may not know the organelle.
            reason = f"no {name.removeprefix('fraction_').replace('_', ' ')} was told apart in this volume"
        rows.append(measurement_row(base, name, value if value else float("nan"), reason, n_support=n_cell))
    rows += _interior_rows(base, density, labels, voxel_nm, info)
    return measurement_table(rows)


def _shape_rows(
    base: Row,
    labels: NDArray[np.integer],
    voxel_nm: tuple[float, float, float],
    info: TomogramRecord,
    mesh: Mesh | None,
    seed: int,
) -> list[Row]:
    if mesh is not None and info.modality in WHOLE_CELL_MODALITIES:
        values = shape_values(mesh, seed=seed)
        budded = _BUDDED if solidity(mesh) < _LEAST_SOLIDITY else ""
        return [
            measurement_row(base, name, value, budded or _undefined(value), n_support=len(mesh.faces))
            for name, value in values.items()
        ]
    if info.modality in WHOLE_CELL_MODALITIES:
        reason = "no closed surface could be made of this whole-cell volume"
    else:
        extent = [n * side / 1000 for n, side in zip(labels.shape, voxel_nm, strict=True)]
        reason = "a volume of {2:.2g} x {1:.2g} x {0:.2g} µm shows only a part of a cell".format(*extent)
    rows = [measurement_row(base, name, float("nan"), reason, n_support=0) for name in (*_SHAPE, *_OUTLINES)]
    return [*rows, _wall_radius(base, info.arc)]


def _wall_radius(base: Row, arc: Arc | None) -> Row:
    if arc is None:
        return measurement_row(
            base, "log_wall_radius", float("nan"), "no arc of the outer wall is in view", n_support=0
        )
    if not np.isfinite(arc.normal_radius_nm) or not arc.normal_radius_nm > 0:
        return measurement_row(
            base, "log_wall_radius", float("nan"), arc.reason or "no arc could be fitted", n_support=0
        )
    reason = "" if arc.usable else (arc.reason or "the fit of the wall's arc is not usable")
    value, sd = float(np.log(arc.normal_radius_nm)), arc.log_normal_radius_se
    return measurement_row(base, "log_wall_radius", value, reason, n_support=1, sd=sd)


def _thickness_row(base: Row, labels: NDArray[np.integer], wall_thickness: tuple[float, float] | None) -> Row:
    value, sd = wall_thickness if wall_thickness is not None else (float("nan"), float("nan"))
    reason = "" if np.isfinite(value) else "no wall thickness could be measured"
    n_wall = int(np.count_nonzero(labels == LABELS["wall"]))
    return measurement_row(base, "wall_thickness", value, reason, n_support=n_wall, sd=sd)


def _interior_rows(
    base: Row,
    density: NDArray[np.floating],
    labels: NDArray[np.integer],
    voxel_nm: tuple[float, float, float],
    info: TomogramRecord,
) -> list[Row]:
    reason = why_not_comparable(labels, info.modality)
    n = int(np.count_nonzero(labels >= LABELS["cytoplasm"]))
    no_wall = "no wall in view, so depth below it is undefined"
    depth_reason = reason or (no_wall if depth_nm(labels, voxel_nm) is None else "")
    texture_reason = reason or (_DENOISED if info.denoised else "")
    length = float("nan")
    if not texture_reason:
        _, along_y, along_x = autocorrelation_lengths(normalised(density, labels), labels, voxel_nm)
        length = (along_y + along_x) / 2
    length_reason = texture_reason or ("" if np.isfinite(length) else "the correlation does not fall to 1/e in view")
    rows = [
        measurement_row(
            base, name, float("nan"), depth_reason if name == "depth_profile" else texture_reason, n_support=n
        )
        for name in _VECTORS
    ]
    return [*rows, measurement_row(base, "autocorrelation_length", length, length_reason, n_support=n)]


def _undefined(value: float) -> str:
    return "" if np.isfinite(value) else "no cut or silhouette of this cell is of one convex body"


def _imposed_reason(characteristic: str, imposed: tuple[str, ...]) -> str:
    """Name the symmetries that make a number a property of the estimator.

    A mirror in the image plane is none of them: M is taken across the long axis, which lies in that plane.
    """
    words = {"axial_asymmetry": ("axial", "ellipsoid"), "mirror_asymmetry": ("ellipsoid",)}
    named = [s for s in imposed if any(word in s for word in words.get(characteristic, ()))]
    return f"imposed by the surface estimator: {', '.join(named)}" if named else ""


def _fractions(labels: NDArray[np.integer]) -> dict[str, float]:
    """Volume fraction of each organelle in the cell, wall included; NaN without a cell."""
    # Section by section: NumPy counts in numbers of eight bytes, which takes 8.6 GB for 1,024³ at once.
    counts = np.sum([np.bincount(plane.ravel(), minlength=len(LABELS)) for plane in labels], axis=0)
    cell = float(counts[1:].sum()) or float("nan")
    return {f"fraction_{name}": float(counts[LABELS[name]]) / cell for name in ORGANELLES}


def measurement_row(
    base: Row, characteristic: str, value: float, reason: str, *, n_support: int, sd: float = float("nan")
) -> Row:
    """One row of the measurement table; a reason makes the number not assessable."""
    return {
        **base,
        "characteristic": characteristic,
        "value": float(value),
        "sd": float(sd),
        "unit_of_measure": UNITS[characteristic],
        "assessable": not reason,
        "reason": reason,
        "n_support": int(n_support),
    }


def measurement_table(rows: list[Row]) -> pd.DataFrame:
    """Rows in the columns of `MEASUREMENT_COLUMNS`."""
    return pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))
