"""What anybody may put straight into Redis is a dead letter with its reason and every byte, or done; what lies beside
it is evaluated, and nothing stays. By the rows of docs/bad-inputs.md.
"""

import pickle
from base64 import b64decode
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, World, running

from m10actors.streams.codec import LONGEST_KEPT
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SHORT: dict[str, Any] = {
    "tree__reclaimer__poll": "5ms",
    "intake__claim_idle": "20ms",
    "intake__evaluation_lease": "20ms",
    "decisions__evaluator_timeout": "10ms",
}
MALFORMED: dict[str, tuple[list[bytes], str]] = {
    "row-1-nul": ([b"candidate_id", b"7\0"], "bad_candidate_id"),
    "row-8-5000-digits": ([b"candidate_id", b"9" * 5000], "bad_candidate_id"),
    "row-9-2^63": ([b"candidate_id", b"9223372036854775808"], "bad_candidate_id"),
    "row-9-generation-2^31": ([b"candidate_id", b"7", b"message_id", b"7:2147483648"], "bad_message_id"),
    "row-13-repeated-field": ([b"candidate_id", b"7", b"candidate_id", b"8"], "repeated_field"),
    "row-14-300-kB": ([b"candidate_id", b"7", b"metadata", b"x" * 300_000], "too_large"),
    "row-21-invalid-utf8": ([b"candidate_id", b"7", b"metadata", b"\xff\xfe"], "not_utf8"),
    "row-21-invalid-utf8-name": ([b"candidate_id", b"7", b"\xff\0", b"a", b"\\xff\\x00", b"b"], "not_utf8"),
    "row-23-blank": ([b"candidate_id", b""], "bad_candidate_id"),
    "row-24-float": ([b"candidate_id", b"7.0"], "bad_candidate_id"),
    "row-24-other-digits": ([b"candidate_id", "٧".encode()], "bad_candidate_id"),
    "row-26-10000-fields": ([part for n in range(10_000) for part in (b"k%d" % n, b"")], "missing_candidate_id"),
    "row-26-long-name": ([b"n" * 100_000, b"1"], "missing_candidate_id"),
    "row-29-line-break": ([b"candidate_id", b"7\n2026-01-01 CRITICAL \x1b[31m"], "bad_candidate_id"),
    "row-30-template": ([b"candidate_id", b"7; DROP TABLE x; ${jndi:ldap://x}"], "bad_candidate_id"),
    "row-34-no-candidate": ([b"something", b"else"], "missing_candidate_id"),
    "row-34-no-number": ([b"candidate_id", b"abc"], "bad_candidate_id"),
    "row-34-empty-object": ([b"candidate_id", b"{}"], "bad_candidate_id"),
    "row-34-pickle": ([b"candidate_id", pickle.dumps(eventually)], "not_utf8"),
    "row-35-newer-version": ([b"version", b"9", b"work", b'{"candidate": 7}'], "missing_candidate_id"),
    "row-36-other-candidate": ([b"candidate_id", b"7", b"message_id", b"8:1"], "bad_message_id"),
}


def test_each_malformed_entry_is_a_dead_letter_with_all_its_bytes_and_its_batch_is_evaluated(world: World) -> None:
    with running(world) as engine:
        entries = plant(world, NAMES.stream)
        engine.ingest(range(20))
        eventually(lambda: len(world.dead_letters()) == len(MALFORMED), within=20)
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}
        assert world.settled(20).dead == len(MALFORMED)
    found = archived(world, entries)
    assert {row: reason for row, (reason, _) in found.items()} == {row: MALFORMED[row][1] for row in MALFORMED}
    for row, (_, fields) in found.items():
        assert kept(fields) == values(row), row
    assert world.raw.xlen(NAMES.dead_letter) == len(MALFORMED)


def plant(world: World, stream: str) -> dict[str, str]:
    """Adds all that is malformed; the entry of each row."""
    added = {row: world.raw.execute_command("XADD", stream, "*", *fields) for row, (fields, _) in MALFORMED.items()}
    return {row: entry_id.decode() for row, entry_id in added.items()}


