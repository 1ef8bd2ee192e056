"""The report as a folder of files that opens from disk.

Belongs here: which pictures, tables and words are shown, and writing them. Does not belong here: drawing
(`figures`, `charts`, `raster`), words that no study decides (`words`), the layout (`templates`, `static`).
"""

import shutil
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from em2cryo_assets.report import origins, tables, words
from em2cryo_assets.report.data import ReportData
from em2cryo_assets.report.views import Views

__all__ = ["write_report"]

_STATIC = ("static/style.css", "static/page.js", "viewer/viewer.js", "viewer/LICENSE-three.txt")
_FOLDERS = ("figures", "cells")


def write_report(folder: Path, data: ReportData) -> None:
    """Write the report of one study; the same data give the same bytes.

    Everything lies in `folder` and refers to nothing outside it: `index.html` opens from disk, without a
    server and without a network. What an earlier report left there is replaced.

    Parameters
    ----------
    folder : pathlib.Path
        Created if missing. `index.html`, the static files, ``figures/``, ``cells/``, the tables as CSV and the
        paragraph on methods.
    data : ReportData
        What to show.

    Raises
    ------
    ValueError
        If the folder holds files and none of them is a report: nothing of someone else's is removed.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "index.html").exists():
        raise ValueError(f"{folder} holds files and no report; give an empty folder or an earlier report's.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    views = Views(data)
    for name, text in views.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    package = files("em2cryo_assets.report")
    for name in _STATIC:
        (folder / Path(name).name).write_bytes((package / name).read_bytes())
    # Spreadsheet programs read UTF-8 (the Korean sentences) only with a byte-order mark.
    (folder / "verdicts.csv").write_text(data.verdicts.to_csv(index=False), encoding="utf-8-sig")
    for name, frame in (("verdict_calibration", data.calibration), ("limitations", data.bounds)):
        if len(frame):
            (folder / f"{name}.csv").write_text(frame.to_csv(index=False), encoding="utf-8-sig")
    if data.paragraph is not None:
        (folder / "methods_en.txt").write_text(data.paragraph.text_en + "\n", encoding="utf-8")
        (folder / "methods_ko.txt").write_text(data.paragraph.text_ko + "\n", encoding="utf-8")
    (folder / "index.html").write_text(_page(data, views), encoding="utf-8")


def _page(data: ReportData, views: Views) -> str:
    environment = Environment(
        loader=PackageLoader("em2cryo_assets.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html").render(
        data=data,
        views=views,
        words=words,
        question=words.QUESTION,
        mark=words.MARK,
        methods=data.methods or words.METHODS,
        limits=data.limits or words.LIMITS,
        verdicts=tables.verdict_rows(data.verdicts),
        tally=tables.tally(data.verdicts),
        calibration=tables.calibration(data.calibration),
        bounds=tables.bounds(data.bounds),
        virtual=tables.virtual(data.virtual),
        atlas=tables.atlas(data.atlas),
        ui=origins.UI,
        origins=origins.origins(data.provenance),
        rests_on=origins.rests_on(data.rests_on, views.raw_anchors),
    )
