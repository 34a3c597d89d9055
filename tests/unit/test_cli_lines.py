"""JSON lines become failures, one by one."""

import base64
import hashlib
import io
import itertools
import json
from pathlib import Path
from uuid import UUID

import pytest

from m10actors.cli.ingest_report import rejects
from m10actors.client import results
from m10actors.lines import JsonLines, Line, OneTimeKeys, Rejected, Reported, batches, read
from m10actors.raw_lines import MAX_LINE_BYTES
from m10actors.recovery.file_keys import FileKeys

GOOD = b'{"error_type": "TIMEOUT", "raw": "no answer"}'


def lines_of(content: bytes, key_field: str | None = None) -> list[Line]:
    return list(read(io.BytesIO(content), JsonLines("file", key_field), FileKeys("host", "/file")))


def reported(content: bytes, key_field: str | None = None) -> list[Reported]:
    found = lines_of(content, key_field)
    assert all(isinstance(line, Reported) for line in found), found
    return [line for line in found if isinstance(line, Reported)]


def keys_of(content: bytes) -> list[UUID | None]:
    return [line.failure.idempotency_key for line in reported(content)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"", "object_expected"),
        (b"  ", "object_expected"),
        (b"x", "invalid_json"),
        (b"null", "object_expected"),
        (b"[1]", "object_expected"),
        (b"{}", "missing_field"),
        (b"\xff\xfe", "invalid_unicode"),
        (b"\x00\x01", "invalid_text"),
        (b'{"raw": "\\ud800"}', "invalid_unicode"),
        (b'{"raw": NaN}', "invalid_number"),
        (b'{"raw": "x", "idempotency_key": 5}', "invalid_type"),
        (b'{"raw": "' + b"x" * MAX_LINE_BYTES + b'"}', "too_large"),
        (b"[" * 100_000, "too_deep"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else value,
)
def test_a_bad_line_spoils_only_itself(bad: bytes, code: str) -> None:
    first, second, third = lines_of(b"\n".join((GOOD, bad, GOOD)))
    assert isinstance(first, Reported)
    assert isinstance(second, Rejected)
    assert [problem.code for problem in second.problems] == [code]
    assert isinstance(third, Reported)
    assert [line.number for line in (first, second, third)] == [1, 2, 3]


def test_what_a_line_does_not_say_is_filled_in() -> None:
    one, two = reported(GOOD + b'\n{"raw": "x", "source": "billing", "idempotency_key": "a"}')
    assert (one.failure.source, two.failure.source) == ("file", "billing")
    assert one.item["idempotency_key"] == str(one.failure.idempotency_key)
    assert two.item["idempotency_key"] == "a"


def test_the_last_line_may_lack_its_end_and_windows_ends_and_a_mark_of_byte_order_do_not_count() -> None:
    assert keys_of(GOOD + b"\n" + GOOD) == keys_of(GOOD + b"\r\n" + GOOD + b"\n")
    assert len(reported(b"\xef\xbb\xbf" + GOOD)) == 1


def test_the_same_lines_have_the_same_keys_until_the_first_difference() -> None:
    other = b'{"raw": "other"}'
    before, after = keys_of(b"\n".join((GOOD, GOOD, GOOD))), keys_of(b"\n".join((GOOD, other, GOOD)))
    assert len(set(before)) == 3
    assert before[0] == after[0]
    assert not set(before[1:]) & set(after[1:])


def test_a_line_that_is_too_long_counts_in_the_chain_with_all_its_bytes() -> None:
    def last_key(filling: bytes) -> UUID | None:
        last = lines_of(filling + b"\n" + GOOD)[-1]
        assert isinstance(last, Reported)
        return last.failure.idempotency_key

    long = b"x" * (3 * MAX_LINE_BYTES)
    assert last_key(long) == last_key(long)
    assert last_key(long) != last_key(long + b"y")


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_the_size_of_a_line_that_is_too_long_is_told(extra: int) -> None:
    for end in (b"", b"\n"):
        (line,) = lines_of(b"x" * (2 * MAX_LINE_BYTES + extra) + end)
        assert isinstance(line, Rejected)
        assert (line.size, len(line.raw)) == (2 * MAX_LINE_BYTES + extra, MAX_LINE_BYTES)


def test_a_line_of_just_the_limit_is_read() -> None:
    line = GOOD + b" " * (MAX_LINE_BYTES - len(GOOD))
    for terminator in (b"", b"\n", b"\r\n"):
        (found,) = reported(line + terminator)
        assert len(found.raw) == MAX_LINE_BYTES
        (too_long,) = lines_of(line + b" " + terminator)
        assert isinstance(too_long, Rejected)


def test_keys_can_come_from_a_field() -> None:
    one, two = reported(b'{"raw": "x", "meta": {"id": 7}}\n{"raw": "x", "meta": {"id": "b"}}', "meta.id")
    assert (one.item["idempotency_key"], two.item["idempotency_key"]) == ("7", "b")


@pytest.mark.parametrize("value", ["null", "true", '""', '" "', "1.5", "{}", "[1]"])
def test_a_line_without_a_key_in_its_field_is_rejected(value: str) -> None:
    (line,) = lines_of(b'{"raw": "x", "id": %s}' % value.encode(), "id")
    assert isinstance(line, Rejected)
    assert [(problem.code, problem.field) for problem in line.problems] == [("missing_field", "id")]


def test_one_time_keys_are_never_the_same() -> None:
    keys = OneTimeKeys()
    assert keys.next_key(GOOD) != keys.next_key(GOOD)


def test_batches_are_closed_by_number_and_by_size() -> None:
    small = read(io.BytesIO((GOOD + b"\n") * 7), JsonLines("file"), OneTimeKeys())
    assert [len(batch) for batch in batches(small, max_items=3)] == [3, 3, 1]
    large = read(io.BytesIO((GOOD + b"\n") * 7), JsonLines("file"), OneTimeKeys())
    assert [len(batch) for batch in batches(large, max_bytes=2 * len(GOOD))] == [2, 2, 2, 1]
    assert list(batches([])) == []


def test_endless_input_is_read_as_it_comes() -> None:
    class Endless:
        def read1(self, _size: int, /) -> bytes:
            return GOOD + b"\n"

    endless = read(Endless(), JsonLines("file"), OneTimeKeys())
    assert len(list(itertools.islice(endless, 5))) == 5


def test_rejected_lines_are_kept_with_their_reasons(tmp_path: Path) -> None:
    file = tmp_path / "rejects.jsonl"
    with rejects(file, tmp_path / "input") as kept:
        for line in lines_of(b"\x1b[2J\n\xff\n" + b"x" * (MAX_LINE_BYTES + 5)):
            assert isinstance(line, Rejected)
            kept.add(line, results.Rejected((results.Problem("c", "f", "m"),)))
    text, binary, long = (json.loads(entry) for entry in file.read_text().splitlines())
    assert text == {"line": 1, "problems": [{"code": "c", "field": "f", "message": "m"}], "raw": "\x1b[2J"}
    assert base64.b64decode(binary["raw_base64"]) == b"\xff"
    assert (long["bytes"], hashlib.sha256(long["raw"].encode()).digest()) == (
        MAX_LINE_BYTES + 5,
        hashlib.sha256(b"x" * MAX_LINE_BYTES).digest(),
    )
    assert file.stat().st_mode & 0o777 == 0o600
