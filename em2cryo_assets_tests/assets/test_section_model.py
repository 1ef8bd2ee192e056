"""The section network as an asset, and what a study says of the labels that it makes."""

import json
from pathlib import Path

import pytest

from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.tem.section_network import WEIGHTS
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, opened, put_demo


def artifact(tiny: TinyStudy, asset: str, key: str | None = None) -> Artifact:
    found = tiny.study.store.current(asset, key)
    assert found is not None, (asset, key)
    return found


def record(tiny: TinyStudy, key: str) -> dict[str, object]:
    return dict(json.loads((artifact(tiny, "section_labels", key).path / "record.json").read_text()))


@pytest.mark.slow
def test_a_study_uses_its_model_says_what_judged_it_and_follows_the_setting(tmp_path: Path) -> None:
    with opened(tmp_path) as tiny:
        put_demo(tiny.inbox, "tem", "section-01.png")
        real = put_demo(tiny.inbox, "tem", "section-02.png")
        sidecar = Path(f"{real}.toml")
        # A study holds simulated or real files, never both: here both pass for real ones.
        for path in (sidecar, tiny.inbox / "tem" / "section-01.png.toml"):
            path.write_text(path.read_text().replace("simulated = true\n", ""))
        tiny.run()
        model = artifact(tiny, "section_model")
        assert (model.path / "section_labels.safetensors").read_bytes() == WEIGHTS.read_bytes()
        labels = artifact(tiny, "section_labels", "section-01")
        assert not labels.provenance.simulated
        assert ("section_model", None) in {(ref.asset, ref.key) for ref in labels.provenance.inputs}
        assert record(tiny, "section-01")["validation"] == "unvalidated here"
        assert any("unvalidated" in line for line in record(tiny, "section-01")["warnings"])
        settings = tmp_path / "study.toml"
        settings.write_text(settings.read_text() + 'section_labeller = "levels"\n')
    with opened(tmp_path) as tiny:
        assert tiny.plan()["section_labels", "section-01"].state == "outdated"
        tiny.make("section-01", "section_labels")
        assert artifact(tiny, "section_labels", "section-01").provenance.parameters["section_labeller"] == "levels"
