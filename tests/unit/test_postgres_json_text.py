"""JSON for PostgreSQL: the value that json writes, whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.postgres.json_text import json_bytes

texts = st.text(st.characters(exclude_categories=()), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_what_is_written_is_read_back_as_json_would(value: object) -> None:
    assert json.loads(json_bytes(value)) == json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("value", [2**70, -(2**64), 1e300, 5e-324, "\0", "\ud800", {"\udfff": ["é", 2**70]}])
def test_what_other_writers_refuse_is_left_for_postgresql_to_judge(value: object) -> None:
    assert json.loads(json_bytes(value)) == value


def test_a_deep_value_is_written() -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    assert json.loads(json_bytes(deep)) == deep


def test_not_a_number_stays_in_it() -> None:
    assert json_bytes([float("nan")]) == b"[NaN]"


def test_what_json_does_not_have_is_an_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        json_bytes({"a": object()})
