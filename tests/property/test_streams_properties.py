"""Whatever lies in the stream: it becomes an Entry or a BadEntry, and the entries beside it do not suffer."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m10actors.streams import BadEntry, Entry, Message, RedisClient, StreamNames, StreamQueue
from m10actors.streams.codec import MAX_CANDIDATE_ID, MAX_GENERATION, as_json, decode, encode

NAMES = StreamNames()

names = st.sampled_from([b"candidate_id", b"message_id", b"metadata"]) | st.binary(max_size=20)
values = st.binary(max_size=60) | st.sampled_from([b"7", b"7:1", b"8:1", b"-1", b"07", b"{}", b"\xff\xfe", b""])
fields = st.dictionaries(names, values, min_size=1, max_size=6)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
messages = st.builds(
    Message,
    candidate_id=st.integers(1, MAX_CANDIDATE_ID),
    generation=st.integers(1, MAX_GENERATION),
    enqueued_at=st.datetimes(timezones=st.just(UTC)),
    priority=st.integers(-(2**31), 2**31 - 1),
    metadata=text,
    idempotency_key=st.none() | text,
    replayed_from_dl=st.none() | text,
)


@pytest.fixture
def queue(redis_url: str) -> Iterator[StreamQueue]:
    client = RedisClient(redis_url, timeout=timedelta(seconds=10))
    queue = StreamQueue(client, NAMES, "me")
    yield queue
    queue.close()
    client.close()


@given(fields)
def test_any_fields_become_an_entry_or_a_bad_one_and_are_kept(planted: dict[bytes, bytes]) -> None:
    entry = decode(b"1-0", [part for pair in planted.items() for part in pair])
    assert entry.fields == planted
    if isinstance(entry, Entry):
        assert 1 <= entry.candidate_id <= MAX_CANDIDATE_ID
        assert entry.generation is None or 1 <= entry.generation <= MAX_GENERATION


@given(messages)
def test_every_message_is_read_back_as_it_was_written(message: Message) -> None:
    entry = decode(b"1-0", [part.encode() for part in encode(message)])
    assert isinstance(entry, Entry)
    assert f"{entry.candidate_id}:{entry.generation}" == message.message_id
    assert entry.fields[b"metadata"].decode() == message.metadata
    assert datetime.fromisoformat(entry.fields[b"enqueued_at"].decode()) == message.enqueued_at


@given(fields)
def test_any_fields_can_be_kept_as_json_that_postgresql_takes(planted: dict[bytes, bytes]) -> None:
    kept = as_json(planted)
    assert json.loads(json.dumps(kept)) == kept
    assert "\0" not in "".join([*kept, *(value for value in kept.values() if isinstance(value, str))])


@given(st.lists(fields, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_planted_bytes_leave_the_batch_around_them_intact(
    redis_url: str, queue: StreamQueue, planted: list[dict[bytes, bytes]]
) -> None:
    """T28, T29, bad inputs 34 to 36."""
    with redis.Redis.from_url(redis_url) as raw:
        raw.flushall()
        queue.ensure_group()
        ids = [raw.xadd(NAMES.stream, {"candidate_id": "1"})]
        ids += [raw.xadd(NAMES.stream, dict(each)) for each in planted]
        ids += [raw.xadd(NAMES.stream, {"candidate_id": "2", "message_id": "2:1"})]
        for batch in (queue.read(100, timedelta(milliseconds=1)), queue.reclaim(timedelta(0), 100).entries):
            assert [entry.entry_id for entry in batch] == ids
            first, *middle, last = batch
            assert isinstance(first, Entry)
            assert isinstance(last, Entry)
            assert (first.candidate_id, last.candidate_id, last.generation) == (1, 2, 1)
            assert [entry.fields for entry in middle] == planted
            assert all(isinstance(entry, Entry | BadEntry) for entry in middle)
