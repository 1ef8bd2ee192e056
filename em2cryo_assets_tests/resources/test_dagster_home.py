"""Runs and events in SQLite or in a real Postgres, as one environment variable says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.dagster_home import POSTGRES, DatabaseError, open_instance, reach_database
from em2cryo_assets.resources.study import open_study
from em2cryo_assets_tests.integration.tiny_study import copied, opened, put_one_cell
from em2cryo_assets_tests.postgres import PASSWORD, Server, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as server:
        yield server


def em2cryo(study: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "em2cryo_assets.cli", *arguments],
        env={**os.environ, "EM2CRYO_DATA": str(study), "EM2CRYO_COMPUTE": "threads", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_a_study_in_postgres_ends_like_one_in_sqlite_and_shows_no_password(
    server: Server, one_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.create_database("study")
    root = tmp_path / "study"
    root.mkdir()
    (root / "study.toml").write_text((one_cell / "study.toml").read_text())
    put_one_cell(open_study(root).root / "inbox")
    processes = {POSTGRES: url, "EM2CRYO_COMPUTE": "processes:2"}
    run = em2cryo(root, "run", **processes)
    assert run.returncode == 0, run.stderr
    again = em2cryo(root, "run", **processes)
    assert again.stdout == "0 materializations\n"
    with copied(one_cell, tmp_path / "other") as tiny:
        expected = tiny.bytes_of_all_but_the_report()
    monkeypatch.setenv(POSTGRES, url)
    with opened(root) as tiny:
        assert tiny.bytes_of_all_but_the_report() == expected
        assert set(tiny.computed().values()) == {1}
    assert not list(root.rglob("*.db"))  # nothing was left to SQLite
    files = [path for path in root.rglob("*") if path.is_file()]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in run.stdout + run.stderr + again.stderr


def test_a_database_of_another_study_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POSTGRES, server.create_database("one"))
    for _ in range(2):
        with open_instance(open_study(tmp_path / "a").dagster_home) as instance:
            instance.add_dynamic_partitions("cells", ["a"])
    (tmp_path / "a").rename(tmp_path / "moved")
    with open_instance(open_study(tmp_path / "moved").dagster_home) as instance:
        assert instance.get_dynamic_partitions("cells") == ["a"]
    home = open_study(tmp_path / "b").dagster_home
    with pytest.raises(DatabaseError, match=r"another study.*createdb"), open_instance(home):
        raise AssertionError("not reached")


def test_a_database_is_reached_or_said_not_to_be_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POSTGRES, server.url())
    assert reach_database(5) == f"127.0.0.1:{server.port}/postgres"
    monkeypatch.setenv(POSTGRES, server.url(password="wr0ng-wort"))
    with pytest.raises(DatabaseError, match="password authentication failed") as told:
        reach_database(5)
    assert "wr0ng-wort" not in str(told.value)


def test_no_server_and_a_wrong_password_are_told_without_it(server: Server, tmp_path: Path) -> None:
    refused = em2cryo(tmp_path, "status", **{POSTGRES: server.url(password="wr0ng-wort")})
    assert refused.returncode == 1
    assert "password authentication failed" in refused.stderr
    assert "wr0ng-wort" not in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    away = em2cryo(tmp_path, "status", **{POSTGRES: f"postgresql://em2cryo:{PASSWORD}@127.0.0.1:1/study"})
    assert away.returncode == 1
    assert "Postgres at 127.0.0.1:1/study" in away.stderr
    assert "see that the server runs" in away.stderr
    assert PASSWORD not in away.stdout + away.stderr


@pytest.mark.parametrize("address", ["localhost", "mysql://a@b/c", "postgresql://host", "postgresql://u:p@h:port/x"])
def test_what_is_no_address_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(POSTGRES, address)
    with pytest.raises(InputError, match="postgresql://user:password@host") as told:
        open_study(tmp_path)
    assert address not in str(told.value)


def test_the_variable_decides_and_contradictions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "dagster_home" / "dagster.yaml"
    open_study(tmp_path)
    assert "storage" not in yaml.safe_load(settings.read_text())
    monkeypatch.setenv(POSTGRES, "postgresql://u:secret@localhost/x")
    open_study(tmp_path)
    assert f"env: {POSTGRES}" in settings.read_text()
    assert "secret" not in settings.read_text()
    monkeypatch.delenv(POSTGRES)
    with pytest.raises(InputError, match="is not set"):
        open_study(tmp_path)
    mine = "telemetry:\n  enabled: false\n# mine\n"
    settings.write_text(mine)
    open_study(tmp_path)
    monkeypatch.setenv(POSTGRES, "postgresql://u:secret@localhost/x")
    with pytest.raises(InputError, match="changed by hand"):
        open_study(tmp_path)
    assert settings.read_text() == mine
