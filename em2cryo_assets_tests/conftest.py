"""What the tests of the lineage share: one small study, made once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def one_cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cell, two sections and a lamella, brought up to date; copy it before changing anything."""
    from em2cryo_assets_tests.integration.tiny_study import opened, put_one_cell

    root = tmp_path_factory.mktemp("one-cell") / "study"
    with opened(root) as tiny:
        put_one_cell(tiny.inbox)
        outcome, _ = tiny.run()
        assert outcome.problems == ()
    return root
