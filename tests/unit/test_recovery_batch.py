"""The form of a batch: what one side writes the other reads, and nothing else is taken for it."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.batch import (
    Item,
    NoBatch,
    Word,
    batch_id,
    batch_key,
    decode,
    decode_words,
    encode,
    encode_words,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
items = st.builds(
    Item,
    event_id=st.uuids(),
    idempotency_key=st.text(alphabet="0123456789abcdef", min_size=32, max_size=32),
    event_type=st.just("webhook:recovery"),
    body=json_values.map(lambda value: json.dumps(value).encode()),
)


@given(st.lists(items, max_size=5))
def test_what_is_encoded_is_decoded(given: list[Item]) -> None:
    assert decode(encode(given)) == given


@given(st.dictionaries(st.uuids(), st.builds(Word, st.integers(100, 599), st.none() | st.just("30")), max_size=5))
def test_words_come_back_as_they_were_said(words: dict[UUID, Word]) -> None:
    assert {event: (word.status, word.retry_after) for event, word in decode_words(encode_words(words)).items()} == {
        event: (word.status, word.retry_after) for event, word in words.items()
    }


def test_the_bytes_of_a_body_are_untouched() -> None:
    body = b'{"n":   1.10, "s": "\\u00e9"}'
    assert body in encode([Item(UUID(int=1), "0" * 32, "webhook:x", body)])


def test_id_and_key_are_those_of_the_same_events_in_the_same_order() -> None:
    one, two = (Item(UUID(int=n), f"{n:032x}", "webhook:x", b"{}") for n in (1, 2))
    assert batch_id([one, two]) == batch_id([one, two]) != batch_id([two, one])
    assert batch_key([one, two]) == batch_key([one, two]) != batch_key([one])
    assert len(batch_key([one])) == 32


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no json", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[]", "version and items"),
        (b'{"version": 2, "items": []}', "version: expected 1"),
        (b'{"version": 1, "items": [{"event_id": "x"}]}', "items.0"),
        (
            b'{"version": 1, "items": [{"event_id": "x", "idempotency_key": "", "event_type": "", "body": 1}]}',
            "items.0",
        ),
    ],
)
def test_anything_else_is_no_batch(body: bytes, says: str) -> None:
    with pytest.raises(NoBatch, match=says):
        decode(body)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"items": 3}',
        b'{"items": [3, null, {}, {"event_id": "x", "status": 200}]}',
        b'{"items": [{"event_id": "00000000-0000-0000-0000-000000000001", "status": "200"}]}',
        b'{"items": [{"event_id": "00000000-0000-0000-0000-000000000001", "status": 99}]}',
    ],
)
def test_of_what_an_answer_does_not_properly_speak_there_is_no_word(answer: bytes) -> None:
    assert decode_words(answer) == {}
