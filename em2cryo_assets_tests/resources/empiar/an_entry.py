"""One entry of two tomograms and much else, and what of it lies in a study."""

import json
from typing import Any

from em2cryo_assets.formats.companions import COMPANION_ENDINGS
from em2cryo_assets.resources.study import Study
from em2cryo_assets_tests.resources.empiar.server import Empiar, entry_json, gz, mrc_bytes

NAME = "EMPIAR-10227"
FOLDER = "data/tomograms"


def put_entry(empiar: Empiar) -> None:
    """One entry: two tomograms, one of them compressed, and all that is no tomogram."""
    movies = {"directory": "data/movies", "category": "micrographs - multiframe"}
    empiar.entries[NAME] = entry_json(imagesets=[*entry_json()["imagesets"], movies])
    empiar.put(NAME, f"{FOLDER}/TS_01.rec", mrc_bytes(seed=1))
    empiar.put(NAME, f"{FOLDER}/TS 02.mrc.gz", gz(mrc_bytes(seed=2)))
    empiar.put(NAME, f"{FOLDER}/TS_01.mdoc", b"[Tilt]")
    empiar.put(NAME, f"{FOLDER}/TS_01_labels.mrc", mrc_bytes(mode=0))
    empiar.put(NAME, f"{FOLDER}/slice.mrc", mrc_bytes((1, 10, 12)))
    empiar.put(NAME, "data/series/TS_01.st", mrc_bytes(ispg=0, mz=1))
    empiar.put(NAME, "data/movies/1.tif", b"x")


def inbox(study: Study) -> dict[str, bytes]:
    """Raw files of the study; nothing else may lie there but sidecars and companions."""
    folder = study.root / "inbox" / "tomogram"
    beside = (".toml", *COMPANION_ENDINGS)
    raws = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix not in beside}
    assert {raw.path.name for raw in study.inbox.files("tomogram").values()} == set(raws)
    assert study.inbox.unusable("tomogram") == []
    return raws


def record(study: Study) -> dict[str, Any]:
    return json.loads((study.root / "empiar" / f"{NAME}.json").read_text())
