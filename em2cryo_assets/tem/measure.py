"""Measure the labels of one section.

Belongs here: areas, outline lengths, wall widths, depth profiles of one labelled section.
Does not belong here: labelling (`tem.labels`), anything that needs more than one section (`tem.atlas`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from em2cryo_assets.tem.levels import smooth
from em2cryo_assets.tem.stereology import boundary_length_px
from em2cryo_assets.vocabulary import LABEL_NAMES, LABELS, ORGANELLES

__all__ = ["DEPTH_BINS", "measure_section"]

DEPTH_BINS = 20
"""Bins of s = depth below the plasma membrane / inradius, over [0, 1]; wall and outside carry the bin -1."""

_DENSITY_SIGMA_NM = 20.0
_FEWEST_CYTOPLASM_PX = 100


def measure_section(
    labels: NDArray[np.uint8],
    profiles: NDArray[np.int32],
    density: NDArray[np.floating],
    pixel_size_nm: float,
    section_thickness_nm: float,
) -> dict[str, pd.DataFrame]:
    """Areas, bodies, wall widths and depth profile of one section.

    Parameters
    ----------
    labels : numpy.ndarray, uint8, shape (y, x)
        Codes of `vocabulary.LABELS`.
    profiles : numpy.ndarray, int32, shape (y, x)
        Number of the cell profile (wall included), 0 outside.
    density : numpy.ndarray, shape (y, x)
        High where dense; used as z = (v − median of cytoplasm) / robust SD of cytoplasm, after smoothing by
        20 nm (a section carries nothing finer than its thickness, and pixel noise is not structure).
    pixel_size_nm : float
        Pixel side.
    section_thickness_nm : float
        Kept with the areas, where a correction may need it.

    Returns
    -------
    dict of pandas.DataFrame
        ``areas``: profile, label, area_um2, boundary_um, cell_um2, touches_border, section_thickness_nm;
        ``bodies``: profile, label, area_um2, width_nm (largest inscribed circle), one row an organelle
        profile;
        ``wall``: profile, area_um2, middle_um, outline_um, apparent_nm, n_outline_px, touches_border;
        ``depth``: s_bin, label, n_px, z_sum, z_sum2.

    Raises
    ------
    ValueError
        Shapes that differ, or sizes that are not positive.
    """
    if not (labels.shape == profiles.shape == density.shape):
        raise ValueError(f"Labels {labels.shape}, profiles {profiles.shape}, density {density.shape} differ in shape.")
    if not (pixel_size_nm > 0 and section_thickness_nm > 0):
        raise ValueError("Pixel size and section thickness must be positive.")
    areas: list[tuple[int, str, float, float, float, bool, float]] = []
    bodies: list[tuple[int, str, float, float]] = []
    walls: list[tuple[int, float, float, float, float, int, bool]] = []
    um = pixel_size_nm / 1000.0
    on_border = set(np.unique(np.concatenate([profiles[0], profiles[-1], profiles[:, 0], profiles[:, -1]])))
    for number, window in enumerate(ndimage.find_objects(profiles), start=1):
        if window is None:
            continue
        wide = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in window)
        cell, codes = profiles[wide] == number, np.where(profiles[wide] == number, labels[wide], 0)
        touches = number in on_border
        cell_um2 = float(cell.sum()) * um**2
        for name, code in LABELS.items():
            if name == "outside":
                continue
            mask = codes == code
            length = boundary_length_px(mask) * um if mask.any() else 0.0
            area = float(mask.sum()) * um**2
            areas.append((number, name, area, length, cell_um2, touches, section_thickness_nm))
            if name in ORGANELLES and mask.any():
                bodies += [(number, name, a * um**2, w * pixel_size_nm) for a, w in _bodies(mask)]
        walls.append(_wall_row(number, codes, cell, pixel_size_nm, touches))
    return {
        "areas": pd.DataFrame(
            areas,
            columns=[
                "profile",
                "label",
                "area_um2",
                "boundary_um",
                "cell_um2",
                "touches_border",
                "section_thickness_nm",
            ],
        ),
        "bodies": pd.DataFrame(bodies, columns=["profile", "label", "area_um2", "width_nm"]),
        "wall": pd.DataFrame(
            walls,
            columns=["profile", "area_um2", "middle_um", "outline_um", "apparent_nm", "n_outline_px", "touches_border"],
        ),
        "depth": _depth(labels, profiles, density, pixel_size_nm),
    }


def _bodies(mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Area and largest inscribed diameter, in pixels, of each connected piece."""
    numbers, count = ndimage.label(mask)
    # A pixel's centre is half a pixel inside its body: 2·EDT − 1 is the width of a bar.
    inscribed = ndimage.maximum(
        ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1], numbers, range(1, count + 1)
    )
    sizes = np.bincount(numbers.ravel())[1:]
    return [(float(size), float(2 * depth - 1)) for size, depth in zip(sizes, np.atleast_1d(inscribed), strict=True)]


