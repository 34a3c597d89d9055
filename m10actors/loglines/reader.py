"""The lines of a log → failures: which lines begin one, which belong to it, which tell of none.

Every line is in exactly one place: in a failure, rejected (it is no text), or ignored. Nothing depends on how the
input is cut or on when it comes, except where `end` is called because nothing more came.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

from m10actors.lines import Line, Rejected, Tally, check_size
from m10actors.loglines.error_type import tells_of_failure
from m10actors.loglines.failure_lines import OpenFailure
from m10actors.loglines.heads import is_raised, is_uncaught
from m10actors.loglines.levels import FAILURE_LEVELS, chosen, meaning
from m10actors.loglines.record import Record
from m10actors.loglines.shapes import Shapes
from m10actors.loglines.trace import Part, Trace
from m10actors.raw_lines import RawLine
from m10actors.recovery.content import is_storable
from m10actors.recovery.problems import Code, InvalidFailure, Problem

Recognise: TypeAlias = Callable[[str], Record | None]

CENSUS_LINES: Final = 1_000
_LEVELLED_SHARE: Final = 10


class Before(StrEnum):
    """What stands before the next line: nothing that it could belong to, or a record that was no failure."""

    NOTHING = "nothing"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Memory:
    """What the lines so far mean for the next one; kept with a position in a file, it goes on from there.

    `seen`, `levelled`: how many of the first CENSUS_LINES lines (without those that belong to others) name a level.
    """

    seen: int = 0
    levelled: int = 0
    before: Before = Before.NOTHING

    def counted(self, record: Record | None) -> "Memory":
        if self.seen >= CENSUS_LINES:
            return self
        has_level = record is not None and record.level is not None
        return Memory(self.seen + 1, self.levelled + has_level, self.before)

    def standing(self, before: Before) -> "Memory":
        return Memory(self.seen, self.levelled, before)

    @property
    def levels_are_rare(self) -> bool:
        return self.levelled * _LEVELLED_SHARE < self.seen


class LogLines:
    """Reads one log. `recognise` takes the first line of a record apart: `Shapes`, or a `Pattern` of the caller's.

    A record is a failure if its level is one of `levels`. One without a level, and while levels are rare any other
    line, is judged by its words; with a pattern of the caller's (`by_pattern`) what matches without a level is a
    failure and what does not match is none.
    """

    def __init__(
        self,
        source: str,
        levels: Iterable[str] = FAILURE_LEVELS,
        recognise: Recognise | None = None,
    ) -> None:
        levels = tuple(levels)
        self._source = source
        self._levels = chosen(levels)
        self._recognise = recognise or Shapes(levels)
        self._by_pattern = recognise is not None
        self._open: OpenFailure | None = None
        self._trace = Trace()
        self.tally = Tally()
        self._memory = Memory()

    @property
    def open_since(self) -> int | None:
        return self._open.number if self._open else None

    def feed(self, number: int, line: RawLine, key: UUID) -> Iterator[Line]:
        self.tally.lines += 1
        try:
            text = text_of(line)
        except InvalidFailure as error:
            yield Rejected(number, line.content, line.size, error.problems)
            return
        record = self._recognise(text)
        if record is not None and record.time is None and self._trace.claims(text):
            record = None
        if record is None and (part := self._trace.part(text)) is not Part.NONE:
            yield from self._continued(number, line, key, text, part)
            return
        yield from self._close()
        self._trace.begin(text)
        self._memory = self._memory.counted(record)
        if self._is_failure(record, text):
            self.tally.by_words += record is None or (record.level is None and not self._by_pattern)
            self._begin(number, line, key, text, record)
            return
        self.tally.ignored += 1
        if record is not None and record.level is not None:
            self._memory = self._memory.standing(Before.PASSED)

    def end(self) -> Iterator[Line]:
        """The failure that was open. A line that would have belonged to it then belongs to nothing."""
        yield from self._close()
        self._trace = Trace()

    def remember(self) -> Mapping[str, object]:
        return asdict(self._memory)

    def recall(self, memory: Mapping[str, object]) -> None:
        match memory:
            case {"seen": int(seen), "levelled": int(levelled), "before": str(before)}:
                self._memory = Memory(seen, levelled, Before(before))

    def _continued(self, number: int, line: RawLine, key: UUID, text: str, part: Part) -> Iterator[Line]:
        """A line that belongs to what stands before it; a trace that nothing stands before is a failure by itself.

        What a runtime reports belongs to the failure that was logged before it, but not to another such report.
        """
        if part is Part.REPORT and self._open is not None and self._open.is_report:
            yield from self._close()
        if self._open is not None:
            self.tally.joined += 1
            self._open.join(text)
            if self._open.is_full:
                yield from self._close()
                self._memory = self._memory.standing(Before.PASSED)
        elif part is Part.REPORT or (self._memory.before is Before.NOTHING and is_raised(text)):
            self._begin(number, line, key, text)
        else:
            self.tally.ignored += 1

    def _close(self) -> Iterator[Line]:
        opened, self._open = self._open, None
        self._memory = self._memory.standing(Before.NOTHING)
        if opened is not None:
            try:
                yield opened.closed()
            except InvalidFailure as error:
                yield Rejected(opened.number, opened.raw, len(opened.raw), error.problems)

    def _begin(self, number: int, line: RawLine, key: UUID, text: str, record: Record | None = None) -> None:
        record = record or Record(text)
        is_report = is_uncaught(record.message) or is_uncaught(text)
        self._open = OpenFailure(number, line.content, str(key), record, self._source, is_report)

    def _is_failure(self, record: Record | None, text: str) -> bool:
        if record is not None and record.level is not None:
            return meaning(record.level) in self._levels
        if self._by_pattern:
            return record is not None
        if record is None:
            return self._memory.levels_are_rare and tells_of_failure(text)
        return tells_of_failure(record.message)


def text_of(line: RawLine) -> str:
    """The line as text; InvalidFailure for what is too long, no UTF-8, or contains NUL."""
    check_size(line)
    try:
        text = line.content.decode()
    except UnicodeDecodeError as error:
        raise InvalidFailure(Problem(Code.INVALID_UNICODE, "", f"is not UTF-8 at byte {error.start}")) from None
    if not is_storable(text):
        raise InvalidFailure(Problem(Code.INVALID_TEXT, "", f"contains NUL at byte {line.content.find(0)}"))
    return text
