"""What a person is told of a damaged store, and how the study comes back from it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from em2cryo_assets.cli import main
from em2cryo_assets_tests.integration.tiny_study import TinyStudy, copied

CELL = "field-01-c001"


def em2cryo(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["store", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def damage(tiny: TinyStudy, asset: str, key: str | None, pattern: str) -> str:
    """Flip one bit in the middle of a file; return its name as it should be told."""
    artifact = tiny.study.store.current(asset, key)
    assert artifact is not None
    path = next(path for path in sorted(artifact.path.rglob(pattern)) if path.is_file())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path.relative_to(artifact.path.parent).as_posix()


@pytest.mark.slow
def test_damage_is_named_set_aside_and_made_again_with_the_same_digests(
    one_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(one_cell, tmp_path / "study") as tiny:
        monkeypatch.setenv("EM2CRYO_DATA", str(tiny.study.root))
        before = tiny.bytes_of_all_but_the_report()
        assert em2cryo("verify").exit_code == 0
        assert "all as published" in em2cryo("verify", "fused_volume", CELL).stdout
        spoilt = [
            damage(tiny, "fused_volume", CELL, "c/0/0/0"),
            damage(tiny, "cell_view", CELL, "c/0/0"),
            damage(tiny, "verdicts", None, "*.parquet"),
        ]
        told = em2cryo("verify")
        assert told.exit_code == 1
        assert told.stdout.count("corrupt  ") == 3
        for name in spoilt:
            assert f"{name}: its bytes changed" in told.stdout
        assert "verify --set-aside, then em2cryo run" in told.stdout
        assert em2cryo("verify", "tomogram").exit_code == 0
        told = em2cryo("verify", "--set-aside")
        assert told.exit_code == 1
        assert told.stdout.count("set aside  ") == 3
        states = tiny.plan()
        assert states["fused_volume", CELL].state == "missing"
        outcome, _ = tiny.run()
        assert outcome.problems == ()
        assert tiny.bytes_of_all_but_the_report() == before
        assert {step.state for step in tiny.plan().values()} == {"current"}
        assert em2cryo("verify").exit_code == 0
        aside = tiny.study.root / "store" / ".set-aside"
        assert "nothing was removed" in em2cryo("gc").stdout
        assert aside.exists()
        assert "1 set aside" in em2cryo("gc", "--delete").stdout
        assert not aside.exists()
        assert em2cryo("gc").stdout == "0 B would be freed; nothing was removed. Add --delete to do it.\n"
        assert tiny.bytes_of_all_but_the_report() == before


def test_unknown_places_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EM2CRYO_DATA", str(tmp_path))
    assert em2cryo("verify").exit_code == 0  # nothing there, nothing wrong
    for words, reason in (
        (("nothing",), "holds no nothing"),
        (("cell_mesh", "../x"), "not usable"),
        (("../x",), "Asset name"),
    ):
        result = em2cryo("verify", *words)
        assert result.exit_code == 1
        assert reason in result.stderr
