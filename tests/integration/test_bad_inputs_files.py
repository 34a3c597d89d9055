"""Bad lines in the files that `m10 ingest` reads: each is rejected with its reason and its bytes, the lines around it
are stored. By the rows of docs/bad-inputs.md; what a body of the API must not hold, a line must not either.
"""

import base64
import json
from typing import Any
from uuid import uuid4

import command_kit
from command_kit import Command
from test_web_ingest import BAD, GOOD
from web_kit import failure

from m10actors.testing.database import MigratedDatabase

m10 = command_kit.m10

# Of a line, a key that stands twice is taken: the last one counts.
LINES = {row: (raw, code) for row, (raw, _, code) in BAD.items() if row != "row-13-duplicate-keys"}
LINES |= {
    "row-14-300-kB": (json.dumps(failure("x" * 300_000)).encode(), "too_large"),
    "row-21-utf-16": ('{"raw": "x"}'.encode("utf-16-le").replace(b"\n", b""), "invalid_text"),
    "row-21-pickle": (b"\x80\x04K\x07.", "invalid_unicode"),
}


def ingested(m10: Command, database: MigratedDatabase, lines: list[bytes], *options: str) -> tuple[Any, dict[int, Any]]:
    """The account, and the rejected lines by their number."""
    file, rejects = m10.home / "lines", m10.home / "rejects"
    file.write_bytes(b"\n".join(lines) + b"\n")
    ran = m10("ingest", str(file), "--database", database.url(), "--json", "--rejects", str(rejects), *options)
    assert "Traceback" not in ran.err
    assert ran.code == (1 if ran.json["rejected"] else 0), ran.err
    kept = [json.loads(entry) for entry in rejects.read_text().splitlines()]
    return ran.json, {entry["line"]: entry for entry in kept}


def raw_of(entry: Any) -> bytes:
    return base64.b64decode(entry["raw_base64"]) if "raw_base64" in entry else str(entry["raw"]).encode()


def stored(database: MigratedDatabase) -> list[str]:
    with database.connect("superuser") as connection:
        found = connection.execute("SELECT raw_value FROM m10_recovery.suggestion_input ORDER BY id")
        return [row[0] for row in found]


def test_every_bad_line_is_rejected_with_its_reason_and_bytes_and_the_others_are_stored(
    m10: Command, database: MigratedDatabase
) -> None:
    good = [json.dumps(failure(f"before {row}")).encode() for row in LINES]
    lines = [line for pair in zip(good, (raw for raw, _ in LINES.values()), strict=True) for line in pair]
    account, rejected = ingested(m10, database, lines)
    assert (account["sent"], account["accepted"], account["rejected"]) == (len(lines), len(good), len(LINES))
    found = {row: rejected[2 * n + 2] for n, row in enumerate(LINES)}
    assert {row: entry["problems"][0]["code"] for row, entry in found.items()} == {
        row: code for row, (_, code) in LINES.items()
    }
    for row, entry in found.items():
        assert raw_of(entry) == LINES[row][0][: 256 * 1024], row


def test_a_line_that_is_only_unusual_is_stored_as_it_is(m10: Command, database: MigratedDatabase) -> None:
    good = [json.loads(raw) | {"failure_match_id": str(uuid4())} for raw in GOOD.values()]
    lines = [json.dumps(item).encode() for item in good]
    account, _ = ingested(m10, database, [*lines, BAD["row-13-duplicate-keys"][0]])
    assert (account["accepted"], account["rejected"]) == (len(GOOD) + 1, 0)
    found = [json.loads(value) for value in stored(database)]
    assert [item["failure_payload"] for item in good if item["failure_payload"] not in found] == []


def test_a_key_that_comes_again_with_another_failure_counts_nothing(m10: Command, database: MigratedDatabase) -> None:
    """Row 37."""
    lines = [json.dumps(failure(text, idempotency_key="k")).encode() for text in ("one", "two")]
    account, _ = ingested(m10, database, lines)
    assert (account["accepted"], account["duplicates"], account["rejected"]) == (1, 1, 0)


def test_lines_of_any_number_are_stored_in_batches(m10: Command, database: MigratedDatabase) -> None:
    """Row 28."""
    account, _ = ingested(m10, database, [b'{"error_type": "A", "raw": "x"}'] * 2_500)
    assert account["accepted"] == 2_500


def test_a_log_may_hold_anything(m10: Command, database: MigratedDatabase) -> None:
    """Rows 1, 14, 21, 29, 30, 31: of a log, what is no text is rejected, and all else is text."""
    odd = "'; DROP TABLE x; -- ${jndi:ldap://x} %s {} \x1b[31m"
    lines = [
        f"2026-01-01 12:00:00 ERROR {odd}".encode(),
        b"2026-01-01 12:00:00 ERROR a\0b",
        b"2026-01-01 12:00:00 ERROR \xff",
        b"2026-01-01 12:00:00 ERROR " + b"x" * 300_000,
        b"2026-01-01 12:00:00 ERROR it broke",
    ]
    account, rejected = ingested(m10, database, lines, "--format", "log")
    assert (account["accepted"], account["rejected"]) == (2, 3)
    codes = {number: entry["problems"][0]["code"] for number, entry in rejected.items()}
    assert codes == {2: "invalid_text", 3: "invalid_unicode", 4: "too_large"}
    assert raw_of(rejected[3]) == lines[2]
    assert any(odd in json.loads(value)["raw"] for value in stored(database))


def test_a_journal_may_hold_anything(m10: Command, database: MigratedDatabase) -> None:
    entry = '{"PRIORITY": "3", "MESSAGE": %s, "__CURSOR": "%s"}'
    lines = [
        entry % ('"it broke"', "s=1"),
        entry % ('"a\\u0000b"', "s=2"),
        entry % ('"\\ud800"', "s=3"),
        entry % ("[" * 7000 + "]" * 7000, "s=4"),
        "[]",
        "{}",
        entry % ('"it broke again"', "s=5"),
    ]
    account, rejected = ingested(m10, database, [line.encode() for line in lines], "--format", "journald")
    assert (account["accepted"], account["accepted"] + account["rejected"]) == (2, account["sent"])
    assert rejected.keys() >= {3, 4, 5}
