"""Which files are tomograms, and the reason said for every other."""

from typing import Any

import pytest

from em2cryo_assets.resources.empiar.choose import modality_of, not_by_header, not_by_name, sidecar_of, skip_folder
from em2cryo_assets.resources.empiar.entries import Entry, parse_entry
from em2cryo_assets.resources.empiar.header import parse_header
from em2cryo_assets.resources.empiar.keys import keys_of
from em2cryo_assets_tests.resources.empiar.server import entry_json, mrc_bytes

NAME = "EMPIAR-10227"
SETS = [
    {"directory": "data", "category": "tilt series", "name": "All"},
    {"directory": "data/movies", "category": "micrographs - multiframe", "name": "Movies"},
    {"directory": "/data/tomograms/", "category": "reconstructed volumes", "name": "Tomograms"},
    {"directory": "data/subtomo", "category": "subtomograms", "name": "Subtomograms"},
]


def entry(imagesets: list[dict[str, Any]] | None = None, **fields: Any) -> Entry:
    return parse_entry(NAME, {NAME: entry_json(imagesets=SETS if imagesets is None else imagesets, **fields)})


@pytest.mark.parametrize(
    "path",
    [
        "data/tomograms/TS_01.mrc", "data/tomograms/TS_01.rec", "data/x/TS_01.rec.gz", "data/tomograms/deep/a.MAP",
        "elsewhere/a.mrc", "data/TS_037.rec", "data/tomograms/evening_cells.mrc", "data/tomograms/lamella_oddly.rec",
    ],
)  # fmt: skip
def test_tomograms_are_taken(path: str) -> None:
    assert not_by_name(entry(), path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("data/a.eer", "no .mrc, .rec or .map file"),
        ("data/a.mdoc", "no .mrc"),
        ("data/a.st", "a tilt series"),
        ("data/a.ali.gz", "a tilt series"),
        ("data/a.mrcs", "a tilt series"),
        ("data/TS_01.st.mrc", "a tilt series by its name"),
        ("data/TS_01.mrc", "image set is called 'tilt series', and only .rec"),
        ("data/movies/a.mrc", "image set is called 'micrographs - multiframe'"),
        ("data/subtomo/a.rec", "image set is called 'subtomograms'"),
        ("data/tomograms/TS_01_labels.mrc", "labels or a mask"),
        ("data/tomograms/segmentations/TS_01.rec", "labels or a mask"),
        ("data/tomograms/membrane-mask.mrc", "labels or a mask"),
        ("data/tomograms/TS_01_even.rec", "half"),
        ("data/tomograms/TS_01_ODD.mrc", "half"),
        ("elsewhere/TS_01_ali.mrc", "a stack of images by its name"),
        ("elsewhere/tilt_series/TS_01.mrc", "a stack of images by its name"),
    ],
)
def test_the_others_are_left_out_with_the_reason(path: str, reason: str) -> None:
    assert reason in str(not_by_name(entry(), path))


def test_folders_that_hold_no_volume_are_not_opened() -> None:
    nested = entry([{"directory": "data", "category": "micrographs"}, {"directory": "data/rec", "category": "volumes"}])
    assert skip_folder(entry(), "data/movies") == "its image set is called 'micrographs - multiframe'"
    assert skip_folder(entry(), "data/movies/a") is not None
    for folder in ("data", "data/tomograms", "elsewhere"):
        assert skip_folder(entry(), folder) is None
    assert skip_folder(nested, "data") is None
    assert skip_folder(nested, "data/rec") is None
    assert skip_folder(nested, "data/other") is not None
    assert not_by_name(nested, "data/rec/a.rec") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (mrc_bytes((1, 10, 12)), "a single image (1 × 10 × 12)"),
        (mrc_bytes(ispg=0, mz=1), "a stack of images by its header"),
        (mrc_bytes()[:2000], "its header announces 3,904 bytes, it has 2,000"),
    ],
)
def test_headers_leave_out_what_names_do_not(content: bytes, reason: str) -> None:
    assert reason in str(not_by_header("a.mrc", parse_header("a.mrc", content), len(content)))
    assert not_by_header("a.mrc", parse_header("a.mrc", mrc_bytes()), len(mrc_bytes())) is None


@pytest.mark.parametrize(
    ("fields", "modality"),
    [
        ({"title": "Cryo-FIB lamellae of yeast"}, "lamella"),
        ({"title": "CEMOVIS of yeast"}, "cryo-section"),
        ({"title": "Vitreous sections of S. cerevisiae"}, "cryo-section"),
        ({"title": "Lamellae and vitreous sections"}, None),
        ({"title": "Yeast in situ"}, None),
        ({"title": "Yeast", "experiment_type": "SXT"}, "soft-x-ray"),
        ({"title": "Yeast", "experiment_type": "FIB-SEM"}, "fib-sem"),
    ],
)
def test_the_modality_is_taken_where_the_metadata_say_one(fields: dict[str, Any], modality: str | None) -> None:
    assert modality_of(entry(**fields), None) == modality


def test_a_sidecar_names_its_source_and_what_is_known() -> None:
    header = parse_header("a.mrc", mrc_bytes())
    sizes = {"pixel_width": "7.84", "pixel_height": 7.84, "image_width": "12", "image_height": 10}
    given = entry([SETS[2] | sizes | {"details": "cryo-FIB"}], license="CC0")
    content = sidecar_of(given, "data/tomograms/a_denoised.mrc", "/empiar/x/a.mrc", header)
    assert content == {
        "source": "EMPIAR-10227 /empiar/x/a.mrc",
        "modality": "lamella",
        "voxel_size_nm": 0.784,
        "denoised": True,
        "licence": "CC0",
        "notes": "Tomograms of yeast. Lee A et al., Yeast in situ, J. Struct. Biol., 2020, doi 10.1000/xyz",
    }
    binned = entry([SETS[2] | sizes | {"image_width": 4092, "image_height": "4092"}])
    content = sidecar_of(binned, "data/tomograms/a.mrc", "/a", header)
    assert [content[name] for name in ("voxel_size_nm", "denoised", "licence", "modality")] == [None] * 4


def keys(*paths: str, known: dict[str, str] | None = None, taken: tuple[str, ...] = ()) -> list[str]:
    return list(keys_of(NAME, paths, known=known or {}, taken=taken).values())


def test_keys_are_made_from_the_stem() -> None:
    assert keys("data/TS_01.rec", "data/b c.mrc.gz") == ["empiar-10227-TS_01", "empiar-10227-b-c"]


def test_keys_never_meet() -> None:
    same = keys("a/TS.rec", "b/TS.rec", "c/ts.mrc", "d/T.rec")
    assert len({key.lower() for key in same}) == 4
    assert same[3] == "empiar-10227-T"
    assert keys("a/T.rec", taken=("empiar-10227-T",)) != ["empiar-10227-T"]
    assert keys("a/T.rec", "b/T.rec", known={"a/T.rec": "empiar-10227-T"})[0] == "empiar-10227-T"
    assert keys("a/T.rec", "b/T.rec", known={"a/T.rec": "empiar-10227-T"})[1] != "empiar-10227-T"
    long = keys(f"a/{'x' * 200}.rec", f"a/{'x' * 201}.rec", "a/日本.rec", "a/中国.rec", "a/...rec")
    assert len(set(long)) == 5
    assert max(map(len, long)) <= 90
