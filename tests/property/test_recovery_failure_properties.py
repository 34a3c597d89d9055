"""Whatever comes in, a failure is refused with a reason or can be stored and read back."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.content import content_problems
from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.file_keys import FileKeys
from m10actors.recovery.fingerprint import fingerprint
from m10actors.recovery.problems import InvalidFailure

anything_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
names = st.sampled_from(
    [
        "failure_payload",
        "error_type",
        "error_code",
        "raw",
        "message",
        "meta",
        "source",
        "idempotency_key",
        "failure_match_id",
    ]
)
reports = st.dictionaries(names | st.text(max_size=8), anything_json | st.text(max_size=20), max_size=8)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)


def outcome(raw: bytes) -> Failure | InvalidFailure:
    try:
        return parse(decode(raw))
    except InvalidFailure as refused:
        return refused


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_value_or_a_refusal_with_a_reason(raw: bytes) -> None:
    result = outcome(raw)
    assert not isinstance(result, InvalidFailure) or result.problems


@given(reports | st.fixed_dictionaries({"failure_payload": reports}))
def test_any_object_is_a_failure_or_a_refusal_with_a_reason(item: dict[str, Any]) -> None:
    result = outcome(json.dumps(item).encode())
    if isinstance(result, InvalidFailure):
        assert result.problems
        assert str(result).isprintable()
    else:
        assert not list(content_problems(result.payload))
        assert json.loads(json.dumps(result.payload, allow_nan=False).encode()) == result.payload


@given(words, words, st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_number_that_varies_keeps_the_failure_the_same(before: str, after: str, one: int, other: int) -> None:
    assert fingerprint("X", f"{before} {one} {after}") == fingerprint("X", f"{before} {other} {after}")


@given(words, st.uuids(), st.uuids())
def test_a_uuid_that_varies_keeps_the_failure_the_same(before: str, one: object, other: object) -> None:
    assert fingerprint("X", f"{before} {one}") == fingerprint("X", f"{before} {other}")


@given(st.lists(st.binary(max_size=8), max_size=20), st.integers(0, 20))
def test_following_a_file_in_two_parts_gives_the_keys_of_the_whole(lines: list[bytes], cut: int) -> None:
    whole = FileKeys("h", "/f")
    expected = [whole.next_key(line) for line in lines]
    first = FileKeys("h", "/f")
    keys = [first.next_key(line) for line in lines[:cut]]
    second = FileKeys("h", "/f", chain=first.chain)
    keys += [second.next_key(line) for line in lines[cut:]]
    assert keys == expected
    assert len(set(keys)) == len(keys)
