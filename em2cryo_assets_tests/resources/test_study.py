"""A study is a folder; what its owner may set is checked, and what is missing is made."""

from pathlib import Path

import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.study import Settings, open_study, study_folder


def test_opening_makes_the_folders_and_keeps_the_owners_dagster_settings(tmp_path: Path) -> None:
    study = open_study(tmp_path / "new")
    for folder in ("inbox/sem", "inbox/tem", "inbox/tomogram", "store", "dagster_home"):
        assert (study.root / folder).is_dir()
    settings = study.dagster_home / "dagster.yaml"
    settings.write_text("telemetry:\n  enabled: false\n# mine\n")
    open_study(study.root)
    assert "# mine" in settings.read_text()


def test_the_folder_comes_from_the_environment_or_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EM2CRYO_DATA", raising=False)
    assert study_folder() == tmp_path / "data"
    monkeypatch.setenv("EM2CRYO_DATA", "mine")
    assert study_folder() == tmp_path / "mine"


def test_settings_are_read_and_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("seed = 0\nfused_voxel_nm = 50\n")
    assert open_study(tmp_path).settings == Settings(seed=0, fused_voxel_nm=50.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed = ", "it is not TOML"),
        ("sede = 1", "'sede' is not a setting.* known are seed"),
        ("realisations = 0", "realisations = 0 is not possible"),
        ("realisations = 2.5", "realisations = 2.5 is not possible"),
        ("pairs_per_tomogram = true", "pairs_per_tomogram = True is not possible"),
        ('fused_voxel_nm = "40"', "fused_voxel_nm = '40' is not possible"),
        ("fused_voxel_nm = nan", "fused_voxel_nm = nan is not possible"),
        ("fused_voxel_nm = inf", "fused_voxel_nm = inf is not possible"),
        ("realisations = inf", "realisations = inf is not possible"),
        ("seed = -1", "seed = -1 is not possible"),
        ("segmenter = 1", "segmenter = 1 is not possible"),
        ('segmenter = " "', "segmenter = ' ' is not possible"),
        ('reconstruction = "relion"', "reconstruction = 'relion' is not known.* built-in, imod, aretomo"),
    ],
)
def test_impossible_settings_are_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(InputError, match=f"study.toml: {told}"):
        open_study(tmp_path)


def test_a_stage_depends_on_its_own_settings_only() -> None:
    before, after = Settings(), Settings(seed=1)
    assert before.ref("verdicts", ("seed",)) != after.ref("verdicts", ("seed",))
    assert before.ref("x", ("realisations",)) == after.ref("x", ("realisations",))
