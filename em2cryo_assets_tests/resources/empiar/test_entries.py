"""What EMPIAR says is read tolerantly, and a changed schema is told by field."""

from typing import Any

import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.empiar.entries import Entry, parse_entries, parse_entry
from em2cryo_assets_tests.resources.empiar.server import entry_json

NAME = "EMPIAR-10227"
# The values of a real image set, of EMPIAR-10943.
REAL_IMAGESET = {
    "category": "micrographs - multiframe",
    "data_format": "TIFF",
    "details": "a dose of 0.98 e/\xc5^2",
    "directory": "data/Tiff",
    "frame_range_max": None,
    "frames_per_image": 34,
    "image_height": None,
    "image_width": None,
    "name": "Unaligned multi-frame movies in Tiff: Dataset 2",
    "num_images_or_tilt_series": 4000,
    "pixel_height": 0.824,
    "pixel_width": 0.824,
    "segmentations": [],
    "voxel_type": "UNSIGNED BYTE",
}


def parsed(**fields: Any) -> Entry:
    return parse_entry(NAME, {NAME: entry_json(**fields)})


def with_imageset(**fields: Any) -> Entry:
    return parsed(imagesets=[REAL_IMAGESET, REAL_IMAGESET | fields])


def test_an_entry_is_read() -> None:
    entry = parsed()
    assert (entry.id, entry.status, entry.update_date, entry.withdrawn) == (NAME, "REL", "2020-03-01", False)
    assert entry.citation == "Lee A et al., Yeast in situ, J. Struct. Biol., 2020, doi 10.1000/xyz"
    (imageset,) = entry.imagesets
    assert (imageset.directory, imageset.pixel_nm, imageset.image_px) == ("data/tomograms", (0.784, 0.784), None)


@pytest.mark.parametrize(
    ("width", "pixel"),
    [
        ("4092", 1.5),
        (4092, "1.5"),
        (4092.0, 1.5),
        (" 4092 ", "1.50"),
    ],
)
def test_numbers_come_as_numbers_or_text(width: object, pixel: object) -> None:
    imageset = with_imageset(image_width=width, image_height=width, pixel_width=pixel, pixel_height=pixel).imagesets[1]
    assert imageset.image_px == (4092, 4092)
    assert imageset.pixel_nm == (0.15, 0.15)


@pytest.mark.parametrize("value", [None, "", " ", 0, -1, "null", "N/A", "nan", float("inf")])
def test_what_is_no_size_is_none(value: object) -> None:
    imageset = with_imageset(pixel_width=value, image_width=value).imagesets[1]
    assert (imageset.pixel_nm, imageset.image_px) == (None, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"imagesets": {}}, "the field 'imagesets' is dict {}, not a list"),
        ({"imagesets": ["a"]}, "the field 'imagesets[0]' is str 'a', not an object"),
        ({"imagesets": [REAL_IMAGESET | {"pixel_width": [1]}]}, "'imagesets[0].pixel_width' is list [1], not a number"),
        (
            {"imagesets": [REAL_IMAGESET | {"pixel_width": "1 A"}]},
            "'imagesets[0].pixel_width' is str '1 A', not a number",
        ),
        ({"imagesets": [REAL_IMAGESET | {"directory": {}}]}, "'imagesets[0].directory' is dict {}, not text"),
        ({"status": ["REL"]}, "the field 'status' is list ['REL'], not text"),
        ({"citation": "Lee"}, "the field 'citation' is str 'Lee', not a list"),
        ({"citation": [{"authors": "Lee"}]}, "the field 'citation[0].authors' is str 'Lee', not a list"),
        ({"update_date": True}, "the field 'update_date' is bool True, not text"),
    ],
)
def test_a_changed_schema_names_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match="report it") as told:
        parsed(**fields)
    assert said in str(told.value)


@pytest.mark.parametrize("answer", [{}, [], None, "x", {NAME: None}, {"EMPIAR-10228": {}}])
def test_an_answer_about_something_else_is_told(answer: object) -> None:
    with pytest.raises(InputError, match=NAME):
        parse_entry(NAME, answer)


def test_a_missing_list_of_image_sets_is_told() -> None:
    given = entry_json()
    del given["imagesets"]
    with pytest.raises(InputError, match="the field 'imagesets' is missing"):
        parse_entry(NAME, {NAME: given})


def test_of_many_one_unreadable_stops_no_other() -> None:
    entries, problems = parse_entries({NAME: entry_json(), "EMPIAR-10228": {"imagesets": 3}, "EMPIAR-10229": None})
    assert list(entries) == [NAME]
    assert len(problems) == 2
    with pytest.raises(InputError, match="many entries is list"):
        parse_entries([])


@pytest.mark.parametrize("fields", [{"status": "OBS"}, {"status": "obs"}, {"obsolete_date": "2021-01-01"}])
def test_an_obsolete_entry_is_withdrawn(fields: dict[str, Any]) -> None:
    assert parsed(**fields).withdrawn


def test_without_an_update_the_release_counts() -> None:
    assert parsed(update_date=None).update_date == "2020-02-01"
    assert parsed(update_date=None, release_date=None).update_date == "2020-01-01"


def test_nothing_in_a_title_reaches_the_terminal_but_text() -> None:
    title = parsed(title="a\x1b[31mb\nc\ud800d").title
    assert title.isprintable()
    title.encode()
