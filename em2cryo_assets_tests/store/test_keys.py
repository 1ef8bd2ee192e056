import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.store.keys import checked_asset, folder_of_key, key_of_folder

_SLUGS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
_KEYS = st.none() | _SLUGS | st.tuples(_SLUGS, _SLUGS).map("|".join)


@given(key=_KEYS)
def test_keys_come_back(key: str | None) -> None:
    folder = folder_of_key(key)
    assert key_of_folder(folder) == key
    assert os.path.basename(folder) == folder
    assert not folder.startswith(".")


@given(text=st.text())
def test_what_is_accepted_is_a_plain_folder_name(text: str) -> None:
    try:
        folder = folder_of_key(text)
    except ValueError:
        return
    assert folder.isascii()
    assert not set(folder) & set("/\\:.~ \0\n")


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "/a",
        "a\\b",
        "a.b",
        "_a",
        "-a",
        "a|",
        "|a",
        "a|b|c",
        "a@b",
        "a b",
        "a\n",
        "é",
    ],
)
def test_unsafe_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not usable"):
        folder_of_key(key)


@pytest.mark.parametrize("asset", ["", "_", "a/b", "..", "a-b", "1a", "a\n"])
def test_unsafe_assets_are_refused(asset: str) -> None:
    with pytest.raises(ValueError, match="Asset name"):
        checked_asset(asset)
