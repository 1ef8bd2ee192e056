"""Reconstruction by a program that the user has: IMOD or AreTomo.

Belongs here: their files and options, running them in a folder of their own, and reading back what they made. Does not
belong here: finding out whether a study asks for one (`resources.study`), or reconstruction by this package
(:mod:`em2cryo_assets.cryoet.from_tilt_series`), whose binning, depth and alignment are used.

Options as in the command files that IMOD's etomo writes (newstack, tilt) and as others call AreTomo2 and AreTomo3. None
of the programs was at hand where this was written: it is tested with stand-ins that read and write the same files, and
was not tried with the real ones.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import mrcfile
import numpy as np
from numpy.typing import NDArray

from em2cryo_assets.cryoet.from_tilt_series import binning_of, depth_px, register
from em2cryo_assets.cryoet.mrc_header import read_mrc
from em2cryo_assets.cryoet.raw_volume import FileArray, VolumeView, check_values
from em2cryo_assets.formats.errors import InputError

if TYPE_CHECKING:
    from em2cryo_assets.cryoet.tilt_series_file import RecordedSeries

__all__ = ["PROGRAMS", "ExternalReconstruction", "reconstruct_with"]

PROGRAMS: Final = ("imod", "aretomo")

LONGEST_S: Final = 4 * 3600.0
"""A series of 60 views of 4k by 4k takes minutes on a graphics card and about an hour on a slow processor."""

_IMOD: Final = ("newstack", "tilt")
_ARETOMO: Final = ("AreTomo3", "AreTomo2")
_VERSION: Final = re.compile(r"\bversion\s*:?\s*(\d[\w.\-]*)", re.IGNORECASE)
_TAIL_LINES: Final = 12
_LOG: Final = "log.txt"
_ROUNDING_PX: Final = 2

Shape = tuple[int, int, int]
_RADIAL: Final = "0.35 0.035"
"""Cut-off of the weighting and its fall-off, cycles per pixel: the default of etomo."""


@dataclass(frozen=True)
class ExternalReconstruction:
    """A tomogram that another program made.

    Parameters
    ----------
    density : VolumeView, float32, shape (z, y, x)
        High where matter is dense, in a file that goes with it.
    even, odd : VolumeView or None
        From every other view by tilt, where the program can make them from the same alignment.
    voxel_nm : float
        Voxel side.
    tilts_deg : tuple of float
        Tilts given to the program.
    residual_nm : float or None
        Of an alignment by this package; None where the series came aligned, or the program aligned it.
    version : str
        What the program calls its version; empty if it does not say.
    commands : tuple of str
        Command lines, with the names of files in the program's folder and what was given on standard input.
    notes : list of str
        What was done and assumed, a sentence each.
    """

    density: VolumeView
    even: VolumeView | None
    odd: VolumeView | None
    voxel_nm: float
    tilts_deg: tuple[float, ...]
    residual_nm: float | None
    version: str
    commands: tuple[str, ...]
    notes: list[str]


def reconstruct_with(
    program: str, series: RecordedSeries, scratch: Path, *, thickness_nm: float | None = None
) -> ExternalReconstruction:
    """Reconstruct a tilt series by IMOD or AreTomo.

    Parameters
    ----------
    program : str
        One of `PROGRAMS`.
    series : RecordedSeries
        As read from its files.
    scratch : pathlib.Path
        Folder in which the program gets one of its own; it is removed with the volumes.
    thickness_nm : float, optional
        Recorded thickness of the slab.

    Raises
    ------
    InputError
        If the program is not there, fails, takes too long, or leaves no volume of the size it was asked for.
    """
    names = {"imod": _IMOD, "aretomo": _ARETOMO}[program]
    found = {name: path for name in names if (path := shutil.which(name)) is not None}
    if len(found) < (len(names) if program == "imod" else 1):
        missing = " or ".join(names) if program == "aretomo" else ", ".join(name for name in names if name not in found)
        raise InputError(
            "study.toml",
            f"reconstruction = {program!r}, and not on PATH: {missing}.",
            'install it or add its folder to PATH, or write reconstruction = "built-in".',
        )
    folder = _Folder(Path(tempfile.mkdtemp(dir=scratch, prefix=f".{program}-")))
    try:
        run = _Run(series, folder.path, folder)
        os.symlink(series.path.resolve(), run.folder / "stack.mrc")
        (run.folder / "tilts.tlt").write_text("".join(f"{tilt:.3f}\n" for tilt in series.tilts_deg), encoding="ascii")
        if program == "imod":
            return _by_imod(run, found, thickness_nm)
        name = next(name for name in names if name in found)
        return _by_aretomo(run, name, found[name], thickness_nm)
    except BaseException:
        folder.remove()
        raise


class _Folder:
    """A folder that goes with the last volume in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remove = weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)


