"""The stream queue on a healthy server: groups, pending entries, hostile entries, dead letters."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from streams_kit import AT_ONCE, NAMES, NOON

from m10actors.streams import (
    FIRST,
    BadEntry,
    BadReason,
    DeadLetter,
    DeadLetterStream,
    Entry,
    Message,
    RedisClient,
    StreamMonitor,
    StreamProducer,
    StreamQueue,
)
from m10actors.testing.waiting import eventually

LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    client = RedisClient(redis_url, timeout=timedelta(seconds=5))
    yield client
    client.close()


@pytest.fixture
def queue(client: RedisClient) -> Iterator[StreamQueue]:
    queue = StreamQueue(client, NAMES, "me")
    queue.ensure_group()
    yield queue
    queue.close()


@pytest.fixture
def other(client: RedisClient) -> Iterator[StreamQueue]:
    queue = StreamQueue(client, NAMES, "other")
    yield queue
    queue.close()


@pytest.fixture
def producer(client: RedisClient) -> StreamProducer:
    return StreamProducer(client, NAMES)


@pytest.fixture
def monitor(client: RedisClient) -> StreamMonitor:
    return StreamMonitor(client, NAMES)


def messages(count: int, first: int = 1) -> list[Message]:
    return [Message(number, 1, NOON) for number in range(first, first + count)]


def ids(entries: list[Entry | BadEntry]) -> list[bytes]:
    return [entry.entry_id for entry in entries]


def candidates(entries: list[Entry | BadEntry]) -> list[int]:
    return [entry.candidate_id for entry in entries if isinstance(entry, Entry)]


def pending(raw: redis.Redis, consumer: str | None = None) -> list[dict[str, Any]]:
    return raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 10_000, consumername=consumer)


def make_idle(raw: redis.Redis, entry_ids: list[bytes], idle: timedelta = LONG_AGO) -> None:
    """What the passing of time does, at once: the same owner and count, another idle time."""
    for row in pending(raw):
        if row["message_id"] in entry_ids:
            owner, times, idle_ms = row["consumer"], row["times_delivered"], int(idle.total_seconds() * 1000)
            raw.xclaim(NAMES.stream, NAMES.group, owner, 0, [row["message_id"]], idle_ms, retrycount=times, justid=True)


def reclaim_all(queue: StreamQueue, min_idle: timedelta, count: int) -> tuple[list[Entry | BadEntry], list[bytes]]:
    entries, deleted, cursor = [], [], None
    while cursor != FIRST:
        step = queue.reclaim(min_idle, count, cursor or FIRST)
        entries += step.entries
        deleted += step.deleted
        cursor = step.cursor
    return entries, deleted


def test_what_was_added_before_the_group_was_made_is_not_skipped(
    client: RedisClient, producer: StreamProducer, other: StreamQueue
) -> None:
    """T8."""
    producer.add(messages(3), max_len=10)
    assert other.ensure_group()
    assert candidates(other.read(10, AT_ONCE)) == [1, 2, 3]


def test_the_group_is_made_once_and_says_who_made_it(queue: StreamQueue, other: StreamQueue) -> None:
    assert not queue.ensure_group()
    assert not other.ensure_group()


def test_an_idle_read_ends_without_entries_and_without_an_error(queue: StreamQueue) -> None:
    assert queue.read(10, AT_ONCE) == []


def test_entries_reach_one_consumer_each(queue: StreamQueue, other: StreamQueue, producer: StreamProducer) -> None:
    producer.add(messages(4), max_len=10)
    assert candidates(queue.read(2, AT_ONCE)) == [1, 2]
    assert candidates(other.read(10, AT_ONCE)) == [3, 4]


def test_what_is_finished_leaves_no_pending_entry_and_no_memory(
    queue: StreamQueue, producer: StreamProducer, monitor: StreamMonitor
) -> None:
    """T25, with more entries than one acknowledging command takes."""
    producer.add(messages(2500), max_len=10_000)
    queue.finish(ids(queue.read(5000, AT_ONCE)))
    stats = monitor.stats()
    assert (stats.length, stats.pending) == (0, 0)


def test_finishing_twice_or_nothing_does_no_harm(queue: StreamQueue, producer: StreamProducer) -> None:
    producer.add(messages(1), max_len=10)
    read = ids(queue.read(1, AT_ONCE))
    queue.finish(read)
    queue.finish(read)
    queue.finish([])


def test_what_is_finished_leaves_though_somebody_deleted_its_consumer(
    queue: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T25: it is not pending any more, so that nobody would get it again."""
    producer.add(messages(3), max_len=10)
    read = ids(queue.read(3, AT_ONCE))
    raw.xgroup_delconsumer(NAMES.stream, NAMES.group, "me")
    queue.finish(read)
    assert raw.xlen(NAMES.stream) == 0


