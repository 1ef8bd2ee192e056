"""Pictures of cells, tomograms, sections and pairs, and the records that the template shows them by.

Belongs here: which pictures each entry gets, their file names and captions. Does not belong here:
drawing them (`figures`, `raster`), laying them out (`templates`).
"""

import re
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from em2cryo_assets.report import raster
from em2cryo_assets.report.data import ReportData
from em2cryo_assets.report.entries import CellEntry, FusedSlice, PairEntry, RawEntry, SectionEntry, TomogramEntry
from em2cryo_assets.report.figures import picture, still_of_mesh
from em2cryo_assets.report.payload import cell_script
from em2cryo_assets.report.tables import measurement_rows
from em2cryo_assets.report.words import Bilingual

__all__ = ["CellView", "PairView", "RawView", "SlideView", "Views"]


class CellView(NamedTuple):
    """A cell's files and words."""

    entry: CellEntry
    anchor: str
    crop: str
    still: str
    script: str
    cutaway: str
    planes: tuple[tuple[str, dict[str, str]], ...]
    faces: tuple[tuple[str, Bilingual], ...]
    measurements: tuple[tuple[Bilingual, str, str], ...]


class SlideView(NamedTuple):
    """A tomogram's or a section's files and words."""

    entry: TomogramEntry | SectionEntry
    anchor: str
    density: str
    labels: str
    measurements: tuple[tuple[Bilingual, str, str], ...]


class PairView(NamedTuple):
    """A pair's three pictures; the widths are relative, so that all have one scale."""

    entry: PairEntry
    anchor: str
    files: tuple[str, str, str]
    widths: tuple[float, float, float]


class RawView(NamedTuple):
    """A raw file's picture, and the file itself as seen from the report's folder in its study."""

    entry: RawEntry
    anchor: str
    picture: str
    href: str


