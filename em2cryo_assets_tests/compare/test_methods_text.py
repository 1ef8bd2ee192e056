"""The paragraph on methods says what the study did, and nothing that it did not."""

from dataclasses import replace

import pandas as pd
import pytest

from em2cryo_assets.compare.margins import MARGINS
from em2cryo_assets.compare.methods_text import MethodsFacts, methods_paragraph

FACTS = MethodsFacts("0.1.0", True, 7, "network", ("rotational sweep",), ("axial symmetry",), 40, 5, 20, 3)


def verdicts(*names: str, n_tem: int = 12) -> pd.DataFrame:
    return pd.DataFrame(
        {"characteristic": names, "verdict": "inconclusive", "n_sem": 16, "n_tem": n_tem, "n_cryo": 8},
    )


def test_every_judged_characteristic_has_its_tolerance_in_both_languages() -> None:
    said = methods_paragraph(verdicts("log_volume", "wall_thickness"), FACTS)
    for text in said:
        assert MARGINS["log_volume"].text in text
        assert MARGINS["wall_thickness"].text in text
        assert MARGINS["axis_ratio"].text not in text
        assert "0.1.0" in text
    assert "Verdicts: 2 inconclusive." in said.en
    assert "판정: 결론 보류 2." in said.ko
    assert "inconclusive" not in said.ko


def test_simulated_data_are_called_so_first() -> None:
    said = methods_paragraph(verdicts("log_volume"), FACTS)
    assert said.en.startswith("ALL DATA ARE SIMULATED")
    assert said.ko.startswith("모든 데이터는 모의 데이터")
    real = methods_paragraph(verdicts("log_volume"), replace(FACTS, simulated=False))
    assert "ALL DATA" not in real.en


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"pairs": 0}, "projected"),
        ({"calibration_studies": 0}, "known answers"),
        ({"assumed": 0}, "assumed"),
    ],
)
def test_what_was_not_done_is_not_said(change: dict[str, int], gone: str) -> None:
    assert gone in methods_paragraph(verdicts("log_volume"), FACTS).en
    assert gone not in methods_paragraph(verdicts("log_volume"), replace(FACTS, **change)).en


def test_without_sections_no_atlas_is_claimed() -> None:
    assert "atlas" not in methods_paragraph(verdicts("log_volume", n_tem=0), FACTS).en


def test_an_empty_study_still_has_a_paragraph() -> None:
    said = methods_paragraph(pd.DataFrame(columns=["characteristic", "verdict", "n_sem", "n_tem", "n_cryo"]), FACTS)
    assert "0 frozen-hydrated cells" in said.en
    assert "Verdicts" not in said.en
