from urllib.parse import parse_qs, urlsplit

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.report.origins import UI, rests_on, ui_path

COLUMNS = ["characteristic", "side", "asset", "key", "data_version"]


@given(st.text(min_size=1), st.text())
def test_whatever_the_names_a_link_stays_in_the_ui_and_means_the_partition(asset, key):
    parts = urlsplit(UI + ui_path(asset, key))
    assert f"{parts.scheme}://{parts.netloc}" == UI
    assert parts.path.count("/") == 2
    assert parse_qs(parts.query).get("partition", [""]) == [key]


def test_a_verdict_rests_on_each_raw_file_once_and_on_the_assets_that_measured():
    rows = [
        ("sphericity", "model", "cell_features", "a-c001", "1"),
        ("sphericity", "model", "raw file of sem_field", "a", "2"),
        ("sphericity", "reference", "tomogram_features", "t", "3"),
        ("sphericity", "reference", "tomogram_features", "u", "4"),
        ("sphericity", "reference", "raw file of tomogram", "t", "5"),
        ("sphericity", "both", "raw file of sem_field", "a", "2"),
        ("axis_ratio", "model", "labels drawn for cell_masks", "a", "6"),
    ]
    found = rests_on(pd.DataFrame(rows, columns=COLUMNS), {("sem_field", "a"): "raw-000-a"})
    assert [(one.words.en, one.keys, one.path) for one in found["sphericity"]] == [
        ("raw SEM images", (("a", "raw-000-a"),), "/assets/sem_field"),
        ("raw tomograms", (("t", ""),), "/assets/tomogram"),
        ("cell_features", (), "/assets/cell_features"),
        ("tomogram_features × 2", (), "/assets/tomogram_features"),
    ]
    assert found["axis_ratio"][0].path == ""  # people have no page
    assert rests_on(pd.DataFrame(), {}) == {}