class Views:
    """All pictures of a report, made once.

    Parameters
    ----------
    data : ReportData
        What to show.

    Attributes
    ----------
    files : dict of str to str
        Path inside the report to its text.
    cells, tomograms, sections, pairs, raw : list
        Records for the template.
    raw_anchors : dict of (str, str) to str
        Asset and key of a raw file to its anchor on the page.
    opening_cell, opening_pair : CellView or None, PairView or None
        What the first screen shows.
    top_bits : float
        Where the colours of the uncertainty end, bits.
    """

    def __init__(self, data: ReportData) -> None:
        self.files: dict[str, str] = {}
        self._simulated = data.simulated
        tops = [float(np.nanmax(cut.uncertainty, initial=0)) for cell in data.cells for cut in cell.slices]
        # Two bits are four equally likely labels; one scale for all cells, so that they can be compared.
        self.top_bits = min(2.0, max([*tops, 0.5]))
        self.cells = [self._cell(index, entry) for index, entry in enumerate(data.cells)]
        self.tomograms = [self._slide("tomogram", index, entry) for index, entry in enumerate(data.tomograms)]
        self.sections = [self._slide("section", index, entry) for index, entry in enumerate(data.sections)]
        self.pairs = [self._pair(index, entry) for index, entry in enumerate(data.pairs)]
        self.raw = [self._raw(index, entry) for index, entry in enumerate(data.raw)]
        self.raw_anchors = {(one.entry.asset, one.entry.key): one.anchor for one in self.raw}
        self.opening_pair = self.pairs[0] if self.pairs else None
        self.opening_cell = self._opening_cell()

    def _opening_cell(self) -> CellView | None:
        shown = [cell for cell in self.cells if cell.entry.mesh is not None]
        paired = self.opening_pair.entry.cell if self.opening_pair else None
        best = [cell for cell in shown if cell.entry.key == paired]
        best += [cell for cell in shown if not cell.entry.why_not]
        return next(iter([*best, *shown]), None)

    def _put(self, name: str, text: str) -> str:
        self.files[name] = text
        return name

    def _cell(self, index: int, entry: CellEntry) -> CellView:
        name = _file_name("cell", index, entry.key)
        crop = self._put(
            f"figures/{name}-sem.svg",
            picture(
                entry.crop,
                entry.crop_pixel_nm,
                alt=f"SEM micrograph of {entry.key} with the outline of its mask",
                simulated=self._simulated,
                outlines_px=entry.outlines_px,
            ),
        )
        still = script = cutaway = ""
        faces: list[tuple[str, Bilingual]] = []
        if any(cut.axis == "z" for cut in entry.slices):
            faces += [
                ("density", Bilingual("fused density", "융합 밀도")),
                ("labels", Bilingual("labels", "라벨")),
            ]
        if entry.cutaway is not None:
            faces.append(("tem", Bilingual("TEM profile", "TEM 단면")))
        if entry.mesh is not None:
            pixels, pixel_nm = still_of_mesh(entry.mesh)
            alt = f"Mesh of {entry.key}, seen as the SEM saw the cell"
            still = self._put(f"figures/{name}-mesh.svg", picture(pixels, pixel_nm, alt=alt, simulated=self._simulated))
            script = self._put(f"cells/{name}.js", cell_script(entry))
        if entry.cutaway is not None:
            way = entry.cutaway
            cutaway = self._put(
                f"figures/{name}-cutaway.svg",
                picture(
                    raster.grey(way.density, way.mask),
                    way.pixel_nm,
                    alt=f"Cutaway of {entry.key}: {way.caption}",
                    simulated=self._simulated,
                ),
            )
        planes = tuple(
            (cut.axis, self._plane(f"{name}-{number}", entry.key, cut)) for number, cut in enumerate(entry.slices)
        )
        rows = measurement_rows(entry.measurements)
        return CellView(entry, name, crop, still, script, cutaway, planes, tuple(faces), rows)

    def _plane(self, name: str, key: str, cut: FusedSlice) -> dict[str, str]:
        pixels = {
            "density": raster.grey(cut.density),
            "labels": raster.colour_codes(cut.labels),
            "source": raster.colour_codes(cut.source, sources=True),
            "uncertainty": raster.colour_uncertainty(cut.uncertainty, self.top_bits),
        }
        return {
            channel: self._put(
                f"figures/{name}-{channel}.svg",
                picture(
                    image,
                    cut.pixel_nm,
                    alt=f"{channel} of the fused volume of {key}, plane {cut.axis} = {cut.position_nm:g} nm",
                    simulated=self._simulated,
                    crisp=channel in ("labels", "source"),
                ),
            )
            for channel, image in pixels.items()
        }

    def _slide(self, kind: str, index: int, entry: TomogramEntry | SectionEntry) -> SlideView:
        name = _file_name(kind, index, entry.key)
        levels = raster.grey(entry.density)
        arc = entry.arc if isinstance(entry, TomogramEntry) else None
        rows = measurement_rows(entry.features) if isinstance(entry, TomogramEntry) else ()
        density = picture(
            levels,
            entry.pixel_nm,
            alt=f"{kind} {entry.key}, dark is dense",
            simulated=self._simulated,
            arc=arc,
        )
        labels = picture(
            raster.overlay(levels, entry.labels),
            entry.pixel_nm,
            alt=f"{kind} {entry.key} with its labels",
            simulated=self._simulated,
        )
        return SlideView(
            entry,
            name,
            self._put(f"figures/{name}.svg", density),
            self._put(f"figures/{name}-labels.svg", labels),
            rows,
        )

    def _raw(self, index: int, entry: RawEntry) -> RawView:
        name = _file_name("raw", index, entry.key)
        shown = picture(
            entry.pixels,
            entry.pixel_nm,
            alt=f"{entry.key} as it was read",
            simulated=self._simulated,
            bar_on_top=True,
        )
        return RawView(
            entry, name, self._put(f"figures/{name}.svg", shown), f"../{quote(entry.file)}" if entry.file else ""
        )

    def _pair(self, index: int, entry: PairEntry) -> PairView:
        name = _file_name("pair", index, f"{entry.cell}_{entry.tomogram}")
        slabs = (entry.before, entry.after, entry.tomogram_slab)
        widest = max(slab.shape[1] for slab in slabs)
        files = tuple(
            self._put(
                f"figures/{name}-{step}.svg",
                picture(
                    raster.grey(slab),
                    entry.voxel_nm,
                    alt=f"{alt} ({entry.cell}, {entry.tomogram})",
                    simulated=self._simulated,
                    row_width_nm=widest * entry.voxel_nm,
                ),
            )
            for slab, step, alt in zip(
                slabs,
                ("before", "after", "tomogram"),
                ("Model slab before degradation", "Model slab after degradation", "Tomogram slab"),
                strict=True,
            )
        )
        widths = tuple(round(slab.shape[1] / widest, 4) for slab in slabs)
        return PairView(entry, name, files, widths)  # type: ignore[arg-type]


def _file_name(kind: str, index: int, key: str) -> str:
    """Make a name that no key can spoil; the number keeps two keys apart that read alike."""
    return f"{kind}-{index:03d}-{re.sub(r'[^A-Za-z0-9_-]', '_', key)[:48]}"
