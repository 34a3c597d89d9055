"""Entries of journald as `journalctl -o json` writes them: one JSON object a line."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from m10actors.lines import Line, Rejected, Tally, Unrelated, check_size
from m10actors.loglines.failure_lines import OpenFailure
from m10actors.loglines.levels import FAILURE_LEVELS, SEVERITIES, chosen, meaning
from m10actors.loglines.record import Record
from m10actors.raw_lines import RawLine
from m10actors.recovery.decoding import decode
from m10actors.recovery.problems import Code, InvalidFailure, Problem

_SOURCES: Final = ("_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "SYSLOG_IDENTIFIER", "_COMM")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULT_PRIORITY: Final = "6"


class JournalLines(Unrelated):
    """Reads entries: PRIORITY is the level (info where there is none), the unit the source, __CURSOR the key."""

    def __init__(self, source: str, levels: Iterable[str] = FAILURE_LEVELS) -> None:
        self._source = source
        self._levels = chosen(levels)
        self.tally = Tally()

    def feed(self, number: int, line: RawLine, key: UUID) -> Iterable[Line]:
        self.tally.lines += 1
        try:
            check_size(line)
            entry = decode(line.content, unique_keys=False)
            if not isinstance(entry, dict):
                raise _problem(Code.OBJECT_EXPECTED, "", "an entry of the journal is a JSON object")
            level = _level(entry)
            if meaning(level) not in self._levels:
                self.tally.ignored += 1
                return
            yield self._failure(number, line, _text(entry, "__CURSOR") or str(key), level, entry)
        except InvalidFailure as error:
            yield Rejected(number, line.content, line.size, error.problems)

    def _failure(self, number: int, line: RawLine, key: str, level: str, entry: Mapping[str, object]) -> Line:
        first, *rest = (_message(entry).strip() or "(empty)").splitlines()
        source = next((text for name in _SOURCES if (text := _text(entry, name))), None)
        record = Record(first, level, _text(entry, "SYSLOG_IDENTIFIER"), _time(entry), source)
        opened = OpenFailure(number, line.content, key, record, self._source)
        for text in rest:
            if not opened.is_full:
                opened.join(text)
        return replace(opened.closed(), lines=1)


def _level(entry: Mapping[str, object]) -> str:
    priority = _text(entry, "PRIORITY") or _DEFAULT_PRIORITY
    if priority not in {"0", "1", "2", "3", "4", "5", "6", "7"}:
        raise _problem(Code.OUT_OF_RANGE, "PRIORITY", "is none of 0 .. 7")
    return SEVERITIES[int(priority)]


def _message(entry: Mapping[str, object]) -> str:
    """MESSAGE, which is a text, or the bytes of what is none."""
    value = entry.get("MESSAGE")
    match value:
        case None:
            raise _problem(Code.MISSING_FIELD, "MESSAGE", "is missing: journalctl leaves long ones out without --all")
        case str():
            return value
        case [int(), *_] if len(octets := _octets(value)) == len(value):
            return octets.decode(errors="backslashreplace").replace("\x00", "\\x00")
        case [str() as first, *_]:
            return first
        case []:
            return ""
        case _:
            raise _problem(Code.INVALID_TYPE, "MESSAGE", "is neither a text nor an array of bytes")


def _octets(values: Iterable[object]) -> bytes:
    """The values that are bytes."""
    return bytes(value for value in values if isinstance(value, int) and 0 <= value <= 255)


def _time(entry: Mapping[str, object]) -> str | None:
    """__REALTIME_TIMESTAMP, microseconds since 1970, in ISO 8601."""
    text = _text(entry, "__REALTIME_TIMESTAMP") or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        return None
    return (_EPOCH + timedelta(microseconds=int(text))).isoformat()


def _text(entry: Mapping[str, object], name: str) -> str | None:
    """A field as text; of one that stands several times in the entry the first value."""
    value = entry.get(name)
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _problem(code: Code, field: str, message: str) -> InvalidFailure:
    return InvalidFailure(Problem(code, field, message))
