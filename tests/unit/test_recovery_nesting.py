"""How deep JSON may be nested is the same on every Python, whatever its decoder can do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.delivery.errors import Undeliverable
from m10actors.delivery.payload import Payload
from m10actors.postgres.inspection import loaded
from m10actors.recovery.nesting import READABLE_LEVELS, is_deeper


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def payload(levels: int) -> bytes:
    return f'{{"data": {nested(levels - 1)}}}'.encode()


@pytest.mark.parametrize("filler", ["", '"[[[[", ', '"a\\"[[", ', "[], [], "], ids=["none", "text", "quote", "wide"])
def test_brackets_count_where_they_are_nested_and_are_no_text(filler: str) -> None:
    text = f"[{filler}{nested(9)}]".encode()
    assert is_deeper(text, 9)
    assert not is_deeper(text, 10)


@given(st.recursive(st.text('[]{}"\\a'), lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\a'), inner)))
def test_the_brackets_of_any_json_are_counted_right(value: object) -> None:
    raw = json.dumps([value]).encode()
    assert is_deeper(raw, levels(value))
    assert not is_deeper(raw, levels(value) + 1)


def levels(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


def test_what_is_nested_up_to_the_limit_is_read_and_can_be_written_again() -> None:
    value = loaded(nested(READABLE_LEVELS))
    assert json.dumps(value, indent=2)
    assert Payload.read(payload(READABLE_LEVELS)).values.keys() == {"data"}


def test_what_is_nested_deeper_is_shown_as_it_begins_and_not_delivered() -> None:
    deeper = READABLE_LEVELS + 1
    assert loaded(nested(deeper)) == {"unreadable": nested(deeper)}
    with pytest.raises(Undeliverable, match="nested deeper than 200 levels"):
        Payload.read(payload(deeper))
