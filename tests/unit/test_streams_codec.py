"""Entries as they lie in the stream, and what becomes of those that do not fit."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from m10actors.streams.codec import (
    LONGEST_KEPT,
    MAX_ENTRY_BYTES,
    BadEntry,
    BadReason,
    Entry,
    Message,
    as_json,
    decode,
    encode,
)
from m10actors.streams.dead_letters import DeadLetter, dead_letter_fields
from m10actors.streams.names import StreamNames

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)


def flat(**fields: str | bytes) -> list[bytes]:
    parts: list[bytes] = []
    for name, value in fields.items():
        parts += [name.encode(), value.encode() if isinstance(value, str) else value]
    return parts


def written(message: Message) -> list[bytes]:
    return [part.encode() for part in encode(message)]


def test_a_message_has_the_fields_of_the_contract() -> None:
    message = Message(7, 3, NOON, priority=5, metadata='{"a":1}', idempotency_key="key")
    assert encode(message) == [
        "candidate_id", "7",
        "message_id", "7:3",
        "priority", "5",
        "enqueued_at", "2026-02-03T12:00:00+00:00",
        "metadata", '{"a":1}',
        "idempotency_key", "key",
    ]  # fmt: skip


def test_a_replayed_message_says_from_which_dead_letter_and_when() -> None:
    flat = encode(Message(7, 3, NOON, replayed_from_dl="dl-1", replayed_at=NOON))
    assert flat[-4:] == ["replayed_from_dl", "dl-1", "replayed_at", "2026-02-03T12:00:00+00:00"]


def test_times_are_written_in_utc() -> None:
    in_berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    assert encode(Message(1, 1, in_berlin)) == encode(Message(1, 1, NOON))


def test_what_was_written_is_read_back() -> None:
    entry = decode(b"5-0", written(Message(7, 3, NOON)))
    assert isinstance(entry, Entry)
    assert (entry.entry_id, entry.candidate_id, entry.generation) == (b"5-0", 7, 3)
    assert entry.fields[b"metadata"] == b"{}"


def test_a_foreign_producer_may_send_only_the_candidate() -> None:
    entry = decode(b"5-0", flat(candidate_id="7"))
    assert isinstance(entry, Entry)
    assert entry.generation is None


def test_text_in_any_script_is_welcome() -> None:
    assert isinstance(decode(b"5-0", flat(candidate_id="7", metadata='{"π": "試"}')), Entry)


BAD = [
    (None, BadReason.TOMBSTONE),
    ([], BadReason.TOMBSTONE),
    (flat(message_id="7:1"), BadReason.MISSING_CANDIDATE_ID),
    (flat(candidate_id="abc"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id=""), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="0"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="-7"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id=" 7"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="7_000"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="7.0"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="٧"), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id=str(2**63)), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="9" * 5000), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id=b"\x80\x04K\x07."), BadReason.NOT_UTF8),
    (flat(candidate_id="I7\n."), BadReason.BAD_CANDIDATE_ID),
    (flat(candidate_id="7", message_id=""), BadReason.BAD_MESSAGE_ID),
    (flat(candidate_id="7", message_id="7"), BadReason.BAD_MESSAGE_ID),
    (flat(candidate_id="7", message_id="8:1"), BadReason.BAD_MESSAGE_ID),
    (flat(candidate_id="7", message_id="7:0"), BadReason.BAD_MESSAGE_ID),
    (flat(candidate_id="7", message_id="7:1:1"), BadReason.BAD_MESSAGE_ID),
    (flat(candidate_id="7", message_id=f"7:{2**31}"), BadReason.BAD_MESSAGE_ID),
    (flat(candidate_id="7", metadata=b"\xff\xfe"), BadReason.NOT_UTF8),
    ([b"candidate_id", b"7", b"\xff", b"name"], BadReason.NOT_UTF8),
    (flat(candidate_id="7", a=b"\xc3", b=b"\xa9"), BadReason.NOT_UTF8),
    (flat(candidate_id="7", metadata="x" * MAX_ENTRY_BYTES), BadReason.TOO_LARGE),
]


@pytest.mark.parametrize(("fields", "reason"), BAD)
def test_an_entry_that_does_not_fit_has_a_reason_and_keeps_its_bytes(
    fields: list[bytes] | None, reason: BadReason
) -> None:
    entry = decode(b"5-0", fields)
    assert isinstance(entry, BadEntry)
    assert (entry.entry_id, entry.reason) == (b"5-0", reason)
    assert [part for pair in entry.fields.items() for part in pair] == (fields or [])


def test_a_name_that_stands_again_makes_an_entry_malformed_and_loses_no_value() -> None:
    entry = decode(b"5-0", [b"candidate_id", b"7", b"a", b"1", b"a", b"2", b"a #2", b"3", b"candidate_id", b"8"])
    assert isinstance(entry, BadEntry)
    assert entry.reason == BadReason.REPEATED_FIELD
    assert sorted(entry.fields.values()) == [b"1", b"2", b"3", b"7", b"8"]
    many = decode(b"5-0", [b"a", b""] * 200_000)
    assert isinstance(many, BadEntry)
    assert len(many.fields) == 200_000


def test_fields_of_any_bytes_can_be_kept_as_json() -> None:
    kept = as_json({b"text": "試".encode(), b"nul": b"a\0b", b"\xff\0": b"\xfe", b"long": b"x" * (LONGEST_KEPT + 1)})
    assert kept["text"] == "試"
    assert kept["nul"] == {"base64": "YQBi", "bytes": 3}
    assert kept["\\xff\\x00"] == {"base64": "/g==", "bytes": 1}
    assert set(as_json({b"\xff": b"a", b"\\xff": b"b"})) == {"\\xff", "\\\\xff"}
    assert kept["long"]["bytes"] == LONGEST_KEPT + 1  # type: ignore[index]
    assert "\\u0000" not in json.dumps(kept)


def test_a_dead_letter_has_the_fields_of_the_contract_and_every_original_one() -> None:
    letter = DeadLetter("uuid", "7:3", "poison", NOON)
    fields = dead_letter_fields(letter, {b"candidate_id": b"7", b"\xff": b"\xfe"}, "stream", "me", b"5-0")
    assert fields == [
        "dl_msg_id", "uuid",
        "original_msg_id", "7:3",
        "original_entry_id", b"5-0",
        "original_stream", "stream",
        "reason", "poison",
        "dead_lettered_at", "2026-02-03T12:00:00+00:00",
        "consumer", "me",
        b"orig_candidate_id", b"7",
        b"orig_\xff", b"\xfe",
    ]  # fmt: skip


def test_all_keys_of_the_cluster_form_share_one_hash_tag() -> None:
    names = StreamNames().tagged("m10")
    keys = (names.stream, names.dead_letter, names.incarnation, names.probes)
    assert names.stream == "{m10}:evaluate:stream"
    assert {key[: key.index("}") + 1] for key in keys} == {"{m10}"}
    assert names.group == StreamNames().group


def test_a_name_without_the_tag_in_front_gets_it_there() -> None:
    assert StreamNames(stream="work").tagged("m10").stream == "{m10}:work"
