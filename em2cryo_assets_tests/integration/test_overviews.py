"""A map of frozen cells goes from the inbox to its features, and what a microscope wrote beside a field is kept."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from em2cryo_assets.assets.records import read_record
from em2cryo_assets.automation.register import register
from em2cryo_assets.formats.sidecar import write_sidecar
from em2cryo_assets.phantom.raw_files import write_stack
from em2cryo_assets.store.images import read_labels
from em2cryo_assets.store.tables import read_table
from em2cryo_assets_tests.formats.sem_writers import HITACHI
from em2cryo_assets_tests.integration.tiny_study import PIXEL_NM, TinyStudy, cells_in_rows, opened, put_field

PIXEL = 50.0
ROWS, COLUMNS, STEP = 2, 3, 120


def put_map(inbox: Path, name: str, **more: object) -> Path:
    """Elliptic cells in thin ice, dark as on the microscope, of an axis ratio of 1.2."""
    y, x = np.mgrid[: ROWS * STEP, : COLUMNS * STEP]
    y, x = y % STEP - STEP / 2, x % STEP - STEP / 2
    counts = np.where((y / 30) ** 2 + (x / 36) ** 2 < 1, 200.0, 2000.0)
    path = inbox / "tomogram" / name
    noisy = np.random.default_rng(0).poisson(counts).astype(np.int16)
    write_stack(path, noisy[None], pixel_nm=PIXEL, label="simulated")
    write_sidecar(path, {"modality": "overview", "contrast": "dark-is-dense", "simulated": True, **more})
    return path


def features(tiny: TinyStudy, key: str) -> list[tuple[str, float]]:
    artifact = tiny.study.store.current("tomogram_features", key)
    assert artifact is not None
    frame = read_table(artifact.path / "features.parquet")
    return [(row.characteristic, row.value) for row in frame[frame["assessable"]].itertuples()]


def outdated(tiny: TinyStudy) -> set[tuple[str, str | None]]:
    """Stages of the first three columns that a run would make again."""
    named = ("tomogram", "tomogram_labels", "tomogram_features", "sem_field")
    return {place for place, step in tiny.plan().items() if place[0] in named and step.state != "current"}


def test_maps_come_to_their_rows_and_a_persons_outlines_go_first(tmp_path: Path) -> None:
    with opened(tmp_path / "study") as tiny:
        field = put_field(tiny.inbox, "field-01.tif", cells_in_rows(1, 1)[0])
        height, width = tifffile.imread(field).shape
        text = field.with_name("field-01.tif.txt")
        text.write_text(HITACHI.format(across=width, down=height, side=PIXEL_NM, tilt=30))
        whole = put_map(tiny.inbox, "whole.mrc")
        put_map(tiny.inbox, "lamella.mrc", section_thickness_nm=200.0)
        register(tiny.study, tiny.instance)
        for key in ("whole", "lamella"):
            tiny.make(key, "tomogram", "tomogram_labels", "tomogram_features")
        tiny.make("field-01", "sem_field")
        assert outdated(tiny) == set()

        seen = features(tiny, "whole")
        assert {name for name, _ in seen} == {"silhouette_axis_ratio"}
        assert [value for _, value in seen] == pytest.approx([1.2] * ROWS * COLUMNS, abs=0.05)
        assert {name for name, _ in features(tiny, "lamella")} == {"outline_axis_ratio"}
        labelled = tiny.study.store.current("tomogram_labels", "whole")
        measured = tiny.study.store.current("tomogram_features", "whole")
        assert labelled is not None
        assert measured is not None
        assert any("taken for whole cells in ice" in line for line in labelled.provenance.fallbacks)
        assert any("lie flat" in line for line in measured.provenance.fallbacks)
        assert not tiny.pairs()  # no interior to compare

        raw = tiny.study.store.current("sem_field", "field-01")
        assert raw is not None
        record = read_record(raw)
        assert record["pixel_size_source"] == "Hitachi text field-01.tif.txt"
        taken = ("tilt_deg", "tilt_source", "detector", "tilt_correction")
        assert [record[name] for name in taken] == [30.0, "microscope", "SE(U)", None]
        assert record["tags"]["voltage_kv"] == "5"

        drawn = np.zeros((ROWS * STEP, COLUMNS * STEP), np.uint8)
        drawn[20:60, 20:100] = 7
        tifffile.imwrite(f"{whole}.labels.tif", drawn)
        text.write_text(text.read_text().replace("StagePositionT=30", "StagePositionT=45"))
        assert outdated(tiny) == {("tomogram_labels", "whole"), ("sem_field", "field-01")}
        tiny.make("whole", "tomogram_labels")
        assert ("tomogram_features", "whole") in outdated(tiny)
        tiny.make("whole", "tomogram_features")
        labelled = tiny.study.store.current("tomogram_labels", "whole")
        assert labelled is not None
        np.testing.assert_array_equal(read_labels(labelled.path / "labels.ome.zarr", "outlines")[0], drawn)
        assert [value for _, value in features(tiny, "whole")] == pytest.approx([2.0], rel=0.01)
