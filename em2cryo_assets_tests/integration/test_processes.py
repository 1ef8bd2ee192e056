"""Where a study is computed changes nothing about what is computed."""

from pathlib import Path

import pytest

from em2cryo_assets_tests.integration.tiny_study import opened, put_one_cell


@pytest.mark.slow
def test_two_worker_processes_make_the_same_bytes_as_threads(one_cell: Path, tmp_path: Path) -> None:
    with opened(one_cell) as tiny:
        expected = tiny.bytes_of_all_but_the_report()
    with opened(tmp_path / "study") as tiny:
        put_one_cell(tiny.inbox)
        outcome, computed = tiny.run("processes:2")
        assert outcome.problems == ()
        assert set(computed.values()) == {1}
        assert tiny.bytes_of_all_but_the_report() == expected
        assert tiny.run("processes:2")[0].materialized == 0