def archived(world: World, entries: dict[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Reason and fields of the dead letter of each row."""
    query = "SELECT original_entry_id, reason, payload -> 'fields' FROM m10_recovery.dead_letter_archive"
    letters = {entry_id: (reason, fields) for entry_id, reason, fields in world.sql(query)}
    return {row: letters[entry_id] for row, entry_id in entries.items()}


def values(row: str) -> list[bytes]:
    return sorted(value[:LONGEST_KEPT] for value in MALFORMED[row][0][1::2])


def kept(fields: dict[str, Any]) -> list[bytes]:
    """The values that a dead letter holds, byte for byte (of a long one the first 64 kB)."""
    return sorted(b64decode(v["base64"]) if isinstance(v, dict) else v.encode() for v in fields.values())


WELL_FORMED: dict[str, dict[str, str]] = {
    "row-2-metadata-with-nul-escape": {"metadata": '{"a": "\\u0000"}'},
    "row-4-metadata-with-lone-surrogate": {"metadata": '"\\ud800"'},
    "row-5-metadata-nan": {"metadata": "NaN"},
    "row-7-priority-1e200000": {"priority": "1e200000"},
    "row-11-metadata-depth-7000": {"metadata": "[" * 7000},
    "row-12-metadata-depth-100000": {"metadata": "[" * 100_000},
    "row-17-no-date": {"enqueued_at": "2026-02-30"},
    "row-18-infinity": {"enqueued_at": "infinity", "replayed_at": "290000-01-01"},
    "row-19-naive-time": {"enqueued_at": "2026-01-01T00:00:00"},
    "row-20-another-clock": {"enqueued_at": "2090-01-01T00:00:00Z"},
    "row-22-metadata-no-object": {"metadata": "7"},
    "row-24-priority-no-number": {"priority": "high"},
    "row-25-unknown-fields": {"__proto__": "x", "a.b": "y", "constructor": "z"},
    "row-31-percent": {"metadata": "%s {} 100%"},
    "row-35-older-version": {"message_id": ""},
    "row-37-other-key": {"idempotency_key": "00000000-0000-0000-0000-000000000000"},
}


def test_an_entry_that_names_its_candidate_is_evaluated_whatever_its_hints_say(world: World) -> None:
    with running(world) as engine:
        due = world.upsert(len(WELL_FORMED))
        for candidate, hints in zip(due, WELL_FORMED.values(), strict=True):
            fields = {"candidate_id": str(candidate), "message_id": f"{candidate}:1"} | hints
            world.raw.xadd(NAMES.stream, {name: value for name, value in fields.items() if value})
        world.stream_is_empty()
        assert world.settled(len(due)).dead == 0
        assert set(engine.restarts().values()) == {0}


@pytest.mark.parametrize("times", [1, 50])
def test_an_entry_for_what_is_not_there_is_given_up_and_repeats_are_given_up_with_it(world: World, times: int) -> None:
    """Row 36: forged, or of a row that was rolled back; row 27: the same one many times in a batch."""
    with running(world, **SHORT) as engine:
        for _ in range(times):
            world.raw.xadd(NAMES.stream, {"candidate_id": "424242", "message_id": "424242:1"})
        engine.ingest(range(10))
        eventually(world.dead_letters, within=20)
        world.stream_is_empty()
        assert [letter[:2] for letter in world.dead_letters()] == [("candidate_not_found", 424242)]
        assert world.settled(10).evaluated == 10
        assert set(engine.restarts().values()) == {0}


def test_the_dead_letter_stream_may_hold_anything(world: World) -> None:
    """Of other programs, too: what is only there is archived, byte for byte."""
    entries = plant(world, NAMES.dead_letter)
    with running(world, jobs__dead_letter_reconcile="50ms") as engine:
        eventually(lambda: len(world.dead_letters()) == len(MALFORMED), within=20)
        assert set(engine.restarts().values()) == {0}
    for row, (_, fields) in archived(world, entries).items():
        assert kept(fields) == values(row), row


@pytest.mark.parametrize("key", [NAMES.stream, NAMES.dead_letter])
def test_a_key_of_another_type_stops_nothing(world: World, key: str) -> None:
    world.raw.set(key, "no stream")
    with running(world, intake__poll_interval="20ms", intake__sweep_after="20ms") as engine:
        engine.ingest(range(5))
        assert world.settled(5).evaluated == 5
        world.raw.delete(key)
        world.raw.xadd(NAMES.stream, {"bad": "1"})
        eventually(lambda: len(world.dead_letters()) == 1, within=20)
        assert set(engine.restarts().values()) == {0}
