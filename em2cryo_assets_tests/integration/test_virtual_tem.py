"""Virtual TEM of a small study: what is read from the store, what is said of it, and against the truth."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from em2cryo_assets.resources.study import Study, open_study
from em2cryo_assets.store.tables import read_table
from em2cryo_assets_tests.integration.tiny_study import DEMO, copied

LAMELLA = "lamella-02"


def edges_of(study: Study) -> pd.DataFrame:
    artifact = study.store.current("virtual_tem", None)
    assert artifact is not None
    return read_table(artifact.path / "edges.parquet")


def true_wall_nm(name: str) -> float:
    return float(json.loads((DEMO.parent / "truth.json").read_text())["pictures"][name]["wall_thickness_nm"])


def test_a_lamella_is_cut_into_sections_as_thick_as_those_of_tem(one_cell: Path) -> None:
    study = open_study(one_cell)
    edges = edges_of(study)
    mine = edges[edges["key"] == LAMELLA]
    virtual = mine[mine["kind"] == "virtual section"]
    assert edges.loc[edges["kind"] == "TEM section", "thickness_nm"].tolist() == [80.0, 80.0]
    assert set(virtual["thickness_nm"]) == {80.0}
    measured = study.store.current("tomogram_features", LAMELLA)
    assert measured is not None
    first, last = json.loads((measured.path / "record.json").read_text())["slices"]
    assert len(virtual) == (last - first) // 10  # voxels of 8 nm
    # One cell, however many sections: it counts once.
    table = read_table(study.store.current("virtual_tem", None).path / "virtual_tem.parquet")  # type: ignore[union-attr]
    assert table.loc[table["compared"] == "virtual section", "n_cryo"].max() == 1
    assert mine.loc[mine["kind"] == "single plane", "thickness_nm"].tolist() == [8.0]


def test_walls_are_not_thinner_than_they_are_and_layers_are_in_order(one_cell: Path) -> None:
    edges = edges_of(open_study(one_cell))
    seen = edges[(edges["key"] == LAMELLA) & edges["kind"].isin(["virtual section", "single plane"])]
    true = true_wall_nm(f"{LAMELLA}.mrc")
    assert ((seen["width_nm"] > 0.9 * true) & (seen["width_nm"] < 2.0 * true)).all()
    assert (seen["in_order"] == 1.0).all()
    assert (seen["permuted_in_order"] == 0.0).all()
    sections = edges[edges["kind"] == "TEM section"].set_index("key")
    for key, row in sections.iterrows():
        assert row["width_nm"] > 0.9 * true_wall_nm(f"{key}.png")
    turned = edges.loc[(edges["key"] == LAMELLA) & (edges["kind"] == "random planes"), "width_nm"].item()
    assert 1.1 * true < turned < np.pi / 2 * 1.15 * true


def test_what_sidecars_say_of_sections_counts(one_cell: Path, tmp_path: Path) -> None:
    before = edges_of(open_study(one_cell)).set_index("key")["width_nm"]
    said = {"section-01": ("compression", "compression = 0.2"), "section-02": ("sampling", 'sampling = "selected"')}
    with copied(one_cell, tmp_path / "study") as tiny:
        for key, (name, line) in said.items():
            sidecar = tiny.inbox / "tem" / f"{key}.png.toml"
            kept = [old for old in sidecar.read_text().splitlines() if not old.startswith(name)]
            sidecar.write_text("\n".join([*kept, line, ""]))
            tiny.make(key, "tem_section", "section_labels")
        tiny.make(None, "virtual_tem")
        after = edges_of(tiny.study).set_index("key")["width_nm"]
        made = tiny.study.store.current("virtual_tem", None)
    # A knife that shortened one direction by a fifth thinned walls by about a tenth, and it is undone.
    assert after["section-01"] == pytest.approx(before["section-01"] * 1.127, rel=0.005)
    assert after["section-02"] == before["section-02"]
    assert made is not None
    assert [one for one in made.provenance.fallbacks if "not said to be random" in one]