@dataclass
class _Run:
    """A folder, and what was run in it."""

    series: RecordedSeries
    folder: Path
    owner: object
    commands: list[str] = field(default_factory=list)

    def call(self, command: Sequence[str], given: str = "") -> None:
        """Run one program to its end, without a shell; everything it says is kept.

        Raises
        ------
        InputError
            With the last lines it said.
        """
        shown = [Path(command[0]).name, *command[1:]]
        self.commands.append(" ".join(shown) + (f" <<< {given.strip()!r}" if given else ""))
        with (self.folder / _LOG).open("ab") as log:
            process = subprocess.Popen(
                list(command), cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
            try:
                process.communicate(given.encode(), timeout=LONGEST_S)
            except subprocess.TimeoutExpired as error:
                raise self.failed(shown[0], f"did not end within {LONGEST_S / 3600:g} h") from error
            finally:
                with contextlib.suppress(ProcessLookupError):  # also what it started and left running
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            raise self.failed(shown[0], f"ended with status {process.returncode}")

    def failed(self, name: str, how: str) -> InputError:
        """What is told when a program fails."""
        said = [line.strip() for line in self.said().splitlines() if line.strip()][-_TAIL_LINES:]
        return InputError(
            self.series.path,
            f"{name} {how}. It said: {' | '.join(said) or 'nothing'}.",
            'mend what it names, or write reconstruction = "built-in" into study.toml.',
        )

    def said(self) -> str:
        return (self.folder / _LOG).read_text(encoding="utf-8", errors="replace")

    def version(self) -> str:
        found = _VERSION.search(self.said())
        return found.group(1) if found is not None else ""

    def volume(self, name: str, program: str, *layouts: tuple[bool, Shape]) -> VolumeView:
        """Read back a volume.

        Parameters
        ----------
        name, program : str
            File, and who should have made it.
        layouts : tuple of (bool, tuple of int)
            Shapes it may have, to a pixel or two by which programs round, and whether it must then be turned about x: its
            slices run along y, as those of IMOD's *tilt* do.
        """
        path = self.folder / name
        if not path.is_file():
            raise self.failed(program, f"left no {name}")
        array = read_mrc(path).array
        check_values(path, array)
        assert isinstance(array, FileArray)
        for turned, shape in layouts:
            if all(abs(n - wanted) <= _ROUNDING_PX for n, wanted in zip(array.shape, shape, strict=True)):
                return VolumeView(replace(array, owner=self.owner), (0, 1, 2), -1.0, turned=turned)
        raise self.failed(program, f"made a volume of {tuple(array.shape)} voxels, not of {layouts[0][1]}")


def _by_imod(run: _Run, programs: dict[str, str], thickness_nm: float | None) -> ExternalReconstruction:
    """*newstack* bins and moves the views, *tilt* projects them back: from all, and from every other one."""
    series = run.series
    views = register(series)
    notes = list(views.notes)
    shape = (depth_px(thickness_nm, views.voxel_nm, notes), *views.field)
    moved = views.transforms.copy()
    moved[:, :, 2] *= views.factor  # an .xf counts in pixels of the stack; newstack bins its shifts itself
    rows = ("".join(f" {value:11.6f}" for value in (*m[0, :2], *m[1, :2], m[0, 2], m[1, 2])) for m in moved)
    (run.folder / "views.xf").write_text("\n".join(rows) + "\n", encoding="ascii")
    height, width = views.field
    lines = ["InputFile stack.mrc", "OutputFile aligned.mrc", "TransformFile views.xf", f"BinByFactor {views.factor}"]
    lines += [f"SizeToOutputInXandY {width},{height}", "ModeToOutput 2"]
    run.call([programs["newstack"], "-StandardInput"], _lines(lines))
    if not (run.folder / "aligned.mrc").is_file():
        raise run.failed("newstack", "left no aligned.mrc")
    log = ["LOG 0.0"] if _are_counts(views.binned) else []
    order = np.argsort(series.tilts_deg, kind="stable")
    made = {}
    for name, left_out in (("all", ()), ("even", order[1::2]), ("odd", order[::2])):
        lines = [
            "InputProjections aligned.mrc",
            f"OutputFile {name}.rec",
            "TILTFILE tilts.tlt",
            f"THICKNESS {shape[0]}",
        ]
        lines += [f"FULLIMAGE {width} {height}", "IMAGEBINNED 1", f"RADIAL {_RADIAL}", "MODE 2", "PERPENDICULAR", *log]
        lines += [f"EXCLUDELIST {','.join(str(n + 1) for n in sorted(left_out))}"] if len(left_out) else []
        run.call([programs["tilt"], "-StandardInput"], _lines(lines))
        made[name] = run.volume(f"{name}.rec", "tilt", (True, (height, shape[0], width)))
    notes.insert(0, f"Reconstructed by IMOD from {len(views.binned)} views, tilts from {series.tilts_from}.")
    notes.append("The handedness of z is that of IMOD's tilt, turned about x and not mirrored; it was not verified.")
    return ExternalReconstruction(
        made["all"], made["even"], made["odd"], views.voxel_nm, series.tilts_deg, views.residual_nm, run.version(),
        tuple(run.commands), notes,
    )  # fmt: skip


def _by_aretomo(run: _Run, name: str, program: str, thickness_nm: float | None) -> ExternalReconstruction:
    """AreTomo aligns what is not aligned, and reconstructs by weighted back-projection."""
    series, notes = run.series, list[str]()
    known = series.aligned or series.transforms is not None
    factor = binning_of(series.pixel_nm)
    voxel_nm = series.pixel_nm * factor
    if known:  # AreTomo takes no .xf: it gets views that were moved by it
        views = register(series)
        field_px, pixel_nm, binning = views.field, voxel_nm, 1
        _write_stack(run.folder / "views.mrc", np.stack([views.aligned(n) for n in range(len(views.binned))]), voxel_nm)
        notes += views.notes
    else:
        os.symlink("stack.mrc", run.folder / "views.mrc")
        side_y, side_x = series.views.shape[1:]
        field_px, pixel_nm, binning = (side_y // factor, side_x // factor), series.pixel_nm, factor
        notes.append(f"There was no .xf: aligned by {name}.")
    shape = (depth_px(thickness_nm, voxel_nm, notes), *field_px)
    thick = shape[0] * binning
    options = ["-VolZ", str(thick), "-AlignZ", str(round(thick / 1.5)), "-FlipVol", "1", "-Wbp", "1", "-DarkTol", "0"]
    options += ["-PixSize", f"{10 * pixel_nm:.4f}", "-Align", "0" if known else "1", "-Gpu", "0"]
    if not known and series.axis_deg is not None:
        options += ["-TiltAxis", f"{series.axis_deg:.2f}", "1"]
    if name == "AreTomo3":
        acquired = "".join(f"{tilt:.3f}  {n}\n" for n, tilt in enumerate(series.tilts_deg, start=1))
        (run.folder / "views_TLT.txt").write_text(acquired, encoding="ascii")
        files, made = ["-Cmd", "1", "-InPrefix", "views.mrc", "-OutDir", ".", "-AtBin", str(binning)], "views_Vol.mrc"
    else:
        files = ["-InMrc", "views.mrc", "-AngFile", "tilts.tlt", "-OutMrc", "volume.mrc", "-OutBin", str(binning)]
        made = "volume.mrc"
    run.call([program, *files, *options])
    depth, height, width = shape
    layouts = [(False, shape), (True, (height, depth, width))]
    if not known:  # views whose tilt axis lies along x are turned by a right angle
        layouts += [(False, (depth, width, height)), (True, (width, depth, height))]
    density = run.volume(made, name, *layouts)
    notes.insert(0, f"Reconstructed by {name} from {series.views.shape[0]} views, tilts from {series.tilts_from}.")
    notes.append("The handedness of z is that of the program and was not verified; it made no even and odd halves.")
    return ExternalReconstruction(
        density, None, None, voxel_nm, series.tilts_deg, None, run.version(), tuple(run.commands), notes
    )


def _are_counts(views: NDArray[np.float32]) -> bool:
    """Whether grey values are counts of which a logarithm is proportional to mass; else they were normalised."""
    return bool(views.min() > 0 and all(view.mean() > 4.0 * view.std() for view in views))


def _write_stack(path: Path, views: NDArray[np.float32], pixel_nm: float) -> None:
    with mrcfile.new(path) as out:
        out.set_data(np.ascontiguousarray(views, dtype=np.float32))
        out.set_image_stack()
        out.voxel_size = 10.0 * pixel_nm


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
