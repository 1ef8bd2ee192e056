import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from em2cryo_assets.store.digest import digest_folder

_NAMES = st.sampled_from(["a", "b", "a/b", "ab", "c/d/e"]).map(str)
_FOLDERS = st.dictionaries(_NAMES, st.binary(max_size=3), min_size=1, max_size=4).filter(
    lambda files: not {"a", "a/b"} <= set(files)
)


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(one=_FOLDERS, other=_FOLDERS)
def test_equal_digests_mean_equal_files(tmp_path_factory: pytest.TempPathFactory, one: dict, other: dict) -> None:
    digests = [digest_folder(_write(tmp_path_factory.mktemp("d"), files)) for files in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


def test_times_and_empty_folders_do_not_count(tmp_path: Path) -> None:
    before = digest_folder(_write(tmp_path, {"a/b": b"1"}))
    os.utime(tmp_path / "a" / "b", (1, 1))
    (tmp_path / "empty").mkdir()
    assert digest_folder(tmp_path, sync=True) == before


def test_nothing_and_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file"):
        digest_folder(tmp_path)
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ValueError, match="link"):
        digest_folder(tmp_path)
    (tmp_path / "b").unlink()
    (tmp_path / "c").symlink_to(tmp_path.parent, target_is_directory=True)
    with pytest.raises(ValueError, match="link"):
        digest_folder(tmp_path)
