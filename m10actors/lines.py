"""Lines from outside → failures: each line read, keyed and checked on its own, in batches, however long the input.

A line that is no failure spoils only itself: it comes out as `Rejected`, with everything that is wrong with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Protocol, TypeAlias
from uuid import UUID, uuid4

from m10actors.raw_lines import MAX_LINE_BYTES, RawLine, Splitter
from m10actors.recovery.decoding import MAX_BATCH_ITEMS, decode
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.problems import Code, InvalidFailure, Problem

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of lines from which a batch is full: half of what the API takes, since JSON can grow when written again."""
_CHUNK_BYTES = 256 * 1024


class Keys(Protocol):
    """Gives each line in turn its idempotency key; `recovery.file_keys.FileKeys` is one."""

    def next_key(self, line: bytes) -> UUID: ...


class OneTimeKeys:
    """Keys for input that cannot be told from other input: our own retries count nothing twice, a second run does."""

    def next_key(self, _line: bytes) -> UUID:
        return uuid4()


@dataclass(frozen=True, slots=True)
class Reported:
    """A failure: `item` as the API takes it, with its source and key, and the same as a value.

    `number` and `raw` are those of its first line; `lines` tells how many it has.
    """

    number: int
    raw: bytes
    item: Mapping[str, object]
    failure: Failure
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is none, and why. `raw` holds its first MAX_LINE_BYTES bytes, `size` tells how many it has."""

    number: int
    raw: bytes
    size: int
    problems: tuple[Problem, ...]


Line: TypeAlias = Reported | Rejected


@dataclass(slots=True)
class Tally:
    """Where the lines went: each is in a failure, rejected, or ignored because it tells of none.

    `joined`: lines that belong to the failure before them; `by_words`: failures found by words, for want of a level.
    """

    lines: int = 0
    joined: int = 0
    ignored: int = 0
    by_words: int = 0


class Chunks(Protocol):
    """Bytes as they come: at least one, at most `size`, none at the end. A binary file or pipe is one."""

    def read1(self, size: int, /) -> bytes: ...


class LineFormat(Protocol):
    """What a line holds. `open_since` is the number of the first line of a failure that may still go on."""

    tally: Tally

    @property
    def open_since(self) -> int | None: ...

    def feed(self, number: int, line: RawLine, key: UUID) -> Iterable[Line]:
        """What the line completes."""

    def end(self) -> Iterable[Line]:
        """What was waiting for more lines."""

    def remember(self) -> Mapping[str, object]:
        """What the lines so far mean for the next one, as JSON."""

    def recall(self, memory: Mapping[str, object]) -> None:
        """Goes on from what was remembered."""


class Unrelated:
    """A format whose lines have nothing to do with one another."""

    @property
    def open_since(self) -> int | None:
        return None

    def end(self) -> Iterable[Line]:
        return ()

    def remember(self) -> Mapping[str, object]:
        return {}

    def recall(self, memory: Mapping[str, object]) -> None: ...


class JsonLines(Unrelated):
    """One JSON failure a line.

    The key of a line is the one inside it, else the value at `key_field` (a JSON path with dots, a text or a whole
    number; a line without it is rejected), else the one that it was given. `source` stands where a line names none.
    """

    def __init__(self, source: str, key_field: str | None = None) -> None:
        self._source = source
        self._key_field = key_field
        self.tally = Tally()

    def feed(self, number: int, line: RawLine, key: UUID) -> Iterable[Line]:
        self.tally.lines += 1
        try:
            check_size(line)
            item = _item(line.content)
            if item.get("idempotency_key") is None:
                item["idempotency_key"] = _value_at(item, self._key_field) if self._key_field else str(key)
            if item.get("source") is None:
                item["source"] = self._source
            yield Reported(number, line.content, item, parse(item))
        except InvalidFailure as error:
            yield Rejected(number, line.content, line.size, error.problems)


def read(stream: Chunks, form: LineFormat, keys: Keys) -> Iterator[Line]:
    """The failures and rejected lines of `stream`, as `form` understands it; lines are numbered from 1."""
    splitter, numbers = Splitter(), count(1)
    while chunk := stream.read1(_CHUNK_BYTES):
        for line in splitter.feed(chunk):
            yield from form.feed(next(numbers), line, keys.next_key(line.identity))
    for line in splitter.end():
        yield from form.feed(next(numbers), line, keys.next_key(line.identity))
    yield from form.end()


def batches(
    lines: Iterable[Line], max_items: int = MAX_BATCH_ITEMS, max_bytes: int = MAX_BATCH_BYTES
) -> Iterator[list[Line]]:
    """The lines in their order, in lists of up to `max_items` that are closed once they hold `max_bytes`."""
    batch: list[Line] = []
    held = 0
    for line in lines:
        batch.append(line)
        held += len(line.raw)
        if len(batch) >= max_items or held >= max_bytes:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def check_size(line: RawLine) -> None:
    """Raises InvalidFailure for a line of more than MAX_LINE_BYTES bytes."""
    if line.size > MAX_LINE_BYTES:
        message = f"has {line.size} bytes, at most {MAX_LINE_BYTES} are taken"
        raise InvalidFailure(Problem(Code.TOO_LARGE, "", message))


def _item(raw: bytes) -> dict[str, object]:
    item = decode(raw, unique_keys=False)
    if not isinstance(item, dict):
        raise InvalidFailure(Problem(Code.OBJECT_EXPECTED, "", "a failure is a JSON object"))
    return item


def _value_at(item: object, path: str) -> str:
    """The key that a line carries in a field of its own."""
    value = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    match value:
        case bool():
            pass
        case str() if value.strip():
            return value
        case int():
            return str(value)
    raise InvalidFailure(Problem(Code.MISSING_FIELD, path, "holds no idempotency key: a text or a whole number"))
