import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar, read_sidecar, write_sidecar

# Text a person can type: anything UTF-8 can hold.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "pixel_size_nm": st.floats(1e-3, 1e8),
        "tilt_deg": st.floats(-90, 90),
        "tilts_deg": st.lists(st.floats(-90, 90), min_size=1, max_size=5).map(tuple),
        "voxel_size_nm": st.tuples(*[st.floats(0.01, 100)] * 3),
        "strain": _TEXT,
        "notes": _TEXT,
        "block": _TEXT,
        "modality": st.sampled_from(["sem", "lamella", "soft-x-ray"]),
        "sampling": st.sampled_from(["random", "selected"]),
        "denoised": st.booleans(),
        "simulated": st.booleans(),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(fields=_FIELDS)
def test_what_is_written_is_read(tmp_path: Path, fields: dict) -> None:
    raw = tmp_path / "field.tif"
    write_sidecar(raw, fields)
    assert read_sidecar(raw) == Sidecar(**fields)


def test_no_sidecar_says_nothing(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "field.tif") == Sidecar()


def _write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "a.tif.toml").write_text(text, encoding="utf-8")
    return tmp_path / "a.tif"


def test_whole_file_name_counts(tmp_path: Path) -> None:
    raw = _write(tmp_path, "pixel_size_nm = 10\n")
    assert read_sidecar(raw).pixel_size_nm == 10.0
    assert read_sidecar(tmp_path / "a.png").pixel_size_nm is None


def test_unknown_fields_are_named(tmp_path: Path) -> None:
    sidecar = read_sidecar(_write(tmp_path, "pixelsize = 10\nmodality = 'sem'\ncolour = 1\n"))
    assert sidecar.unknown == ("colour", "pixelsize")
    assert sidecar.modality == "sem"


def test_numbers_are_taken_as_names_of_blocks_and_cells(tmp_path: Path) -> None:
    sidecar = read_sidecar(_write(tmp_path, "block = 3\ncell = 12\n"))
    assert (sidecar.block, sidecar.cell) == ("3", "12")


def test_mark_of_windows_editors_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.tif.toml").write_bytes(b"\xef\xbb\xbfpixel_size_nm = 5.0\n")
    assert read_sidecar(tmp_path / "a.tif").pixel_size_nm == 5.0


@pytest.mark.parametrize(
    "text",
    [
        "pixel_size_nm = -1",
        "pixel_size_nm = 0",
        "pixel_size_nm = nan",
        "pixel_size_nm = inf",
        "pixel_size_nm = true",
        "pixel_size_nm = '21.4 nm'",
        "pixel_size_nm = 2.14e-8",
        "voxel_size_nm = [1, 2]",
        "voxel_size_nm = [1, 2, -3]",
        "voxel_size_nm = [1, 2, 1e-9]",
        "tilt_deg = 120",
        "tilts_deg = 3",
        "tilts_deg = []",
        "tilts_deg = ['a']",
        "tilts_deg = [0, 95]",
        "modality = 'SEM image'",
        "sampling = 'systematic'",
        "contrast = 'dark'",
        "simulated = 'yes'",
        "strain = 5",
        "block = true",
        "section_thickness_nm = -80",
    ],
)
def test_impossible_values_name_field_and_file(tmp_path: Path, text: str) -> None:
    raw = _write(tmp_path, text + "\n")
    with pytest.raises(InputError) as caught:
        read_sidecar(raw)
    assert caught.value.file.name == "a.tif.toml"
    assert text.split(" ")[0] in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"pixel_size_nm = ", b"\xff\xfe\x00", b"x" * (2 << 20)])
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif\.toml"):
        read_sidecar(tmp_path / "a.tif")


@pytest.mark.parametrize("fields", [{"colour": "red"}, {"pixel_size_nm": math.nan}, {"simulated": 1}])
def test_nothing_unreadable_is_written(tmp_path: Path, fields: dict) -> None:
    with pytest.raises(InputError):
        write_sidecar(tmp_path / "a.tif", fields)
    assert not (tmp_path / "a.tif.toml").exists()
