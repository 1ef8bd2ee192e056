import csv
import dataclasses
import re
from html.parser import HTMLParser
from importlib.resources import files
from urllib.parse import quote

import numpy as np
import pytest

from em2cryo_assets.colours import LABEL_COLOURS, SOURCE_COLOURS
from em2cryo_assets.report.data import ReportData
from em2cryo_assets.report.entries import CellEntry, FusedSlice
from em2cryo_assets.report.page import write_report
from em2cryo_assets.report.words import LABEL_WORDS, LIMITS, METHODS, SOURCE_WORDS
from em2cryo_assets.vocabulary import LABELS, SOURCES

HOSTILE = '<img src=x onerror="alert(1)">'


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


def parse(folder) -> Reader:
    reader = Reader()
    reader.feed((folder / "index.html").read_text(encoding="utf-8"))
    return reader


def contents(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_the_same_study_gives_the_same_bytes(written, made_up, tmp_path):
    write_report(tmp_path / "again", made_up.study())
    assert contents(tmp_path / "again") == contents(written)


def test_every_file_named_on_the_page_lies_in_the_folder_and_none_is_left_over(written):
    named = set()
    for _, name, value in parse(written).attributes:
        if re.match(r"(figures|cells)/|[a-z_]+\.(js|css|csv|txt)$", value) and name != "class":
            named.add(value)
    there = set(contents(written))
    assert named <= there
    assert there - named == {"index.html", "LICENSE-three.txt"}


def test_nothing_is_loaded_from_elsewhere(written):
    loading = [(t, n, v) for t, n, v in parse(written).attributes if n in ("src", "srcset") or t == "link"]
    assert not [one for one in loading if "//" in one[2]]
    policy = next(v for t, n, v in parse(written).attributes if n == "content" and "default-src" in v)
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy


def test_an_earlier_report_is_replaced_whole_and_other_folders_are_refused(made_up, tmp_path):
    folder = tmp_path / "report"
    write_report(folder, made_up.study(cells=3))
    write_report(folder, made_up.empty_study())
    assert not list((folder / "figures").iterdir())
    other = tmp_path / "thesis"
    (other / "figures").mkdir(parents=True)
    (other / "figures" / "mine.png").write_bytes(b"1")
    with pytest.raises(ValueError, match="holds files and no report"):
        write_report(other, made_up.empty_study())
    assert (other / "figures" / "mine.png").exists()


def test_names_from_outside_stay_words(made_up, tmp_path):
    study = made_up.study(cells=2, title=HOSTILE)
    cell = dataclasses.replace(study.cells[0], key=HOSTILE, notes=(HOSTILE,), why_not=HOSTILE, field=HOSTILE)
    slide = dataclasses.replace(study.tomograms[0], key=HOSTILE, modality=HOSTILE)
    table = study.verdicts.assign(sentence_en=HOSTILE, reason=HOSTILE, characteristic=HOSTILE)
    raw = dataclasses.replace(study.raw[0], key=HOSTILE, file=f"inbox/sem/{HOSTILE}.png", note=HOSTILE)
    row = dataclasses.replace(study.provenance[0], asset="sem_field", key=HOSTILE, digest=HOSTILE)
    behind = study.rests_on.assign(characteristic=HOSTILE, key=HOSTILE)
    hostile = {"raw": (raw,), "provenance": (row,), "rests_on": behind}
    write_report(
        tmp_path / "r", dataclasses.replace(study, cells=(cell,), tomograms=(slide,), verdicts=table, **hostile)
    )
    reader = parse(tmp_path / "r")
    assert not [one for one in reader.attributes if one[1].startswith("on")]
    assert sum(HOSTILE in text for text in reader.text) > 12
    links = [value for tag, name, value in reader.attributes if name == "href" and "inbox" in value]
    assert links == [f"../{quote(raw.file)}"]
    assert "javascript:" not in (tmp_path / "r" / "index.html").read_text(encoding="utf-8")


def test_two_keys_that_read_alike_keep_their_own_pictures(made_up, tmp_path):
    study = made_up.study(cells=2)
    twins = (dataclasses.replace(study.cells[0], key="a/b"), dataclasses.replace(study.cells[1], key="a.b"))
    write_report(tmp_path / "r", dataclasses.replace(study, cells=twins))
    scripts = sorted((tmp_path / "r" / "cells").iterdir())
    assert ['"a/b"' in scripts[0].read_text(), '"a.b"' in scripts[1].read_text()] == [True, True]


@pytest.mark.parametrize("simulated", [True, False])
def test_every_picture_of_a_simulated_study_is_marked_and_no_other(simulated, made_up, tmp_path):
    write_report(tmp_path / "r", made_up.study(simulated=simulated, cells=1))
    marked = ["SIMULATED" in one.read_text(encoding="utf-8") for one in (tmp_path / "r" / "figures").iterdir()]
    assert len(marked) > 10
    assert set(marked) == {simulated}
    said = sum("SIMULATED" in text for text in parse(tmp_path / "r").text)
    assert said > 1 if simulated else said == 1  # the calibration always rests on simulated studies, and says so


def test_the_verdicts_leave_as_a_table_that_keeps_korean(written, made_up):
    with (written / "verdicts.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    table = made_up.verdict_table()
    assert [one["characteristic"] for one in rows] == list(table["characteristic"])
    assert rows[0]["sentence_ko"] == table["sentence_ko"].iloc[0]


def test_each_verdict_has_its_sentence_in_both_languages(written, made_up):
    text = " ".join(parse(written).text)
    for column in ("sentence_en", "sentence_ko"):
        assert all(sentence in text for sentence in made_up.verdict_table()[column])


def test_the_opening_cell_is_that_of_the_first_pair(made_up, tmp_path):
    study = made_up.study(cells=3)
    turned = dataclasses.replace(study, pairs=study.pairs[::-1])
    write_report(tmp_path / "r", turned)
    html = (tmp_path / "r" / "index.html").read_text(encoding="utf-8")
    assert re.search(r'value="field-a_c001"[^>]* selected', html)


def test_a_cell_whose_mesh_failed_is_still_shown(made_up, tmp_path):
    study = made_up.study(cells=1)
    bare = dataclasses.replace(study.cells[0], mesh=None, cutaway=None, slices=())
    write_report(tmp_path / "r", dataclasses.replace(study, cells=(bare,), pairs=()))
    reader = parse(tmp_path / "r")
    assert ("div", "id", "no-cell") in reader.attributes
    assert any(value.endswith("-sem.svg") for _, _, value in reader.attributes)


def test_swatches_have_the_colours_of_the_pictures():
    style = (files("em2cryo_assets.report") / "static/style.css").read_text(encoding="utf-8")
    for kind, colours in (("label", LABEL_COLOURS), ("source", SOURCE_COLOURS)):
        for name, colour in colours.items():
            if name not in ("outside", "none"):
                assert f".{kind}-{name} {{ background: {colour}; }}" in style
    assert set(LABEL_COLOURS) == set(LABEL_WORDS) == set(LABELS)
    assert set(SOURCE_COLOURS) == set(SOURCE_WORDS) == set(SOURCES)


def test_standard_texts_are_in_both_languages():
    blocks = METHODS + LIMITS
    assert len(blocks) > 5
    assert all(re.search("[가-힣]", one.text_ko) and one.text_en and one.title_ko for one in blocks)


def test_wrong_shapes_are_refused_in_words(made_up):
    good = made_up.cell(0, "a")
    with pytest.raises(ValueError, match="fused labels has shape"):
        dataclasses.replace(good.slices[0], labels=np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="must be z, y or x"):
        dataclasses.replace(good.slices[0], axis="q")
    with pytest.raises(ValueError, match="positive length"):
        dataclasses.replace(good, crop_pixel_nm=float("nan"))
    with pytest.raises(ValueError, match="must be a plane"):
        dataclasses.replace(good, crop=np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="lacks the columns characteristic"):
        ReportData("t", False, made_up.verdict_table().drop(columns="characteristic"))
    assert isinstance(good, CellEntry)
    assert isinstance(good.slices[0], FusedSlice)
