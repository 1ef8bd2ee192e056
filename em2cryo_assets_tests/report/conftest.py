"""A made-up study and its written report for the tests beside this file."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from em2cryo_assets.report.page import write_report


@pytest.fixture(scope="session")
def made_up() -> ModuleType:
    place = Path(__file__).with_name("made_up.py")
    spec = importlib.util.spec_from_file_location("made_up", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def written(made_up: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "report"
    write_report(folder, made_up.study())
    return folder
