import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.store.provenance import InputRef, Provenance, inputs_digest, software_versions

_REFS = st.builds(InputRef, st.text(), st.none() | st.text(), st.text())


@given(
    inputs=st.lists(_REFS).map(tuple),
    parameters=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
    seed=st.none() | st.integers(),
    fallbacks=st.lists(st.text()).map(tuple),
)
def test_json_round_trip(inputs: tuple, parameters: dict, seed: int | None, fallbacks: tuple) -> None:
    made = Provenance("a", "k", inputs, parameters, "1", seed, "run", fallbacks, True, {"numpy": "2"})
    assert Provenance.from_json(made.to_json()) == made


def test_what_json_cannot_say_is_refused() -> None:
    for parameters in ({"x": math.nan}, {"x": {1, 2}}):
        with pytest.raises((ValueError, TypeError)):
            Provenance("a", None, parameters=parameters).to_json()


@given(refs=st.lists(_REFS, max_size=6), data=st.data())
def test_order_of_inputs_does_not_count(refs: list[InputRef], data: st.DataObject) -> None:
    assert inputs_digest(data.draw(st.permutations(refs))) == inputs_digest(refs)


@given(one=st.frozensets(_REFS, max_size=4), other=st.frozensets(_REFS, max_size=4))
def test_other_inputs_give_another_digest(one: frozenset, other: frozenset) -> None:
    assert (inputs_digest(one) == inputs_digest(other)) == (one == other)


def test_no_key_and_a_key_called_none_differ() -> None:
    assert inputs_digest([InputRef("a", None, "d")]) != inputs_digest([InputRef("a", "None", "d")])


def test_versions_are_those_installed() -> None:
    import numpy

    assert software_versions("numpy") == {"numpy": numpy.__version__}
