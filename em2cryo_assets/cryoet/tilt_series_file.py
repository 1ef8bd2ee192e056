"""A recorded tilt series as files: stack, tilts, alignment, and what each of them says.

Belongs here: reading what lies beside a stack (``.tlt``, ``.rawtlt``, ``.mdoc``, ``.xf``), in IMOD's and SerialEM's
conventions. Does not belong here: finding it (`formats.companions`), the MRC container
(:mod:`em2cryo_assets.cryoet.mrc_header`), the fields of an ``.mdoc`` (:mod:`em2cryo_assets.cryoet.mdoc`), aligning
(:mod:`em2cryo_assets.cryoet.align`), reconstructing (:mod:`em2cryo_assets.cryoet.from_tilt_series`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.mdoc import Mdoc, read_mdoc
from em2cryo_assets.cryoet.mrc_header import read_mrc
from em2cryo_assets.formats.companions import companions
from em2cryo_assets.formats.errors import InputError

if TYPE_CHECKING:
    from em2cryo_assets.cryoet.raw_volume import RawArray
    from em2cryo_assets.formats.sidecar import Sidecar

__all__ = ["RecordedSeries", "is_tilt_series", "read_tilt_series", "recorded_tilts"]

_STACK_ENDINGS: Final = (".st", ".ali")
_LARGEST_TEXT: Final = 1 << 22
_STEEPEST_DEG: Final = 80.0


@dataclass(frozen=True)
class RecordedSeries:
    """A tilt series as it lies on disk.

    Parameters
    ----------
    path : pathlib.Path
        The stack.
    views : RawArray, shape (n, y, x)
        Grey values in the order of the file, read a view at a time.
    tilts_deg : tuple of float
        One for each view.
    tilts_from : str
        Name of the file that gave them.
    pixel_nm : float
        Pixel side.
    axis_deg : float or None
        Direction of the tilt axis from the picture's y towards -x (SerialEM's "Tilt axis angle" is measured from
        the vertical); 0 for an ``.ali``; None if nobody recorded it.
    transforms : numpy.ndarray, float64, shape (n, 2, 3) or None
        IMOD's ``.xf``: (x, y) of a pixel of the view, from the view's middle, to (x, y) in the aligned view with
        its tilt axis along y. None without that file; an ``.ali`` needs none.
    aligned : bool
        Whether the views themselves are aligned (``.ali``).
    warnings : list of str
        Contradictions.
    """

    path: Path
    views: RawArray
    tilts_deg: tuple[float, ...]
    tilts_from: str
    pixel_nm: float
    axis_deg: float | None
    transforms: NDArray[np.float64] | None
    aligned: bool
    warnings: list[str] = field(default_factory=list)


def is_tilt_series(path: Path) -> bool:
    """Whether a raw file is a tilt series: by its ending, or an MRC beside which tilts of its views lie.

    A reconstruction may keep its ``.mdoc``: that alone makes no series. A list of tilts (``.tlt`` or ``.rawtlt``)
    with as many entries as the file has sections does.
    """
    if path.suffix.lower() in _STACK_ENDINGS:
        return True
    if path.suffix.lower() != ".mrc":
        return False
    tilts = _tilt_list(companions(path))
    return tilts is not None and len(_numbers(tilts)) == read_mrc(path).array.shape[0]


def read_tilt_series(path: Path, sidecar: Sidecar) -> RecordedSeries:
    """Read a stack and everything that lies beside it.

    Tilts are taken from ``.tlt`` (refined), else ``.rawtlt``, else ``.mdoc``, else the sidecar.

    Parameters
    ----------
    path : pathlib.Path
        ``.st``, ``.ali`` or ``.mrc``.
    sidecar : Sidecar
        What the owner recorded.

    Returns
    -------
    RecordedSeries

    Raises
    ------
    InputError
        If the stack is damaged, has no tilts or no pixel size, or a companion does not fit it.
    """
    raw = read_mrc(path)
    count = raw.array.shape[0]
    warnings = list(raw.warnings)
    beside = companions(path)
    mdoc = _metadata(beside)
    tilts, origin = _tilts(path, beside, mdoc, sidecar, count)
    pixel_nm = _pixel(path, raw.voxel_nm, mdoc, sidecar, warnings)
    aligned = path.suffix.lower() == ".ali"
    transforms = None
    if not aligned and ".xf" in beside:
        table = _numbers(beside[".xf"], columns=6)
        if len(table) != count:
            raise InputError(
                beside[".xf"], f"{len(table)} transforms for {count} views.", "keep the one written for this stack."
            )
        transforms = np.stack([table[:, [0, 1, 4]], table[:, [2, 3, 5]]], axis=1)
        if np.abs(np.linalg.det(transforms[:, :, :2])).min() < 0.2:
            raise InputError(beside[".xf"], "a transform flattens its view.", "align the series again.")
    axis = 0.0 if aligned else (mdoc.axis_deg if mdoc else None)
    return RecordedSeries(path, raw.array, tilts, origin, pixel_nm, axis, transforms, aligned, warnings)


def recorded_tilts(path: Path) -> tuple[NDArray[np.float64], str] | None:
    """Tilts that lie beside a stack or a reconstruction of it, and the name of the file that gives them.

    ``.tlt`` (refined) comes before ``.rawtlt``, and that before ``.mdoc``; None where there is none of them.

    Raises
    ------
    InputError
        If that file cannot be read, or holds a tilt beyond ±80°.
    """
    found = companions(path)
    mdoc = _metadata(found) if _tilt_list(found) is None else None
    return _tilts_beside(found, mdoc)


def _tilt_list(beside: dict[str, Path]) -> Path | None:
    """The list of tilts that counts: the refined one before the recorded one."""
    return beside.get(".tlt", beside.get(".rawtlt"))


def _tilts_beside(beside: dict[str, Path], mdoc: Mdoc | None) -> tuple[NDArray[np.float64], str] | None:
    origin = _tilt_list(beside)
    if origin is not None:
        tilts = _numbers(origin)
    elif mdoc is not None and mdoc.tilts_deg.size:
        origin, tilts = mdoc.path, mdoc.tilts_deg
    else:
        return None
    if not np.isfinite(tilts).all() or np.abs(tilts).max() > _STEEPEST_DEG:
        raise InputError(origin, f"it holds a tilt beyond ±{_STEEPEST_DEG:g}°.", "remove that view or correct it.")
    return tilts, origin.name


def _metadata(beside: dict[str, Path]) -> Mdoc | None:
    """What SerialEM wrote beside a stack.

    Raises
    ------
    InputError
        If it is damaged: its tilts may then be those of other views.
    """
    if ".mdoc" not in beside:
        return None
    mdoc = read_mdoc(beside[".mdoc"])
    if mdoc.problem:
        raise InputError(mdoc.path, f"it is no SerialEM metadata ({mdoc.problem}).", "copy it again or remove it.")
    return mdoc


def _tilts(
    path: Path, beside: dict[str, Path], mdoc: Mdoc | None, sidecar: Sidecar, count: int
) -> tuple[tuple[float, ...], str]:
    if (found := _tilts_beside(beside, mdoc)) is not None:
        tilts, name = found
    elif sidecar.tilts_deg is not None:
        tilts, name = np.asarray(sidecar.tilts_deg, dtype=float), f"{path.name}.toml"
    else:
        raise InputError(path, "its tilts were not recorded.", f"put {path.stem}.rawtlt or {path.name}.mdoc beside it.")
    if len(tilts) != count:
        raise InputError(path, f"{name} gives {len(tilts)} tilts for {count} views.", "keep the list of this stack.")
    if len(set(np.round(tilts, 1))) < 3:
        raise InputError(path, "fewer than three different tilts make no tomogram.", "give the whole series.")
    return tuple(float(tilt) for tilt in tilts), name


def _pixel(
    path: Path, voxel_nm: tuple[float, ...] | None, mdoc: Mdoc | None, sidecar: Sidecar, warnings: list[str]
) -> float:
    """Pixel side: the header's x, else the metadata's, else the sidecar's; disagreement is said."""
    given = sidecar.voxel_size_nm if sidecar.voxel_size_nm is not None else sidecar.pixel_size_nm
    opinions = {
        "MRC header": voxel_nm[-1] if voxel_nm else None,
        "mdoc": mdoc.pixel_nm if mdoc else None,
        "sidecar": given[-1] if isinstance(given, tuple) else given,
    }
    known = {name: value for name, value in opinions.items() if value}
    if not known:
        raise InputError(path, "no file gives its pixel size.", f"write pixel_size_nm = ... into {path.name}.toml.")
    first, value = next(iter(known.items()))
    for name, other in known.items():
        if abs(other / value - 1.0) > 0.01:
            warnings.append(
                f"The {first} gives pixels of {value:.4g} nm, the {name} {other:.4g} nm; the {first}'s kept."
            )
    return float(value)


def _text(path: Path) -> str:
    if path.stat().st_size > _LARGEST_TEXT:
        raise InputError(path, "it is larger than 4 MiB.", "such a list is short; is it another file?")
    return path.read_text(encoding="utf-8", errors="replace")


def _numbers(path: Path, columns: int = 1) -> NDArray[np.float64]:
    """Numbers of a list, shape (lines,) or (lines, columns)."""
    rows = [line.split() for line in _text(path).splitlines() if line.strip()]
    try:
        table = np.array([[float(word) for word in row[:columns]] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise InputError(path, f"it is no list of numbers ({error}).", "copy it again or remove it.") from error
    if table.ndim != 2 or table.shape[1] != columns or not np.isfinite(table).all():
        raise InputError(path, f"its lines do not hold {columns} finite numbers each.", "copy it again or remove it.")
    return table[:, 0] if columns == 1 else table