def test_what_others_acknowledged_and_left_in_the_stream_is_deleted_and_nothing_else(
    queue: StreamQueue, producer: StreamProducer, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    """T24, T25: it would fill the stream for ever, and the sweep would take it for work that lies in the stream."""
    assert monitor.remove_unreachable() == 0
    producer.add(messages(5), max_len=10)
    read = ids(queue.read(4, AT_ONCE))
    raw.xack(NAMES.stream, NAMES.group, read[0], read[1], read[3])
    assert monitor.remove_unreachable() == 2
    assert [row["message_id"] for row in pending(raw)] == [read[2]]
    queue.finish(read[2:3])
    assert monitor.remove_unreachable() == 1
    assert candidates(queue.read(10, AT_ONCE)) == [5]
    assert monitor.stats().length == 1


def test_a_full_stream_overflows_and_drops_nothing(queue: StreamQueue, producer: StreamProducer) -> None:
    """T24: what is neither delivered nor acknowledged is never trimmed."""
    producer.add(messages(3), max_len=5)
    queue.read(1, AT_ONCE)
    outcome = producer.add(messages(4, first=4), max_len=5)
    assert [message.candidate_id for message in outcome.added] == [4, 5]
    assert [message.candidate_id for message in outcome.overflow] == [6, 7]
    assert producer.add(messages(1, first=8), max_len=5).added == []
    assert candidates(queue.read(10, AT_ONCE)) == [2, 3, 4, 5]


def test_adding_nothing_is_nothing(producer: StreamProducer) -> None:
    assert producer.add([], max_len=5).overflow == []


def test_a_deleted_pending_entry_is_a_tombstone_and_not_candidate_0(
    queue: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T26."""
    producer.add(messages(2), max_len=10)
    gone, there = ids(queue.read(10, AT_ONCE))
    raw.xdel(NAMES.stream, gone)
    found = {entry.entry_id: entry for entry in queue.read_own_pending(set(), 10)}
    assert found[gone] == BadEntry(gone, BadReason.TOMBSTONE, {})
    assert isinstance(found[there], Entry)
    queue.finish([gone, there])
    assert pending(raw) == []


def test_entries_deleted_while_pending_are_told_apart_by_the_reclaimer(
    queue: StreamQueue, other: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T27: the server takes them off the pending list, and says so once."""
    producer.add(messages(4), max_len=10)
    read = ids(queue.read(10, AT_ONCE))
    make_idle(raw, read)
    raw.xdel(NAMES.stream, *read[:3])
    entries, deleted = reclaim_all(other, LONG_AGO, 10)
    assert candidates(entries) == [4]
    assert deleted == read[:3]


def test_one_bad_entry_leaves_the_rest_of_its_batch_alone(
    queue: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T28."""
    producer.add(messages(5), max_len=100)
    raw.xadd(NAMES.stream, {"candidate_id": "abc"})
    producer.add(messages(4, first=6), max_len=100)
    batch = queue.read(10, AT_ONCE)
    assert candidates(batch) == list(range(1, 10))
    assert [entry.reason for entry in batch if isinstance(entry, BadEntry)] == [BadReason.BAD_CANDIDATE_ID]


def test_bytes_that_are_no_text_brick_neither_the_reader_nor_the_reclaimer(
    queue: StreamQueue, other: StreamQueue, raw: redis.Redis
) -> None:
    """T29."""
    raw.xadd(NAMES.stream, {"candidate_id": "1", b"\xff\xfe": b"\xff\xfe"})
    read = queue.read(10, AT_ONCE)
    make_idle(raw, ids(read))
    reclaimed, _ = reclaim_all(other, LONG_AGO, 10)
    for [entry] in (read, reclaimed, other.read_own_pending(set(), 10)):
        assert isinstance(entry, BadEntry)
        assert entry.reason is BadReason.NOT_UTF8
        assert entry.fields[b"\xff\xfe"] == b"\xff\xfe"


def test_looking_for_lost_entries_leaves_those_in_hand_as_they_are(
    queue: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T14, T15: reading the own pending list with id 0 would count a delivery and reset the idle time of all."""
    producer.add(messages(5), max_len=10)
    read = ids(queue.read(10, AT_ONCE))
    make_idle(raw, read)
    lost = queue.read_own_pending(set(read[:3]), 10)
    assert candidates(lost) == [4, 5]
    in_hand = [row for row in pending(raw) if row["message_id"] in read[:3]]
    assert all(row["times_delivered"] == 1 and row["time_since_delivered"] >= 300_000 for row in in_hand)


def test_lost_entries_are_found_behind_any_number_in_hand(queue: StreamQueue, producer: StreamProducer) -> None:
    producer.add(messages(50), max_len=100)
    read = ids(queue.read(50, AT_ONCE))
    assert ids(queue.read_own_pending(set(read[:40]), 4)) == read[40:44]
    assert queue.read_own_pending(set(read), 4) == []


def test_a_heartbeat_keeps_an_entry_from_being_reclaimed_and_counts_no_delivery(
    queue: StreamQueue, other: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T16, T20."""
    producer.add(messages(2), max_len=10)
    kept, left = ids(queue.read(10, AT_ONCE))
    make_idle(raw, [kept, left])
    queue.keep([kept])
    assert ids(other.reclaim(LONG_AGO, 10).entries) == [left]
    assert {row["message_id"]: row["times_delivered"] for row in pending(raw)} == {kept: 1, left: 2}


def test_the_reclaimer_finds_what_stalls_behind_what_is_busy(
    queue: StreamQueue, other: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T19: 150 stalled entries behind 100 fresh ones."""
    producer.add(messages(250), max_len=1000)
    read = ids(queue.read(250, AT_ONCE))
    make_idle(raw, read[100:])
    entries, deleted = reclaim_all(other, LONG_AGO, 5)
    assert ids(entries) == read[100:]
    assert deleted == []


def test_a_pass_that_has_seen_all_ends_at_once(queue: StreamQueue, producer: StreamProducer, raw: redis.Redis) -> None:
    """Whatever was seen last: there is no id after the greatest, and to ask for it is an error."""
    producer.add(messages(1), max_len=10)
    raw.xadd(NAMES.stream, {"candidate_id": 2}, id=f"{2**64 - 1}-{2**64 - 1}")
    make_idle(raw, ids(queue.read(10, AT_ONCE)))
    assert candidates(reclaim_all(queue, LONG_AGO, 10)[0]) == [1, 2]


def test_what_is_handed_back_can_be_reclaimed_at_once_and_counts_as_never_delivered(
    queue: StreamQueue, other: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    producer.add(messages(2), max_len=10)
    back, kept = ids(queue.read(10, AT_ONCE))
    queue.hand_back([back])
    assert ids(other.reclaim(timedelta(hours=24), 10).entries) == [back]
    assert [row["times_delivered"] for row in pending(raw, "other")] == [1]
    assert ids(queue.read_own_pending(set(), 10)) == [kept]


def test_what_dead_consumers_held_is_taken_over_without_waiting(
    queue: StreamQueue, client: RedisClient, producer: StreamProducer
) -> None:
    producer.add(messages(5), max_len=10)
    for name in ("dead.1", "dead.2"):
        dead = StreamQueue(client, NAMES, name)
        dead.read(2, AT_ONCE)
        dead.close()
    assert candidates(queue.take_over(["dead.1", "unheard of", "dead.2"], 3)) == [1, 2, 3]
    assert candidates(queue.take_over(["dead.1", "dead.2"], 3)) == [4]
    assert queue.take_over(["dead.1", "dead.2"], 3) == []
    assert len(queue.read_own_pending(set(), 10)) == 4


def test_a_late_consumer_finishes_an_entry_for_its_new_owner_too(
    queue: StreamQueue, other: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    """T21: an acknowledgement counts for the group. Nothing here may take it for proof of anything."""
    producer.add(messages(1), max_len=10)
    read = ids(queue.read(1, AT_ONCE))
    make_idle(raw, read)
    assert ids(other.reclaim(LONG_AGO, 10).entries) == read
    queue.finish(read)
    queue.keep(read)
    other.keep(read)
    other.finish(read)
    assert pending(raw) == []


def test_the_same_entry_id_may_come_again_with_other_work(queue: StreamQueue, raw: redis.Redis) -> None:
    """T40: the identity of a message is in its fields."""
    seen = []
    for candidate in (1, 2):
        raw.flushall()
        queue.ensure_group()
        raw.xadd(NAMES.stream, {"candidate_id": candidate, "message_id": f"{candidate}:1"}, id="1000-0")
        seen += queue.read(1, AT_ONCE)
    assert ids(seen) == [b"1000-0", b"1000-0"]
    assert candidates(seen) == [1, 2]


def test_a_waiting_read_can_be_woken_and_loses_nothing(queue: StreamQueue, producer: StreamProducer) -> None:
    outcomes: list[list[Entry | BadEntry]] = []
    reader = threading.Thread(target=lambda: outcomes.append(queue.read(1, timedelta(seconds=60))))
    reader.start()

    def woken() -> bool:
        queue.wake()
        return bool(outcomes)

    eventually(woken)
    reader.join()
    assert outcomes == [[]]
    producer.add(messages(1), max_len=10)
    assert candidates(queue.read(1, AT_ONCE)) == [1]


def test_a_waiting_read_returns_with_the_first_entry(
    queue: StreamQueue, producer: StreamProducer, raw: redis.Redis
) -> None:
    outcomes: list[list[Entry | BadEntry]] = []
    reader = threading.Thread(target=lambda: outcomes.append(queue.read(10, timedelta(seconds=60))))
    reader.start()
    eventually(lambda: raw.info("clients")["blocked_clients"])
    producer.add(messages(1), max_len=10)
    reader.join(10)
    assert [candidates(batch) for batch in outcomes] == [[1]]


def test_a_dead_letter_moves_its_entry_in_one_step(
    queue: StreamQueue, client: RedisClient, raw: redis.Redis, monitor: StreamMonitor
) -> None:
    raw.xadd(NAMES.stream, {"candidate_id": "abc", b"\xff": b"\xfe"})
    [entry] = queue.read(1, AT_ONCE)
    queue.dead_letter(DeadLetter("uuid", "none", "bad_candidate_id", NOON), entry.fields, entry.entry_id)
    stats = monitor.stats()
    assert (stats.length, stats.pending, stats.dead_letter_length) == (0, 0, 1)
    [letter] = DeadLetterStream(client, NAMES).page(10)
    assert letter.fields == {
        b"dl_msg_id": b"uuid",
        b"original_msg_id": b"none",
        b"original_entry_id": entry.entry_id,
        b"original_stream": NAMES.stream.encode(),
        b"reason": b"bad_candidate_id",
        b"dead_lettered_at": b"2026-02-03T12:00:00+00:00",
        b"consumer": b"me",
        b"orig_candidate_id": b"abc",
        b"orig_\xff": b"\xfe",
    }


def test_dead_letters_are_paged_through_and_leave_when_they_are_archived(
    queue: StreamQueue, client: RedisClient
) -> None:
    for number in range(5):
        queue.dead_letter(DeadLetter(str(number), "1:1", "poison", NOON), {}, None)
    letters = DeadLetterStream(client, NAMES)
    first = letters.page(3)
    rest = letters.page(3, after=first[-1].entry_id)
    assert [letter.fields[b"dl_msg_id"] for letter in first + rest] == [b"0", b"1", b"2", b"3", b"4"]
    letters.remove([letter.entry_id for letter in first])
    letters.remove([])
    assert letters.page(10) == rest


def test_a_stream_that_is_not_there_has_stats_too(monitor: StreamMonitor) -> None:
    stats = monitor.stats()
    assert (stats.length, stats.pending, stats.consumers, stats.active_consumers) == (0, 0, 0, 0)
    assert stats.oldest_entry_age is None
    assert not stats.has_group


def test_stats_count_what_lies_there_and_who_reads(
    queue: StreamQueue, other: StreamQueue, producer: StreamProducer, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    raw.xadd(NAMES.stream, {"candidate_id": 1}, id="1-0")
    producer.add(messages(2), max_len=10)
    queue.read(2, AT_ONCE)
    other.read(1, AT_ONCE)
    stats = monitor.stats()
    assert (stats.length, stats.pending, stats.consumers, stats.active_consumers) == (3, 3, 2, 2)
    assert stats.has_group
    assert stats.oldest_entry_age is not None
    assert stats.oldest_entry_age > timedelta(days=365 * 50)


def test_the_incarnation_is_one_value_for_all_until_the_data_is_gone(
    client: RedisClient, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    """T9."""
    before = monitor.incarnation()
    assert before == StreamMonitor(client, NAMES).incarnation() != ""
    raw.flushall()
    assert monitor.incarnation() not in ("", before)


def test_a_consumer_that_waits_is_seen_although_nothing_comes_and_touches_nothing_that_it_has(
    queue: StreamQueue, producer: StreamProducer, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    """Redis 7.0 did not know of it."""
    assert queue.read(1, AT_ONCE) == []
    assert monitor.stats().active_consumers == 1
    producer.add(messages(1), max_len=10)
    [entry] = queue.read(1, AT_ONCE)
    assert queue.read(1, AT_ONCE) == []
    [row] = raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 10)
    assert (row["message_id"], row["times_delivered"]) == (entry.entry_id, 1)


def test_idle_consumers_are_forgotten_unless_something_is_pending_for_them(
    queue: StreamQueue, producer: StreamProducer, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    """T23."""
    producer.add(messages(1), max_len=10)
    queue.read(1, AT_ONCE)
    raw.xgroup_createconsumer(NAMES.stream, NAMES.group, "other")  # before 7.2 a read that gets nothing makes none
    assert monitor.remove_idle_consumers(timedelta(hours=1)) == 0
    eventually(lambda: monitor.remove_idle_consumers(timedelta(milliseconds=5)) == 1)
    assert [row["name"] for row in raw.xinfo_consumers(NAMES.stream, NAMES.group)] == [b"me"]


def test_what_a_consumer_was_given_just_before_it_is_forgotten_stays_pending(
    queue: StreamQueue, producer: StreamProducer, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    """T23: XGROUP DELCONSUMER drops what is pending for good, neither to be read nor to be reclaimed."""
    producer.add(messages(3), max_len=10)
    read = ids(queue.read(3, AT_ONCE))
    raw.xdel(NAMES.stream, read[0])
    monitor._remove(b"me")
    assert [row["message_id"] for row in pending(raw, "me")] == read[1:]


def test_forgetting_consumers_while_they_read_loses_nothing(
    client: RedisClient, producer: StreamProducer, queue: StreamQueue, monitor: StreamMonitor, raw: redis.Redis
) -> None:
    """T23, the race itself."""
    rounds = 200
    producer.add(messages(rounds), max_len=1000)
    busy = StreamQueue(client, NAMES, "busy")
    done = threading.Event()

    def forget() -> None:
        while not done.is_set():
            monitor.remove_idle_consumers(timedelta(milliseconds=-1))

    forgetful = threading.Thread(target=forget)
    forgetful.start()
    try:
        for _ in range(rounds):
            raw.xgroup_createconsumer(NAMES.stream, NAMES.group, "busy")
            assert len(busy.read(1, AT_ONCE)) == 1
            queue.take_over(["busy"], 10)
    finally:
        done.set()
        forgetful.join()
        busy.close()
    assert len(pending(raw)) == rounds