def _wall_row(
    number: int, codes: NDArray[np.uint8], cell: NDArray[np.bool_], pixel_size_nm: float, touches: bool
) -> tuple[int, float, float, float, float, int, bool]:
    """Wall area, length of its middle and outer outline, apparent width (median from outline to inner pixel).

    A cut through nothing but wall has no width, but its area and length count: thickness would be biased
    without them.
    """
    inside = cell & (codes != LABELS["wall"])
    um = pixel_size_nm / 1000.0
    outline = cell & ndimage.binary_dilation(~cell) & ~inside
    area = float((codes == LABELS["wall"]).sum()) * um**2
    outer = boundary_length_px(cell) * um
    middle = (outer + boundary_length_px(ndimage.binary_fill_holes(inside)) * um) / 2
    apparent = 0.0
    if inside.any() and outline.any():
        apparent = float(np.median(ndimage.distance_transform_edt(~inside)[outline])) * pixel_size_nm
    return number, area, middle, outer, apparent, int(outline.sum()), touches


def _depth(
    labels: NDArray[np.uint8],
    profiles: NDArray[np.int32],
    density: NDArray[np.floating],
    pixel_size_nm: float,
) -> pd.DataFrame:
    """Sum counts and density by relative depth and label; empty where no cytoplasm gives a scale."""
    columns = ["s_bin", "label", "n_px", "z_sum", "z_sum2"]
    if density.size == 0 or np.ptp(density) == 0:
        return pd.DataFrame(columns=columns).astype({"label": str})
    level = smooth(density, _DENSITY_SIGMA_NM, pixel_size_nm)
    cytoplasm = level[labels == LABELS["cytoplasm"]]
    if cytoplasm.size < _FEWEST_CYTOPLASM_PX:
        return pd.DataFrame(columns=columns).astype({"label": str})
    centre = float(np.median(cytoplasm))
    spread = 1.4826 * float(np.median(np.abs(cytoplasm - centre)))
    if spread == 0:
        return pd.DataFrame(columns=columns).astype({"label": str})
    z = (level.astype(np.float64) - centre) / spread
    bins = np.full(labels.shape, -1)
    interior = (labels != LABELS["outside"]) & (labels != LABELS["wall"])
    depth = ndimage.distance_transform_edt(np.pad(interior, 1, mode="edge"))[1:-1, 1:-1] - 0.5
    for number in range(1, int(profiles.max()) + 1):
        mask = interior & (profiles == number)
        if mask.any():
            relative = depth[mask] / max(float(depth[mask].max()), 1.0)
            bins[mask] = np.minimum((relative * DEPTH_BINS).astype(int), DEPTH_BINS - 1)
    code = (bins + 1) * len(LABELS) + labels
    size = (DEPTH_BINS + 1) * len(LABELS)
    counts = np.bincount(code.ravel(), minlength=size)
    sums = np.bincount(code.ravel(), weights=z.ravel(), minlength=size)
    squares = np.bincount(code.ravel(), weights=(z**2).ravel(), minlength=size)
    filled = np.flatnonzero(counts)
    return pd.DataFrame(
        {
            "s_bin": filled // len(LABELS) - 1,
            "label": [LABEL_NAMES[int(i) % len(LABELS)] for i in filled],
            "n_px": counts[filled],
            "z_sum": sums[filled],
            "z_sum2": squares[filled],
        }
    )
