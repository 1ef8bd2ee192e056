"""Any file name gives a key that Dagster and the store can hold, or is refused."""

import re

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.partitions import cell_key, check_slug, field_of_cell, pair_key, slugify, split_pair_key
from em2cryo_assets.store.keys import folder_of_key, key_of_folder

SLUGS = st.from_regex(re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,89}"), fullmatch=True)


@given(st.text())
def test_a_name_gives_a_usable_key_or_is_refused(name: str) -> None:
    try:
        slug = slugify(name)
    except ValueError:
        usable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")
        assert not 0 < len(usable) <= 90
    else:
        assert check_slug(slug) == slug
        assert slugify(slug) == slug
        assert key_of_folder(folder_of_key(slug)) == slug


@given(SLUGS)
def test_a_key_is_a_legal_partition_with_a_folder_of_its_own(slug: str) -> None:
    assert check_slug(slug) == slug
    assert not set(slug) & set("/|@. ")
    assert key_of_folder(folder_of_key(slug)) == slug


@pytest.mark.parametrize("bad", ["", "-a", "_a", "a/b", "a|b", "a b", "..", "é", "a\n", "x" * 91])
def test_other_keys_are_refused_with_the_rule(bad: str) -> None:
    with pytest.raises(ValueError, match="at most 90 letters, digits"):
        check_slug(bad)


@given(SLUGS, st.integers(1, 9999))
def test_a_cell_knows_its_field(field: str, number: int) -> None:
    cell = cell_key(field, number)
    assert field_of_cell(cell) == field
    assert key_of_folder(folder_of_key(cell)) == cell


@given(SLUGS, st.integers(1, 999), SLUGS)
def test_a_pair_is_spelt_as_dagster_does_and_taken_apart_again(field: str, number: int, tomogram: str) -> None:
    cell = cell_key(field, number)
    pair = pair_key(cell, tomogram)
    assert split_pair_key(pair) == (cell, tomogram)
    assert pair == str(dg.MultiPartitionKey({"tomogram": tomogram, "cell": cell}))
    assert key_of_folder(folder_of_key(pair)) == pair
